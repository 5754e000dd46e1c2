"""Pictures that are sent: bounded while they arrive, decoded by processes that may die, re-encoded.

The bytes that somebody sent are never kept and never served: what is stored is what our own encoder
made of the pixels.
"""

import io
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.utils import timezone
from ninja.files import UploadedFile
from PIL import Image

from lookalike.arrays import Pixels
from lookalike.atomic import write_atomically
from lookalike.errors import ImageError, ImageLimitError, UsageError
from lookalike.images.thumbnails import encode_webp, held_in_file
from lookalike.web import decoders
from lookalike.web.home import ServerHome
from lookalike.web.models import UploadedPicture, User
from lookalike.web.models.pictures import expiry

MOST_BYTES: Final = 32 * 2**20
"""Largest upload."""

_STORED_QUALITY: Final = 95
_FOR_GOOD_DAYS: Final = 36_525
_STRAY_SECONDS: Final = 3600.0
FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
"""What people may send; TIFF has too many decoders to be taken from strangers."""


class LimitedUpload(FileUploadHandler):
    """Collects a file in memory and stops reading as soon as it is too long."""

    def new_file(self, *args: Any, **words: Any) -> None:
        """Begin a file."""
        super().new_file(*args, **words)
        self._parts: list[bytes] = []
        self._n_bytes = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Take a part of the file."""
        self._n_bytes += len(raw_data)
        if self._n_bytes > MOST_BYTES:
            self._parts.clear()
            raise StopUpload(connection_reset=False)
        self._parts.append(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        """Return the whole file."""
        return UploadedFile(
            file=io.BytesIO(b"".join(self._parts)),
            name=self.file_name or "",
            content_type=self.content_type or "",
            size=file_size,
            charset=self.charset,
        )


def decode_upload(data: bytes) -> Pixels:
    """Return the pixels of a picture that was sent, shrunk to fit `decoders.LARGE`.

    Raises:
        ImageLimitError: If it is too large.
        ImageError: If it is no picture of the `FORMATS`.
    """
    if len(data) > MOST_BYTES:
        raise ImageLimitError(
            f"the picture is larger than {MOST_BYTES // 2**20} MiB; send a smaller one"
        )
    with held_in_file(data, ServerHome.from_environment().uploads) as path:
        decoded = decoders.large().read(path)
    if decoded.format not in FORMATS:
        raise ImageError(
            f"{decoded.format} pictures are not taken here; send one of {', '.join(FORMATS)}"
        )
    return decoded.pixels


def keep(user: User, pixels: Pixels, token: str = "") -> UploadedPicture:
    """Store a picture for a day, for searching with it; under a token that is there, once."""
    known = UploadedPicture.objects.filter(pk=token, user=user).first() if token else None
    if known is not None:
        return known
    picture = UploadedPicture(user=user, width=pixels.shape[1], height=pixels.shape[0])
    picture.token = token or picture.token
    # First the picture, on the disk: what has a row can be searched with.
    write_atomically(place_of(picture), encode_webp(pixels, _STORED_QUALITY))
    picture.save(force_insert=True)
    return picture


def place_of(picture: UploadedPicture) -> Path:
    """Return where a stored picture lies."""
    return ServerHome.from_environment().uploads / f"{picture.token}.webp"


def find(user: User, token: str) -> UploadedPicture:
    """Return a person's own picture that has not expired.

    Raises:
        UsageError: If there is none.
    """
    found = UploadedPicture.objects.filter(pk=token, user=user, expires__gt=timezone.now()).first()
    if found is None:
        raise UsageError("the picture that was uploaded has expired; send it again")
    return found


def keep_for_good(user: User, tokens: Iterable[str]) -> None:
    """Let pictures stay that a saved search asks with."""
    mine = UploadedPicture.objects.filter(user=user, pk__in=list(tokens))
    mine.update(expires=timezone.now() + timedelta(days=_FOR_GOOD_DAYS))


def let_expire(user: User, tokens: Iterable[str]) -> None:
    """Let pictures go in a day."""
    UploadedPicture.objects.filter(user=user, pk__in=list(tokens)).update(expires=expiry())


def pixels_of(picture: UploadedPicture) -> Pixels:
    """Return the pixels of a stored picture, which our own encoder wrote."""
    with Image.open(place_of(picture), formats=["WEBP"]) as image:
        return np.asarray(image.convert("RGB"))


def delete_expired() -> int:
    """Delete the pictures whose time is over, and files of which no row tells; return how many."""
    _sweep()
    expired = list(UploadedPicture.objects.filter(expires__lte=timezone.now()))
    for picture in expired:
        place_of(picture).unlink(missing_ok=True)
        picture.delete()
    return len(expired)


def _sweep() -> None:
    """Delete what a server that was killed left half done: old files that belong to no upload."""
    before = time.time() - _STRAY_SECONDS
    for path in ServerHome.from_environment().uploads.iterdir():
        with suppress(FileNotFoundError):
            is_old = path.is_file() and path.stat().st_mtime < before
            if is_old and not UploadedPicture.objects.filter(pk=path.stem).exists():
                path.unlink()
