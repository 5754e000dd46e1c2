"""What of a label map is kept for every image, and how a painting overlaps with it.

A label map as a model sees it has a probability for each class in each of 32 × 32 cells; decoding
one takes the processor some milliseconds. Kept are the three likeliest classes of 16 × 16 cells,
with their probabilities in 255ths: six bytes a cell.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, VOID

KEPT_CLASSES: Final = 3
_SIDE: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class KeptMaps:
    """The label maps of some images.

    Attributes:
        classes: The likeliest classes of each cell, row by row, the likeliest first.
        shares: Their probabilities in 255ths.
    """

    classes: UInt8[ndarray, "items kept cells"]
    shares: UInt8[ndarray, "items kept cells"]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def side(self) -> int:
        """Cells across."""
        return math.isqrt(int(self.classes.shape[2]))

    def rows(self, rows: ndarray) -> "KeptMaps":
        """Return those of some images, by position or by mask."""
        return KeptMaps(self.classes[rows], self.shares[rows])

    def labels(self, grid: int) -> UInt8[ndarray, "items grid grid"]:
        """Return the likeliest class of each cell, on a finer grid."""
        side, times = self.side, grid // self.side
        coarse = self.classes[:, 0].reshape(-1, side, side)
        labels: ndarray = coarse.repeat(times, axis=1).repeat(times, axis=2)
        return labels


def kept_side(grid: int) -> int:
    """Return the cells across that are kept of a grid: the most that divide it, 16 at most.

    Example:
        >>> kept_side(32), kept_side(16), kept_side(24), kept_side(7)
        (16, 16, 12, 7)
    """
    return max(side for side in range(1, min(grid, _SIDE) + 1) if grid % side == 0)


def keep(probabilities: Float32[ndarray, "items values grid grid"]) -> KeptMaps:
    """Return what is kept of label maps."""
    n, values, grid, _ = probabilities.shape
    side = kept_side(grid)
    cells = probabilities.reshape(n, values, side, grid // side, side, grid // side)
    left = cells.mean(axis=(3, 5), dtype=np.float32).reshape(n, values, side**2)
    kept = min(KEPT_CLASSES, values)
    classes = np.empty((n, kept, side**2), np.uint8)
    shares = np.empty((n, kept, side**2), np.uint8)
    for rank in range(kept):
        best = left.argmax(axis=1)[:, None]
        classes[:, rank] = best[:, 0]
        shares[:, rank] = np.rint(255 * np.take_along_axis(left, best, axis=1)[:, 0]).clip(0, 255)
        np.put_along_axis(left, best, -1.0, axis=1)
    return KeptMaps(classes, shares)


def joined(parts: Sequence[KeptMaps]) -> KeptMaps:
    """Put maps together; one part or more."""
    return KeptMaps(
        np.concatenate([part.classes for part in parts]),
        np.concatenate([part.shares for part in parts]),
    )


def painted_overlap(
    target: UInt8[ndarray, "grid grid"], kept: KeptMaps
) -> Float64[ndarray, " items"]:
    """Return how well label maps, as probabilities, overlap with a painting, from 0 to 1.

    For each painted class `c` with painted cells `q` and probabilities `p`, over all cells that are
    painted with anything,

        o_c = Σ min(q_c, p_c) / Σ max(q_c, p_c),

    the intersection over union of a soft map (the quantitative Jaccard index of M. Ružička,
    *Anwendung mathematisch-statistischer Methoden in der Geobotanik*, Biológia 13, 1958); the
    result is its mean over the painted classes, background aside unless nothing else is painted.
    The cells are those of the painting; all within one kept cell have its probabilities, and a
    class that is not kept there has none.

    Example:
        >>> target = np.array([[1, 1], [0, VOID]], np.uint8)
        >>> seen = np.zeros((1, 2, 2, 2), np.float32)
        >>> seen[0, 1] = [[1, 0], [0, 1]]
        >>> painted_overlap(target, keep(seen))
        array([0.5])
    """
    is_painted = target != VOID
    painted = _counts(is_painted, kept.side)
    # Cells without paint say nothing.
    at = np.flatnonzero(painted)
    classes, shares = kept.classes[:, :, at], kept.shares[:, :, at]
    total = np.zeros(len(kept))
    values = painted_classes(target[is_painted])
    for value in values:
        wanted = _counts(target == value, kept.side)[at]
        # Whole numbers, so that an overlap does not depend on how many are computed.
        seen = np.where(classes == value, shares, 0).sum(axis=1, dtype=np.int64)
        common = seen @ wanted
        total += common / (255 * wanted.sum() + seen @ (painted[at] - wanted))
    return total / len(values)


def painted_classes(painted: UInt8[ndarray, " cells"]) -> list[int]:
    """Return what is painted, background only if nothing else is."""
    classes = [value for value in np.unique(painted).tolist() if value != BACKGROUND]
    return classes or [BACKGROUND]


def _counts(cells: Bool[ndarray, "grid grid"], side: int) -> ndarray:
    """Return how many cells of a painting are marked within each kept cell."""
    times = len(cells) // side
    counts: ndarray = cells.reshape(side, times, side, times).sum(axis=(1, 3)).reshape(-1)
    return counts
