"""Outlines of instances, and the label map that they make together.

Polygons and run lengths are those of COCO; pycocotools rasterizes both, so that a pixel belongs to
an instance here exactly if it does in the official evaluation.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Final, TypeAlias

import numpy as np
from pycocotools import mask as coco_mask

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.errors import DatasetError

OVERSHOOT: Final = 0.05
"""Polygons may leave the picture by this share of its width or height, as drawing tools round;
what lies outside is cut off. Beyond that they belong to another picture."""

_MIN_COORDINATES: Final = 6

Polygons: TypeAlias = tuple["array[float]", ...]
"""Closed outlines, each `x, y, x, y, …` in pixels from the top left corner of the picture."""


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as lengths of runs, off and on in turn, down the columns.

    Attributes:
        height: Rows.
        width: Columns.
        counts: The lengths, or COCO's compressed text of them.
    """

    height: int
    width: int
    counts: "bytes | array[int]"


@dataclass(frozen=True, slots=True)
class Region:
    """Part of a picture and what it shows.

    Attributes:
        annotation: Id of the annotation, for errors.
        value: Label map value: `i + 1` for class `i`, `VOID` for a crowd.
        shape: Where it is; no polygon at all means that nobody drew it.
    """

    annotation: int | str
    value: int
    shape: Polygons | RunLengths


def parse_shape(segmentation: object, where: str) -> Polygons | RunLengths:
    """Read the `segmentation` of a COCO annotation.

    Polygons of fewer than three corners cover nothing and are left out.

    Args:
        segmentation: A list of polygons, or an object with `size` and `counts`.
        where: What to call the annotation in an error.

    Raises:
        DatasetError: If it is neither.
    """
    if isinstance(segmentation, dict):
        return _parse_run_lengths(segmentation.get("size"), segmentation.get("counts"), where)
    if not isinstance(segmentation, list):
        raise DatasetError(
            f"{where}: 'segmentation' is {_short(segmentation)}; "
            "COCO has a list of polygons or an object with 'size' and 'counts' there"
        )
    polygons = tuple(_parse_polygon(polygon, where) for polygon in segmentation)
    return tuple(polygon for polygon in polygons if len(polygon) >= _MIN_COORDINATES)


def box_shape(x: float, y: float, width: float, height: float) -> Polygons:
    """Return the outline of a box."""
    right, bottom = x + width, y + height
    return (array("d", (x, y, right, y, right, bottom, x, bottom)),)


def paint(regions: Sequence[Region], height: int, width: int, where: str) -> LabelMap:
    """Draw regions over each other: first the crowds, then the others, larger ones first.

    So a small instance stays visible on a large one, and whoever outlined one member of a crowd
    is believed. Of two with equal area the later one is on top. Pixels of no region are
    `BACKGROUND`.

    Args:
        regions: In any order.
        height: Rows of the map.
        width: Columns of the map.
        where: What to call the picture in an error.

    Raises:
        DatasetError: If a region does not fit into a map of this size.
    """
    # Runs go down the columns, so they are laid into the transposed map.
    columns = np.full(height * width, BACKGROUND, np.uint8)
    drawn = [(region.value, _runs(region, height, width, where)) for region in regions]
    for value, runs in sorted(drawn, key=_painting_order):
        stops = list(accumulate(runs))
        for start, stop in zip(stops[::2], stops[1::2], strict=False):
            columns[start:stop] = value
    return np.ascontiguousarray(columns.reshape(width, height).T)


def _painting_order(entry: tuple[int, Sequence[int]]) -> tuple[bool, int]:
    value, runs = entry
    return value != VOID, -sum(runs[1::2])


def _runs(region: Region, height: int, width: int, where: str) -> Sequence[int]:
    """Return lengths of runs, off and on in turn, that cover the picture or nothing."""
    where = f"{where}, annotation {region.annotation}"
    if isinstance(region.shape, RunLengths):
        return _checked_counts(region.shape, height, width, where)
    if not region.shape:
        return ()
    _check_inside(region.shape, height, width, where)
    polygons = [polygon.tolist() for polygon in region.shape]
    encoded = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    return _decompress(encoded["counts"])


def _check_inside(polygons: Polygons, height: int, width: int, where: str) -> None:
    corners = np.fromiter(chain.from_iterable(polygons), np.float64).reshape(-1, 2)
    size = np.array([width, height])
    slack = np.maximum(2.0, OVERSHOOT * size)
    # Written so that a coordinate that is no number fails too.
    outside = ~((corners >= -slack) & (corners <= size + slack)).all(axis=1)
    if outside.any():
        x, y = corners[np.argmax(outside)]
        raise DatasetError(
            f"{where}: polygon reaches ({x:g}, {y:g}) in a picture of {width} x {height} pixels; "
            "the annotations belong to other pictures, or to another size of them"
        )


def _checked_counts(shape: RunLengths, height: int, width: int, where: str) -> Sequence[int]:
    if (shape.height, shape.width) != (height, width):
        raise DatasetError(
            f"{where}: run lengths for {shape.width} x {shape.height} pixels in a picture of "
            f"{width} x {height}; the annotations belong to other pictures"
        )
    counts = _decompress(shape.counts) if isinstance(shape.counts, bytes) else shape.counts.tolist()
    if min(counts, default=0) < 0 or sum(counts) != height * width:
        raise DatasetError(
            f"{where}: run lengths cover {sum(counts)} of {height * width} pixels; "
            "the annotation is damaged"
        )
    return counts


def _decompress(text: bytes) -> list[int]:
    """Return the run lengths in COCO's compressed text.

    Each character holds five bits of a number, least significant first, and whether more follow;
    from the fourth number on, the difference to the number two before is stored (pycocotools,
    `maskApi.c`, `rleFrString`).
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = character - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    return counts


def _parse_polygon(polygon: object, where: str) -> "array[float]":
    try:
        # The reader of the JSON already makes arrays of lists of numbers.
        corners = polygon if isinstance(polygon, array) else array("d", polygon)  # type: ignore[call-overload]
    except TypeError:
        raise DatasetError(
            f"{where}: 'segmentation' holds {_short(polygon)} where a polygon "
            "[x, y, x, y, …] belongs"
        ) from None
    if len(corners) % 2:
        raise DatasetError(
            f"{where}: a polygon has {len(corners)} coordinates; they come in pairs of x and y"
        )
    return corners


def _parse_run_lengths(size: object, counts: object, where: str) -> RunLengths:
    match size:
        case [int(height), int(width)]:
            pass
        case _:
            raise DatasetError(
                f"{where}: run lengths have the size {_short(size)}; it is [height, width]"
            )
    if isinstance(counts, str):
        return RunLengths(height, width, counts.encode(errors="replace"))
    try:
        return RunLengths(height, width, array("q", counts))  # type: ignore[call-overload]
    except (TypeError, OverflowError):
        raise DatasetError(
            f"{where}: run lengths have the counts {_short(counts)}; they are a list of whole "
            "numbers, or text"
        ) from None


def _short(value: object, length: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}…"
