"""How fast filters and words are on a large catalog, and what they cost while indexing.

    python -m benchmarks.filters [--images 100000] [--folder DIR]

Images are made up: labels and caption words are drawn from a vocabulary by Zipf's law, dates from
ten years, sizes and cameras at random. A label on one image in a hundred, one on one in ten
thousand and one on none stand for filters that pass 1 %, 0.01 % and nothing.
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lookalike.search.filters import parse_conditions
from lookalike.search.words import WordsPart, understand
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import (
    DATA_SET,
    FILE,
    Batch,
    Description,
    FileRecord,
    ImageDetails,
    Known,
    NewImage,
)

DESCRIPTORS = {"content": 8}
BATCH = 256
REPEATS = 20

FILTERS = (
    "label:common",
    "label:rare",
    "label:never",
    "-label:common",
    "label:common taken:2020",
    "taken:2020-05",
    "taken:2015..2019",
    "color:blue>60%",
    "width:>5000",
    "camera:canon iso:>=3200",
    "path:folder-07",
    "/folder-0[1-3].*9\\.jpg/",
    'caption:"word12 word7"',
    "has:caption",
    "label:rare OR (label:common width:>5000)",
    "id:500..600",
)
WORDS = ("word3 ", "word30 word500 ", "word4999 ", "wrod4999 ", "word1", "word3 -word7")


def batches(n_images: int) -> Iterator[tuple[Batch, list[Description]]]:
    """Give made-up images and what is said of them."""
    rng = np.random.default_rng(0)
    for start in range(0, n_images, BATCH):
        numbers = range(start, min(start + BATCH, n_images))
        hashes = [hashlib.blake2b(str(n).encode(), digest_size=20).digest() for n in numbers]
        yield (
            Batch(
                tuple(image(rng, content) for content in hashes),
                tuple(
                    FileRecord(
                        f"/p/folder-{n % 100:02}/img_{n}.jpg".encode(),
                        *(b"/p", 9, 9, "indexed", content, None),
                    )
                    for n, content in zip(numbers, hashes, strict=True)
                ),
                tuple(details(rng, content) for content in hashes),
            ),
            [description(rng, n, content) for n, content in zip(numbers, hashes, strict=True)],
        )


def image(rng: np.random.Generator, content: bytes) -> NewImage:
    """Return an image of any size."""
    width, height = (int(side) for side in rng.integers(200, 6000, 2))
    size = int(rng.integers(10_000, 9_000_000))
    vector = rng.standard_normal(8).astype(np.float32)
    labels = (("person", 0.9),) if rng.random() < 0.4 else ()
    return NewImage(content, size, width, height, "JPEG", {"content": vector}, labels)


def details(rng: np.random.Generator, content: bytes) -> ImageDetails:
    """Return a date, a camera, its sensitivity and a share of blue."""
    month, day = rng.integers(1, 13), rng.integers(1, 29)
    taken = f"{rng.integers(2015, 2025)}-{month:02}-{day:02}T12:00:00"
    camera = ("Canon EOS 5D", "Nikon D90", "Fuji X100")[rng.integers(3)]
    iso = str(100 * 2 ** rng.integers(7))
    known = (
        Known("taken", taken, FILE),
        Known("camera", camera, FILE),
        Known("iso", iso, FILE),
    )
    blue = float(rng.random())
    return ImageDetails(content, known, (("blue", blue), ("gray", 1 - blue)))


def description(rng: np.random.Generator, number: int, content: bytes) -> Description:
    """Return a caption of ten words, and up to five labels."""
    words = np.minimum(rng.zipf(1.3, 10), 5000)
    labels = {f"label{each}" for each in np.minimum(rng.zipf(1.5, 3), 200)}
    labels |= {"common"} if number % 100 == 0 else set()
    labels |= {"rare"} if number % 10_000 == 0 else set()
    caption = " ".join(f"word{word}" for word in words)
    return Description(content, DATA_SET, (caption,), tuple(sorted(labels)))


def store(catalog: Catalog, n_images: int) -> tuple[float, float]:
    """Store everything; return the seconds for images and those for what is said of them."""
    run = catalog.begin_run()
    for_images = for_descriptions = 0.0
    for batch, descriptions in batches(n_images):
        started = time.process_time()
        catalog.commit(batch, run=run)
        between = time.process_time()
        catalog.descriptions.change(descriptions)
        for_images += between - started
        for_descriptions += time.process_time() - between
    # A label that was known once and is on no image any more.
    content = hashlib.blake2b(b"0", digest_size=20).digest()
    catalog.descriptions.change([Description(content, DATA_SET, labels=("never",))])
    catalog.descriptions.change([Description(content, DATA_SET, remove_labels=("never",))])
    return for_images, for_descriptions


def timed(function: Callable[[], int]) -> tuple[int, float, float]:
    """Return the result, and median and longest milliseconds."""
    found = function()
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        function()
        times.append(1000 * (time.process_time() - started))
    return found, statistics.median(times), max(times)


def ask_words(catalog: Catalog, text: str) -> int:
    """Look words up as a query does; return the number of matches."""
    excluded = parse_conditions("text:word7") if " -" in text else None
    if excluded is not None:
        catalog.filters.passing(excluded)
    ids, relevance = catalog.words.match(understand(text, catalog).query)
    part = WordsPart(ids, relevance, catalog.n_images)
    part.scores(part.propose(100, None).ids)
    return len(ids)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path = Path(folder) / "catalog.sqlite"
        with Catalog.create(path, DESCRIPTORS) as catalog:
            seconds = store(catalog, arguments.images)
        per_image = [1e6 * each / arguments.images for each in seconds]
        print(f"stored: {per_image[0]:.0f} µs an image, described: {per_image[1]:.0f} µs")
        print(f"size: {path.stat().st_size / arguments.images:.0f} bytes an image")
        with Catalog.open(path) as catalog:
            print(f"{'filter':45} {'passing':>8} {'median ms':>10} {'longest':>8}")
            for text in FILTERS:
                condition = parse_conditions(text)
                result = timed(lambda c=condition: len(catalog.filters.passing(c)))
                print(f"{text:45} {result[0]:8} {result[1]:10.2f} {result[2]:8.2f}")
            for text in WORDS:
                result = timed(lambda t=text: ask_words(catalog, t))
                print(f"{text:45} {result[0]:8} {result[1]:10.2f} {result[2]:8.2f}")
            ids = catalog.ids()[:1000]
            for by in ("date", "name"):
                result = timed(lambda b=by: len(catalog.filters.sort_keys(ids, b)))
                print(
                    f"{'sort 1,000 by ' + by:45} {result[0]:8} {result[1]:10.2f} {result[2]:8.2f}"
                )


if __name__ == "__main__":
    main()
