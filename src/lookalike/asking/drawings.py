"""Colors and drawings of a query, as a person gives them on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lookalike.arrays import Pixels
from lookalike.features.color_words import read_color
from lookalike.gathering.places import content, named
from lookalike.images.decoding import decode
from lookalike.images.opacity import decode_with_opacity
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.drawings import Drawing
from lookalike.search.queries import Query

_SIDE: Final = 128
_UNPAINTED: Final = (255, 240)
"""Light checks where anything may be."""


@dataclass(frozen=True, slots=True)
class DrawnParts:
    """What a query may have beside examples and words; each is left out by default.

    Attributes:
        colors: Colors with percentages, such as `blue:40,#d02010:10`.
        painted_colors: Picture file, whose transparent area may be anything.
        sketch: Picture file of a line drawing.
        texture: Picture file of a swatch.
        shape: Picture file of a filled shape on a plain ground.
    """

    colors: str | None = None
    painted_colors: Path | None = None
    sketch: Path | None = None
    texture: Path | None = None
    shape: Path | None = None

    def read(self) -> dict[str, Any]:
        """Return what is given, by field of the query; what is not given is `None`.

        Raises:
            UsageError: If colors make no sense or nothing is painted.
            ImageError: If a file cannot be read; the message names it.
        """
        return {
            "colors": self.read_colors(),
            "painted_colors": self.read_painting(),
            "sketch": read_drawing(self.sketch),
            "texture": read_drawing(self.texture),
            "shape": read_drawing(self.shape),
        }

    def read_colors(self) -> ColorShares | None:
        """Return the colors with their percentages.

        Raises:
            UsageError: If they make no sense.
        """
        return None if self.colors is None else ColorShares.of(self.colors)

    def read_painting(self) -> PaintedColors | None:
        """Return the painted colors.

        Raises:
            UsageError: If nothing is painted.
            ImageError: If the file cannot be read; the message names it.
        """
        if self.painted_colors is None:
            return None
        data = content(self.painted_colors)
        with named(self.painted_colors):
            return PaintedColors.of(*decode_with_opacity(data))


def read_drawing(path: Path | None) -> Drawing | None:
    """Return the drawing in a picture file; `None` without a file.

    Raises:
        ImageError: If the file cannot be read; the message names it.
    """
    if path is None:
        return None
    data = content(path)
    with named(path):
        return Drawing.of(decode(data).pixels)


def picture_of(query: Query) -> Pixels | None:
    """Return a picture of the first part of a query that is drawn; `None` if none is."""
    for drawing in (query.sketch, query.shape, query.texture):
        if drawing is not None:
            return drawing.pixels
    if query.painted_colors is not None:
        return _picture_of_painting(query.painted_colors)
    return None if query.colors is None else _picture_of_shares(query.colors)


def _checks() -> Pixels:
    rows = np.arange(_SIDE) // 4
    checks = (rows[:, None] + rows) % 2
    return np.repeat(np.array(_UNPAINTED, np.uint8)[checks][..., None], 3, axis=2)


def _picture_of_painting(painted: PaintedColors) -> Pixels:
    picture, side = _checks(), _SIDE // 8
    for at, color in enumerate(painted.cells):
        if color is not None:
            row, column = divmod(at, 8)
            cell = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
            picture[cell] = read_color(color)
    return picture


def _picture_of_shares(colors: ColorShares) -> Pixels:
    """Draw each color as wide as it is to cover."""
    picture, left = _checks(), 0.0
    for color, percent in colors.shares:
        right = left + percent * _SIDE / 100
        picture[:, round(left) : round(right)] = read_color(color)
        left = right
    return picture
