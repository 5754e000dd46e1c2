"""How fast the catalog stores, reads and checks, and how large it is on disk.

    python -m benchmarks.catalog [--images 100000] [--folder DIR]

Images with random embeddings (256 and 128 numbers) are stored in batches of 256, each committed to
the disk as `index` does; then all is read back, and a second run ticks off every file unchanged.
"""

import argparse
import hashlib
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch, FileRecord, NewImage

DESCRIPTORS = {"content": 256, "layout": 128}
BATCH = 256
LOOKED_UP = 512

Result = TypeVar("Result")


def measure(path: Path, n_images: int) -> dict[str, float]:
    """Return seconds by what was done, images per second, and the size of the file."""
    measured: dict[str, float] = {}

    def timed(name: str, function: Callable[[], Result]) -> Result:
        started = time.perf_counter()
        result = function()
        measured[name] = time.perf_counter() - started
        return result

    with Catalog.create(path, DESCRIPTORS) as catalog:
        measured["stored, images/s"] = n_images / store(catalog, n_images)
    measured["size, MB"] = path.stat().st_size / 1e6
    with Catalog.open(path) as catalog:
        for name in DESCRIPTORS:
            timed(f"all {name} embeddings, s", partial(count, catalog, name))
        some = np.random.default_rng(0).permutation(catalog.ids())[:1000]
        timed("1,000 embeddings by id, s", lambda: catalog.vectors(some, "content"))
        timed("1,000 records by id, s", lambda: catalog.images(some))
    with Catalog.open(path, writable=True) as catalog:
        timed("a run that finds nothing new, s", lambda: tick_off(catalog, n_images))
    measured["largest memory, MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return measured


def store(catalog: Catalog, n_images: int) -> float:
    """Store everything; return the seconds spent in commits."""
    run = catalog.begin_run()
    seconds = 0.0
    for batch in batches(n_images):
        started = time.perf_counter()
        catalog.commit(batch, run=run)
        seconds += time.perf_counter() - started
    catalog.remove_unseen(run, [b"/photos"])
    return seconds


def batches(n_images: int) -> Iterator[Batch]:
    """Give batches of images, each in a file of its own."""
    rng = np.random.default_rng(0)
    for start in range(0, n_images, BATCH):
        numbers = range(start, min(start + BATCH, n_images))
        rows = {
            name: rng.standard_normal((BATCH, dim)).astype(np.float32)
            for name, dim in DESCRIPTORS.items()
        }
        images, files = [], []
        for place, number in enumerate(numbers):
            content = hashlib.blake2b(b"%d" % number, digest_size=20).digest()
            vectors = {name: rows[name][place] for name in rows}
            labels = (("cat", 0.9), ("dog", 0.6))
            images.append(NewImage(content, 1, 640, 480, "JPEG", vectors, labels))
            file = FileRecord(path_of(number), b"/photos", 1, number, "indexed", content, None)
            files.append(file)
        yield Batch(tuple(images), tuple(files))


def path_of(number: int) -> bytes:
    """Return a path of usual length."""
    return b"/photos/holidays/2024/%04d/IMG_%07d.jpg" % (number // 1000, number)


def count(catalog: Catalog, descriptor: str) -> int:
    """Read all embeddings, checksums compared; return how many there are."""
    return sum(len(ids) for ids, _ in catalog.embeddings(descriptor))


def tick_off(catalog: Catalog, n_images: int) -> None:
    """Look up every file, as one does that is unchanged, and tick it off."""
    run = catalog.begin_run()
    for start in range(0, n_images, LOOKED_UP):
        paths = [path_of(number) for number in range(start, min(start + LOOKED_UP, n_images))]
        catalog.files(paths)
        catalog.mark_seen(paths, run)
    catalog.remove_unseen(run, [b"/photos"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the catalog is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measured = measure(Path(folder) / "catalog.sqlite", options.images)
    for name, value in measured.items():
        print(f"{name:34}{value:12,.3f}")


if __name__ == "__main__":
    main()
