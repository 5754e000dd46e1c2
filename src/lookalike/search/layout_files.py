"""Painted layouts as a person gives them: boxes in words, JSON, or a picture."""

import io
import json
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from lookalike.arrays import VOID
from lookalike.errors import ImageError, UsageError
from lookalike.images.files import display_path
from lookalike.model_folder import ModelCard
from lookalike.search.layouts import PaintedLayout, PaintedMap, map_of_colors, read_boxes

_MOST_BYTES: Final = 1 << 24
_MOST_PIXELS: Final = 1 << 22


def read_layout(given: str, card: ModelCard) -> PaintedLayout:
    """Read a painted layout: labeled boxes, a JSON file of them, or a PNG file.

    A PNG file is a drawing in the colors of the model's palette, where white and transparent
    pixels are not painted, or an indexed or gray picture whose values are those of label maps: 0
    for background, `i + 1` for class `i` of the model, 255 for what is not painted. An indexed
    picture whose colors are those of the palette is a drawing, whatever its values are.

    Args:
        given: `person@0.1,0.2,0.3,0.9; dog@…`, or the path of a file.
        card: Of the model, which knows the labels.

    Raises:
        UsageError: If it is none of these, or has a label, value or color that the model does not
            know.
        ImageError: If the file cannot be read.
    """
    path = Path(given).expanduser()
    if "@" in given and not path.is_file():
        return read_boxes(given)
    name = display_path(bytes(path))
    data = _content(path, name)
    if data[:1] in (b"[", b"{"):
        return _from_json(data, name)
    return PaintedLayout(map=_from_png(data, name, card))


def _content(path: Path, name: str) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{name} is too large for a layout; draw it smaller")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"the layout {name} cannot be read; give a PNG or JSON file, or boxes such as "
            "person@0.1,0.2,0.3,0.9"
        ) from error


def _from_json(data: bytes, name: str) -> PaintedLayout:
    try:
        content = json.loads(data)
    except ValueError as error:
        raise UsageError(f"{name} is no JSON: {error}") from error
    return PaintedLayout.from_json(content)


def _from_png(data: bytes, name: str, card: ModelCard) -> PaintedMap:
    try:
        image = PngImageFile(io.BytesIO(data))
        if image.width * image.height > _MOST_PIXELS:
            raise UsageError(f"{name} has more than four million pixels; draw it smaller")
        image.load()
    # Decoders raise whatever they meet on damaged files.
    except Exception as error:
        if isinstance(error, UsageError):
            raise
        raise ImageError("a layout is a PNG or JSON file, and this is none", name) from error
    if image.mode in ("P", "L", "1") and not _is_drawing(image, card):
        return PaintedMap.of(_values(image), card.classes)
    return map_of_colors(np.asarray(image.convert("RGBA")), card.classes, card.palette)


def _is_drawing(image: Image.Image, card: ModelCard) -> bool:
    """Whether all colors of an indexed picture are those of the palette, white or transparent."""
    if image.mode != "P":
        return False
    pixels = np.unique(np.asarray(image.convert("RGBA")).reshape(-1, 4), axis=0)
    known = {*card.palette, (255, 255, 255)}
    return all(pixel[3] < 128 or tuple(pixel[:3]) in known for pixel in pixels.tolist())


def _values(image: Image.Image) -> np.ndarray:
    values = np.array(image, np.uint8)
    if "transparency" in image.info and image.mode == "P":
        values[np.asarray(image.convert("RGBA"))[..., 3] < 128] = VOID
    return values
