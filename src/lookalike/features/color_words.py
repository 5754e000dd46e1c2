"""Colors as a person writes them: hexadecimal digits, or one of the eleven basic names."""

from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.features.color_names import color_shares

MEANT: Final[dict[str, str]] = {
    "black": "000000",
    "white": "ffffff",
    "gray": "808080",
    "red": "d02020",
    "orange": "f08010",
    "yellow": "f0e020",
    "green": "208020",
    "blue": "2040d0",
    "purple": "8020a0",
    "pink": "ff80b0",
    "brown": "704020",
}
"""What is asked for by a name."""


def read_color(text: str) -> UInt8[ndarray, "3"]:
    """Return the sRGB color that a person wrote: `#3060c0`, `3060c0`, or a name such as `blue`.

    Raises:
        UsageError: If it is neither.

    Example:
        >>> read_color("#3060C0"), read_color("Blue")
        (array([ 48,  96, 192], dtype=uint8), array([ 32,  64, 208], dtype=uint8))
    """
    word = text.strip().lower()
    digits = MEANT[word] if word in MEANT else word.removeprefix("#")
    if len(digits) != 6 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            f"{text!r} is no color; write six hexadecimal digits, such as #3060c0, or one of: "
            f"{', '.join(MEANT)}"
        )
    return np.frombuffer(bytes.fromhex(digits), np.uint8).copy()


def write_color(rgb: UInt8[ndarray, "3"]) -> str:
    """Return a color as `#rrggbb`."""
    return f"#{bytes(rgb).hex()}"


def name_of(rgb: UInt8[ndarray, "3"]) -> str:
    """Return the basic name of a color; see `lookalike.features.color_names`.

    Example:
        >>> name_of(np.array([200, 30, 40], np.uint8))
        'red'
    """
    [(name, _)] = color_shares(rgb[None, None])
    return name
