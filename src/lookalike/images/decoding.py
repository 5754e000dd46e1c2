"""Encoded images to pixels: scaled, upright, in sRGB, within limits, and never any other way.

Indexing, querying and learning all decode here, because the geometry of the resize matters to a
network: shifting it by half a pixel costs more accuracy than anything else done here.
"""

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import ExifTags, Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from lookalike.arrays import Pixels
from lookalike.errors import ImageError, ImageLimitError, UsageError
from lookalike.images.color import to_linear_mode, to_srgb
from lookalike.images.files import check_bytes, display_path, read_content
from lookalike.images.formats import (
    FORMATS,
    SNIFF_BYTES,
    describe_other,
    is_shorter_than_stated,
    sniff,
)
from lookalike.images.metadata import read_metadata

__all__ = ["FORMATS", "PREPROCESS_VERSION", "DecodeLimits", "Decoded", "decode", "read_file"]

PREPROCESS_VERSION: Final = 1
"""Raised whenever the same file would give other pixels; stored with models and collections."""

# `Image.open` would check sizes against a limit that is global to the process and belongs to the
# program around us. The decoders are the same ones, and the limit is checked here.
_DECODERS: Final[dict[str, type[ImageFile.ImageFile]]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "AVIF": AvifImageFile,
}

_Edges: TypeAlias = tuple[int | float, int | float, int | float, int | float]
"""Left, top, right and bottom."""

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings stored pixels upright, by EXIF orientation (EXIF 2.32, tag 0x0112)."""

_CUT_OFF: Final = "the file is cut off"
_SIGNS_OF_CUT_OFF: Final = ("truncated", "cut off", "unexpected end", "end of file", "not enough")


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The largest image that is accepted; both are checked before anything is decoded.

    Attributes:
        max_bytes: Length of the file.
        max_pixels: Width times height.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 64_000_000

    @property
    def max_memory(self) -> int:
        """Bytes of address space that suffice for a process that decodes within these limits.

        The hungriest decoder, animated WebP, holds 20 bytes per pixel; the interpreter with its
        libraries takes a quarter of the fixed 768 MiB.
        """
        return self.max_bytes + 24 * self.max_pixels + 768 * 2**20


DEFAULT_LIMITS: Final = DecodeLimits()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """An image, upright, in sRGB.

    Attributes:
        pixels: RGB, at the size asked for.
        width: Columns of the file's image, seen upright.
        height: Rows of the file's image, seen upright.
        format: One of `FORMATS`.
        metadata: What the camera wrote; see `images.metadata`.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    metadata: Mapping[str, str] = field(default_factory=dict)


Box: TypeAlias = tuple[int | float, int | float, int | float, int | float]
"""Left, top, width and height of a part, in pixels of the picture seen upright."""


def decode(
    data: bytes,
    size: tuple[int, int] | None = None,
    limits: DecodeLimits = DEFAULT_LIMITS,
    box: Box | None = None,
) -> Decoded:
    """Decode the bytes of an image file; of an animation, the first frame.

    The whole picture, or the part in `box`, is stretched to `size` in one antialiased bilinear
    resize. JPEG files are decoded at the smallest of 1/8, 1/4, 1/2 and full scale at which that
    is no smaller than `size` in either direction; the resize takes account of the fraction of a
    pixel that is lost by that.

    Colors go through the file's ICC profile to sRGB, transparent pictures are laid over white,
    deeper channels are scaled to 8 bits, and the EXIF orientation is applied.

    Args:
        data: Contents of the file; the format is told by the first bytes.
        size: Height and width of the result; `None` keeps those of the file.
        limits: The largest file and picture that is accepted.
        box: Part to decode; `None` for all. It needs a `size`.

    Raises:
        ImageLimitError: If it is larger than `limits`; nothing was decoded.
        ImageError: If it is no image of the `FORMATS`, or damaged, or cut off anywhere.
        UsageError: If `size` is not positive, or the box does not lie in the picture.

    References:
        The gain of scaled decoding: libjpeg, `scale_num` and `scale_denom`.
    """
    if size is not None and min(size) < 1:
        raise UsageError(f"size is {size}; give a height and a width of at least 1 pixel")
    if box is not None and size is None:
        raise UsageError("a part of a picture needs a size to be stretched to; give one")
    check_bytes(len(data), limits.max_bytes)
    format_ = sniff(data[:SNIFF_BYTES])
    if format_ is None:
        raise ImageError(describe_other(data[:SNIFF_BYTES]))
    try:
        return _decode(data, format_, size, limits, box)
    except (ImageError, UsageError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageLimitError("more pixels than PIL.Image.MAX_IMAGE_PIXELS allows") from error
    # Decoders raise whatever they meet on damaged files: OSError, SyntaxError, struct.error …
    except Exception as error:
        is_cut_off = is_shorter_than_stated(data)
        raise ImageError(_CUT_OFF if is_cut_off else _reason(error, format_)) from error


def read_file(path: str | bytes | os.PathLike[str], limits: DecodeLimits = DEFAULT_LIMITS) -> bytes:
    """Read an image file, or rather any regular file within the limit of bytes.

    A symbolic link is refused; resolve a path that a person gave first.

    Raises:
        ImageLimitError: If it is larger than `limits.max_bytes`.
        ImageError: If it is missing, cannot be read or is no regular file.
    """
    name = os.fsencode(path)
    try:
        return read_content(name, limits.max_bytes).data
    except ImageError as error:
        raise type(error)(error.reason, display_path(name)) from error


def _decode(
    data: bytes, format_: str, size: tuple[int, int] | None, limits: DecodeLimits, part: Box | None
) -> Decoded:
    image = _DECODERS[format_](io.BytesIO(data))
    _check_pixels(image, limits)
    stored = image.size
    drawn_in = _draft(image, size, part) if size and isinstance(image, JpegImageFile) else None
    image.load()
    orientation = _orientation(image)
    box = drawn_in if part is None else _scaled(part, stored, orientation, drawn_in)
    profile = image.info.get("icc_profile")
    drawn = to_linear_mode(image)
    if size:
        drawn = drawn.resize(_turned(size[::-1], orientation), Image.Resampling.BILINEAR, box=box)
    drawn = to_srgb(drawn, profile)
    if orientation in _UPRIGHT:
        drawn = drawn.transpose(_UPRIGHT[orientation])
    width, height = _turned(stored, orientation)
    return Decoded(np.array(drawn), width, height, format_, read_metadata(image))


def _check_pixels(image: Image.Image, limits: DecodeLimits) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError(f"it has no pixels: {width} × {height}")
    if width * height > limits.max_pixels:
        raise ImageLimitError(
            f"{width} × {height} pixels, the limit is {limits.max_pixels / 1e6:g} million; "
            "raise it with --max-megapixels"
        )


def _draft(image: JpegImageFile, size: tuple[int, int], part: Box | None) -> _Edges | None:
    """Have a JPEG decoded smaller; return where the picture lies in what comes out."""
    orientation = _orientation(image)
    across, down = _turned(size[::-1], orientation)
    if part is not None:
        _, _, width, height = _stored_part(part, image.size, orientation)
        across = math.ceil(across * image.width / width)
        down = math.ceil(down * image.height / height)
    drafted = image.draft(None, (across, down))
    return drafted[1] if drafted else None


def _scaled(
    part: Box, stored: tuple[int, int], orientation: int, drawn_in: _Edges | None
) -> _Edges:
    """Return where a part of the upright picture lies in what was decoded, perhaps smaller."""
    x, y, width, height = _stored_part(part, stored, orientation)
    _, _, right, bottom = drawn_in or (0, 0, *stored)
    across, down = right / stored[0], bottom / stored[1]
    # Rounding must not lead out of the picture.
    end = min((x + width) * across, right), min((y + height) * down, bottom)
    return x * across, y * down, *end


def _stored_part(part: Box, stored: tuple[int, int], orientation: int) -> Box:
    """Return where a part of the upright picture lies in the stored one."""
    across, down = _turned(stored, orientation)
    check_box(part, across, down)
    x, y, width, height = part
    if orientation in (2, 3, 6, 7):
        x = across - x - width
    if orientation in (3, 4, 7, 8):
        y = down - y - height
    return (y, x, height, width) if orientation >= 5 else (x, y, width, height)


def check_box(box: Box, width: int, height: int) -> None:
    """Refuse a part that does not lie in a picture of this size.

    Raises:
        UsageError: If it does not, not even a part of a pixel, or holds no pixel.
    """
    x, y, w, h = box
    is_inside = 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
    if not is_inside or w < 1 or h < 1:
        raise UsageError(
            f"the box {x:g},{y:g},{w:g},{h:g} (left, top, width, height) does not lie in the "
            f"picture, which is {width} pixels wide and {height} high; give another --box"
        )


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    # Damaged metadata must not lose a sound picture, and parsing it raises anything.
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def _turned(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size[::-1] if orientation >= 5 else size


def _reason(error: Exception, format_: str) -> str:
    text = " ".join(str(error).split())
    if any(sign in text.lower() for sign in _SIGNS_OF_CUT_OFF):
        return _CUT_OFF
    if isinstance(error, MemoryError):
        return "decoding it takes more memory than is allowed"
    detail = f" ({text[:80]})" if text.isprintable() and text else ""
    return f"a damaged {format_} file{detail}"


def stretch(
    pixels: Pixels, size: tuple[int, int], box: Box | None = None
) -> UInt8[ndarray, "new_height new_width 3"]:
    """Stretch a decoded picture, or the part in `box`, to a height and width, as `decode` does.

    Raises:
        UsageError: If the box does not lie in the picture.
    """
    edges = None
    if box is not None:
        check_box(box, pixels.shape[1], pixels.shape[0])
        edges = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    picture = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR, box=edges)
    return np.array(picture)
