"""What each method of selection costs at a quarter of the dimensions of `content`.

    python -m benchmarks.selection --out docs/results/selection.json

A model is learned from generated scenes, or taken from `--model`, and other scenes are indexed by
it; or a collection is taken with `--collection` and the data set that it holds with `--dataset`.
Two thirds of the labeled pictures, parted by content hash, are for the method. The others are
queries and gallery, ranked by the cosine of `content` alone, before and after. Beside the methods
stand the mean of random choices, and what is left of projections when only signs are kept.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import normalize
from lookalike.collection import Collection
from lookalike.datasets import Dataset, open_dataset
from lookalike.datasets.scenes import write_scenes
from lookalike.dimensions import Selection
from lookalike.errors import UsageError
from lookalike.evaluation.measurements import compare
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.statistics import holm
from lookalike.features.selection.choosing import choose
from lookalike.features.selection.names import METHODS
from lookalike.learning.recipes import Recipe, learn
from lookalike.progress import SILENT
from lookalike.selecting import MAP, Material, RowSystem, gather, measure_cost
from lookalike.terminal import Bars

RECIPE = Recipe(image_size=64, epochs=8, self_encoder_epochs=8, seed=1)
N_LEARN, N_GALLERY, N_RANDOM = 800, 900, 20


def prepare(folder: Path, model: Path | None) -> tuple[Path, Dataset]:
    """Learn a model if none is given, and index scenes that it has not seen."""
    bars = Bars()
    if model is None:
        model = folder / "model"
        write_scenes(folder / "learn", N_LEARN, 101, progress=bars)
        learn(open_dataset(folder / "learn"), model, RECIPE, progress=bars)
    write_scenes(folder / "gallery", N_GALLERY, 201, progress=bars)
    with Collection.create(folder / "gallery.lookalike", model=model) as collection:
        collection.add(folder / "gallery" / "images", workers=0, progress=bars)
    return folder / "gallery.lookalike", open_dataset(folder / "gallery")


def run_method(method: str, material: Material, dims: int, seed: int) -> dict[str, Any]:
    """Choose by one method and measure; a method that does not apply says why."""
    started, processor = time.monotonic(), time.process_time()
    try:
        choice = choose(method, material.rows, material.labels, dims, seed=seed)
    except UsageError as error:
        return {"refused": str(error)}
    seconds = {
        "seconds": time.monotonic() - started,
        "processor_seconds": time.process_time() - processor,
    }
    cost = measure_cost(material, choice.selection, seed=seed)
    wrapped = choice.wrapped
    columns = choice.selection.columns
    return {
        **(cost.to_json() if cost else {}),
        **seconds,
        "explained": wrapped and {"searched": wrapped.searched, "nested": wrapped.nested},
        "columns": columns and list(columns),
    }


def run_random(material: Material, dims: int, seed: int) -> dict[str, Any]:
    """How much mAP varies between random choices."""
    means = []
    for draw in range(N_RANDOM):
        selection = choose("random", material.rows, None, dims, seed=seed + draw).selection
        cost = measure_cost(material, selection, seed=seed)
        means.append(cost.after.estimates[MAP].mean if cost else float("nan"))
    return {"n_draws": N_RANDOM, "mean": float(np.mean(means)), "sd": float(np.std(means, ddof=1))}


def run_signs(material: Material, dims: int, seed: int) -> dict[str, Any]:
    """What is left when of each projected number only the sign is kept, one bit."""
    if material.judged is None or material.judged_rows is None:
        return {}
    ids, rows = material.judged.ids, material.judged_rows
    before = evaluate(RowSystem(ids, rows), material.judged, at=(10,), seed=seed)
    found = {}
    for method in ("pca", "itq"):
        selection = choose(method, material.rows, None, dims, seed=seed).selection
        signs = normalize(np.where(projected(selection, rows) >= 0, 1.0, -1.0))
        after = evaluate(RowSystem(ids, signs), material.judged, at=(10,), seed=seed)
        difference = compare(after, before).differences[MAP]
        found[f"signs of {method}"] = {
            "mean_average_precision": after.estimates[MAP].mean,
            "interval": [after.estimates[MAP].low, after.estimates[MAP].high],
            "difference": difference.difference.mean,
            "difference_interval": [difference.difference.low, difference.difference.high],
            "p_value": difference.p_value,
        }
    return found


def projected(selection: Selection, rows: np.ndarray) -> np.ndarray:
    """Apply an affine selection without scaling to length 1; signs are the same."""
    return rows @ selection.array[:-1] + selection.array[-1]


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """Lay out the figures as a table in Markdown, best first."""
    measured = {name: found for name, found in results.items() if "refused" not in found}
    adjusted = dict(
        zip(measured, holm(np.array([f["p_value"] for f in measured.values()])), strict=True)
    )
    lines = [
        "| method | mAP after | difference | p (Holm) | processor time |",
        "|---|---|---|---|---|",
    ]
    for name in sorted(measured, key=lambda name: -measured[name]["difference"]):
        found = measured[name]
        low, high = found["intervals"]["after"]
        down, up = found["difference_interval"]
        lines.append(
            f"| `{name}` | {found['mean_average_precision']['after']:.3f} [{low:.3f}, {high:.3f}] "
            f"| {found['difference']:+.3f} [{down:+.3f}, {up:+.3f}] | {adjusted[name]:.4f} "
            f"| {found['processor_seconds']:.1f} s |"
        )
    refused = [
        f"| `{name}` | refused: {f['refused']} | | | |"
        for name, f in results.items()
        if "refused" in f
    ]
    return lines + refused


def run(collection: Path, dataset: Dataset, methods: Sequence[str], seed: int) -> dict[str, Any]:
    """Run methods on one collection."""
    with Collection.open(collection) as opened:
        material = gather(opened, dataset, SILENT)
        model, of = opened.card.id, opened.card.content_dim
    dims = of // 4
    results = {}
    for method in methods:
        results[method] = run_method(method, material, dims, seed)
        print(f"{method} done", flush=True)
    n_judged = 0 if material.judged is None else len(material.judged)
    return {
        "model": model,
        "dims": dims,
        "of": of,
        "n_pictures": len(material.rows),
        "n_judged": n_judged,
        "seed": seed,
        "methods": results,
        "random_draws": run_random(material, dims, seed),
        "signs": run_signs(material, dims, seed),
    }


def main() -> None:
    """Prepare, run every method, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="model folder; one is learned otherwise")
    parser.add_argument("--collection", type=Path, help="collection, with its --dataset")
    parser.add_argument("--dataset", help="labeled pictures that the collection holds")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if (options.collection is None) != (options.dataset is None):
        parser.error("--collection and --dataset belong together")
    with tempfile.TemporaryDirectory() as folder:
        if options.collection is None:
            place, dataset = prepare(Path(folder), options.model)
        else:
            place, dataset = options.collection, open_dataset(options.dataset)
        result = run(place, dataset, options.methods, options.seed)
    print("\n".join(table(result["methods"])))
    print(json.dumps({name: result[name] for name in ("random_draws", "signs")}, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
