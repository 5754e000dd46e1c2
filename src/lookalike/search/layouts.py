"""A painted layout as a value: a label map, labeled boxes, or boxes on a map."""

import base64
import binascii
import difflib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.errors import UsageError
from lookalike.search.examples import check_keys

_MOST_PIXELS: Final = 1 << 22
_NEAR_COLOR: Final = 24
"""Colors of a drawing that differ by less in each channel are taken for one of the palette: edges
that were smoothed, and what lossy formats do."""


@dataclass(frozen=True, slots=True)
class LabelBox:
    """A box with what is to be in it.

    Attributes:
        label: Name of a class of the model, or `background`.
        x0: Left edge, as a share of the picture's width.
        y0: Upper edge, as a share of its height.
        x1: Right edge.
        y1: Lower edge.

    Raises:
        UsageError: If it does not lie in the picture or is empty.
    """

    label: str
    x0: int | float
    y0: int | float
    x1: int | float
    y1: int | float

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 <= 1 and 0 <= self.y0 < self.y1 <= 1):
            raise UsageError(
                f"the box {self.x0:g},{self.y0:g},{self.x1:g},{self.y1:g} of {self.label!r} is "
                "none within the picture; give x0,y0,x1,y1 as shares from 0 to 1, x0 < x1, y0 < y1"
            )


@dataclass(frozen=True, slots=True)
class PaintedMap:
    """A label map that was painted.

    Attributes:
        data: Value of each pixel, row by row: 0 background, `i + 1` label `i`, 255 not painted.
        height: Rows of pixels.
        width: Pixels in a row.
        labels: What the values stand for, names of classes of the model.

    Raises:
        UsageError: If there is not one byte for each pixel, no pixel, or a value without label.
    """

    data: bytes
    height: int
    width: int
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        n_pixels = self.height * self.width
        if not 0 < n_pixels <= _MOST_PIXELS or len(self.data) != n_pixels:
            raise UsageError(
                f"a painted map of {self.height} × {self.width} has {n_pixels} bytes, at most "
                f"{_MOST_PIXELS}, and not {len(self.data)}"
            )
        unknown = [value for value in set(self.data) if len(self.labels) < value < VOID]
        if unknown:
            raise UsageError(
                f"the painted map holds the value {unknown[0]} and has {len(self.labels)} labels; "
                "255 is for what is not painted"
            )

    @classmethod
    def of(cls, label_map: LabelMap, classes: Sequence[str]) -> "PaintedMap":
        """Return the painting that is a label map of some classes; keeps those that are in it."""
        values = [int(v) for v in np.unique(label_map) if v not in (BACKGROUND, VOID)]
        beyond = [value for value in values if value > len(classes)]
        if beyond:
            raise UsageError(
                f"the label map holds the value {beyond[0]}; the model knows 0 for background, 1 "
                f"to {len(classes)} for its classes and 255 for what is not painted"
            )
        own = np.zeros(256, np.uint8)
        own[values], own[VOID] = np.arange(1, len(values) + 1), VOID
        labels = tuple(classes[value - 1] for value in values)
        height, width = label_map.shape
        return cls(own[label_map].tobytes(), height, width, labels)

    @property
    def label_map(self) -> UInt8[ndarray, "height width"]:
        """The painting as an array."""
        return np.frombuffer(self.data, np.uint8).reshape(self.height, self.width)

    def to_json(self) -> dict[str, Any]:
        """Return the painting as JSON knows it, compressed."""
        text = base64.b64encode(zlib.compress(self.data, 9)).decode("ascii")
        size = {"height": self.height, "width": self.width}
        return {**size, "labels": list(self.labels), "data": text}

    @classmethod
    def from_json(cls, content: Any) -> "PaintedMap":
        """Read what `to_json` gave; UsageError if it is something else."""
        check_keys(content, ("height", "width", "labels", "data"), "a painted map")
        match dict(content):
            case {
                "height": int(height),
                "width": int(width),
                "labels": list(labels),
                "data": str(text),
            }:
                names = tuple(str(label) for label in labels)
                return cls(_inflated(text), height, width, names)
        raise UsageError("a painted map has height, width, labels and data, all of them")


@dataclass(frozen=True, slots=True)
class PaintedLayout:
    """What is to be where; what is not painted may be anything.

    Attributes:
        boxes: Later ones lie on earlier ones, and all on the map.
        map: A label map.

    Raises:
        UsageError: If there is neither.
    """

    boxes: tuple[LabelBox, ...] = ()
    map: PaintedMap | None = None

    def __post_init__(self) -> None:
        if not self.boxes and self.map is None:
            raise UsageError("the painted layout is empty; give a label map or a labeled box")

    def to_json(self) -> dict[str, Any]:
        """Return the layout as JSON knows it."""
        boxes = [{"label": b.label, "box": [b.x0, b.y0, b.x1, b.y1]} for b in self.boxes]
        content: dict[str, Any] = {"boxes": boxes} if boxes else {}
        return content if self.map is None else {**content, "map": self.map.to_json()}

    @classmethod
    def from_json(cls, content: Any) -> "PaintedLayout":
        """Read what `to_json` gave, or a list of boxes alone.

        Raises:
            UsageError: If it is something else.

        Example:
            >>> PaintedLayout.from_json([{"label": "dog", "box": [0, 0.5, 1, 1]}]).boxes
            (LabelBox(label='dog', x0=0.0, y0=0.5, x1=1.0, y1=1.0),)
        """
        if isinstance(content, list):
            return cls(tuple(_box_from_json(box) for box in content))
        check_keys(content, ("boxes", "map"), "a painted layout")
        boxes, painted = content.get("boxes", []), content.get("map")
        if not isinstance(boxes, list):
            raise UsageError(f"the boxes of a layout are a JSON list, not {boxes!r:.60}")
        map_ = None if painted is None else PaintedMap.from_json(painted)
        return cls(tuple(_box_from_json(box) for box in boxes), map_)


def read_boxes(text: str) -> PaintedLayout:
    """Read boxes such as `person@0.1,0.2,0.3,0.9; dog@0.5,0.6,0.9,1`.

    Raises:
        UsageError: If the text is something else, or a box lies outside the picture.

    Example:
        >>> read_boxes("traffic light@0,0,.5,1").boxes
        (LabelBox(label='traffic light', x0=0.0, y0=0.0, x1=0.5, y1=1.0),)
    """
    boxes = []
    for part in filter(str.strip, text.split(";")):
        label, _, numbers = part.strip().rpartition("@")
        try:
            x0, y0, x1, y1 = (float(number) for number in numbers.split(","))
        except ValueError:
            raise UsageError(
                f"{part.strip()!r} is no labeled box, such as person@0.1,0.2,0.3,0.9 (x0,y0,x1,y1 "
                "as shares); put several apart by ;"
            ) from None
        boxes.append(LabelBox(label.strip(), x0, y0, x1, y1))
    return PaintedLayout(tuple(boxes))


def class_value(label: str, classes: Sequence[str]) -> int:
    """Return the value of a label in the label maps of a model.

    Raises:
        UsageError: If the model does not know it; the message names those that are written alike.

    Example:
        >>> class_value("dog", ("cat", "dog"))
        2
    """
    if label in classes:
        return classes.index(label) + 1
    if label == "background":
        return BACKGROUND
    by_lower = {name.lower(): name for name in classes}
    near = difflib.get_close_matches(label.lower(), by_lower, n=5, cutoff=0.5)
    known = [by_lower[name] for name in near] or [*classes[:8], *(["…"] if classes[8:] else [])]
    what = "did you mean" if near else "it knows"
    raise UsageError(f"the model knows no label {label!r}; {what} {', '.join(known)}")


def map_of_colors(
    pixels: UInt8[ndarray, "height width 4"],
    classes: Sequence[str],
    palette: Sequence[tuple[int, int, int]],
) -> PaintedMap:
    """Read a drawing in the colors of a model's classes; transparent pixels are not painted.

    White pixels are not painted either, unless white is the color of a class. Each pixel is taken
    for the nearest color of the palette.

    Raises:
        UsageError: If more than a hundredth of the painted pixels are far from all colors; the
            message names one of them.
    """
    colors = np.array([*palette, (255, 255, 255)], np.int16)
    values = np.array([*range(len(palette)), VOID], np.uint8)
    flat, inverse = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    distance = np.abs(flat[:, None, :3].astype(np.int16) - colors).max(axis=2)
    is_clear = flat[:, 3] < 128
    is_far = (distance.min(axis=1) > _NEAR_COLOR) & ~is_clear
    n_of_each = np.bincount(inverse.ravel(), minlength=len(flat))
    if n_of_each[is_far].sum() > max(1, n_of_each[~is_clear].sum()) / 100:
        worst = flat[np.where(is_far, n_of_each, 0).argmax(), :3]
        raise UsageError(
            f"the layout has pixels of the color #{bytes(worst.tolist()).hex()}, which stands for "
            "no class of the model; use the colors of its palette, as sheets show them"
        )
    value_of = np.where(is_clear | is_far, VOID, values[distance.argmin(axis=1)]).astype(np.uint8)
    return PaintedMap.of(value_of[inverse.reshape(pixels.shape[:2])], classes)


def _box_from_json(content: Any) -> LabelBox:
    check_keys(content, ("label", "box"), "a box of a layout")
    match dict(content):
        case {"label": str(label), "box": [x0, y0, x1, y1]} if all(
            isinstance(v, int | float) and not isinstance(v, bool) for v in (x0, y0, x1, y1)
        ):
            return LabelBox(label, float(x0), float(y0), float(x1), float(y1))
    raise UsageError(
        f'a box of a layout is {{"label": "dog", "box": [x0, y0, x1, y1]}}, not {content!r:.60}'
    )


def _inflated(text: str) -> bytes:
    try:
        packed = base64.b64decode(text, validate=True)
        return zlib.decompressobj().decompress(packed, _MOST_PIXELS + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise UsageError(f"the data of a painted map cannot be read: {error}") from error
