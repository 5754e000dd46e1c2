"""The tables of docs/photographs.md, from the figures that `benchmarks.photographs` wrote.

python -m benchmarks.photographs_tables docs/results/photographs.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

ROWS: Final = {
    "self-encoding": "self-encoding",
    "no self-encoding": "(a) no self-encoding",
    "codes shuffled": "(b) codes shuffled",
    "codes of noise": "(c) codes of noise",
    "pooled masks, PCA": "(d) pooled masks, PCA",
    "segmentation head": "(e) segmentation head",
    "probability maps": "probability maps, Euclidean (Furuta)",
    "frozen trunk": "(f) frozen trunk",
}
"""Name of a model → how it is called in the tables."""

COLUMNS: Final = {
    "mAP by content": ("0", "map", 3),
    "mAP by the mixture": ("0.2", "map", 3),
    "P@10 by the mixture": ("0.2", "precision", 3),
    "mIoU@10 by content": ("0", "miou", 4),
    "mIoU@10 by the mixture": ("0.2", "miou", 4),
    "mIoU@10 by layout": ("1", "miou", 4),
}
"""Heading → share of layout, measure and decimals."""

EUCLIDEAN: Final = "layout, Euclidean"
OF_MAPS: Final = "segmentation head"
SURE: Final = 0.05
COARSE: Final = 0.01
SIZES: Final = ("small", "middle", "large")
Models = Mapping[str, Mapping[str, Any]]


def line(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float], digits: int) -> str:
    """Return the mean, and the standard deviation where there are several values."""
    if not values:
        return "–"
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def values(seeds: Mapping[str, Any], beta: str, measure: str) -> list[float]:
    """Return a measure of each seed that has it."""
    return [each["rankings"][beta][measure] for each in seeds.values() if beta in each["rankings"]]


def measured(models: Models, digits: Mapping[str, int]) -> list[str]:
    """Lay out what each model reaches."""
    lines = [line(["", "seeds", *COLUMNS]), "|---" * (len(COLUMNS) + 2) + "|"]
    for name, title in ROWS.items():
        if name == "probability maps":
            found = values(models[OF_MAPS], EUCLIDEAN, "miou")
            last = spread(found, digits["mIoU@10 by layout"])
            lines.append(line([title, str(len(found)), *["–"] * (len(COLUMNS) - 1), last]))
            continue
        cells = [
            spread(values(models[name], beta, measure), digits[column])
            for column, (beta, measure, _) in COLUMNS.items()
        ]
        lines.append(line([title, str(len(models[name])), *cells]))
    random = next(iter(models["self-encoding"].values()))["random"]
    by_chance = [f"{random[m]:.{digits[column]}f}" for column, (_, m, _) in COLUMNS.items()]
    return [*lines, line(["random order", "–", *by_chance])]


def compared(differences: Mapping[str, Any], digits: Mapping[str, int]) -> list[str]:
    """Lay out self-encoding minus each other model; in bold what is sure."""
    lines = [line(["minus", *COLUMNS]), "|---" * (len(COLUMNS) + 1) + "|"]
    for name, tests in differences.items():
        cells = [
            difference(tests[column], digits[column]) if column in tests else "–"
            for column in COLUMNS
        ]
        lines.append(line([name, *cells]))
    return lines


def difference(test: Mapping[str, Any], digits: int) -> str:
    """Return a difference with its interval, and its p-value if that is small."""
    low, high = test["interval"]
    text = f"{test['difference']:+.{digits}f} [{low:+.{digits}f}, {high:+.{digits}f}]"
    p_value = test["holm_p_value"]
    return f"**{text}**, p {p_value:.3f}" if p_value < SURE else text


def kept(models: Models) -> list[str]:
    """Lay out what codes hold and what is predicted of them, by size."""
    titles = [f"{kind} {size}" for kind in ("rec.", "pred.") for size in (*SIZES, "class mean")]
    lines = [line(["", *titles]), "|---" * (len(titles) + 1) + "|"]
    for name, title in ROWS.items():
        seeds = [each["overlap"] for each in models.get(name, {}).values() if "overlap" in each]
        if seeds:
            lines.append(line([title, *_kept_by(seeds)]))
    return lines


def _kept_by(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = []
    for kind in ("reconstructed", "predicted"):
        for size in SIZES:
            cells.append(spread([each[kind]["by_size"][size] for each in seeds], 3))
        cells.append(spread([_class_mean(each[kind]["by_class"]) for each in seeds], 3))
    return cells


def _class_mean(by_class: Sequence[float | None]) -> float:
    return float(np.mean([each for each in by_class if each is not None]))


def by_class(models: Models, classes: Sequence[str]) -> str:
    """Tell how well each class is reconstructed, best first."""
    overlaps = [each["overlap"] for each in models["self-encoding"].values()]
    rows = np.array([each["reconstructed"]["by_class"] for each in overlaps], float)
    there = ~np.isnan(rows).all(axis=0)
    names = [name for name, is_there in zip(classes, there, strict=True) if is_there]
    means = dict(zip(names, np.nanmean(rows[:, there], axis=0).tolist(), strict=True))
    ordered = sorted(means, key=lambda name: -means[name])
    return f"Reconstructed by class: {', '.join(f'{n} {means[n]:.2f}' for n in ordered)}."


def tables(study: Mapping[str, Any]) -> list[str]:
    """Lay out a study."""
    chance = next(iter(study["models"]["self-encoding"].values()))["random"]["miou"]
    # Overlaps of a hundredth need a decimal more than those of a tenth.
    fine = {"miou": 3} if chance > COARSE else {}
    digits = {column: fine.get(measure, n) for column, (_, measure, n) in COLUMNS.items()}
    blank = [""]
    return [
        *measured(study["models"], digits),
        *blank,
        *compared(study["differences"], digits),
        *blank,
        *kept(study["models"]),
        *blank,
        by_class(study["models"], study["about"]["classes"]),
    ]


def main() -> None:
    """Print the tables of all studies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", type=Path)
    options = parser.parse_args()
    for name, study in json.loads(options.figures.read_text(encoding="utf-8")).items():
        print(f"## {name}\n", *tables(study), sep="\n", end="\n\n")


if __name__ == "__main__":
    main()
