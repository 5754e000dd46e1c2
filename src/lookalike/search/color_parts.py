"""Queries by color: amounts of colors, and colors painted where they are to be."""

from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.features.color import bin_centers, cells_of, channels_of, soft_shares
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.parts import Context
from lookalike.search.queries import Query
from lookalike.search.scanning import Scan, index_for, sampled_rows

_SAME_COLOR: Final = 18.0
"""Colors so far apart in L*a*b* are taken for each other to three fifths; it is about a step of
the bins."""

_FAR: Final = 25.0
"""Cells whose color is so far from the painted one still count for a third."""

_PSEUDO: Final = 60
"""Random images whose own colors are asked for, to tell how common a similarity is."""


def color_parts(query: Query, context: Context) -> list[Scan]:
    """Return the parts of a query that are colors."""
    parts = []
    if query.colors is not None:
        parts.append(_shares_part(query.colors, context))
    if query.painted_colors is not None:
        parts.append(_painted_part(query.painted_colors, context))
    return parts


def _shares_part(colors: ColorShares, context: Context) -> Scan:
    index = index_for(context, "color", "percentages of colors")
    weights = _bin_weights(colors.lab)
    calibration = _calibrate_shares(colors.amounts, sampled_rows(context, "color"))
    compare = partial(shares_similarity, colors.amounts, weights)
    return Scan("colors", index, calibration, compare)


def shares_similarity(
    amounts: Float64[ndarray, " colors"],
    weights: Float64[ndarray, "colors bins"],
    rows: Embeddings,
) -> Float64[ndarray, " items"]:
    """Return which part of the colors asked for is there: `Σ min(p_c, a_c) / Σ p_c`, 0 to 1.

    `a_c` is the amount of the color in the picture, `Σ_b w_cb h_b` over the bins of its histogram.
    More of a color than was asked for does no harm, and neither does any other color.

    Args:
        amounts: `p`, shares of the picture.
        weights: `w`, how much of each bin counts as each color.
        rows: Of `color`.

    References:
        The one-sided match follows the partial matching of Y. Rubner, C. Tomasi, L. J. Guibas,
        *The Earth Mover's Distance as a Metric for Image Retrieval*, International Journal of
        Computer Vision 40(2), 2000, and the percentages are those of QBIC (W. Niblack and others,
        SPIE 1908, 1993).
    """
    # Not a matrix product: its last bits would depend on how many images are compared.
    squares = rows * rows
    counts = np.vecdot(squares[:, None], weights.astype(np.float32)[None]).astype(np.float64)
    found = counts / np.maximum(squares.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(np.minimum(found, amounts).sum(axis=1) / amounts.sum())


def _bin_weights(lab: Float64[ndarray, "colors 3"]) -> Float64[ndarray, "colors bins"]:
    """Return how much of each bin counts as each color; a bin counts once among all of them."""
    distance = np.linalg.norm(lab[:, None] - bin_centers(), axis=-1)
    alike = np.exp(-((distance / _SAME_COLOR) ** 2) / 2)
    # A picture of nothing but the color has all of it, though bins spread it.
    alike /= np.maximum((alike * soft_shares(lab)).sum(axis=1, keepdims=True), 1e-9)
    weights = alike.clip(0, 1)
    return np.asarray(weights / np.maximum(weights.sum(axis=0), 1))


def _calibrate_shares(amounts: Float64[ndarray, " colors"], rows: Embeddings) -> Calibration:
    """Ask for the main colors of random images in the same amounts, and compare the others."""
    found = []
    for at in range(min(_PSEUDO, len(rows))):
        main = np.argsort(-rows[at], kind="stable")[: len(amounts)]
        weights = _bin_weights(bin_centers()[main])
        others = np.delete(rows, at, axis=0)
        found.append(shares_similarity(np.sort(amounts)[::-1], weights, others))
    return fit_similarities(np.concatenate([np.empty(0), *found]))


def _painted_part(painted: PaintedColors, context: Context) -> Scan:
    index = index_for(context, "color_layout", "painted colors")
    cells = painted.lab[painted.is_painted]
    calibration = _calibrate_painted(painted.is_painted, sampled_rows(context, "color_layout"))
    compare = partial(painted_similarity, cells, painted.is_painted)
    return Scan("painted_colors", index, calibration, compare)


def painted_similarity(
    cells: Float64[ndarray, "painted 3"], is_painted: Bool[ndarray, "8 8"], rows: Embeddings
) -> Float64[ndarray, " items"]:
    """Return the mean of `exp(-d / 25)` over painted cells, `d` the distance in L*a*b*, 0 to 1.

    The exponential keeps one cell that is far off from outweighing all that fit.

    Args:
        cells: Painted colors in L*a*b*, row by row.
        is_painted: Where they are.
        rows: Of `color_layout`.
    """
    # A channel at a time, in place: four times as fast as by triples.
    squares = np.zeros((len(rows), len(cells)), order="F")
    for channel, painted in zip(channels_of(rows, is_painted), cells.T, strict=True):
        channel -= painted
        channel *= channel
        squares += channel
    likeness = np.exp(-np.sqrt(squares) / _FAR)
    # Not `mean`: its last bits would depend on how many images are compared.
    total = np.zeros(len(rows))
    for of_cell in likeness.T:
        total += of_cell
    return total / len(cells)


def _calibrate_painted(is_painted: Bool[ndarray, "8 8"], rows: Embeddings) -> Calibration:
    """Compare random images in the painted cells."""
    cells = cells_of(rows)[:, is_painted]
    found = [
        painted_similarity(cells[at], is_painted, np.delete(rows, at, axis=0))
        for at in range(min(_PSEUDO, len(rows)))
    ]
    return fit_similarities(np.concatenate([np.empty(0), *found]))
