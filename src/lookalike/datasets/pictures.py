"""The picture files of a data set: finding them, reading them, how they are turned."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import ExifTags, Image

from lookalike.arrays import LabelMap
from lookalike.errors import DatasetError, ImageError
from lookalike.images.decoding import FORMATS, read_file
from lookalike.images.formats import EXTENSIONS

SUFFIXES: Final = frozenset(f".{extension.decode()}" for extension in EXTENSIONS)
"""Endings, in lower case, of files that count as pictures."""

SeenLabelMap: TypeAlias = UInt8[ndarray, "seen_height seen_width"]
"""A label map after it was turned, when its height may be what was its width."""

_UPRIGHT: Final[Mapping[int, Callable[[LabelMap], SeenLabelMap]]] = {
    2: lambda turned: turned[:, ::-1],
    3: lambda turned: turned[::-1, ::-1],
    4: lambda turned: turned[::-1],
    5: lambda turned: turned.T,
    6: lambda turned: np.rot90(turned, -1),
    7: lambda turned: turned[::-1, ::-1].T,
    8: lambda turned: np.rot90(turned),
}
"""What brings stored pixels upright, by EXIF orientation (EXIF 2.32, tag 0x0112)."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the header of a picture says of its size.

    Attributes:
        width: Columns as stored.
        height: Rows as stored.
        orientation: EXIF orientation, 1 (upright) to 8.
    """

    width: int
    height: int
    orientation: int

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width as stored."""
        return self.height, self.width

    @property
    def seen(self) -> tuple[int, int]:
        """Height and width as seen, with the orientation applied."""
        return self.stored[::-1] if self.orientation >= 5 else self.stored


def find_pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures in `folder` and below by their path below it, sorted by that path.

    Files count by their ending (`SUFFIXES`). Hidden files and folders are left out, and links to
    folders are not followed.
    """
    found: dict[str, Path] = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))


def read_picture(path: Path) -> bytes:
    """Return the encoded picture; the file may be a link.

    Raises:
        ImageError: If it cannot be read, is no regular file, or is too large.
    """
    return read_file(path.resolve())


def read_geometry(path: Path) -> Geometry:
    """Read the header of a picture.

    Raises:
        ImageError: If the file is missing or no picture.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            is_tiff = image.format == "TIFF"
            orientation = _orientation(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot be read as a picture ({error})", str(path)) from error
    if is_tiff and orientation >= 5:
        # Pillow turns TIFF files by itself and gives the size after it.
        width, height = height, width
    return Geometry(width, height, orientation)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    # Damaged metadata must not lose a sound picture, and parsing it raises anything.
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def is_drawn_as_stored(size: tuple[int, int], geometry: Geometry) -> bool | None:
    """Tell whether a label map of this height and width lies on the stored or on the seen pixels.

    Annotators look at upright pictures, so wherever the sizes agree with the picture as it is
    seen, `False`; where they agree only with the stored pixels, `True`; with neither, `None`.
    """
    if size == geometry.seen:
        return False
    return True if size == geometry.stored else None


def upright(label_map: LabelMap, geometry: Geometry) -> SeenLabelMap:
    """Turn a label map that lies on the stored pixels to where the picture is seen.

    Example:
        >>> stored = np.array([[1, 2], [3, 4]], np.uint8)
        >>> upright(stored, Geometry(width=2, height=2, orientation=6))
        array([[3, 1],
               [4, 2]], dtype=uint8)
    """
    turn = _UPRIGHT.get(geometry.orientation)
    return np.ascontiguousarray(turn(label_map)) if turn else label_map


def fit(label_map: LabelMap, geometry: Geometry, name: str) -> SeenLabelMap:
    """Return the label map as the picture is seen, turned if it was drawn on the stored pixels.

    Args:
        label_map: As it was drawn.
        geometry: Of the picture.
        name: What the map is called in an error.

    Raises:
        DatasetError: If its size is neither that of the stored nor of the seen picture.
    """
    height, width = label_map.shape
    match is_drawn_as_stored((height, width), geometry):
        case True:
            return upright(label_map, geometry)
        case False:
            return label_map
    raise DatasetError(
        f"{name} is {width} x {height} pixels, but its picture is "
        f"{geometry.seen[1]} x {geometry.seen[0]}; draw it at the size of the picture"
    )
