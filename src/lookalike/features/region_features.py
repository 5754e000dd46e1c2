"""Color and texture of a part of a picture, as short vectors for the index of regions.

Both are roots of histograms, so that rows are unit vectors and their inner product is the
coefficient of A. Bhattacharyya (*On a Measure of Divergence between Two Statistical Populations
Defined by their Probability Distributions*, 1943): 1 for equal histograms, 0 for disjoint ones.
"""

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8, UInt16
from numpy import ndarray

from lookalike.arrays import Pixels

COLOR_DIM: Final = 64
TEXTURE_DIM: Final = 30

_STEPS: Final = 4
"""Bins along each axis of Lab."""

_LOWEST: Final = np.array([0.0, -50.0, -50.0])
_HIGHEST: Final = np.array([100.0, 50.0, 50.0])
"""Between these the bins are spread; more saturated colors fall into the outermost ones."""

_LEVELS: Final = 32
"""Colors are looked up in so many steps of red, of green and of blue."""

_RADII: Final = (1, 2, 4)
_RING: Final = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
_PATTERNS: Final = 10

# Linear RGB of sRGB to XYZ, divided by the white D65 (IEC 61966-2-1).
_TO_XYZ: Final = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175],
     [0.0193339, 0.119192, 0.9503041]]
) / np.array([[0.95047], [1.0], [1.08883]])  # fmt: skip


def color_codes(pixels: Pixels) -> UInt16[ndarray, "height width"]:
    """Return the color of each pixel, of 32 × 32 × 32, for `color_vector`."""
    red, green, blue = np.moveaxis(pixels.astype(np.uint16) >> 3, 2, 0)
    codes: ndarray = (red * _LEVELS + green) * _LEVELS + blue
    return codes


def color_vector(
    codes: UInt16[ndarray, "height width"], mask: Bool[ndarray, "height width"]
) -> Float32[ndarray, " color_dim"]:
    """Root of a histogram of 4 × 4 × 4 soft bins in CIE L*a*b*; a unit vector.

    Each pixel is shared between the two nearest bins along each axis, so that a slightly other
    light changes the histogram slightly.

    Args:
        codes: Of `color_codes`.
        mask: The pixels that count; all if it holds none.

    References:
        J. Hafner et al., *Efficient Color Histogram Indexing for Quadratic Form Distance
        Functions*, IEEE TPAMI 17(7), 1995, for histograms whose bins are not strangers.
    """
    counts = np.bincount(_counted(codes, mask), minlength=_LEVELS**3).astype(np.float64)
    present = np.flatnonzero(counts)
    return _root(counts[present] @ _shares()[present])


def texture_codes(pixels: Pixels) -> UInt8[ndarray, "radii height width"]:
    """Return the local binary pattern around each pixel at 1, 2 and 4 pixels.

    A pattern says which of eight neighbors are at least as bright as the pixel. Those with at most
    two changes around the ring are told apart by their number of brighter neighbors, all others
    are one: `riu2` of T. Ojala, M. Pietikäinen, T. Mäenpää, *Multiresolution Gray-Scale and
    Rotation Invariant Texture Classification with Local Binary Patterns*, IEEE TPAMI 24(7), 2002;
    neighbors are taken on the square ring, without interpolation. Beyond its edge a picture is
    taken to go on as at the edge.
    """
    gray = np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return np.stack([_patterns(gray, radius) for radius in _RADII])


def texture_vector(
    codes: UInt8[ndarray, "radii height width"], mask: Bool[ndarray, "height width"]
) -> Float32[ndarray, " texture_dim"]:
    """Root of the histograms of local binary patterns at three radii; a unit vector.

    Args:
        codes: Of `texture_codes`.
        mask: The pixels that count; all if it holds none.
    """
    histograms = [np.bincount(_counted(of, mask), minlength=_PATTERNS) for of in codes]
    return _root(np.concatenate(histograms).astype(np.float64))


def _patterns(gray: UInt8[ndarray, "height width"], radius: int) -> UInt8[ndarray, "height width"]:
    height, width = gray.shape
    framed = np.pad(gray, radius, mode="edge")
    bits = np.zeros((height, width), np.uint8)
    for place, (y, x) in enumerate(_RING):
        neighbor = framed[radius * (1 + y) :, radius * (1 + x) :][:height, :width]
        bits |= (neighbor >= gray).astype(np.uint8) << np.uint8(place)
    patterns: ndarray = _kinds()[bits]
    return patterns


@cache
def _kinds() -> UInt8[ndarray, " rings"]:
    """Kind of each ring of eight bits."""
    rings = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    n_changes = (rings != np.roll(rings, 1, axis=1)).sum(axis=1)
    kinds: ndarray = np.where(n_changes <= 2, rings.sum(axis=1), _PATTERNS - 1).astype(np.uint8)
    return kinds


def _counted(
    codes: UInt8[ndarray, "height width"] | UInt16[ndarray, "height width"],
    mask: Bool[ndarray, "height width"],
) -> UInt8[ndarray, " pixels"] | UInt16[ndarray, " pixels"]:
    counted: ndarray = codes[mask] if mask.any() else codes.ravel()
    return counted


def _root(counts: Float64[ndarray, " bins"]) -> Float32[ndarray, " bins"]:
    root: ndarray = np.sqrt(counts / counts.sum()).astype(np.float32)
    return root


@cache
def _shares() -> Float64[ndarray, "colors bins"]:
    """Share of each color of the table in each bin."""
    axis = (np.arange(_LEVELS) + 0.5) / _LEVELS
    rgb = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    place = (_lab(rgb) - _LOWEST) / (_HIGHEST - _LOWEST) * (_STEPS - 1)
    distance = np.abs(place.clip(0, _STEPS - 1)[..., None] - np.arange(_STEPS))
    lightness, a, b = np.moveaxis(np.maximum(0, 1 - distance), 1, 0)
    shares: ndarray = np.einsum("ci,cj,ck->cijk", lightness, a, b).reshape(len(rgb), -1)
    return shares


def _lab(rgb: Float64[ndarray, "colors 3"]) -> Float64[ndarray, "colors 3"]:
    """CIE 1976 L*a*b* of sRGB from 0 to 1, white D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f.T
    lab: ndarray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab
