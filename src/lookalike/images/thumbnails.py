"""Small pictures in their own proportions, decoded like all others: by processes that may die.

A `DecodePool` gives pictures of one size. So the decoder puts each picture, scaled to fit, into the
upper left corner of a square, from which `FittedDecoder` cuts it out again.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

import numpy as np
from PIL import Image

from lookalike.arrays import Pixels
from lookalike.errors import ImageError, UsageError
from lookalike.images.decoding import DEFAULT_LIMITS, Decoded, DecodeLimits, decode
from lookalike.images.outcomes import DecodedFile, FailedFile
from lookalike.images.workers import DecodePool

QUALITY: Final = 82
"""Of WebP, from 0 to 100: artifacts cannot be seen at the size of a thumbnail."""


def fitted_size(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the height and width of a picture shrunk to fit a square; it is never enlarged.

    Example:
        >>> fitted_size(4000, 3000, 256), fitted_size(90, 60, 256)
        ((192, 256), (60, 90))
    """
    shrink = min(1.0, side / max(width, height))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def decode_fitted(
    data: bytes, size: tuple[int, int] | None, limits: DecodeLimits = DEFAULT_LIMITS
) -> Decoded:
    """Decode a picture, shrunk to fit the square `size`, into its upper left corner.

    Raises:
        UsageError: If `size` is no square.
        ImageError: If it is no readable image within the limits.
    """
    if size is None or size[0] != size[1]:
        raise UsageError(f"pictures are fitted into squares, not into {size}")
    probe = decode(data, (1, 1), limits)
    height, width = fitted_size(probe.width, probe.height, size[0])
    decoded = decode(data, (height, width), limits)
    canvas = np.zeros((*size, 3), np.uint8)
    canvas[:height, :width] = decoded.pixels
    return replace(decoded, pixels=canvas)


def encode_webp(pixels: Pixels, quality: int = QUALITY) -> bytes:
    """Encode pixels as WebP that holds nothing else: no EXIF, no profile, no comment."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


class FittedDecoder:
    """Decodes single pictures in processes of their own; any number of threads may ask.

    Args:
        side: Pictures are shrunk to fit a square of so many pixels.
        workers: Processes.
        limits: The largest file and picture that is accepted.
        seconds: Longest time for one picture.
    """

    def __init__(
        self,
        side: int,
        workers: int,
        limits: DecodeLimits = DEFAULT_LIMITS,
        seconds: float = 5.0,
    ) -> None:
        self._pool = DecodePool(workers, (side, side), limits, seconds, decoder=decode_fitted)

    def read(self, path: bytes) -> DecodedFile:
        """Decode a file; its pixels are the picture alone, without the square around it.

        Raises:
            ImageError: If it cannot be read.
        """
        [outcome] = self._pool.decode([path])
        if isinstance(outcome, FailedFile):
            raise ImageError(outcome.reason)
        height, width = fitted_size(outcome.width, outcome.height, outcome.pixels.shape[0])
        return replace(outcome, pixels=outcome.pixels[:height, :width])

    def close(self) -> None:
        """End the processes."""
        self._pool.close()


@contextmanager
def held_in_file(data: bytes, folder: Path) -> Iterator[bytes]:
    """Lend bytes to the processes as a file that is gone afterwards; yields its path."""
    with NamedTemporaryFile(dir=folder, prefix=".incoming-", suffix=".partial") as file:
        file.write(data)
        file.flush()
        yield file.name.encode()
