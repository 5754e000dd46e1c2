"""Colors as a query: how much of each, or painted where they are to be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.features.color import CELLS, to_lab
from lookalike.features.color_words import read_color, write_color

MOST_SHARES: Final = 16


@dataclass(frozen=True, slots=True)
class ColorShares:
    """How much of a picture is to have which color; the rest may be anything.

    Attributes:
        shares: Color, as `#rrggbb` or a name such as `blue`, and percentage of the picture.

    Raises:
        UsageError: If there are none or more than 16, a color is unknown, or a percentage is not
            above 0, or all together exceed 100.

    Example:
        >>> ColorShares.of("#3060c0:40, red:10").shares
        (('#3060c0', 40.0), ('red', 10.0))
    """

    shares: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.shares) <= MOST_SHARES:
            raise UsageError(
                f"{len(self.shares)} colors with a percentage; give 1 to {MOST_SHARES}, such as "
                "blue:40,#d02010:10"
            )
        for color, percent in self.shares:
            read_color(color)
            if not 0 < percent <= 100:
                raise UsageError(f"{color} is to cover {percent:g} %; give more than 0, up to 100")
        total = sum(percent for _, percent in self.shares)
        if total > 100 + 1e-6:
            raise UsageError(
                f"the colors are to cover {total:g} % of the picture together; give 100 or less"
            )

    @classmethod
    def of(cls, text: str) -> "ColorShares":
        """Read colors with percentages, such as `#3060c0:40,red:10`.

        Raises:
            UsageError: If it is no such text.
        """
        shares = []
        for part in text.split(","):
            color, _, percent = part.strip().rpartition(":")
            try:
                shares.append((color, float(percent.removesuffix("%"))))
            except ValueError:
                raise UsageError(
                    f"{part.strip()!r} is no color with its percentage, such as blue:40"
                ) from None
        return cls(tuple(shares))

    @property
    def lab(self) -> Float64[ndarray, "colors 3"]:
        """The colors in L*a*b*."""
        return to_lab(np.stack([read_color(color) for color, _ in self.shares]))

    @property
    def amounts(self) -> Float64[ndarray, " colors"]:
        """The shares from 0 to 1."""
        return np.array([percent for _, percent in self.shares], np.float64) / 100

    def to_json(self) -> list[list[Any]]:
        """Return the colors and percentages as JSON knows them."""
        return [[color, percent] for color, percent in self.shares]

    @classmethod
    def from_json(cls, content: object) -> "ColorShares":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is something else.
        """
        pairs = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
        shares = tuple(
            (pair[0], float(pair[1]))
            for pair in pairs
            if isinstance(pair, Sequence) and len(pair) == 2 and _are_share(*pair)
        )
        if not pairs or len(shares) != len(pairs):
            raise UsageError(
                f'colors of a query are a JSON list such as [["#3060c0", 40]], not {content!r:.60}'
            )
        return cls(shares)


def _are_share(color: object, percent: object) -> bool:
    is_number = isinstance(percent, int | float) and not isinstance(percent, bool)
    return isinstance(color, str) and is_number


@dataclass(frozen=True, slots=True)
class PaintedColors:
    """Colors painted on a canvas of 8 × 8 cells; cells without a color may be anything.

    Attributes:
        cells: 64 colors, `#rrggbb` or a name, row by row from the upper left; `None` is not
            painted.

    Raises:
        UsageError: If there are not 64, a color is unknown, or nothing is painted.
    """

    cells: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if len(self.cells) != CELLS**2:
            raise UsageError(
                f"a painting has {CELLS} rows of {CELLS} cells, not {len(self.cells)} cells"
            )
        if not any(self.cells):
            raise UsageError("nothing is painted; paint at least one of the 8 × 8 cells")
        for color in self.cells:
            if color is not None:
                read_color(color)

    @classmethod
    def of(
        cls,
        rgb: UInt8[ndarray, "height width 3"],
        opacity: UInt8[ndarray, "height width"] | None = None,
    ) -> "PaintedColors":
        """Return the painting of a picture; what is transparent is not painted.

        A cell has the mean color of its opaque pixels, if they are at least half of it.

        Raises:
            UsageError: If nothing is opaque.
        """
        shape = rgb.shape[:2]
        weight = np.full(shape, 1.0) if opacity is None else opacity / 255.0
        rows, columns = (np.minimum(np.arange(8 * CELLS) * n // (8 * CELLS), n - 1) for n in shape)
        at = np.ix_(rows, columns)
        tiles = (CELLS, 8, CELLS, 8)
        opaque = weight[at].reshape(tiles).sum(axis=(1, 3))
        colors = (rgb[at] * weight[at][..., None]).reshape(*tiles, 3).sum(axis=(1, 3))
        mean = (colors / np.maximum(opaque, 1e-9)[..., None]).round().astype(np.uint8)
        return cls(
            tuple(
                write_color(color) if share >= 32 else None
                for color, share in zip(mean.reshape(-1, 3), opaque.ravel(), strict=True)
            )
        )

    @property
    def is_painted(self) -> Bool[ndarray, "8 8"]:
        """Which cells are painted."""
        return np.array([color is not None for color in self.cells]).reshape(CELLS, CELLS)

    @property
    def lab(self) -> Float64[ndarray, "8 8 3"]:
        """The colors in L*a*b*; any where nothing is painted."""
        colors = np.stack([read_color(color or "black") for color in self.cells])
        return to_lab(colors).reshape(CELLS, CELLS, 3)

    def to_json(self) -> list[list[str | None]]:
        """Return the rows of cells as JSON knows them."""
        return [list(self.cells[at : at + CELLS]) for at in range(0, CELLS**2, CELLS)]

    @classmethod
    def from_json(cls, content: object) -> "PaintedColors":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is something else.
        """
        rows = content if isinstance(content, Sequence) and not isinstance(content, str) else ()
        is_sound = len(rows) == CELLS and all(
            isinstance(row, Sequence)
            and len(row) == CELLS
            and all(cell is None or isinstance(cell, str) for cell in row)
            for row in rows
        )
        if not is_sound:
            raise UsageError(
                "painted colors are a JSON list of 8 rows of 8 colors or nulls, not "
                f"{content!r:.60}"
            )
        return cls(tuple(cell for row in rows for cell in row))
