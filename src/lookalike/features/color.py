"""What colors a picture has, and where: a histogram with soft bins, and a grid of mean colors.

Colors are compared in CIE 1976 L*a*b* (white point D65), where a distance of 2 is just visible.
"""

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings, PixelBatch, normalize

CELLS: Final = 8
"""A picture is painted as 8 × 8 cells."""

_LIGHTNESS_STEP: Final = 20.0
_CHROMA_STEP: Final = 24.0
_LEVELS: Final = 32
"""Levels of each channel that are told apart before colors fall into bins."""

_SPAN: Final = 64
"""More than there are nodes of the grid in any direction."""

_FURTHEST: Final = 137.0
"""No color of sRGB is further from middle gray (50, 0, 0); blue is nearest to that."""

_MIDDLE: Final = np.array([50.0, 0.0, 0.0])
_RADIUS: Final = _FURTHEST * CELLS
_TO_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def to_lab(
    rgb: Float[ndarray, "*items 3"] | UInt8[ndarray, "*items 3"],
) -> Float64[ndarray, "*items 3"]:
    """Return L* (0 to 100), a* and b* of sRGB colors with channels from 0 to 255.

    References:
        IEC 61966-2-1:1999 (sRGB); CIE 15:2004, section 8.2.1 (L*a*b*).

    Example:
        >>> to_lab(np.array([[255, 255, 255], [0, 0, 255]], np.uint8)).round(0) + 0.0
        array([[ 100.,    0.,    0.],
               [  32.,   79., -108.]])
    """
    share = np.asarray(rgb, np.float64) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    lab: ndarray = np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1
    )
    return lab


def to_rgb(lab: Float[ndarray, "*items 3"]) -> UInt8[ndarray, "*items 3"]:
    """Return the sRGB color of L*a*b* ones; what lies outside of sRGB is clipped.

    Example:
        >>> to_rgb(to_lab(np.array([12, 200, 99], np.uint8)))
        array([ 12, 200,  99], dtype=uint8)
    """
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = xyz @ np.linalg.inv(_TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)).T
    linear = linear.clip(0, 1)
    share = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((255 * share).round().astype(np.uint8))


@cache
def _soft_bins() -> tuple[
    Int[ndarray, "colors 8"], Float64[ndarray, "colors 8"], Float64[ndarray, "bins 3"]
]:
    """Return the bins of each of 32³ colors, its share in each, and the bins' centers.

    Bins are the nodes of a grid in L*a*b*; a color is shared by the eight around it, the nearer
    the more. Nodes that no color of sRGB comes near are left out.
    """
    step = np.array([_LIGHTNESS_STEP, _CHROMA_STEP, _CHROMA_STEP])
    at = _coarse_lab().astype(np.float64) / step
    low = np.floor(at).astype(np.int64)
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(8, 3)
    nodes = low[:, None] + corners
    shares = np.abs(1 - corners - (at - low)[:, None]).prod(axis=2)
    # As one number each, since rows are a hundred times as slow to tell apart.
    flat = (nodes.reshape(-1, 3) + _SPAN // 2) @ np.array([_SPAN**2, _SPAN, 1])
    numbers, column = np.unique(flat, return_inverse=True)
    centers = np.stack(np.unravel_index(numbers, (_SPAN,) * 3), axis=1) - _SPAN // 2
    return column.reshape(-1, 8), shares, centers * step


@cache
def _coarse_lab() -> Float32[ndarray, "colors 3"]:
    level = (np.arange(_LEVELS) + 0.5) * 256 / _LEVELS
    rgb = np.stack(np.meshgrid(level, level, level, indexing="ij"), -1).reshape(-1, 3)
    return to_lab(rgb).astype(np.float32)


def to_coarse_lab(rgb: UInt8[ndarray, "*items 3"]) -> Float32[ndarray, "*items 3"]:
    """Return L*a*b* of the middle of 32 levels per channel: `to_lab`, fast and nearly right."""
    lab: ndarray = _coarse_lab()[_coarse_colors(rgb)]
    return lab


def _coarse_colors(rgb: UInt8[ndarray, "*items 3"]) -> Int[ndarray, "*items"]:
    shift = 8 - (_LEVELS.bit_length() - 1)
    coarse = (rgb >> shift).astype(np.int32)
    colors: ndarray = (coarse[..., 0] * _LEVELS + coarse[..., 1]) * _LEVELS + coarse[..., 2]
    return colors


def bin_centers() -> Float64[ndarray, "bins 3"]:
    """Return the L*a*b* color in the middle of each bin of `color`."""
    return _soft_bins()[2]


def soft_shares(lab: Float64[ndarray, "colors 3"]) -> Float64[ndarray, "colors bins"]:
    """Return the share of each color in each bin of `color`."""
    step = np.array([_LIGHTNESS_STEP, _CHROMA_STEP, _CHROMA_STEP])
    apart = np.abs(lab[:, None] - bin_centers()) / step
    shares: ndarray = np.maximum(1 - apart, 0).prod(axis=2)
    return shares


def color_counts(pixels: PixelBatch) -> Int[ndarray, "batch colors"]:
    """Count the pixels of each of 32³ colors; red varies slowest."""
    flat = _coarse_colors(pixels).reshape(len(pixels), -1)
    return np.stack([np.bincount(row, minlength=_LEVELS**3) for row in flat])


def color_rows(pixels: PixelBatch) -> Embeddings:
    """Return the root of the share of pixels in each soft bin of L*a*b*; unit rows.

    The inner product of two rows is the Bhattacharyya coefficient of the histograms: 1 for the
    same colors in the same amounts, 0 for none in common. Soft bins keep two shades that differ
    little from falling into bins that have nothing to do with each other.

    References:
        Shares by nearness: Swain, Ballard, *Color Indexing*, International Journal of Computer
        Vision 7, 1991, is the histogram with hard bins; the roots are of A. Bhattacharyya, *On a
        Measure of Divergence between Two Statistical Populations*, 1943.
    """
    return normalize(np.sqrt(np.stack([_bin_counts(counts) for counts in color_counts(pixels)])))


def _bin_counts(counts: Int[ndarray, " colors"]) -> Float64[ndarray, " bins"]:
    bins, shares, centers = _soft_bins()
    there = np.flatnonzero(counts)
    amounts = counts[there, None] * shares[there]
    return np.bincount(bins[there].ravel(), weights=amounts.ravel(), minlength=len(centers))


def shares_of(rows: Embeddings) -> Float64[ndarray, "items bins"]:
    """Turn rows of `color` back into the share of each bin; each row sums to 1."""
    shares = rows.astype(np.float64) ** 2
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12))


def layout_rows(pixels: PixelBatch) -> Embeddings:
    """Return the mean color of each of 8 × 8 cells, laid on a sphere; unit rows.

    A row holds `x / r`, the 192 values of L*a*b* around middle gray by the largest length `r` that
    they can have, and last `sqrt(1 - |x / r|²)`. The inner product of two rows so falls with the
    distance of the two grids, which the plain product of their colors would not; see
    `cells_of` for the way back.
    """
    return rows_of_cells(to_lab(block_means(pixels, CELLS)))


def block_means(pixels: PixelBatch, cells: int) -> Float64[ndarray, "batch cells cells 3"]:
    """Average pictures over so many cells down and across, which divide their size."""
    batch, height, width, _ = pixels.shape
    # One axis after the other: ten times as fast as both at once.
    rows = pixels.reshape(batch, cells, height // cells, width * 3).sum(axis=2, dtype=np.uint32)
    sums = rows.reshape(batch, cells, cells, width // cells, 3).sum(axis=3)
    return np.asarray(sums / (height // cells * (width // cells)))


def rows_of_cells(cells: Float64[ndarray, "batch 8 8 3"]) -> Embeddings:
    """Lay grids of L*a*b* colors on a sphere; see `layout_rows`."""
    return on_sphere((cells - _MIDDLE).reshape(len(cells), -1) / _RADIUS)


def cells_of(rows: Float32[ndarray, "items dim"]) -> Float64[ndarray, "items 8 8 3"]:
    """Turn rows of `color_layout` back into L*a*b* colors."""
    flat = rows[:, :-1].astype(np.float64) * _RADIUS
    return np.asarray(flat.reshape(len(rows), CELLS, CELLS, 3) + _MIDDLE)


def channels_of(
    rows: Float32[ndarray, "items dim"], is_wanted: Bool[ndarray, "8 8"]
) -> list[Float64[ndarray, "items wanted"]]:
    """Return L*, a* and b* of some cells: what `cells_of` gives there, without the others.

    In each array, the values of all items for one cell lie side by side.
    """
    first = 3 * np.flatnonzero(is_wanted)
    channels = []
    for at, middle in enumerate(_MIDDLE):
        channel = np.asfortranarray(rows[:, first + at], np.float64)
        channel *= _RADIUS
        channel += middle
        channels.append(channel)
    return channels


def on_sphere(points: Float[ndarray, "items dim"]) -> Float32[ndarray, "items lifted"]:
    """Add a last coordinate that gives each point length 1; points longer than 1 are shortened.

    The inner product of two rows is then 1 minus half their squared distance, and as long as
    points are short, the last coordinate adds next to nothing to the distance.

    Example:
        >>> on_sphere(np.array([[0.6, 0.0]]))
        array([[0.6, 0. , 0.8]], dtype=float32)
    """
    length = np.linalg.norm(points, axis=1, keepdims=True)
    inside = points / np.maximum(length, 1.0)
    last = np.sqrt(np.maximum(1 - np.minimum(length, 1.0) ** 2, 0.0))
    return normalize(np.hstack([inside, last]))
