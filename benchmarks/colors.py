"""Do queries drawn from a picture itself bring it back?

    LOOKALIKE_DATA=photographs python -m benchmarks.colors

Two galleries: the photographs of `corel` whose themes the model has not learned, and generated
scenes. Of each, pictures are drawn at random and asked for by their own main colors with
percentages, by their own colors on 8 × 8 cells, by the same with half of the cells unpainted, also
in colors that are somewhat off, and by a sketch of their strongest edges that lies some pixels
beside them. Reported are the rank of the picture itself, the score that it has, and the time of a
query.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.mixing import themes
from lookalike.arrays import Pixels
from lookalike.collection import Collection
from lookalike.datasets import open_dataset, picture_files
from lookalike.features.color import to_rgb
from lookalike.features.color_words import write_color
from lookalike.features.palette import palette
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.drawings import Drawing
from lookalike.search.queries import Query
from lookalike.terminal import Bars

DESCRIPTORS = ("color", "color_layout", "shape")
SIDE = 128
OFF = 9.0
"""Standard deviation of each of L*, a* and b* of a color painted by an unsure hand."""
EDGES = 0.08
"""Share of the pixels that a sketch draws."""


def percentages(n_colors: int) -> Callable[[Pixels, np.random.Generator], Query]:
    """Ask for the main colors of a picture."""

    def ask(pixels: Pixels, _: np.random.Generator) -> Query:
        found = [(each.color, float(int(100 * each.share))) for each in palette(pixels, n_colors)]
        return Query(colors=ColorShares(tuple(each for each in found if each[1] > 0)))

    return ask


def painted(share: float) -> Callable[[Pixels, np.random.Generator], Query]:
    """Paint a share of the cells in the picture's colors."""

    def ask(pixels: Pixels, rng: np.random.Generator) -> Query:
        cells = PaintedColors.of(pixels).cells
        kept = set(rng.permutation(len(cells))[: round(share * len(cells))].tolist())
        some = tuple(cell if at in kept else None for at, cell in enumerate(cells))
        return Query(painted_colors=PaintedColors(some))

    return ask


def unsure(pixels: Pixels, rng: np.random.Generator) -> Query:
    """Paint half of the cells in colors that are off by 15 or so in L*a*b*."""
    exact = painted(0.5)(pixels, rng).painted_colors
    if exact is None:
        raise RuntimeError("the query was painted")
    off = to_rgb(exact.lab + rng.normal(0, OFF, exact.lab.shape)).reshape(-1, 3)
    cells = zip(exact.cells, off, strict=True)
    return Query(
        painted_colors=PaintedColors(
            tuple(None if cell is None else write_color(color) for cell, color in cells)
        )
    )


def upper_half(pixels: Pixels, _: np.random.Generator) -> Query:
    """Paint the upper half in the picture's colors."""
    cells = PaintedColors.of(pixels).cells
    return Query(painted_colors=PaintedColors((*cells[:32], *[None] * 32)))


def sketched(pixels: Pixels, rng: np.random.Generator) -> Query:
    """Draw the strongest edges, up to eight pixels beside where they are."""
    strength = ndimage.gaussian_gradient_magnitude(pixels.mean(axis=2), 1.5)
    lines = np.where(strength > np.quantile(strength, 1 - EDGES), 0, 255).astype(np.uint8)
    moved = ndimage.shift(lines, rng.integers(-8, 9, 2), order=0, cval=255)
    return Query(sketch=Drawing.of(np.repeat(moved[..., None], 3, axis=2)))


KINDS: dict[str, Callable[[Pixels, np.random.Generator], Query]] = {
    "3 colors with percentages": percentages(3),
    "5 colors with percentages": percentages(5),
    "8 colors with percentages": percentages(8),
    "painted, all cells": painted(1.0),
    "painted, half of the cells at random": painted(0.5),
    "painted, half of the cells, by an unsure hand": unsure,
    "painted, upper half": upper_half,
    "sketch of its edges, moved": sketched,
}


def measure(collection: Collection, n_queries: int, seed: int) -> dict[str, Any]:
    """Ask for pictures of a collection in every way."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(collection.catalog.ids())[:n_queries]
    found = {}
    for name, ask in KINDS.items():
        ranks, scores, times = [], [], []
        for image_id in ids:
            query = ask(collection.read(_path(collection, int(image_id)), SIDE), rng)
            started = time.perf_counter()
            hits = collection.search(query, len(collection))
            times.append(1000 * (time.perf_counter() - started))
            rank = int(np.flatnonzero(hits.ids[0] == image_id)[0])
            ranks.append(rank + 1)
            scores.append(float(hits.scores[0, rank]))
        found[name] = _summary(ranks, scores, times)
        print(f"  {name:40}", found[name])
    return {"n_gallery": len(collection), "n_queries": len(ids), "queries": found}


def _path(collection: Collection, image_id: int) -> Path:
    return Path(os.fsdecode(collection.images([image_id])[0].paths[0]))


def _summary(ranks: list[int], scores: list[float], times: list[float]) -> dict[str, Any]:
    return {
        "median_rank": float(np.median(ranks)),
        "mean_rank": round(float(np.mean(ranks)), 2),
        "first": round(float(np.mean(np.array(ranks) == 1)), 3),
        "among_10": round(float(np.mean(np.array(ranks) <= 10)), 3),
        "median_score": round(float(np.median(scores)), 2),
        "median_ms": round(float(np.median(times)), 1),
    }


def main() -> None:
    """Measure on both galleries and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs/results/colors.json"))
    options = parser.parse_args()
    photographs = themes(Path(os.environ["LOOKALIKE_DATA"]), learned=False, n=None)
    scenes = open_dataset(f"scenes:{options.scenes}:11")
    found = {}
    for name, dataset in (("corel, measured half", photographs), ("scenes", scenes)):
        print(name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "c.lookalike"
            with Collection.create(path, descriptors=DESCRIPTORS) as made:
                made.add(*picture_files(dataset), progress=Bars())
                found[name] = measure(made, options.queries, options.seed)
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
