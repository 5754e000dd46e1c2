"""Names of colors, and how much of a picture each covers.

The eleven basic color terms, which languages come to share (B. Berlin, P. Kay, *Basic Color Terms*,
1969), are told apart by the nearest of several examples of each in L*a*b*.
"""

from functools import cache
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import UsageError
from lookalike.features.color import bin_centers, shares_of, to_lab

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "black": ("#000000", "#1c1c1c"),
    "white": ("#ffffff", "#f0f0f0"),
    "gray": ("#808080", "#505050", "#b0b0b0"),
    "red": ("#d02020", "#ff0000", "#900010"),
    "orange": ("#f08010", "#ffa030"),
    "yellow": ("#f0e020", "#fff080", "#c8b400"),
    "green": ("#208020", "#50c040", "#103c10", "#90c890", "#607830"),
    "blue": ("#2040d0", "#3080e0", "#101860", "#90b8f0", "#30a0c0"),
    "purple": ("#8020a0", "#502070", "#b080d8"),
    "pink": ("#ff80b0", "#f8c0d0", "#e83090"),
    "brown": ("#704020", "#503018", "#a07850"),
}
"""The first example of each stands for the name where a color is asked for by it."""

DOMINANT: Final = 0.2
"""A color that covers so much of a picture is one of its dominant colors."""


def read_color(text: str) -> UInt8[ndarray, "3"]:
    """Return the sRGB color that a person wrote: `#3060c0`, `3060c0`, or a name such as `blue`.

    Raises:
        UsageError: If it is neither.

    Example:
        >>> read_color("#3060C0"), read_color("Blue")
        (array([ 48,  96, 192], dtype=uint8), array([ 32,  64, 208], dtype=uint8))
    """
    word = text.strip().lower()
    digits = EXAMPLES[word][0][1:] if word in EXAMPLES else word.removeprefix("#")
    if len(digits) != 6 or not set(digits) <= set("0123456789abcdef"):
        raise UsageError(
            f"{text!r} is no color; write six hexadecimal digits, such as #3060c0, or one of: "
            f"{', '.join(EXAMPLES)}"
        )
    return np.frombuffer(bytes.fromhex(digits), np.uint8).copy()


def write_color(rgb: UInt8[ndarray, "3"]) -> str:
    """Return a color as `#rrggbb`."""
    return f"#{bytes(rgb).hex()}"


def name_of(rgb: UInt8[ndarray, "3"]) -> str:
    """Return the name of a color.

    Example:
        >>> name_of(np.array([200, 30, 40], np.uint8))
        'red'
    """
    return tuple(EXAMPLES)[int(_nearest(to_lab(rgb)[None])[0])]


def shares_by_name(rows: Embeddings) -> Float64[ndarray, "items names"]:
    """Return the share of each name, in the order of `EXAMPLES`, in rows of `color`.

    Each soft bin counts whole for the name of its center.
    """
    counts = np.zeros((len(bin_centers()), len(EXAMPLES)))
    counts[np.arange(len(counts)), _names_of_bins()] = 1
    shares: ndarray = shares_of(rows) @ counts
    return shares


def dominant_names(rows: Embeddings, least: float = DOMINANT) -> list[tuple[str, ...]]:
    """Return the names that cover at least so much of each picture, most first.

    Args:
        rows: Of the descriptor `color`.
        least: Share from 0 to 1.
    """
    names = tuple(EXAMPLES)
    return [
        tuple(names[at] for at in np.argsort(-shares, kind="stable") if shares[at] >= least)
        for shares in shares_by_name(rows)
    ]


@cache
def _names_of_bins() -> Int64[ndarray, " bins"]:
    return _nearest(bin_centers())


def _nearest(lab: Float64[ndarray, "colors 3"]) -> Int64[ndarray, " colors"]:
    written = [(at, text) for at, texts in enumerate(EXAMPLES.values()) for text in texts]
    examples = to_lab(np.stack([read_color(text) for _, text in written]))
    distance = np.linalg.norm(lab[:, None] - examples, axis=-1)
    nearest: ndarray = np.array([at for at, _ in written])[distance.argmin(axis=1)]
    return nearest
