"""Draws the shapes that things in generated scenes are made of."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image, ImageDraw

from lookalike.datasets.scene_textures import Color, lit

SUPERSAMPLING: Final = 4
"""Things are drawn this many times larger and then averaged, for smooth outlines."""

Point: TypeAlias = tuple[float, float]
Tile: TypeAlias = Float32[ndarray, "4 height width"]
"""Red, green and blue times alpha, in 0 to 255, and alpha, in `[0, 1]`."""


class Pen:
    """Draws filled shapes in unit coordinates under a given light."""

    def __init__(self, width: int, height: int, tint: Color, *, mirrored: bool) -> None:
        self._size = (width * SUPERSAMPLING, height * SUPERSAMPLING)
        self._image = Image.new("RGBA", self._size)
        self._draw = ImageDraw.Draw(self._image)
        self._tint = tint
        self._mirrored = mirrored

    def polygon(self, points: Sequence[Point], color: Color, *, glows: bool = False) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._at(*point) for point in points], fill=self._ink(color, glows))

    def box(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        """Fill an upright rectangle."""
        self._draw.rectangle(self._bounds(x0, y0, x1, y1), fill=self._ink(color, glows=False))

    def window(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        """Fill an upright rectangle that shines by itself."""
        self._draw.rectangle(self._bounds(x0, y0, x1, y1), fill=self._ink(color, glows=True))

    def rounded(
        self, x0: float, y0: float, x1: float, y1: float, radius: float, color: Color
    ) -> None:
        """Fill a rectangle with round corners; `radius` is a share of the tile's width."""
        bounds = self._bounds(x0, y0, x1, y1)
        self._draw.rounded_rectangle(
            bounds, radius * self._size[0], fill=self._ink(color, glows=False)
        )

    def ellipse(
        self, x: float, y: float, rx: float, ry: float, color: Color, *, glows: bool = False
    ) -> None:
        """Fill an ellipse around (x, y)."""
        bounds = self._bounds(x - rx, y - ry, x + rx, y + ry)
        self._draw.ellipse(bounds, fill=self._ink(color, glows))

    def tile(self) -> Tile:
        """What was drawn."""
        small = self._image.convert("RGBa").reduce(SUPERSAMPLING)
        tile = np.asarray(small).transpose(2, 0, 1).astype(np.float32)
        tile[3] /= 255
        return tile

    def _at(self, x: float, y: float) -> Point:
        x = 1 - x if self._mirrored else x
        return x * self._size[0], y * self._size[1]

    def _bounds(
        self, x0: float, y0: float, x1: float, y1: float
    ) -> tuple[float, float, float, float]:
        left, top = self._at(x0, y0)
        right, bottom = self._at(x1, y1)
        return min(left, right), min(top, bottom), max(left, right), max(top, bottom)

    def _ink(self, color: Color, glows: bool) -> tuple[int, int, int]:
        red, green, blue = color if glows else lit(color, self._tint)
        return int(red), int(green), int(blue)
