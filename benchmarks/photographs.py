"""Real photographs: two thirds to learn from, one third to search and to measure on.

    LOOKALIKE_DATA=photographs python -m benchmarks.photographs --out photographs.json

`LOOKALIKE_DATA` names a folder with `coco` (COCO format) and `clothing` (masks). For each set, and
for COCO at both class levels, a model with and one without self-encoding are learned with the same
network and steps on `SET#train`; the pictures of `SET#test` are indexed by both and serve as
queries, each against all others. Nothing is tuned on them. Classes in nearly every picture do not
count for relevance.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lookalike.collection import Collection
from lookalike.datasets import Dataset, open_dataset
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import RandomOrder, evaluate
from lookalike.evaluation.truth import ground_truth
from lookalike.judging import CollectionSystem, ids_by_hash, same_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.terminal import Bars

MODELS = {"self-encoding": 1.0, "without": 0.0}
"""Model → weight of the code."""
SYSTEMS: Mapping[str, tuple[str, Mapping[str, float] | None]] = {
    "content + layout": ("self-encoding", None),
    "content": ("self-encoding", {"content": 1.0}),
    "layout": ("self-encoding", {"layout": 1.0}),
    "no self-encoding": ("without", None),
}
"""System → its model, and the weights of its descriptors: the default mixture, or one alone."""
BASELINE = "no self-encoding"
RECIPE = Recipe(image_size=64, epochs=60, self_encoder_epochs=120)
"""Sized for half an hour on two processors."""


@dataclass(frozen=True)
class Study:
    """One data set at one class level."""

    name: str
    folder: str
    level: Literal["names", "supercategories"] = "names"
    without: tuple[str, ...] = ()


STUDIES = (
    Study("coco, 80 classes", "coco", without=("person",)),
    Study("coco, 12 supercategories", "coco", "supercategories", without=("person",)),
    Study("clothing, 58 classes", "clothing", without=("skin", "hair", "shoes", "null")),
)


def run(study: Study, data: Path, folder: Path, seed: int) -> dict[str, Any]:
    """Learn, index and evaluate the systems of a study."""
    train = open_dataset(f"{data / study.folder}#train", level=study.level)
    test = open_dataset(f"{data / study.folder}#test", level=study.level)
    collections = {
        name: _learn_and_index(name, weight, train, f"{data / study.folder}#test", folder, seed)
        for name, weight in MODELS.items()
    }
    found = _evaluate(collections, test, study, seed)
    for collection in collections.values():
        collection.close()
    return {
        "n_learned": len(train),
        "n_gallery": found[BASELINE].n_gallery,
        "systems": {name: evaluation.to_json() for name, evaluation in found.items()},
        "comparisons": {
            name: compare(evaluation, found[BASELINE]).to_json()
            for name, evaluation in found.items()
            if name != BASELINE
        },
        "table": _table(study.name, found),
    }


def _learn_and_index(
    name: str, weight: float, train: Dataset, pictures: str, folder: Path, seed: int
) -> Collection:
    bars, model = Bars(), folder / f"model-{name}"
    learn(train, model, replace(RECIPE, code_weight=weight, seed=seed), progress=bars)
    collection = Collection.create(folder / f"{name}.lookalike", model=model)
    collection.add(pictures, progress=bars)
    return collection


def _evaluate(
    collections: Mapping[str, Collection], test: Dataset, study: Study, seed: int
) -> dict[str, Evaluation]:
    bars, reference = Bars(), collections["self-encoding"]
    ignored = [name for name in study.without if name in test.classes]
    truth = ground_truth(test, ids_by_hash(reference, test), without=ignored, progress=bars)
    found = {}
    for name, (model, weights) in SYSTEMS.items():
        named = same_pictures(collections[model], truth, reference)
        system = replace(named, system=CollectionSystem(collections[model], weights))
        found[name] = evaluate(system, truth, progress=bars)
    found["chance"] = evaluate(RandomOrder(truth.ids, seed), truth, progress=bars)
    return found


def _table(name: str, found: Mapping[str, Evaluation]) -> list[str]:
    baseline = found[BASELINE]
    n_queries = len(baseline.query_ids)
    lines = [f"{name}: {n_queries} queries among {baseline.n_gallery} pictures"]
    for measure in baseline.headline:
        lines.append(f"  {measure.label}")
        for system, evaluation in found.items():
            estimate = evaluation.estimates[measure]
            line = f"    {system:18} {estimate.mean:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"
            if system != BASELINE:
                difference = compare(evaluation, baseline).differences[measure]
                line += f"   p {difference.p_value:.4f}"
            lines.append(line)
    return lines


def main() -> None:
    """Run every study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    results = {}
    for study in STUDIES:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results[study.name] = run(study, data, Path(folder), options.seed)
        results[study.name]["seconds"] = time.monotonic() - started
        print("\n".join(results[study.name]["table"]), flush=True)
        if options.out:
            options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
