"""What descriptors cost while indexing: processor time per picture.

    LOOKALIKE_DATA=photographs python -m benchmarks.descriptors

Photographs of `coco` are indexed in one process without descriptors, with the standard ones and
with all, in turn; and each descriptor is timed alone on pictures in memory. Processor time is
taken, which other programs on the machine change little; the fastest of several rounds counts.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lookalike.collection import Collection
from lookalike.features.descriptors import BUILT_IN, SIDE, STANDARD, describe, sizes_of
from lookalike.images.decoding import decode

SETS = {"none": (), "standard": STANDARD, "all": tuple(BUILT_IN)}
BATCH = 32


def milliseconds(function: Callable[[], object], n: int) -> float:
    """Processor time of a call, for each of `n` pictures."""
    started = time.process_time()
    function()
    return 1000 * (time.process_time() - started) / n


def index(files: list[Path], descriptors: tuple[str, ...]) -> float:
    """Processor time of indexing a picture, models and indexes included."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Collection.create(Path(folder) / "c.lookalike", descriptors=descriptors) as made,
    ):
        side = made.card.image_size
        made.model.encode(np.zeros((1, side, side, 3), np.uint8))
        return milliseconds(lambda: made.add(*files, workers=0), len(files))


def alone(files: list[Path]) -> dict[str, float]:
    """Processor time of each descriptor."""
    decoded = [decode(file.read_bytes(), (SIDE, SIDE)) for file in files[:BATCH]]
    pixels = np.stack([each.pixels for each in decoded])
    sizes = sizes_of([(each.height, each.width) for each in decoded])
    found = {}
    for name, descriptor in BUILT_IN.items():
        describe([descriptor], pixels, sizes)
        times = [
            milliseconds(lambda one=descriptor: describe([one], pixels, sizes), len(pixels))
            for _ in range(5)
        ]
        found[name] = round(min(times), 3)
    return found


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("docs/results/descriptors.json"))
    options = parser.parse_args()
    folder = Path(os.environ["LOOKALIKE_DATA"]) / "coco" / "images"
    files = sorted(folder.iterdir())[: options.pictures]
    times: dict[str, list[float]] = {name: [] for name in SETS}
    for _ in range(options.rounds):
        for name, descriptors in SETS.items():
            times[name].append(index(files, descriptors))
    found = {
        "pictures": len(files),
        "milliseconds_per_picture_indexing": {n: round(min(t), 2) for n, t in times.items()},
        "milliseconds_per_picture_alone": alone(files),
        "bytes_per_picture": {name: 4 * each.dim for name, each in BUILT_IN.items()},
    }
    print(json.dumps(found, indent=2))
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
