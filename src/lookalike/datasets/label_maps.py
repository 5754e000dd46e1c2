"""Label maps on a coarser grid."""

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, VOID, LabelMapBatch
from lookalike.errors import UsageError


def shrink_label_maps(label_maps: LabelMapBatch, grid: int) -> UInt8[ndarray, "batch grid grid"]:
    """Stretch label maps onto `grid` × `grid` cells; each cell gets its most frequent value.

    A pixel belongs to the cell that its upper left corner falls into. Void pixels have no vote
    unless all pixels of the cell are void. On equal votes the lower class wins, and any class wins
    over background, so that small things survive. Along an axis with fewer pixels than cells a
    cell takes the nearest pixel instead.

    Args:
        label_maps: Maps of one size; none at all give none.
        grid: Cells down and across.

    Raises:
        UsageError: If `grid` is below 1 or the maps have no pixels.

    Example:
        >>> shrink_label_maps(np.array([[[1, 1, 0, 2], [1, 0, 2, 0]]], np.uint8), grid=2)
        array([[[1, 2],
                [1, 2]]], dtype=uint8)
    """
    if grid < 1 or 0 in label_maps.shape[1:]:
        raise UsageError(
            f"cannot shrink label maps of {label_maps.shape[1:]} to a grid of {grid}; "
            "both need at least one cell"
        )
    rows, columns = (_nearest(length, grid) for length in label_maps.shape[1:])
    enlarged = label_maps[:, rows][:, :, columns]
    values = sorted(np.unique(enlarged).tolist(), key=lambda v: (v == VOID, v == BACKGROUND, v))
    best = np.zeros((len(enlarged), grid, grid), np.int64)
    winner = np.full(best.shape, VOID, np.uint8)
    for value in values:
        if value == VOID:
            continue
        votes = _count(enlarged == value, grid)
        winner[votes > best] = value
        best = np.maximum(best, votes)
    return winner


def _count(is_value: ndarray, grid: int) -> ndarray:
    """Number of true pixels in each cell."""
    height, width = is_value.shape[1:]
    down = np.add.reduceat(is_value, _first_of_cells(height, grid), axis=1, dtype=np.int64)
    counts: ndarray = np.add.reduceat(down, _first_of_cells(width, grid), axis=2)
    return counts


def _nearest(length: int, grid: int) -> ndarray:
    """Positions that repeat pixels where there are fewer of them than cells."""
    if length >= grid:
        return np.arange(length)
    return (2 * np.arange(grid) + 1) * length // (2 * grid)


def _first_of_cells(length: int, grid: int) -> ndarray:
    """First position of each cell: the smallest `i` with `i * grid // length` equal to it."""
    return -(-np.arange(grid) * length // grid)
