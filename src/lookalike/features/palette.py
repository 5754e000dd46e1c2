"""The few colors that a picture is made of."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Pixels
from lookalike.errors import UsageError
from lookalike.features.color import to_lab, to_rgb
from lookalike.features.color_words import name_of, write_color

MOST_COLORS: Final = 16
_SIDE: Final = 64
_SAME: Final = 6.0
"""Colors nearer than this in L*a*b* are one."""


@dataclass(frozen=True, slots=True)
class PaletteColor:
    """A color of a picture.

    Attributes:
        color: `#rrggbb`.
        name: One of `color_names.BASIC_COLORS`.
        share: Of the picture, from 0 to 1.
    """

    color: str
    name: str
    share: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"color": self.color, "name": self.name, "share": round(self.share, 4)}


def palette(pixels: Pixels, n_colors: int = 5, *, seed: int = 0) -> list[PaletteColor]:
    """Return the main colors of a picture, those that cover most first.

    k-means in L*a*b* on 64 × 64 pixels of the picture, started by k-means++. Pictures of fewer
    colors give fewer; the shares sum to 1.

    Args:
        pixels: RGB at any size.
        n_colors: At most so many, 16 or fewer.
        seed: Of the start.

    Raises:
        UsageError: If the number makes no sense.

    References:
        D. Arthur, S. Vassilvitskii, *k-means++: The Advantages of Careful Seeding*, SODA 2007.
    """
    if not 1 <= n_colors <= MOST_COLORS:
        raise UsageError(f"a palette has 1 to {MOST_COLORS} colors, not {n_colors}")
    # Pixels are picked, not averaged: mixtures along edges are no colors of the picture.
    rows, columns = ((np.arange(_SIDE) * n + n // 2) // _SIDE for n in pixels.shape[:2])
    lab = to_lab(pixels[np.ix_(rows, columns)].reshape(-1, 3))
    centers, shares = _clusters(lab, n_colors, seed)
    order = np.argsort(-shares, kind="stable")
    found = zip(to_rgb(centers[order]), shares[order], strict=True)
    return [PaletteColor(write_color(rgb), name_of(rgb), float(share)) for rgb, share in found]


def _clusters(
    lab: Float64[ndarray, "pixels 3"], n_colors: int, seed: int
) -> tuple[Float64[ndarray, "colors 3"], Float64[ndarray, " colors"]]:
    from scipy.cluster.vq import kmeans2  # noqa: PLC0415 - only where colors are described

    distinct = np.unique(lab.round(3), axis=0)
    if len(distinct) <= n_colors:
        centers = distinct
    else:
        rng = np.random.default_rng(seed)
        centers, _ = kmeans2(lab, n_colors, minit="++", rng=rng, missing="warn")
    return _merged(centers, lab)


def _merged(
    centers: Float64[ndarray, "colors 3"], lab: Float64[ndarray, "pixels 3"]
) -> tuple[Float64[ndarray, "kept 3"], Float64[ndarray, " kept"]]:
    """Leave out centers that are all but the same as another, and those of no pixel."""
    kept: list[int] = []
    for at, center in enumerate(centers):
        apart = [np.linalg.norm(center - centers[other]) >= _SAME for other in kept]
        if all(apart):
            kept.append(at)
    distance = np.linalg.norm(lab[:, None] - centers[kept], axis=-1)
    counts = np.bincount(distance.argmin(axis=1), minlength=len(kept))
    used = counts > 0
    return centers[kept][used], counts[used] / len(lab)
