"""The shapes in pictures: where edges of which direction are, and where it is bright or dark."""

from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int
from numpy import ndarray

from lookalike.arrays import Embeddings, PixelBatch, normalize
from lookalike.features.texture import gray, halved

GRID: Final = 8
"""Edges are summed over 8 × 8 cells."""

ORIENTATIONS: Final = 6
"""Of edges, over half a turn."""

EDGES: Final = GRID * GRID * ORIENTATIONS

_WEAK: Final = 8.0
_BLANK: Final = 3.0
_PYRAMID: Final = (8, 4, 2)


def shape_rows(pixels: PixelBatch) -> Embeddings:
    """Return how strong edges of six directions are in each of 8 × 8 cells; unit rows.

    An edge counts by the root of its strength, shared by the two nearest directions and by the
    cells around it, so that a shift by half a cell changes little. The roots of the sums are the
    row, cell by cell; a last small number stands for the blank picture, so that rows of pictures
    without edges resemble each other.

    References:
        N. Dalal, B. Triggs, *Histograms of Oriented Gradients for Human Detection*, CVPR 2005,
        without their overlapping blocks.
    """
    edges = np.sqrt(edge_sums(halved(gray(pixels))))
    flat = edges.reshape(len(pixels), EDGES)
    return normalize(np.hstack([flat, np.full((len(flat), 1), _BLANK, flat.dtype)]))


def edge_sums(
    plane: Float32[ndarray, "batch side side"],
) -> Float32[ndarray, "batch 8 8 6"]:
    """Return the strength of edges by cell and direction; 0 is an upright edge, then clockwise."""
    padded = np.pad(plane, ((0, 0), (1, 1), (1, 1)), mode="edge")
    right = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength = np.hypot(right, down)
    strength = np.sqrt(np.where(strength < _WEAK, 0, strength))
    angle = (np.arctan2(down, right) % np.pi) * np.float32(ORIENTATIONS / np.pi)
    lower = np.floor(angle)
    part = (angle - lower) * strength
    first = lower.astype(np.int8) % ORIENTATIONS
    second = (first + 1) % ORIENTATIONS
    return np.stack(
        [
            _cells(np.where(first == at, strength - part, 0) + np.where(second == at, part, 0))
            for at in range(ORIENTATIONS)
        ],
        axis=-1,
    )


def _cells(plane: Float32[ndarray, "batch side side"]) -> Float32[ndarray, "batch 8 8"]:
    """Sum over cells that overlap by half: weights 1, 3, 3, 1 over half cells."""
    sums = summed(plane, 2 * GRID)
    for axis in (1, 2):
        wide = np.pad(sums, [(0, 0) if each != axis else (1, 1) for each in range(3)])
        wide = np.moveaxis(wide, axis, 0)
        cells = (wide[:-3:2] + 3 * wide[1:-2:2] + 3 * wide[2:-1:2] + wide[3::2]) / 8
        sums = np.moveaxis(cells, 0, axis)
    return np.ascontiguousarray(sums)


def summed(
    plane: Float32[ndarray, "batch side side"], cells: int
) -> Float32[ndarray, "batch cells cells"]:
    """Sum planes over so many cells down and across, which divide their size."""
    batch, side, _ = plane.shape
    # One axis after the other: several times as fast as both at once.
    rows: ndarray = plane.reshape(batch, cells, side // cells, side).sum(axis=2)
    sums: ndarray = rows.reshape(batch, cells, cells, side // cells).sum(axis=3)
    return sums


def brightness_rows(pixels: PixelBatch) -> Embeddings:
    """Return where a picture is brighter and darker than its mean, from coarse to fine; unit rows.

    Gray levels are averaged over 8 × 8, 4 × 4 and 2 × 2 cells; of each grid the mean is taken away,
    and each counts as much as it has cells to the root, so that coarse grids are heard. Scaling to
    length 1 takes the contrast away. A last small number stands for the flat picture.

    References:
        Brightness structure is a primitive of Visual RetrievalWare (Excalibur, 1990s), which
        published no formula; this one is ours.
    """
    plane = gray(pixels)
    side = plane.shape[1]
    parts = []
    for cells in _PYRAMID:
        flat = summed(plane, cells).reshape(len(plane), -1) * np.float32((cells / side) ** 2)
        parts.append((flat - flat.mean(axis=1, keepdims=True)) * np.sqrt(_PYRAMID[0] / cells))
    return normalize(np.hstack([*parts, np.full((len(plane), 1), _BLANK, np.float32)]))


def aspect_rows(sizes: Int[ndarray, "batch 2"]) -> Embeddings:
    """Return the proportions of pictures as a direction in the plane; unit rows.

    The angle is `π / 4 · tanh(log2(width / height))`, so that the inner product falls with the
    difference of the proportions, and the difference of 4:1 and 8:1 is small beside that of 1:1
    and 2:1.

    Args:
        sizes: Height and width of each picture as it is seen, in pixels.
    """
    ratio: Float64[ndarray, " batch"] = np.log2(sizes[:, 1] / sizes[:, 0])
    angle = np.pi / 4 * np.tanh(ratio)
    return normalize(np.stack([np.cos(angle), np.sin(angle)], axis=1))
