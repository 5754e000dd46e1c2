"""Whether parts of pictures find small objects in other pictures.

    LOOKALIKE_DATA=photographs python -m benchmarks.regions

Each object of `coco#test` that covers less than a tenth of its picture, of each class the largest
in a picture, is cut out by its true box and searched for among all other pictures of `coco#test`.
Relevant are pictures with an object of the same class: any such picture, or only those in which no
object of the class covers a tenth. Precision of the first ten, with 95 % bootstrap intervals over
queries; differences against cutting out and searching whole pictures are tested by paired
randomization, p-values adjusted by Holm's procedure. Grid, sizes and surroundings were chosen on
`coco#train`, which `--split train` shows.

Also told: what indexing with regions costs in time and bytes, and how long a search takes.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.evaluation.statistics import estimate_mean, holm, paired_difference
from lookalike.images.decoding import decode
from lookalike.models import default_model
from lookalike.search.queries import IdExample, PixelsExample, Query, RegionExample
from lookalike.terminal import Bars

SMALL = 0.1
LEAST_SIDE = 16
K = 10


@dataclass(frozen=True)
class SmallObject:
    """A query: an object in an image of the collection."""

    image: int
    category: int
    box: tuple[float, float, float, float]
    share: float


@dataclass(frozen=True, eq=False)
class Gallery:
    """A collection with what is known of its images."""

    collection: Collection
    objects: list[SmallObject]
    shares: Mapping[int, Mapping[int, float]]
    """Image → class → share of the picture that its largest object covers."""

    def crop(self, found: SmallObject) -> PixelsExample:
        """The object cut out by its box at full size, and nothing else."""
        [record] = self.collection.images([found.image])
        x, y, width, height = found.box
        size = max(1, round(height)), max(1, round(width))
        data = Path(os.fsdecode(record.paths[0])).read_bytes()
        return PixelsExample.of(decode(data, size, box=(x, y, width, height)).pixels)


Ask = Callable[[Gallery, SmallObject], Query]


def _cut(weights: Mapping[str, float] | None) -> Ask:
    def ask(gallery: Gallery, found: SmallObject) -> Query:
        example = gallery.crop(found)
        return Query((example,), weights=weights, exclude_ids=(found.image,))

    return ask


def _box(weights: Mapping[str, float] | None) -> Ask:
    def ask(_: Gallery, found: SmallObject) -> Query:
        return Query((RegionExample(IdExample(found.image), found.box),), weights=weights)

    return ask


BASELINE = "cut out, whole pictures"
SYSTEMS: Mapping[str, Ask] = {
    BASELINE: _cut({"content": 1.0}),
    "cut out, whole pictures, default mixture": _cut(None),
    "box with surroundings, whole pictures": _box({"content": 1.0, "region": 0.0}),
    "cut out, regions": _cut({"region": 1.0}),
    "box with surroundings, regions": _box(None),
    "box with surroundings, regions and whole pictures": _box({"content": 1.0, "region": 1.0}),
}


def open_gallery(data: Path, split: str, folder: Path) -> tuple[Gallery, dict[str, Any]]:
    """Index a part of COCO with regions; tell what that cost."""
    dataset = open_dataset(f"{data / 'coco'}#{split}")
    collection = Collection.create(folder, model=default_model())
    started = core_seconds()
    collection.add(*dataset.paths, workers=1, progress=Bars())
    plain = core_seconds() - started
    before = collection.status()["bytes"]
    started = core_seconds()
    report = collection.add(*dataset.paths, workers=1, regions=True, progress=Bars())
    further = core_seconds() - started
    after = collection.status()["bytes"]
    n = len(collection)
    costs = {
        "images": n,
        "regions": report.regions.regions,
        "regions_per_image": round(report.regions.regions / n, 1),
        "core_seconds_per_image": round(plain / n, 4),
        "further_core_seconds_per_image_with_regions": round(further / n, 4),
        "further_bytes_per_image_with_regions": round((after - before) / n),
    }
    return _gallery(collection, data / "coco"), costs


def core_seconds() -> float:
    """Time that processors have spent on this process and on those that it started and ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _gallery(collection: Collection, folder: Path) -> Gallery:
    content = json.loads((folder / "annotations" / "instances.json").read_text())
    pictures = {picture["id"]: picture for picture in content["images"]}
    id_of = {
        Path(os.fsdecode(path)).name: record.id
        for record in collection.images(collection.catalog.ids())
        for path in record.paths
    }
    shares: dict[int, dict[int, float]] = {image: {} for image in id_of.values()}
    largest: dict[tuple[int, int], SmallObject] = {}
    for each in sorted(content["annotations"], key=lambda annotation: -annotation["area"]):
        picture = pictures[each["image_id"]]
        if picture["file_name"] not in id_of:
            continue
        image, category = id_of[picture["file_name"]], each["category_id"]
        share = each["area"] / (picture["width"] * picture["height"])
        shares[image].setdefault(category, share)
        x, y, width, height = each["bbox"]
        box = _inside((x, y, width, height), picture["width"], picture["height"])
        is_query = share < SMALL and min(box[2:]) >= LEAST_SIDE and not each["iscrowd"]
        if is_query and (image, category) not in largest:
            largest[image, category] = SmallObject(image, category, box, share)
    return Gallery(collection, list(largest.values()), shares)


def _inside(box: tuple[float, ...], width: int, height: int) -> tuple[float, float, float, float]:
    x, y = max(0.0, box[0]), max(0.0, box[1])
    return x, y, min(box[0] + box[2], width) - x, min(box[1] + box[3], height) - y


def relevant(gallery: Gallery, found: SmallObject, largest: float) -> set[int]:
    """Other images with the class, whose largest object of it covers less than `largest`."""
    return {
        image
        for image, classes in gallery.shares.items()
        if image != found.image and classes.get(found.category, np.inf) < largest
    }


def precisions(gallery: Gallery, ask: Ask, largest: float) -> np.ndarray:
    """P@10 of each query; `nan` where nothing is relevant."""
    values = []
    for found in gallery.objects:
        wanted = relevant(gallery, found, largest)
        hits = gallery.collection.search(ask(gallery, found), K) if wanted else None
        values.append(np.nan if hits is None else np.isin(hits.ids[0], list(wanted)).mean())
    return np.array(values)


def figures(gallery: Gallery, largest: float) -> dict[str, Any]:
    """P@10 of every system, and the differences from the baseline."""
    found = {}
    for name, ask in SYSTEMS.items():
        found[name] = precisions(gallery, ask, largest)
        print(f"  {name:52} {np.nanmean(found[name]):.3f}")
    n_relevant = [len(relevant(gallery, each, largest)) for each in gallery.objects]
    chance = np.array([n / (len(gallery.shares) - 1) if n else np.nan for n in n_relevant])
    others = [name for name in found if name != BASELINE]
    tests = [paired_difference(found[name], found[BASELINE]) for name in others]
    adjusted = holm(np.array([test.p_value for test in tests]))
    return {
        "n_queries": int((~np.isnan(chance)).sum()),
        "chance": round(float(np.nanmean(chance)), 4),
        "precision_at_10": {
            name: _rounded(estimate_mean(values)) for name, values in found.items()
        },
        f"difference from '{BASELINE}'": {
            name: {
                "difference": _rounded(test.difference),
                "p_value": round(test.p_value, 5),
                "holm_p_value": round(float(p), 5),
            }
            for name, test, p in zip(others, tests, adjusted, strict=True)
        },
    }


def _rounded(estimate: Any) -> list[float]:
    return [round(value, 4) for value in (estimate.mean, estimate.low, estimate.high)]


def milliseconds(gallery: Gallery) -> dict[str, float]:
    """Time of a core for a search by each of a hundred objects, whose pictures are decoded."""
    times = []
    for found in gallery.objects[:100]:
        query = _box(None)(gallery, found)
        started = core_seconds()
        gallery.collection.search(query, K)
        times.append(1000 * (core_seconds() - started))
    return {
        "p50": round(float(np.median(times)), 1),
        "p99": round(float(np.quantile(times, 0.99)), 1),
    }


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--out", type=Path, default=Path("docs/results/regions.json"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(os.environ["LOOKALIKE_DATA"])
        gallery, costs = open_gallery(data, options.split, Path(folder) / "coco.lookalike")
        results = {
            "model": gallery.collection.card.id,
            "pictures": f"coco#{options.split}",
            "costs": costs,
            "search_core_milliseconds": milliseconds(gallery),
        }
        for name, largest in (("relevant: any size", np.inf), ("relevant: small", SMALL)):
            print(name)
            results[name] = figures(gallery, largest)
        gallery.collection.close()
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
