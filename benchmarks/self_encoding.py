"""Does self-encoding help? The same network with and without it, and with its codes shuffled.

    python -m benchmarks.self_encoding --seeds 1 2 3 --out self_encoding.json

For each seed, three models are learned from the same generated scenes with the same network steps:
with self-encoding, without (λ = 0), and with the codes dealt out at random among the pictures,
which keeps everything but what codes mean. A gallery of scenes that none has seen is indexed by
each; queries are drawn from it and ranked against all others. `content` is compared with
`content`, and the mixture of `content` and `layout` (by default 1 : 0.25) with the `content` of the
model that has no `layout`.

Mirror test: pictures and their left-right mirror images in one gallery. A descriptor that does not
know where things are finds the mirror image first.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.collection import Collection
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.scenes import write_mirror_pairs, write_scenes
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.statistics import estimate_means
from lookalike.evaluation.truth import GroundTruth, ground_truth
from lookalike.judging import CollectionSystem, ids_by_hash, same_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.search.queries import IdExample, Query
from lookalike.terminal import Bars

MODELS: Mapping[str, dict[str, Any]] = {
    "self-encoding": {},
    "without": {"code_weight": 0.0},
    "shuffled codes": {"code_control": "shuffled"},
}
MIXTURES: Mapping[str, Mapping[str, float] | None] = {
    "content": {"content": 1.0},
    "content + layout": None,
    "content + layout 1:1": {"content": 1.0, "layout": 1.0},
    "layout": {"layout": 1.0},
}


@dataclass(frozen=True)
class Size:
    """How much is learned and measured."""

    learn: int
    gallery: int
    queries: int
    pairs: int
    epochs: int
    self_encoder_epochs: int


FULL = Size(2200, 800, 500, 200, 20, 24)
QUICK = Size(300, 200, 100, 40, 2, 2)


def run_seed(seed: int, size: Size, folder: Path) -> dict[str, Any]:
    """Learn, index and measure all models of one seed."""
    bars = Bars()
    write_scenes(folder / "learn", size.learn, 100 + seed, progress=bars)
    write_scenes(folder / "gallery", size.gallery, 200 + seed, progress=bars)
    write_mirror_pairs(folder / "mirrors", size.pairs, 300 + seed, progress=bars)
    scenes, gallery = open_dataset(folder / "learn"), open_dataset(folder / "gallery")
    collections, learned = {}, {}
    for name, options in MODELS.items():
        recipe = Recipe(
            image_size=64,
            epochs=size.epochs,
            self_encoder_epochs=size.self_encoder_epochs,
            seed=seed,
        )
        model = folder / name
        card = learn(scenes, model, replace(recipe, **options), progress=bars)
        learned[name] = dict(card.measured)
        collections[name] = _index(folder / f"{name}.lookalike", model, folder / "gallery")
    found = _evaluate(collections, gallery, size, seed)
    return {
        "learned": learned,
        "systems": {name: evaluation.to_json() for name, evaluation in found.items()},
        "comparisons": {
            f"{first} against {second}": compare(found[first], found[second]).to_json()
            for first, second in _pairs_to_compare(found)
        },
        "mirrors": _mirror_test(folder, size),
    }


def _index(folder: Path, model: Path, pictures: Path) -> Collection:
    collection = Collection.create(folder, model=model)
    collection.add(pictures / "images")
    return collection


def _evaluate(
    collections: Mapping[str, Collection], gallery: Dataset, size: Size, seed: int
) -> dict[str, Evaluation]:
    reference = collections["self-encoding"]
    truth = ground_truth(gallery, ids_by_hash(reference, gallery))
    found = {}
    for model, collection in collections.items():
        for mixture, weights in MIXTURES.items():
            if collection.card.has_layout or mixture == "content":
                system = _system(collection, truth, reference, weights)
                found[f"{model}: {mixture}"] = evaluate(
                    system, truth, n_queries=size.queries, at=(10,), seed=seed
                )
    return found


def _system(
    collection: Collection,
    truth: GroundTruth,
    reference: Collection,
    weights: Mapping[str, float] | None,
) -> Any:
    named = same_pictures(collection, truth, reference)
    return replace(named, system=CollectionSystem(collection, weights))


def _pairs_to_compare(found: Mapping[str, Evaluation]) -> list[tuple[str, str]]:
    baseline = "without: content"
    return [(name, baseline) for name in found if name != baseline]


def _mirror_test(folder: Path, size: Size) -> dict[str, Any]:
    """Tell how often the mirror image is the nearest of all pictures, for each descriptor."""
    collection = _index(folder / "mirrors.lookalike", folder / "self-encoding", folder / "mirrors")
    records = collection.images(collection.catalog.ids())
    ids = {Path(record.paths[0].decode()).stem: record.id for record in records}
    stems = sorted({stem.partition("-")[0] for stem in ids})
    first = {}
    for descriptor in ("content", "layout"):
        queries = [
            Query((IdExample(ids[f"{stem}-scene"]),), weights={descriptor: 1.0}) for stem in stems
        ]
        nearest = collection.search_all(queries, 1).ids[:, 0]
        first[descriptor] = nearest == [ids[f"{stem}-mirror"] for stem in stems]
    collection.close()
    shares = {}
    for name, is_first in first.items():
        estimate = estimate_means(is_first.astype(np.float64)[:, None])[0]
        shares[name] = [estimate.mean, estimate.low, estimate.high]
    return {"n_pairs": len(stems), "mirror_is_nearest": shares}


def table(seed: int, result: Mapping[str, Any]) -> list[str]:
    """Lay out one seed's figures as lines of text."""
    learned = result["learned"]["self-encoding"]
    lines = [
        f"seed {seed}: reconstruction mIoU {learned['reconstruction_miou']:.3f}, "
        f"from photographs {learned['predicted_miou']:.3f}"
    ]
    for name, found in result["systems"].items():
        cells = [
            f"{label} {_cell(found, measure, k)}"
            for label, measure, k in (
                ("mAP", "mean_average_precision", None),
                ("P@10", "precision_at_k", "10"),
                ("layout mIoU@10", "layout_miou_at_k", "10"),
            )
        ]
        lines.append(f"  {name:34} {'   '.join(cells)}")
    for name, comparison in result["comparisons"].items():
        overlap = comparison["layout_miou_at_k"]["10"]
        average = comparison["mean_average_precision"]
        lines.append(
            f"  {name:52} mIoU@10 {overlap['difference']:+.3f} p {overlap['p_value']:.4f}   "
            f"mAP {average['difference']:+.3f} "
            f"[{average['interval'][0]:+.3f}, {average['interval'][1]:+.3f}]"
        )
    mirrors = result["mirrors"]["mirror_is_nearest"]
    shares = ", ".join(f"{name} {m:.2f} [{a:.2f}, {b:.2f}]" for name, (m, a, b) in mirrors.items())
    return [*lines, f"  mirror image is the nearest picture: {shares}"]


def _cell(found: Mapping[str, Any], measure: str, k: str | None) -> str:
    mean, interval = found[measure], found["intervals"][measure]
    if k is not None:
        mean, interval = mean[k], interval[k]
    low, high = interval
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Run all seeds, print their tables, write their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results = {}
    for seed in options.seeds:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results[seed] = run_seed(seed, QUICK if options.quick else FULL, Path(folder))
        results[seed]["seconds"] = time.monotonic() - started
        print("\n".join(table(seed, results[seed])), flush=True)
        if options.out:
            options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
