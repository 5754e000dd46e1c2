"""What a camera wrote into a picture's file, as plain words. Where it was taken is not read."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from PIL import ExifTags, Image

LONGEST: Final = 200
"""Characters of a value; longer ones are cut."""

_DATE: Final = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})[ T](\d{2}:\d{2}:\d{2})")


def read_metadata(image: Image.Image) -> dict[str, str]:
    """Return attributes from the EXIF block of an image that was opened; empty if it has none.

    The keys are `taken` (`2024-05-31T14:30:00`, what the camera's clock showed), `camera`, `lens`,
    `iso`, `aperture` (f-number), `exposure` (seconds), `focal-length` (millimeters) and
    `description`. Of all else, the place above all, nothing is read. Damaged blocks are passed
    over.

    References:
        CIPA DC-008-2023, *Exchangeable image file format for digital still cameras: Exif 3.0*.
    """
    try:
        exif = image.getexif()
        if not exif:
            return {}
        return dict(_read(exif, exif.get_ifd(ExifTags.IFD.Exif)))
    # Damaged metadata must not lose a sound picture, and parsing it raises anything.
    except Exception:
        return {}


def _read(main: Mapping[int, Any], detail: Mapping[int, Any]) -> Iterator[tuple[str, str]]:
    for tag in (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized):
        if taken := _date(detail.get(tag)):
            yield "taken", taken
            break
    maker, model = _text(main.get(ExifTags.Base.Make)), _text(main.get(ExifTags.Base.Model))
    # Many makers begin the name of the model with their own.
    if camera := model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip():
        yield "camera", camera
    for key, (number, read) in _DETAILS.items():
        if value := read(detail.get(number)):
            yield key, value
    if description := _text(main.get(ExifTags.Base.ImageDescription)):
        yield "description", description


def _date(value: Any) -> str:
    found = _DATE.match(value) if isinstance(value, str) else None
    return f"{found[1]}-{found[2]}-{found[3]}T{found[4]}" if found and found[1] != "0000" else ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    text = "".join(char if char.isprintable() else " " for char in value)
    return " ".join(text.encode(errors="ignore").decode().split())[:LONGEST]


def _number(value: Any) -> str:
    if isinstance(value, tuple):
        value = value[0] if value else None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return ""
    return f"{number:.6g}" if math.isfinite(number) and number > 0 else ""


_DETAILS: Final[Mapping[str, tuple[int, Callable[[Any], str]]]] = {
    "lens": (ExifTags.Base.LensModel, _text),
    "iso": (ExifTags.Base.ISOSpeedRatings, _number),
    "aperture": (ExifTags.Base.FNumber, _number),
    "exposure": (ExifTags.Base.ExposureTime, _number),
    "focal-length": (ExifTags.Base.FocalLength, _number),
}
