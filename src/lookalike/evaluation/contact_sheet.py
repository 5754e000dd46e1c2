"""Queries and their hits as one picture: what a person looks at before believing any number."""

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from lookalike.arrays import Pixels
from lookalike.datasets.scenes import colorize
from lookalike.errors import UsageError
from lookalike.evaluation.pens import (
    BADGE,
    FADED,
    INK,
    NOT_RELEVANT,
    PANEL,
    PAPER,
    RELEVANT,
    RULE,
    Color,
    paste,
    paste_badge,
    rounded,
    text_width,
    write_line,
)

_MARGIN: Final = 44
_GAP: Final = 14
_GUTTER: Final = 40
_RADIUS: Final = 7
_FRAME: Final = 3
_BOXED_PX: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class SheetPicture:
    """One picture on a contact sheet.

    Attributes:
        pixels: The picture at any size; it is fitted whole into its cell.
        is_relevant: Marked by a green frame with a check, or a vermilion one with a cross; `None`
            for a query, which has a dark frame and no mark.
        label_map: Drawn beneath in the colors of the classes, stretched to the picture's size.
        caption: A few words beneath.
        description: What is in it, for those who cannot see it; used where pictures become text.
    """

    pixels: Pixels
    is_relevant: bool | None = None
    label_map: UInt8[ndarray, "map_height map_width"] | None = None
    caption: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SheetRow:
    """The hits of one system, best first, beneath the name of the system."""

    hits: tuple[SheetPicture, ...]
    name: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class SheetQuery:
    """A query beside one row of hits for each system."""

    query: SheetPicture
    rows: tuple[SheetRow, ...]


@dataclass(frozen=True, slots=True)
class Legend:
    """Names of the classes and their colors, one more than names: the first is background's."""

    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]


def draw_contact_sheet(
    queries: Sequence[SheetQuery],
    *,
    title: str = "",
    subtitle: str = "",
    legend: Legend | None = None,
    cell_px: int = 148,
    headings: tuple[str, str] = ("Query", "Hits, best first"),
) -> Pixels:
    """Draw queries on the left, their hits to the right of them, best first.

    Args:
        queries: What to show, from top to bottom.
        title: Headline.
        subtitle: A line beneath the headline.
        legend: Colors of the label maps; needed if any picture has one.
        headings: What is on the left, and what to the right of it.
        cell_px: Width of a picture. Cells have the median proportions of the pictures shown.

    Raises:
        UsageError: If there is no query or a label map without legend.
    """
    if not queries:
        raise UsageError("a contact sheet needs at least one query; none was given")
    sheet = _Sheet(queries, legend, cell_px, headings)
    canvas = Image.new("RGB", sheet.size(title, subtitle), PAPER)
    y = sheet.draw_heading(canvas, title, subtitle)
    for position, query in enumerate(queries):
        if position:
            sheet.draw_rule(canvas, y - _GUTTER // 2 - 4)
        y = sheet.draw_query(canvas, query, y)
    sheet.draw_legend(canvas, y)
    return np.asarray(canvas)


def sheet_png(sheet: Pixels) -> bytes:
    """Encode a contact sheet as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def draw_words(text: str, side: int = 148) -> Pixels:
    """Write words into a square, in place of a picture; what does not fit is left out."""
    canvas = Image.new("RGB", (side, side), PANEL)
    columns, size = 17, side // 10
    for row, line in enumerate(textwrap.wrap(text, columns)[: side // (size + 4) - 1]):
        place = (size, size + row * (size + 4))
        write_line(canvas, place, line, size, INK, side - 2 * size)
    return np.asarray(canvas)


def draw_box(pixels: Pixels, box: Sequence[float]) -> UInt8[ndarray, "drawn_height drawn_width 3"]:
    """Draw a box, x0, y0, x1, y1 as shares of the picture, in a color seen on light and dark.

    Small pictures are enlarged, each pixel to a square.
    """
    # On tiny pictures lines would be as coarse as these.
    factor = -(-_BOXED_PX // max(pixels.shape[:2]))
    canvas = Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))
    x0, y0, x1, y1 = (
        round(share * (length - 1))
        for share, length in zip(box, (*canvas.size, *canvas.size), strict=True)
    )
    strength = max(1, round(max(canvas.size) / 80))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((x0, y0, x1, y1), outline=PAPER, width=2 * strength)
    draw.rectangle((x0, y0, x1, y1), outline=NOT_RELEVANT, width=strength)
    return np.asarray(canvas)


def all_pictures(queries: Sequence[SheetQuery]) -> list[SheetPicture]:
    """List every picture that a sheet shows, queries and hits."""
    return [
        picture
        for query in queries
        for picture in (query.query, *(hit for row in query.rows for hit in row.hits))
    ]


def median_proportion(pictures: Sequence[SheetPicture]) -> float:
    """Width over height of the cell that suits most pictures, never extreme."""
    proportions = [p.pixels.shape[1] / p.pixels.shape[0] for p in pictures]
    return float(np.clip(np.median(proportions), 0.66, 1.6))


class _Sheet:
    """Where everything goes, worked out once from what is to be shown."""

    def __init__(
        self,
        queries: Sequence[SheetQuery],
        legend: Legend | None,
        cell_px: int,
        headings: tuple[str, str],
    ) -> None:
        pictures = all_pictures(queries)
        self.headings = headings
        self.has_maps = any(picture.label_map is not None for picture in pictures)
        if self.has_maps and legend is None:
            raise UsageError("label maps are drawn in the colors of their classes; give a legend")
        self.palette = legend.palette if legend else ()
        self.shown_classes = _shown_classes(pictures, legend)
        self.cell = (cell_px, round(cell_px / median_proportion(pictures)))
        self.has_marks = any(picture.is_relevant is not None for picture in pictures)
        self.has_captions = any(picture.caption for picture in pictures)
        self.has_names = any(row.name for query in queries for row in query.rows)
        self.n_hits = max((len(row.hits) for query in queries for row in query.rows), default=0)
        self.n_rows = [max(1, len(query.rows)) for query in queries]

    @property
    def width(self) -> int:
        hits = self.n_hits * (self.cell[0] + _GAP) - _GAP
        return 2 * _MARGIN + self.cell[0] + _GUTTER + max(hits, 2 * self.cell[0])

    @property
    def row_height(self) -> int:
        pictures = (2 * self.cell[1] + _GAP // 2) if self.has_maps else self.cell[1]
        return pictures + (26 if self.has_captions else 0) + (30 if self.has_names else 0)

    def size(self, title: str, subtitle: str) -> tuple[int, int]:
        heading = self.draw_heading(None, title, subtitle)
        rows = sum(n * self.row_height + (n - 1) * _GAP + _GUTTER for n in self.n_rows)
        return self.width, heading + rows + self.draw_legend(None, 0) + _MARGIN - _GAP

    def draw_heading(self, canvas: Image.Image | None, title: str, subtitle: str) -> int:
        """Draw the heading, or only measure it; return where the queries start."""
        y = _MARGIN - 8
        for text, size, color in ((title, 30, INK), (subtitle, 17, FADED)):
            if text:
                if canvas:
                    write_line(canvas, (_MARGIN, y), text, size, color, self.width - 2 * _MARGIN)
                y += round(size * 1.45)
        y += 14 if title or subtitle else 0
        if canvas:
            for x, text in zip((_MARGIN, self._x_of_hit(0)), self.headings, strict=True):
                write_line(canvas, (x, y), text, 15, FADED, self.cell[0])
        return y + 30

    def draw_rule(self, canvas: Image.Image, y: int) -> None:
        line = ((_MARGIN, y), (self.width - _MARGIN, y))
        ImageDraw.Draw(canvas).line(line, fill=RULE, width=1)

    def draw_query(self, canvas: Image.Image, query: SheetQuery, y: int) -> int:
        """Draw one query with its rows; return where the next begins."""
        below_name = 30 if self.has_names else 0
        self._draw_picture(canvas, query.query, (_MARGIN, y + below_name))
        for row in query.rows:
            if row.name:
                place = (self._x_of_hit(0), y)
                write_line(canvas, place, row.name, 17, INK, self.width - _MARGIN - place[0])
            for rank, hit in enumerate(row.hits):
                self._draw_picture(canvas, hit, (self._x_of_hit(rank), y + below_name))
            y += self.row_height + _GAP
        return y - _GAP + _GUTTER

    def draw_legend(self, canvas: Image.Image | None, y: int) -> int:
        """Draw what colors and marks mean, or only measure it; return the height."""
        x, top = _MARGIN, y
        if self.has_marks:
            self._draw_marks(canvas, y)
            y += 38
        for name, color in self.shown_classes:
            needed = 16 + 7 + text_width(name, 15) + 20
            if x > _MARGIN and x + needed > self.width - _MARGIN:
                x, y = _MARGIN, y + 26
            if canvas:
                paste(canvas, (x, y + 1), rounded((16, 16), 4), color)
                write_line(canvas, (x + 23, y), name, 15, FADED, self.width)
            x += needed
        return y + (26 if self.shown_classes else 0) - top

    def _draw_marks(self, canvas: Image.Image | None, y: int) -> None:
        x = _MARGIN
        for is_relevant, text in ((True, "relevant to the query"), (False, "not relevant")):
            if canvas:
                paste_badge(canvas, (x, y), is_relevant)
                write_line(canvas, (x + BADGE + 8, y + 2), text, 15, FADED, self.width)
            x += BADGE + 8 + text_width(text, 15) + 26

    def _x_of_hit(self, rank: int) -> int:
        return _MARGIN + self.cell[0] + _GUTTER + rank * (self.cell[0] + _GAP)

    def _draw_picture(
        self, canvas: Image.Image, picture: SheetPicture, place: tuple[int, int]
    ) -> None:
        x, y = place
        paste(canvas, place, rounded(self.cell, _RADIUS), PANEL)
        image = Image.fromarray(picture.pixels)
        size = _fitted(image.size, self.cell)
        self._paste_fitted(canvas, image.resize(size, Image.Resampling.LANCZOS), place)
        self._draw_frame(canvas, picture.is_relevant, place)
        y += self.cell[1] + _GAP // 2
        if self.has_maps:
            if picture.label_map is not None:
                painted = Image.fromarray(colorize(picture.label_map, self.palette))
                paste(canvas, (x, y), rounded(self.cell, _RADIUS), PANEL)
                self._paste_fitted(canvas, painted.resize(size, Image.Resampling.NEAREST), (x, y))
            y += self.cell[1] + _GAP // 2
        write_line(canvas, (x + 2, y), picture.caption, 15, FADED, self.cell[0])

    def _paste_fitted(
        self, canvas: Image.Image, image: Image.Image, place: tuple[int, int]
    ) -> None:
        x = place[0] + (self.cell[0] - image.width) // 2
        y = place[1] + (self.cell[1] - image.height) // 2
        canvas.paste(image, (x, y), rounded(image.size, _RADIUS))

    def _draw_frame(
        self, canvas: Image.Image, is_relevant: bool | None, place: tuple[int, int]
    ) -> None:
        outer = (self.cell[0] + 2 * _FRAME, self.cell[1] + 2 * _FRAME)
        color = INK if is_relevant is None else RELEVANT if is_relevant else NOT_RELEVANT
        corner = (place[0] - _FRAME, place[1] - _FRAME)
        paste(canvas, corner, rounded(outer, _RADIUS + _FRAME, outline=_FRAME), color)
        if is_relevant is not None:
            x = place[0] + self.cell[0] - BADGE * 2 // 3
            paste_badge(canvas, (x, place[1] - BADGE // 3), is_relevant)


def _shown_classes(
    pictures: Sequence[SheetPicture], legend: Legend | None
) -> list[tuple[str, Color]]:
    if legend is None:
        return []
    values = [np.unique(p.label_map) for p in pictures if p.label_map is not None]
    shown = set(np.concatenate(values).tolist()) if values else set()
    return [
        (name, legend.palette[position + 1])
        for position, name in enumerate(legend.classes)
        if position + 1 in shown
    ]


def _fitted(size: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    scale = min(cell[0] / size[0], cell[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
