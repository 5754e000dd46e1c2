"""How long a search takes from the start of the process, on a collection of 10,000 images.

    python -m benchmarks.startup [--model MODEL] [--images 10000] [--runs 7]

Fills a collection with random embeddings (what they are does not matter to the clock), then starts
`lookalike search` as a person would, by id and by file, and compares with a bare Python that only
imports NumPy.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.collection import Collection
from lookalike.storage.records import Batch, FileRecord, NewImage


def fill(folder: Path, model: Path | None, n_images: int) -> None:
    """Store `n_images` images with random embeddings and build their index."""
    rng = np.random.default_rng(0)
    with Collection.create(folder, model=model) as collection:
        catalog = collection.catalog
        run = catalog.begin_run()
        for start in range(0, n_images, 500):
            numbers = range(start, min(start + 500, n_images))
            images, files = [], []
            for number in numbers:
                content = number.to_bytes(20, "big")
                embeddings = {
                    name: rng.standard_normal(dim).astype(np.float32)
                    for name, dim in catalog.descriptors.items()
                }
                images.append(NewImage(content, 1, 640, 480, "JPEG", embeddings))
                path = f"/pictures/{number:06d}.jpg".encode()
                files.append(FileRecord(path, b"/pictures", 1, 1, "indexed", content, None))
            catalog.commit(Batch(tuple(images), tuple(files)), run=run)
        collection.build_indexes()


def seconds(command: list[str], runs: int) -> list[float]:
    """Wall time of each of several runs, after one that is not counted."""
    taken = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - started)
    return taken[1:]


def main() -> None:
    """Fill, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="by default the one that ships")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "random.lookalike"
        picture = Path(temporary) / "query.jpg"
        noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
        Image.fromarray(noise).save(picture)
        fill(folder, options.model, options.images)
        search = [sys.executable, "-m", "lookalike", "search", str(folder), "--json"]
        rows = {
            "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
            "lookalike search --id": [*search, "--id", "1"],
            "lookalike search --image": [*search, "--image", str(picture)],
        }
        print(f"{options.images} images, seconds from process start, {options.runs} runs")
        for name, command in rows.items():
            taken = seconds(command, options.runs)
            print(f"{name:28} median {statistics.median(taken):.3f}  max {max(taken):.3f}")


if __name__ == "__main__":
    main()
