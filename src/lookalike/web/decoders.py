"""The decoding processes of a server: started when the first picture is wanted, shared by all."""

import atexit
import threading
from functools import lru_cache
from typing import Final

from lookalike.images.decoding import DecodeLimits
from lookalike.images.thumbnails import FittedDecoder

SMALL: Final = 320
"""Pixels of the longer side of a thumbnail."""

LARGE: Final = 1600
"""Pixels of the longer side of a picture seen by itself, or sent to search with."""

_UPLOAD_LIMITS: Final = DecodeLimits(max_bytes=256 * 2**20, max_pixels=64_000_000)
_lock = threading.Lock()


def small() -> FittedDecoder:
    """Return what makes thumbnails."""
    with _lock:
        return _decoder(SMALL)


def large() -> FittedDecoder:
    """Return what makes large pictures."""
    with _lock:
        return _decoder(LARGE)


@lru_cache(maxsize=2)
def _decoder(side: int) -> FittedDecoder:
    decoder = FittedDecoder(side, 1, _UPLOAD_LIMITS)
    atexit.register(decoder.close)
    return decoder
