"""Which of the eleven basic color terms the pixels of a picture would be called by.

The terms are those of Berlin and Kay, *Basic Color Terms*, 1969. Each stands for itself and its
dark, light, dull and pale variants, at the colors which people called so in the color survey of
xkcd (Munroe, *Color Survey Results*, 2010, in the public domain). A color has the name of the
nearest of these, by the Euclidean distance in CIELAB (D65), the color space of CIE 15:2004. Of 512
other names of that survey that end in a basic term, such as "dusk blue", 80 % get that term.
"""

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float64, UInt8
from numpy import ndarray

from lookalike.arrays import Pixels

_SURVEYED: Final = {
    "black": "000000",
    "white": "ffffff",
    "gray": "929591 363737 d8dcd6",
    "red": "e50000 840000 ff474c bb3f3f d9544d",
    "orange": "f97306 c65102 fdaa48 d8863b ffa756",
    "yellow": "ffff14 d5b60a fffe7a eedc5b ffff84",
    "green": "15b01a 033500 96f97b 74a662 c7fdb5",
    "blue": "0343df 00035b 95d0fc 49759c d0fefe",
    "purple": "7e1e9c 35063e bf77f6 84597e b790d4",
    "pink": "ff81c0 cb416b ffd1df d5869d ffcfdc",
    "brown": "653700 341c02 ad8150 876e4b b1916e",
}

BASIC_COLORS: Final = tuple(_SURVEYED)
"""The names."""

LEAST_SHARE: Final = 0.05
"""Colors that take up less of a picture are left out."""

_LEVELS: Final = 32
"""Steps of each channel at which names are worked out, once."""

_TO_XYZ: Final = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""IEC 61966-2-1 (sRGB)."""


def color_shares(pixels: Pixels) -> tuple[tuple[str, float], ...]:
    """Return the names and shares of the colors of a picture, the largest first.

    Shares are from `LEAST_SHARE` to 1; equal ones are in the order of `BASIC_COLORS`.

    Example:
        >>> color_shares(np.full((8, 8, 3), (200, 30, 30), np.uint8))
        (('red', 1.0),)
    """
    steps = (pixels.reshape(-1, 3) // (256 // _LEVELS)).astype(np.int64)
    places = (steps[:, 0] * _LEVELS + steps[:, 1]) * _LEVELS + steps[:, 2]
    counts = np.bincount(_name_table()[places], minlength=len(BASIC_COLORS))
    shares = counts / max(1, len(places))
    order = np.argsort(-shares, kind="stable")
    return tuple(
        (BASIC_COLORS[at], round(float(shares[at]), 4)) for at in order if shares[at] >= LEAST_SHARE
    )


@cache
def _name_table() -> UInt8[ndarray, " colors"]:
    """Return the name, as its place in `BASIC_COLORS`, of every color at `_LEVELS` per channel."""
    names = [at for at, texts in enumerate(_SURVEYED.values()) for _ in texts.split()]
    surveyed = [bytes.fromhex(text) for texts in _SURVEYED.values() for text in texts.split()]
    anchors = _to_lab(np.array([list(color) for color in surveyed], np.float64))
    middles = (np.arange(_LEVELS) + 0.5) * (256 / _LEVELS)
    grid = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    lab = _to_lab(grid.reshape(-1, 3))
    squared = (lab**2).sum(1)[:, None] - 2 * lab @ anchors.T + (anchors**2).sum(1)
    table: ndarray = np.array(names, np.uint8)[squared.argmin(axis=1)]
    return table


def _to_lab(colors: Float64[ndarray, "colors 3"]) -> Float64[ndarray, "colors 3"]:
    """Turn sRGB from 0 to 255 into L*, a*, b*."""
    channels = colors / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    relative = linear @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    cubic = np.where(
        relative > (6 / 29) ** 3, np.cbrt(relative), relative * (29 / 6) ** 2 / 3 + 4 / 29
    )
    x, y, z = cubic.T
    lab: ndarray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    return lab
