"""Open collections of a server process, and pictures out of them."""

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.images.thumbnails import FittedDecoder, encode_webp
from lookalike.storage.records import ImageRecord
from lookalike.storage.thumbnails import ThumbnailStore
from lookalike.web import decoders
from lookalike.web.models import HostedCollection

MOST_OPEN: Final = 16
"""Collections held open at once; the one used least recently is closed first."""


class OpenCollections:
    """Opens each collection once and keeps it; any number of threads may ask.

    A collection that was changed as a whole (another generation) is opened anew.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._opened: OrderedDict[tuple[str, int], Collection] = OrderedDict()

    def get(self, hosted: HostedCollection) -> Collection:
        """Return the collection, ready to be searched.

        Raises:
            NotACollectionError: If it has not been made yet.
            MismatchError: If it cannot be read by this program.
        """
        manifest = hosted.folder / "collection.json"
        changed = manifest.stat().st_mtime_ns if manifest.exists() else 0
        key = (hosted.path, changed)
        with self._lock:
            if key not in self._opened:
                self._opened[key] = Collection.open(hosted.folder)
                # Those that go are closed when the last thread that uses them lets go.
                while len(self._opened) > self._most:
                    self._opened.popitem(last=False)
            self._opened.move_to_end(key)
            return self._opened[key]


open_collections: Final = OpenCollections()


def thumbnail(hosted: HostedCollection, record: ImageRecord) -> bytes:
    """Return a small picture of an image as WebP.

    Raises:
        ImageError: If none of its files can be read any more.
    """
    store = _store(hosted.path)
    found = store.get(record.hash, decoders.SMALL)
    if found is None:
        found = _encoded(record, decoders.small())
        store.put(record.hash, decoders.SMALL, found)
    return found


def large_picture(record: ImageRecord) -> bytes:
    """Return a large picture of an image as WebP: pixels only, whatever else its file holds.

    Raises:
        ImageError: If none of its files can be read any more.
    """
    return _encoded(record, decoders.large())


@lru_cache(maxsize=64)
def _store(path: str) -> ThumbnailStore:
    return ThumbnailStore(Path(path) / "thumbnails.sqlite")


def _encoded(record: ImageRecord, decoder: FittedDecoder) -> bytes:
    reason = "it has no file"
    for path in record.paths:
        try:
            decoded = decoder.read(path)
        except ImageError as error:
            reason = error.reason
            continue
        # A file that was replaced since is another picture, which this person may not see.
        if decoded.hash == record.hash:
            return encode_webp(decoded.pixels)
        reason = "its file has changed since it was indexed"
    raise ImageError(reason, os.fsdecode(record.paths[-1]) if record.paths else None)


def image_record(collection: Collection, image_id: int) -> ImageRecord | None:
    """Return what is known of an image; `None` if there is none of that id."""
    with suppress(UsageError):
        [record] = collection.images([image_id])
        return record
    return None
