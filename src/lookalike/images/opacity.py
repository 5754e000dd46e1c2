"""Pictures with transparent areas, for those who mean something by them."""

import io

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from lookalike.images.decoding import DEFAULT_LIMITS, DecodeLimits, decode


def decode_with_opacity(
    data: bytes, limits: DecodeLimits = DEFAULT_LIMITS
) -> tuple[UInt8[ndarray, "height width 3"], UInt8[ndarray, "height width"]]:
    """Decode an image file; return its colors and how opaque each pixel is, 0 to 255.

    A file without transparency is opaque everywhere. Colors of transparent files are taken as they
    are, without a color profile.

    Raises:
        ImageLimitError: If it is larger than `limits`.
        ImageError: If it is no image that can be decoded.
    """
    # This checks limits and damage before anything else looks at the bytes.
    decoded = decode(data, None, limits)
    with Image.open(io.BytesIO(data)) as image:
        if not image.has_transparency_data:
            return decoded.pixels, np.full(decoded.pixels.shape[:2], 255, np.uint8)
        whole = np.array(image.convert("RGBA"))
    return whole[..., :3], whole[..., 3]
