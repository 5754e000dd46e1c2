"""How much two pictures agree on what lies where: overlap of their label maps."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, NO_ID, VOID, Ids, LabelMap
from lookalike.errors import UsageError

_VALUES = 256
_CHUNK_CELLS = 1 << 22


@dataclass(frozen=True, slots=True, eq=False)
class Overlap:
    """Mean intersection over union of pairs of label maps, each value in `[0, 1]`.

    Attributes:
        labeled: Over the classes present in either map; `nan` where neither map shows a class.
        with_background: The same, with background counted as one more class; `nan` where every
            cell is void.
    """

    labeled: Float64[ndarray, "*pairs"]
    with_background: Float64[ndarray, "*pairs"]


def shrink_label_map(label_map: LabelMap, grid: int) -> UInt8[ndarray, "grid grid"]:
    """Stretch a label map onto `grid` × `grid` cells; each cell gets its most frequent value.

    A pixel belongs to the cell that its upper left corner falls into. Void pixels have no vote
    unless all pixels of the cell are void. On equal votes the lower class wins, and any class wins
    over background, so that small things survive. Where the map is smaller than the grid a cell
    takes the nearest pixel instead.

    Raises:
        UsageError: If `grid` is below 1 or the map is empty.

    Example:
        >>> shrink_label_map(np.array([[1, 1, 0, 2], [1, 0, 2, 0]], np.uint8), grid=2)
        array([[1, 2],
               [1, 2]], dtype=uint8)
    """
    if grid < 1 or label_map.size == 0:
        raise UsageError(
            f"cannot shrink a label map of {label_map.shape} to a grid of {grid}; "
            "both need at least one cell"
        )
    enlarged = _at_least(label_map, grid)
    height, width = enlarged.shape
    values = np.flatnonzero(np.bincount(enlarged.ravel(), minlength=_VALUES))
    # Order of preference on equal votes; void comes last and loses its votes below.
    values = np.array(sorted(values, key=lambda v: (v == VOID, v == BACKGROUND, v)))
    code = np.zeros(_VALUES, np.int64)
    code[values] = np.arange(len(values))
    cells = _cell_of(height, grid)[:, None] * grid + _cell_of(width, grid)
    votes = np.bincount(
        (cells * len(values) + code[enlarged]).ravel(), minlength=grid * grid * len(values)
    ).reshape(grid * grid, len(values))
    if values[-1] == VOID:
        votes[:, -1] = votes[:, -1] > 0
        votes[:, :-1] *= 2
    winners: ndarray = values[votes.argmax(axis=1)]
    return winners.reshape(grid, grid).astype(np.uint8)


def layout_overlap(
    a: UInt8[ndarray, "pairs height width"], b: UInt8[ndarray, "others height_b width_b"]
) -> Overlap:
    """Mean intersection over union of each pair of label maps.

    `IoU_c = |A_c ∩ B_c| / |A_c ∪ B_c|`, averaged over the classes `c` present in either map. Cells
    that are void in either map are ignored in both.

    Args:
        a: Label maps on a common grid.
        b: As many, of the same size.

    Returns:
        One value per pair, without and with background as a class.

    Raises:
        UsageError: If the shapes differ.

    Example:
        >>> one = np.array([[[1, 1], [0, 0]]], np.uint8)
        >>> two = np.array([[[1, 0], [0, 2]]], np.uint8)
        >>> layout_overlap(one, two).labeled
        array([0.25])
    """
    if a.shape != b.shape:
        raise UsageError(
            f"label maps of {a.shape} and {b.shape} cannot be compared; shrink both to one grid"
        )
    cells = max(1, a.shape[1] * a.shape[2])
    chunk = max(1, _CHUNK_CELLS // max(cells, _VALUES))
    parts = [
        _overlap(
            a[start : start + chunk].reshape(-1, cells), b[start : start + chunk].reshape(-1, cells)
        )
        for start in range(0, len(a), chunk)
    ]
    return Overlap(
        np.concatenate([part.labeled for part in parts] or [np.empty(0)]),
        np.concatenate([part.with_background for part in parts] or [np.empty(0)]),
    )


def layout_overlap_of_hits(
    label_maps: UInt8[ndarray, "gallery grid grid"],
    queries: Int64[ndarray, " queries"],
    hits: Int64[ndarray, "queries k"],
) -> Overlap:
    """Overlap of each query's label map with that of each of its hits.

    Args:
        label_maps: One label map for each picture.
        queries: Rows of `label_maps`.
        hits: Rows of `label_maps`, best first; `NO_ID` where a ranking has no such rank.

    Returns:
        Values of shape `(queries, k)`; 0 at a missing rank, so that returning less never helps.
    """
    labeled = np.zeros(hits.shape)
    with_background = np.zeros(hits.shape)
    rows = max(1, _CHUNK_CELLS // max(1, hits.shape[1] * label_maps[0].size)) if hits.size else 1
    for start in range(0, len(hits), rows):
        row, column = np.nonzero(hits[start : start + rows] != NO_ID)
        row += start
        overlap = layout_overlap(label_maps[queries[row]], label_maps[hits[row, column]])
        labeled[row, column] = overlap.labeled
        with_background[row, column] = overlap.with_background
    return Overlap(labeled, with_background)


def mean_overlap_at_k(
    overlap: Float64[ndarray, "queries ranks"], k: int
) -> Float64[ndarray, " queries"]:
    """Mean overlap of each query with its first `k` hits: `mIoU@k`.

    Undefined pairs (`nan`: nothing labeled in either map) are left out; a query with nothing but
    such pairs gets `nan`. Ranks beyond the columns count as 0.

    Raises:
        UsageError: If `k` is below 1.

    Example:
        >>> mean_overlap_at_k(np.array([[1.0, 0.5, 0.0]]), k=2)
        array([0.75])
    """
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 rank")
    first = overlap[:, :k]
    n_defined = k - np.isnan(first).sum(axis=1)
    means: ndarray = np.full(len(first), np.nan)
    np.divide(np.nansum(first, axis=1), n_defined, out=means, where=n_defined > 0)
    return means


def _overlap(a: UInt8[ndarray, "pairs cells"], b: UInt8[ndarray, "pairs cells"]) -> Overlap:
    valid = (a != VOID) & (b != VOID)
    in_a, in_b = _histograms(a, valid), _histograms(b, valid)
    both = _histograms(a, valid & (a == b))
    union = in_a + in_b - both
    iou = both / np.maximum(union, 1)
    return Overlap(
        _mean_of_present(iou[:, BACKGROUND + 1 :], union[:, BACKGROUND + 1 :] > 0),
        _mean_of_present(iou, union > 0),
    )


def _histograms(
    maps: UInt8[ndarray, "pairs cells"], counted: Bool[ndarray, "pairs cells"]
) -> Int64[ndarray, "pairs values"]:
    rows = np.arange(len(maps))[:, None] * _VALUES
    counts = np.bincount((rows + maps)[counted], minlength=len(maps) * _VALUES)
    histograms: ndarray = counts.reshape(len(maps), _VALUES)
    return histograms


def _mean_of_present(
    iou: Float64[ndarray, "pairs values"], present: Bool[ndarray, "pairs values"]
) -> Float64[ndarray, " pairs"]:
    n_present = present.sum(axis=1)
    means: ndarray = np.full(len(iou), np.nan)
    np.divide((iou * present).sum(axis=1), n_present, out=means, where=n_present > 0)
    return means


def _at_least(label_map: LabelMap, grid: int) -> UInt8[ndarray, "rows columns"]:
    rows, columns = (_nearest(length, grid) for length in label_map.shape)
    enlarged: ndarray = label_map[rows][:, columns]
    return enlarged


def _nearest(length: int, grid: int) -> Ids:
    """Positions that repeat pixels where there are fewer of them than cells."""
    if length >= grid:
        return np.arange(length)
    nearest: ndarray = (2 * np.arange(grid) + 1) * length // (2 * grid)
    return nearest


def _cell_of(length: int, grid: int) -> Ids:
    cells: ndarray = np.arange(length) * grid // length
    return cells
