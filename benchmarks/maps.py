"""How long maps and clusters of many pictures take, and how much memory.

    python -m benchmarks.maps --images 20000 100000 --out docs/results/maps.json

Unit embeddings of 256 numbers around 200 directions drawn at random, stored in a catalog of their
own; times are of the processor, memory is the most that the process ever held. Each number of
images runs in a process of its own.
"""

import argparse
import hashlib
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import normalize
from lookalike.search.clusters import make_clusters
from lookalike.search.maps import make_map
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch, FileRecord, NewImage

DIM, DIRECTIONS, BATCH = 256, 200, 2000


def fill(catalog: Catalog, n: int) -> None:
    """Store `n` images of which only the embeddings matter."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((DIRECTIONS, DIM))
    run = catalog.begin_run()
    for start in range(0, n, BATCH):
        chosen = directions[rng.integers(0, DIRECTIONS, BATCH)]
        rows = normalize(chosen + 0.8 * rng.standard_normal((BATCH, DIM)))
        hashes = [
            hashlib.blake2b(b"%d" % (start + i), digest_size=20).digest() for i in range(BATCH)
        ]
        images = tuple(
            NewImage(digest, 1, 1, 1, "PNG", {"content": row})
            for digest, row in zip(hashes, rows, strict=True)
        )
        files = tuple(
            FileRecord(digest.hex().encode(), b"/", 1, 1, "indexed", digest, None)
            for digest in hashes
        )
        catalog.commit(Batch(images, files), run=run)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, and what came out."""
    started = time.process_time()
    found = work()
    return round(time.process_time() - started, 1), found


def measure(n: int) -> dict[str, Any]:
    """A map, 100 clusters, and as many clusters as are chosen."""
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog.create(Path(folder) / "catalog.sqlite", {"content": DIM})
        fill(catalog, n)
        of_map, facts = timed(lambda: make_map(catalog))
        of_clusters, _ = timed(lambda: make_clusters(catalog, "hundred", k=100))
        of_choice, chosen = timed(lambda: make_clusters(catalog, "chosen"))
    return {
        "images": n,
        "map_seconds": of_map,
        "trustworthiness": {k: round(v, 4) for k, v in facts["trustworthiness"].items()},
        "clusters_seconds": of_clusters,
        "chosen_seconds": of_choice,
        "chosen_k": chosen.facts["k"],
        "mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure, print, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        results = [pool.apply(measure, (n,)) for n in options.images]
    print(json.dumps(results, indent=1))
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
