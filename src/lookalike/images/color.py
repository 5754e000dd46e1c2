"""Whatever colors a file holds, to sRGB with 8 bits per channel.

In two steps around the one resize: `to_linear_mode` before it, so that pixel values may be
averaged at all (no palettes, no bits), and `to_srgb` after it, where few pixels are left: alpha,
color profiles, deep gray.
"""

from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image, ImageCms

_DEEP_GRAY: Final = ("I;16", "I;16L", "I;16B", "I;16N")
_AVERAGED: Final = ("L", "LA", "RGB", "RGBA", "CMYK", *_DEEP_GRAY)
"""Modes whose values Pillow averages correctly; alpha it multiplies in before."""

_BACKGROUND: Final = 255
"""Transparent pictures are seen over white, as on a page."""


def to_linear_mode(image: Image.Image) -> Image.Image:
    """Return the image in a mode whose values may be averaged: gray, RGB, CMYK, with alpha or not.

    Palettes and bits are expanded, a transparent color becomes an alpha channel, and images of
    floats or 32-bit integers are scaled to 8 bits (see `_scale_to_bytes`).
    """
    if image.mode in ("F", "I"):
        return Image.fromarray(_scale_to_bytes(np.asarray(image, np.float32)))
    if image.mode in _DEEP_GRAY:
        return image
    if image.has_transparency_data and image.mode not in ("LA", "RGBA"):
        return image.convert("RGBA")
    if image.mode in _AVERAGED:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image in one of the modes of `to_linear_mode` as RGB in the sRGB color space.

    Args:
        image: Gray, RGB or CMYK, with alpha or not.
        profile: ICC profile of its colors. One that is damaged or belongs to another color model
            is ignored, as browsers do.
    """
    if image.mode in _DEEP_GRAY:
        deep = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("LA", "RGBA"):
        image = _over_background(image)
    converted = _through_profile(image, profile) if profile else None
    return converted or image.convert("RGB")


def _scale_to_bytes(
    values: Float32[ndarray, "height width"],
) -> UInt8[ndarray, "height width"]:
    """Scale values whose range the file does not tell: 0 to 1, to 255, to 65535, else their own.

    The smallest range that holds all values is taken; values that are not finite count as 0.
    """
    # In double precision, as the range of floats is no float itself.
    finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    for top in (1.0, 255.0, 65535.0):
        if low >= 0 and high <= top:
            low, high = 0.0, top
            break
    scaled: ndarray = np.rint((finite - low) * (255 / (high - low or 1.0)))
    return scaled.astype(np.uint8)


def _over_background(image: Image.Image) -> Image.Image:
    opaque_mode = image.mode[:-1]
    background = Image.new(opaque_mode, image.size, (_BACKGROUND,) * len(opaque_mode))
    background.paste(image.convert(opaque_mode), mask=image.getchannel("A"))
    return background


def _through_profile(image: Image.Image, profile: bytes) -> Image.Image | None:
    try:
        return ImageCms.applyTransform(image, _transform(profile, image.mode))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    # Cameras write the same few profiles, and setting one up takes longer than applying it.
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
