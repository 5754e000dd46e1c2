"""The outline of what stands out of a picture, and of shapes that a person draws."""

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Bool, Complex128, Float32, Float64
from numpy import ndarray

from lookalike.arrays import Embeddings, PixelBatch, Pixels
from lookalike.errors import UsageError
from lookalike.features.color import block_means, on_sphere, to_coarse_lab, to_lab

ORDER: Final = 10
"""Highest order of the Zernike moments."""

_LONGEST: Final = 4.0
"""Rows of moments are scaled by this; those of common shapes have lengths about 1 before."""

_SIDE: Final = 64
_DISC: Final = 48
_BORDER: Final = 3
_SEGMENTS: Final = 4
_LEAST_SHARE: Final = 0.01
_MOST_SHARE: Final = 0.85
_LEAST_CONTRAST: Final = 12.0
"""In units of L*a*b*; what differs less from the border does not stand out."""


def silhouette_rows(pixels: PixelBatch) -> Embeddings:
    """Return Zernike moments of what stands out of each picture; unit rows, zero if nothing does.

    See `foreground` for what stands out and `moments` for the row.
    """
    rows = np.zeros((len(pixels), n_moments() + 1), np.float32)
    small = to_coarse_lab(block_means(pixels, _SIDE).astype(np.uint8))
    for row, lab in zip(rows, small, strict=True):
        mask = foreground(lab)
        if mask is not None:
            row[:] = moments(mask)
    return rows


def foreground(lab: Float32[ndarray, "side side 3"]) -> Bool[ndarray, "side side"] | None:
    """Return the largest connected part that differs from the border; `None` if nothing does.

    Each pixel's distance to the nearest of sixteen mean colors along the border is cut by Otsu's
    threshold, at 12 units of L*a*b* or more. Holes are filled. Parts under 1 % or over 85 % of the
    picture do not count as a thing that stands out.

    References:
        N. Otsu, *A Threshold Selection Method from Gray-Level Histograms*, IEEE Transactions on
        Systems, Man, and Cybernetics 9(1), 1979.
    """
    from scipy import ndimage  # noqa: PLC0415 - a search need not wait for it

    distance = _distance(lab.reshape(-1, 3), _border_colors(lab)).reshape(lab.shape[:2])
    is_apart = distance > max(_otsu(distance), _LEAST_CONTRAST)
    parts, n_parts = ndimage.label(is_apart)
    if n_parts == 0:
        return None
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    mask: ndarray = ndimage.binary_fill_holes(parts == largest)
    return mask if _LEAST_SHARE <= mask.mean() <= _MOST_SHARE else None


def _distance(
    colors: Float32[ndarray, "pixels 3"], border: Float32[ndarray, "segments 3"]
) -> Float32[ndarray, " pixels"]:
    """Return the distance of each color to the nearest of the border's."""
    square = (border**2).sum(axis=1) - 2 * colors @ border.T
    nearest = square.min(axis=1) + (colors**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(nearest, 0)))


def _border_colors(lab: Float32[ndarray, "side side 3"]) -> Float32[ndarray, "segments 3"]:
    sides = (
        lab[:_BORDER].mean(axis=0),
        lab[-_BORDER:].mean(axis=0),
        lab[:, :_BORDER].mean(axis=1),
        lab[:, -_BORDER:].mean(axis=1),
    )
    return np.concatenate([side.reshape(_SEGMENTS, -1, 3).mean(axis=1) for side in sides])


def _otsu(values: Float32[ndarray, "side side"]) -> float:
    counts, edges = np.histogram(values, bins=64)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    apart = (sums[-1] * below - sums * below[-1]) ** 2 / np.maximum(below * above, 1)
    return float(edges[1 + int(np.argmax(apart[:-1]))])


def moments(mask: Bool[ndarray, "height width"]) -> Float32[ndarray, " dim"]:
    """Return the lengths of a shape's Zernike moments, on a sphere; one unit row.

    `A_nm = (n + 1) / π · Σ V*_nm(ρ, θ)` over the shape, its center of mass in the middle of the
    unit disc and its farthest point on the rim, by the moment `A_00`. The lengths `|A_nm|` for
    `2 <= n <= 10` and `0 <= m <= n`, `n - m` even, do not change when the shape is moved, scaled,
    turned or mirrored.

    Args:
        mask: True inside of the shape, which has at least one pixel.

    References:
        A. Khotanzad, Y. H. Hong, *Invariant Image Recognition by Zernike Moments*, IEEE TPAMI
        12(5), 1990.
    """
    disc = _on_disc(mask)
    values = np.abs(_basis() @ disc.ravel())
    row: ndarray = on_sphere((values[1:] / max(values[0], 1e-9) / _LONGEST)[None])[0]
    return row


def n_moments() -> int:
    """Number of moments in a row."""
    return len(_orders()) - 1


def _orders() -> list[tuple[int, int]]:
    orders = [(n, m) for n in range(2, ORDER + 1) for m in range(n % 2, n + 1, 2)]
    return [(0, 0), *orders]


@cache
def _basis() -> Complex128[ndarray, "orders pixels"]:
    at = (np.arange(_DISC) + 0.5) * 2 / _DISC - 1
    x, y = np.meshgrid(at, at)
    radius, angle = np.hypot(x, y).ravel(), np.arctan2(y, x).ravel()
    rows = [
        (n + 1) * _radial(n, m, radius) * np.exp(-1j * m * angle) * (radius <= 1)
        for n, m in _orders()
    ]
    return np.stack(rows)


def _radial(n: int, m: int, radius: Float64[ndarray, " pixels"]) -> Float64[ndarray, " pixels"]:
    """Return the radial polynomial; see `moments`."""
    factorial = [1]
    for i in range(1, n + 1):
        factorial.append(factorial[-1] * i)
    total = np.zeros_like(radius)
    for s in range((n - m) // 2 + 1):
        divisor = factorial[s] * factorial[(n + m) // 2 - s] * factorial[(n - m) // 2 - s]
        total += (-1) ** s * factorial[n - s] / divisor * radius ** (n - 2 * s)
    return total


def _on_disc(mask: Bool[ndarray, "height width"]) -> Float64[ndarray, "disc disc"]:
    """Sample a mask so that its center of mass is in the middle and it reaches the rim."""
    down, right = np.nonzero(mask)
    center = np.array([down.mean(), right.mean()])
    radius = float(np.hypot(down - center[0], right - center[1]).max()) + 0.5
    at = ((np.arange(_DISC) + 0.5) * 2 / _DISC - 1) * radius
    rows = np.rint(center[0] + at).astype(np.int64)
    columns = np.rint(center[1] + at).astype(np.int64)
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), np.float64)
    padded[1:-1, 1:-1] = mask
    rows = rows.clip(-1, mask.shape[0]) + 1
    columns = columns.clip(-1, mask.shape[1]) + 1
    return np.asarray(padded[np.ix_(rows, columns)])


def drawn_mask(pixels: Pixels) -> Bool[ndarray, "height width"]:
    """Return what is drawn on a plain ground, as a filled shape.

    Drawn is what differs from the median color of the border by more than Otsu's threshold; a
    closed line is filled.

    Raises:
        UsageError: If nothing is drawn.
    """
    from scipy import ndimage  # noqa: PLC0415 - a search need not wait for it

    lab = to_lab(pixels).astype(np.float32)
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    distance = np.linalg.norm(lab - np.median(border, axis=0), axis=-1)
    mask: ndarray = ndimage.binary_fill_holes(distance > max(_otsu(distance), _LEAST_CONTRAST))
    if not mask.any():
        raise UsageError("the outline is blank; draw a filled shape on a plain ground")
    return mask
