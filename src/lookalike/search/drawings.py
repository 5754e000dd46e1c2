"""Drawings as a query: a sketch, a swatch of texture, the outline of a thing."""

import base64
import binascii
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy import ndarray
from PIL import Image

from lookalike.arrays import Pixels
from lookalike.errors import ImageError, UsageError
from lookalike.features.descriptors import SIDE
from lookalike.images.decoding import DecodeLimits, decode, stretch

_LIMITS: Final = DecodeLimits(max_bytes=2**20, max_pixels=SIDE * SIDE)
"""Of a drawing inside of a query, which has been made small before."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A small picture that is part of a query itself, so that the query can be kept and sent.

    Attributes:
        data: Red, green and blue of 128 × 128 pixels, row by row, 8 bits each.

    Raises:
        UsageError: If there is another number of bytes.
    """

    data: bytes

    def __post_init__(self) -> None:
        if len(self.data) != 3 * SIDE * SIDE:
            raise UsageError(
                f"a drawing has {SIDE} × {SIDE} pixels of three bytes, not {len(self.data)} bytes"
            )

    @classmethod
    def of(cls, pixels: Pixels) -> "Drawing":
        """Return a picture of any size as a drawing."""
        return cls(np.ascontiguousarray(stretch(pixels, (SIDE, SIDE))).tobytes())

    @property
    def pixels(self) -> Pixels:
        """The drawing as an array."""
        array: ndarray = np.frombuffer(self.data, np.uint8).reshape(SIDE, SIDE, 3)
        return array

    def to_json(self) -> dict[str, str]:
        """Return the drawing as a PNG file in base64."""
        buffer = io.BytesIO()
        Image.fromarray(self.pixels).save(buffer, format="PNG")
        return {"png": base64.b64encode(buffer.getvalue()).decode("ascii")}

    @classmethod
    def from_json(cls, content: object) -> "Drawing":
        """Read what `to_json` gave; a larger or smaller picture is stretched.

        Raises:
            UsageError: If it is something else.
        """
        text = _text_of(content)
        try:
            return cls.of(decode(base64.b64decode(text, validate=True), None, _LIMITS).pixels)
        except (binascii.Error, ValueError, ImageError) as error:
            raise UsageError(f"a drawing of the query cannot be read: {error}") from error


def _text_of(content: Any) -> str:
    if isinstance(content, Mapping) and list(content) == ["png"]:
        text = content["png"]
        if isinstance(text, str):
            return text
    raise UsageError(f'a drawing is a JSON object {{"png": base64 text}}, not {content!r:.60}')
