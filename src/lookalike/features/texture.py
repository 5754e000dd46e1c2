"""The texture of pictures: local binary patterns, coarseness, contrast and directionality."""

from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings, PixelBatch, normalize

SCALES: Final = 3
"""Patterns are counted at full, half and quarter size."""

_AROUND: Final = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_WINDOWS: Final = 5
_WEAK: Final = 6.0
"""Gradients below are noise of the camera and of compression."""

_ORIENTATIONS: Final = 16
_BUMPS: Final = 8
_TAMURA_WEIGHT: Final = 0.5
_MOST_CONTRAST: Final = 100.0


def gray(pixels: PixelBatch) -> Float32[ndarray, "batch height width"]:
    """Return the luma of pictures, 0 to 255, by the weights of Rec. ITU-R BT.601."""
    plane: ndarray = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return plane


def halved(
    plane: Float32[ndarray, "batch height width"],
) -> Float32[ndarray, "batch half_h half_w"]:
    """Average blocks of 2 × 2."""
    rows = plane[:, 0::2] + plane[:, 1::2]
    quarter: ndarray = (rows[:, :, 0::2] + rows[:, :, 1::2]) / 4
    return quarter


def texture_rows(pixels: PixelBatch) -> Embeddings:
    """Return histograms of local binary patterns and Tamura's three features; unit rows.

    Patterns: each pixel is compared with its eight neighbors; the 9 patterns that are uniform up
    to rotation and the rest make 10 bins, at three scales, as roots of shares. Coarseness, contrast
    and directionality are each spread over eight overlapping bumps, so that their inner product
    falls with the difference. Patterns weigh two thirds, the three features together one third.

    References:
        T. Ojala, M. Pietikäinen, T. Mäenpää, *Multiresolution Gray-Scale and Rotation Invariant
        Texture Classification with Local Binary Patterns*, IEEE TPAMI 24(7), 2002. H. Tamura,
        S. Mori, T. Yamawaki, *Textural Features Corresponding to Visual Perception*, IEEE
        Transactions on Systems, Man, and Cybernetics 8(6), 1978.
    """
    plane = gray(pixels)
    parts: list[ndarray] = []
    scale = plane
    for _ in range(SCALES):
        parts.append(np.sqrt(pattern_shares(scale)))
        scale = halved(scale)
    for values in tamura(halved(plane)).T:
        parts.append(np.sqrt(_TAMURA_WEIGHT) * spread(values, _BUMPS))
    return normalize(np.hstack(parts))


def pattern_shares(plane: Float[ndarray, "batch height width"]) -> Float64[ndarray, "batch 10"]:
    """Return the share of pixels with each rotation-invariant uniform pattern.

    Bin `i` up to 8 counts patterns of `i` neighbors, side by side, that are no darker than the
    middle; bin 9 counts all others. The outermost pixels have no pattern.
    """
    levels = plane.astype(np.uint8)
    middle = levels[:, 1:-1, 1:-1]
    codes = np.zeros(middle.shape, np.uint8)
    height, width = levels.shape[1:]
    for bit, (down, right) in enumerate(_AROUND):
        other = levels[:, 1 + down : height - 1 + down, 1 + right : width - 1 + right]
        codes |= (other >= middle).astype(np.uint8) << np.uint8(bit)
    bins = _PATTERN_BINS[codes].reshape(len(plane), -1)
    counts = np.stack([np.bincount(row, minlength=10) for row in bins])
    return np.asarray(counts / bins.shape[1])


def _pattern_bins() -> UInt8[ndarray, "256"]:
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    is_uniform = (bits != np.roll(bits, 1, axis=1)).sum(axis=1) <= 2
    return np.where(is_uniform, bits.sum(axis=1), 9).astype(np.uint8)


_PATTERN_BINS: Final = _pattern_bins()


def tamura(plane: Float32[ndarray, "batch height width"]) -> Float64[ndarray, "batch 3"]:
    """Return coarseness, contrast and directionality, each from 0 to 1.

    Coarseness is the mean over pixels of the window size, 2 to 32, whose means differ most
    between both sides of the pixel, on a logarithmic scale. Contrast is the deviation by the
    fourth root of the kurtosis, of at most 100 gray levels. Directionality is 1 for edges of one
    direction and 0 for edges of all, the length of their mean vector at the double angle, which
    takes the place of Tamura's sum over peaks; 0 where there are no edges.
    """
    return np.stack([_coarseness(plane), _contrast(plane), _directionality(plane)], axis=1)


def _coarseness(plane: Float32[ndarray, "batch height width"]) -> Float64[ndarray, " batch"]:
    best = np.full(plane.shape, -1.0, np.float32)
    size = np.zeros(plane.shape, np.float32)
    mean = plane
    for window in range(1, _WINDOWS + 1):
        reach = 1 << (window - 1)
        # A window twice as wide is the mean of two side by side.
        mean = (mean + np.roll(mean, -reach, axis=1)) / 2
        mean = (mean + np.roll(mean, -reach, axis=2)) / 2
        for axis in (1, 2):
            # With a margin for rounding, as the smallest window that differs most is meant.
            across = np.abs(mean - np.roll(mean, 2 * reach, axis=axis))
            shifted = np.roll(across, reach, axis=(1, 2))
            is_better = shifted > best + 1e-3
            best = np.where(is_better, shifted, best)
            size = np.where(is_better, np.float32(window), size)
    return np.asarray((size.mean(axis=(1, 2), dtype=np.float64) - 1) / (_WINDOWS - 1))


def _contrast(plane: Float32[ndarray, "batch height width"]) -> Float64[ndarray, " batch"]:
    flat = plane.reshape(len(plane), -1).astype(np.float64)
    square = (flat - flat.mean(axis=1, keepdims=True)) ** 2
    variance = square.mean(axis=1)
    kurtosis = (square**2).mean(axis=1) / np.maximum(variance, 1e-9) ** 2
    contrast = np.sqrt(variance) / np.maximum(kurtosis, 1.0) ** 0.25
    return np.asarray(np.minimum(contrast / _MOST_CONTRAST, 1.0))


def _directionality(plane: Float32[ndarray, "batch height width"]) -> Float64[ndarray, " batch"]:
    right = plane[:, 1:-1, 2:] - plane[:, 1:-1, :-2]
    down = plane[:, 2:, 1:-1] - plane[:, :-2, 1:-1]
    strength = np.hypot(right, down)
    strength = np.where(strength < _WEAK, 0, strength)
    double = 2 * np.arctan2(down, right)
    total = strength.sum(axis=(1, 2), dtype=np.float64)
    cosine = (strength * np.cos(double)).sum(axis=(1, 2), dtype=np.float64)
    sine = (strength * np.sin(double)).sum(axis=(1, 2), dtype=np.float64)
    return np.asarray(np.hypot(cosine, sine) / np.maximum(total, 1e-9))


def spread(values: Float64[ndarray, " items"], n: int) -> Float64[ndarray, "items bumps"]:
    """Spread numbers from 0 to 1 over `n` overlapping bumps; unit rows.

    The inner product of two rows is 1 for equal numbers and falls with their difference.
    """
    centers = np.linspace(0, 1, n)
    bumps = np.exp(-(((values.clip(0, 1)[:, None] - centers) * (n - 1)) ** 2) / 2)
    return np.asarray(bumps / np.linalg.norm(bumps, axis=1, keepdims=True))
