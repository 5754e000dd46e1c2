"""What becomes of a file that is to be decoded, and how a worker process tells it."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from lookalike.arrays import Pixels

LENGTHS: Final = struct.Struct("<II")
"""A message begins with the lengths of its JSON header and of the pixels after it."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFile:
    """A file whose picture was decoded.

    Attributes:
        path: The file.
        hash: Content hash of its bytes.
        pixels: The whole picture, upright, in sRGB, stretched to the size asked for.
        width: Columns of the file's picture, seen upright.
        height: Rows of the file's picture, seen upright.
        format: One of `formats.FORMATS`.
        size: Length of the file that was read, in bytes.
        mtime_ns: Time of its last change when it was read, in nanoseconds since 1970.
        metadata: What the camera wrote; see `images.metadata`.
    """

    path: bytes
    hash: bytes
    pixels: Pixels
    width: int
    height: int
    format: str
    size: int
    mtime_ns: int
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Length of the encoded picture."""
        return self.size


@dataclass(frozen=True, slots=True)
class FailedFile:
    """A file that gave no picture.

    Attributes:
        path: The file.
        reason: Why, in a few words and without the name.
        hash: Content hash of its bytes, if they could be read.
        size: Length of the file that was read, in bytes, if known.
        mtime_ns: Time of its last change when it was read, in nanoseconds, if known.
        transient: Whether the very same bytes may succeed another time: after a crash, a time
            limit, a failure to read, or a limit that a person can raise. Damage never does.
    """

    path: bytes
    reason: str
    hash: bytes | None
    size: int | None
    mtime_ns: int | None
    transient: bool


Outcome: TypeAlias = DecodedFile | FailedFile


def pack(outcome: Outcome) -> bytes:
    """Return the message in which a worker process answers, without the path that it was asked.

    It is JSON and bare pixels, never a pickle: what comes from a process that has decoded a
    hostile file is only ever read as data.
    """
    fields: dict[str, Any] = {
        name: getattr(outcome, name) for name in outcome.__slots__ if name not in ("path", "pixels")
    }
    if outcome.hash is not None:
        fields["hash"] = outcome.hash.hex()
    header = json.dumps(fields).encode()
    pixels = outcome.pixels.tobytes() if isinstance(outcome, DecodedFile) else b""
    return LENGTHS.pack(len(header), len(pixels)) + header + pixels


def unpack(path: bytes, header: bytes, pixels: bytearray, size: tuple[int, int]) -> Outcome:
    """Read what `pack` wrote; `size` is the height and width that was asked for.

    Raises:
        ValueError: If it is no such message (also KeyError or TypeError).
    """
    fields = json.loads(header)
    if fields["hash"] is not None:
        fields["hash"] = bytes.fromhex(fields["hash"])
    if "reason" in fields:
        return FailedFile(path=path, **fields)
    return DecodedFile(
        path=path, pixels=np.frombuffer(pixels, np.uint8).reshape(*size, 3), **fields
    )
