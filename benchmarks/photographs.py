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
from lookalike.datasets import open_dataset
from lookalike.evaluation.measurements import Evaluation, compare
from lookalike.evaluation.protocol import RandomOrder, evaluate
from lookalike.evaluation.truth import ground_truth
from lookalike.judging import ids_by_hash, same_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.terminal import Bars

SYSTEMS = {"self-encoding": 1.0, "without": 0.0}
RECIPE = Recipe(image_size=64, epochs=30, self_encoder_epochs=60)
"""Sized for a quarter of an hour on two processors."""


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
    """Learn, index and evaluate both systems of a study."""
    bars = Bars()
    train = open_dataset(f"{data / study.folder}#train", level=study.level)
    test = open_dataset(f"{data / study.folder}#test", level=study.level)
    collections = {}
    for name, weight in SYSTEMS.items():
        model = folder / f"model-{name}"
        learn(train, model, replace(RECIPE, code_weight=weight, seed=seed), progress=bars)
        collection = Collection.create(folder / f"{name}.lookalike", model=model)
        collection.add(f"{data / study.folder}#test", progress=bars)
        collections[name] = collection
    reference = collections["self-encoding"]
    ignored = [name for name in study.without if name in test.classes]
    truth = ground_truth(test, ids_by_hash(reference, test), without=ignored, progress=bars)
    found = {
        name: evaluate(same_pictures(collection, truth, reference), truth, progress=bars)
        for name, collection in collections.items()
    }
    found["chance"] = evaluate(RandomOrder(truth.ids, seed), truth, progress=bars)
    for collection in collections.values():
        collection.close()
    return {
        "n_learned": len(train),
        "n_gallery": len(truth),
        "systems": {name: evaluation.to_json() for name, evaluation in found.items()},
        "comparison": compare(found["self-encoding"], found["without"]).to_json(),
        "table": _table(study.name, found),
    }


def _table(name: str, found: Mapping[str, Evaluation]) -> list[str]:
    first = found["self-encoding"]
    comparison = compare(first, found["without"])
    lines = [f"{name}: {len(first.query_ids)} queries among {first.n_gallery} pictures"]
    for measure in first.headline:
        cells = [
            f"{system} {e.estimates[measure].mean:.3f} "
            f"[{e.estimates[measure].low:.3f}, {e.estimates[measure].high:.3f}]"
            for system, e in found.items()
        ]
        p_value = comparison.differences[measure].p_value
        lines.append(f"  {measure.label:16} {'   '.join(cells)}   p {p_value:.4f}")
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
