"""Are label maps that a segmentation network drew good enough to learn from?

    LOOKALIKE_DATA=photographs python -m benchmarks.pseudo_maps --out pseudo_maps.json

Its maps of every picture of `coco` and `clothing` are held against the true ones, on the grid on
which they are learned: IoU of each class over all cells of all pictures, with an interval from
drawing pictures anew (percentile bootstrap). Classes that the network has no name for are
background in the true maps; cells void in either map do not count. Of `corel`, which has no true
maps, it tells which share of the pictures is kept (not void for want of anything known) and how
much of them each class covers, with every class and without those that are left out when learning.
Such figures flatter the network: it may have seen these very photographs when it was trained.

`--sheet` draws some pictures with their true and drawn maps, to be looked at.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike.arrays import BACKGROUND, VOID
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset, palette
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.union import same_name
from lookalike.datasets.views import OneClass
from lookalike.images.decoding import decode
from lookalike.learning.default_recipe import (
    SEGMENTER,
    SEGMENTER_LABELS,
    default_segmenter,
    models_folder,
)
from lookalike.learning.devices import choose_device
from lookalike.learning.guides import Segmenter
from lookalike.learning.pseudo_maps import (
    MapMaker,
    open_map_maker,
    read_label_names,
    void_if_empty,
)
from lookalike.progress import Progress
from lookalike.terminal import Bars

GRID = 64
SHEET_ROWS, SHEET_COLUMNS, SHEET_SIDE = 8, 4, 128


@dataclass(frozen=True)
class Drawn:
    """Pictures with the map that was drawn and, where there is one, the true one."""

    positions: list[int]
    drawn: np.ndarray
    true: np.ndarray | None


def draw(
    dataset: ListedDataset,
    maker: MapMaker,
    classes: Sequence[str],
    positions: Sequence[int],
    progress: Progress,
) -> Drawn:
    """Let the network draw; translate true maps to the classes of the network by name."""
    table = np.full(256, BACKGROUND, np.uint8)
    numbers = {same_name(name): i + 1 for i, name in enumerate(classes)}
    for i, name in enumerate(dataset.classes[: VOID - 1]):
        table[i + 1] = numbers.get(same_name(name), BACKGROUND)
    table[VOID] = VOID
    drawn, true = [], []
    with progress.task(f"Drawing {dataset.name}", len(positions)) as task:
        for position in positions:
            image = dataset[position]
            drawn.append(shrink_label_maps(maker.draw(image.read_bytes())[None], GRID)[0])
            if image.read_label_map is not None:
                true.append(table[shrink_label_maps(image.read_label_map()[None], GRID)[0]])
            task.advance()
    return Drawn(list(positions), np.stack(drawn), np.stack(true) if true else None)


def overlaps(found: Drawn, classes: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """IoU of each class that true maps can show, with intervals over pictures."""
    known = {same_name(name) for name in names}
    counted = (found.drawn != VOID) & (found.true != VOID)
    both, either, shown = [], [], []
    judged = [i for i, name in enumerate(classes) if same_name(name) in known]
    for value in (i + 1 for i in judged):
        a, b = (found.drawn == value) & counted, (found.true == value) & counted
        both.append((a & b).sum(axis=(1, 2)))
        either.append((a | b).sum(axis=(1, 2)))
        shown.append(int(b.any(axis=(1, 2)).sum()))
    intersection, union = np.array(both).T, np.array(either).T
    draws = np.random.default_rng(0).multinomial(
        len(union), np.full(len(union), 1 / len(union)), size=2000
    )
    resampled = _ratio(draws @ intersection, draws @ union)
    overall = _ratio(intersection.sum(axis=0), union.sum(axis=0))
    has_class = np.array(shown) > 0
    return {
        "n_pictures": len(found.drawn),
        "class_miou": _interval(
            float(np.nanmean(overall[has_class])), np.nanmean(resampled[:, has_class], axis=1)
        ),
        "classes": {
            classes[i]: {"n_pictures": n, "iou": _interval(float(iou), column)}
            for i, n, iou, column in zip(judged, shown, overall, resampled.T, strict=True)
        },
    }


def kept(found: Drawn, classes: Sequence[str]) -> dict[str, Any]:
    """Share of pictures kept for learning, and of cells of each class in all pictures."""
    is_kept = np.array([(void_if_empty(m) != VOID).any() for m in found.drawn])
    return {
        "n_pictures": len(found.drawn),
        "kept": float(is_kept.mean()),
        "cells": {name: float((found.drawn == i + 1).mean()) for i, name in enumerate(classes)},
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    ratio = np.full(part.shape, np.nan)
    return np.divide(part, whole, out=ratio, where=whole > 0)


def _interval(value: float, resampled: np.ndarray) -> list[float | None]:
    """Value, lower and upper end; `None` for what no picture shows."""
    if not np.isfinite(value):
        return [None, None, None]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return [round(number, 4) for number in (value, float(low), float(high))]


def sheet(dataset: ListedDataset, found: Drawn, n_classes: int) -> Image.Image:
    """Draw pictures side by side with their true map, if any, and the map drawn by the network."""
    colors = np.full((256, 3), 255, np.uint8)
    colors[: n_classes + 1] = palette(n_classes)
    tiles = list(_tiles(dataset, found, colors))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [
        np.concatenate(tiles[i : i + SHEET_COLUMNS], axis=1)
        for i in range(0, len(tiles), SHEET_COLUMNS)
    ]
    return Image.fromarray(np.concatenate(rows))


def _tiles(dataset: ListedDataset, found: Drawn, colors: np.ndarray) -> Iterator[np.ndarray]:
    scale = SHEET_SIDE // GRID
    step = max(1, len(found.positions) // (SHEET_ROWS * SHEET_COLUMNS))
    for i in range(0, len(found.positions), step)[: SHEET_ROWS * SHEET_COLUMNS]:
        data = dataset[found.positions[i]].read_bytes()
        shown = [decode(data, (SHEET_SIDE, SHEET_SIDE)).pixels]
        maps = [found.drawn[i]] if found.true is None else [found.true[i], found.drawn[i]]
        shown += [colors[m.repeat(scale, 0).repeat(scale, 1)] for m in maps]
        yield np.pad(np.concatenate(shown, axis=1), ((0, 6), (0, 6), (0, 0)), constant_values=90)


def some(dataset: ListedDataset, n: int) -> list[int]:
    """Positions of at most `n` pictures, evenly over the data set."""
    return sorted({round(i) for i in np.linspace(0, len(dataset) - 1, min(n, len(dataset)))})


def run(data: Path, models: Path, n: int, sheets: Path | None) -> dict[str, Any]:
    """Draw, judge and lay out everything."""
    bars, device = Bars(), choose_device("auto", "float32")
    names = [n for n in read_label_names(models / SEGMENTER_LABELS) if n != "background"]
    full = Segmenter(network=models / SEGMENTER, labels=models / SEGMENTER_LABELS)
    sets: dict[str, tuple[ListedDataset, Segmenter]] = {
        "coco": (open_dataset(data / "coco"), full),
        "clothing": (OneClass(open_dataset(data / "clothing"), "person"), full),
        "corel": (open_dataset(f"{data / 'corel'}@theme"), full),
        "corel, as learned": (
            open_dataset(f"{data / 'corel'}@theme"),
            default_segmenter(models),
        ),
    }
    results: dict[str, Any] = {"segmenter": SEGMENTER, "grid": GRID}
    for name, (dataset, segmenter) in sets.items():
        maker = open_map_maker(segmenter, names, device)
        found = draw(dataset, maker, names, some(dataset, n), bars)
        results[name] = kept(found, names)
        if found.true is not None:
            results[name] |= overlaps(found, names, dataset.classes)
        if sheets is not None:
            sheets.mkdir(parents=True, exist_ok=True)
            sheet(dataset, found, len(names)).save(sheets / f"{name}.png")
        print(json.dumps({name: results[name]}, indent=2), flush=True)
    return results


def main() -> None:
    """Judge the maps and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder of the segmentation network")
    parser.add_argument("--n", type=int, default=400, help="pictures of each set at most")
    parser.add_argument("--sheets", type=Path, help="folder for pictures to look at")
    parser.add_argument("--out", type=Path, default=Path("docs/results/pseudo_maps.json"))
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    results = run(data, models_folder(data, options.models), options.n, options.sheets)
    options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
