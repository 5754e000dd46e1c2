"""How many altered copies are found, how many others are taken for copies, and at what size.

    python -m benchmarks.duplicates [--photographs FOLDER] [--parquet FILE] [--out duplicates.json]

Two parts. *Copies*: of generated scenes, and of photographs if a folder is given, each original and
its altered copies (`benchmarks.alterations`) are indexed with the model that ships. A copy is found
if it is in one group with its original. *Size*: originals, from a Parquet file of photographs or
from scenes, and for every other one three altered copies, 50,000 in all, are put into a catalog
directly, and the groups are looked for in a fresh process, of which the largest memory is told.
"""

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from PIL import Image

from benchmarks.alterations import ALTERATIONS, mirrored_copy, png
from lookalike import Collection, open_dataset
from lookalike.images.files import content_hash
from lookalike.images.perceptual_hash import fingerprint
from lookalike.knowing.deduplicating import find_duplicates
from lookalike.search.duplicates import DuplicateGroup, DuplicateOptions
from lookalike.storage.records import Batch, FileRecord, NewImage

MIRRORED = "mirrored"
THRESHOLDS = (8, 12, 15, 20, 23)
SCORES = (0.0, 1.0, 2.0, 3.0, 4.0)
SIZE_COPIES = ("JPEG, quality 30", "half as large", "2 % cropped")


def scenes(n: int) -> Iterator[Image.Image]:
    """Give generated scenes."""
    made = open_dataset(f"scenes:{n}:11")
    for number in range(n):
        yield Image.open(io.BytesIO(made[number].read_bytes())).convert("RGB")


def photographs(folder: Path, n: int) -> Iterator[Image.Image]:
    """Give photographs of a folder, evenly spaced by name."""
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    for path in paths[:: max(1, len(paths) // n)][:n]:
        yield Image.open(path).convert("RGB")


def write_copies(pictures: Iterator[Image.Image], folder: Path) -> None:
    """Write each picture and its altered copies; names begin with the number of the original."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(pictures):
        (folder / f"{number}=original.png").write_bytes(png(picture))
        for name, alter in {**ALTERATIONS, MIRRORED: mirrored_copy}.items():
            (folder / f"{number}={name}.jpg").write_bytes(alter(picture))


def named(opened: Collection, groups: list[DuplicateGroup]) -> list[tuple[str, list[list[str]]]]:
    """Return kind and members of each group; a member is its number and its alteration."""
    found = []
    for group in groups:
        stems = [Path(os.fsdecode(r.paths[0])).stem for r in opened.images(group.ids)]
        found.append((group.kind, [stem.split("=") for stem in stems]))
    return found


def score_copies(opened: Collection, options: DuplicateOptions, n: int) -> dict[str, Any]:
    """Return the share of originals found with each alteration, and the share of right pairs."""
    found = named(opened, find_duplicates(opened, options))
    hits = dict.fromkeys([*ALTERATIONS, MIRRORED], 0)
    right = wrong = 0
    for kind, members in found:
        for (a, first), (b, second) in combinations(members, 2):
            right, wrong = right + (a == b), wrong + (a != b)
            if kind == "copies" and a == b and "original" in (first, second):
                hits[second if first == "original" else first] += 1
            if kind == "mirrored" and a == b and MIRRORED in (first, second):
                hits[MIRRORED] += 1
    return {
        "precision_of_pairs": round(right / max(1, right + wrong), 5),
        "pairs": right + wrong,
        "found": {name: round(count / n, 4) for name, count in hits.items()},
    }


def measure_copies(pictures: Iterator[Image.Image], place: Path, n: int) -> dict[str, Any]:
    """Index originals and copies, and look for them at several thresholds."""
    write_copies(islice(pictures, n), place / "pictures")
    with Collection.create(place / "c.lookalike") as opened:
        opened.add(place / "pictures", workers=1)
        by_threshold = {t: score_copies(opened, DuplicateOptions(t), n) for t in THRESHOLDS}
        by_score = {s: score_copies(opened, DuplicateOptions(20, s), n) for s in SCORES}
    return {"originals": n, "by_threshold": by_threshold, "by_min_score_at_20_bits": by_score}


def parquet_pictures(file: Path) -> Iterator[Image.Image]:
    """Give the pictures of a data set in a Parquet file."""
    opened = open_dataset(str(file))
    for number in range(len(opened)):
        yield Image.open(io.BytesIO(opened[number].read_bytes())).convert("RGB")


def with_copies(pictures: Iterator[Image.Image]) -> Iterator[tuple[str, bytes]]:
    """Give encoded pictures by name, every other one with altered copies."""
    for number, picture in enumerate(pictures):
        yield f"{number}=original", png(picture)
        if number % 2 == 0:
            for name in SIZE_COPIES:
                yield f"{number}={name}", ALTERATIONS[name](picture)


def fill(opened: Collection, encoded: Iterator[tuple[str, bytes]], n: int) -> float:
    """Store `n` pictures without files; return the mean time of a fingerprint in ms."""
    run, seconds = opened.catalog.begin_run(), 0.0
    side = opened.card.image_size
    while n > 0 and (batch := list(islice(encoded, min(n, 256)))):
        pictures = [Image.open(io.BytesIO(data)).convert("RGB") for _, data in batch]
        pixels = np.stack([np.asarray(p.resize((side, side), 2)) for p in pictures])
        started = time.perf_counter()
        prints = [fingerprint(picture) for picture in pixels]
        seconds += time.perf_counter() - started
        rows = opened.model.encode(pixels).descriptors
        images, files = [], []
        for at, (name, data) in enumerate(batch):
            content, size = content_hash(name.encode() + data), pictures[at].size
            vectors = {descriptor: values[at] for descriptor, values in rows.items()}
            facts = (content, len(data), *size, "PNG" if "original" in name else "JPEG")
            images.append(NewImage(*facts, vectors, (), prints[at]))
            files.append(FileRecord(f"/{name}".encode(), b"/", 1, 1, "indexed", content, None))
        opened.catalog.commit(Batch(tuple(images), tuple(files)), run=run)
        n -= len(batch)
    return 1000 * seconds / max(1, opened.catalog.n_images)


def search_for_groups(path: Path, threshold: int) -> dict[str, Any]:
    """Look for all groups in this process; tell time and memory."""
    with Collection.open(path) as opened:
        _ = opened.gallery
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        started = time.perf_counter()
        groups = find_duplicates(opened, DuplicateOptions(threshold))
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        found = named(opened, groups)
    pairs = {
        tuple(sorted((f"{a}={x}", f"{b}={y}")))
        for kind, members in found
        if kind == "copies"
        for (a, x), (b, y) in combinations(members, 2)
    }
    right = sum(a.partition("=")[0] == b.partition("=")[0] for a, b in pairs)
    return {
        "threshold": threshold,
        "seconds": round(seconds, 1),
        "peak_mb": peak,
        "peak_mb_before": before,
        "groups": len(groups),
        "largest_group": max((len(group.ids) for group in groups), default=0),
        "planted_pairs_found": right,
        "other_pairs": len(pairs) - right,
    }


def measure_size(pictures: Iterator[Image.Image], place: Path, n: int) -> dict[str, Any]:
    """Fill a collection with `n` pictures and look for groups, each time in a fresh process."""
    path = place / "large.lookalike"
    with Collection.create(path) as opened:
        fingerprint_ms = fill(opened, with_copies(pictures), n)
        opened.build_indexes(kind="exact")
        n_images = len(opened)
        names = [Path(os.fsdecode(r.paths[0])).stem for r in opened.images(opened.catalog.ids())]
    with_copy = sum("original" not in name for name in names) // len(SIZE_COPIES)
    runs = []
    for threshold in (15, 20, 23):
        words = [sys.executable, "-m", "benchmarks.duplicates"]
        words += ["--only-groups", str(path), "--threshold", str(threshold)]
        done = subprocess.run(words, capture_output=True, check=True, text=True)
        runs.append(json.loads(done.stdout))
        print(runs[-1], file=sys.stderr)
    n_each = len(SIZE_COPIES) + 1
    return {
        "images": n_images,
        "planted_pairs": with_copy * n_each * (n_each - 1) // 2,
        "fingerprint_ms": round(fingerprint_ms, 3),
        "runs": runs,
    }


def main() -> None:
    """Print all figures as JSON, and write them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--originals", type=int, default=300)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--parquet", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only-groups", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--threshold", type=int, default=20, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_groups:
        print(json.dumps(search_for_groups(options.only_groups, options.threshold)))
        return
    figures: dict[str, Any] = {"machine": "one core, one thread"}
    with tempfile.TemporaryDirectory() as temporary:
        place, n = Path(temporary), options.originals
        figures["scenes"] = measure_copies(scenes(n), place / "scenes", n)
        if options.photographs:
            given = photographs(options.photographs, n)
            figures["photographs"] = measure_copies(given, place / "photographs", n)
        if options.images:
            n = options.images
            source = parquet_pictures(options.parquet) if options.parquet else scenes(n)
            figures["size"] = measure_size(source, place, n)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
