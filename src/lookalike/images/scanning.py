"""Walking folders: every entry comes out once, as a file to look at or skipped with the reason.

Nothing is read ahead: however many files a folder holds, the first ones come out at once. Links are
not followed, so the walk always ends.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lookalike.errors import ImageError, UsageError
from lookalike.images.files import (
    content_hash,
    display_path,
    kind_of,
    read_start,
    reason_of,
)
from lookalike.images.formats import EXTENSIONS, RAW_EXTENSIONS, SNIFF_BYTES, sniff

__all__ = ["FoundFile", "SkippedFile", "content_hash", "display_path", "scan"]

_OF_PROGRAMS: Final = frozenset(
    (b"@eaDir", b"#recycle", b"$RECYCLE.BIN", b"System Volume Information", b"__MACOSX")
)
"""Folders that network storages, Windows and macOS fill with copies, thumbnails and waste."""

_COLLECTION: Final = b".lookalike"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A regular file that may hold a picture.

    Attributes:
        path: Absolute.
        size: Length in bytes.
        mtime_ns: Time of its last change, in nanoseconds since 1970.
        root: The innermost of the scanned roots that holds it, absolute.
    """

    path: bytes
    size: int
    mtime_ns: int
    root: bytes


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """An entry that is not looked at; where it is a folder, nothing below it is either.

    Attributes:
        path: Absolute.
        reason: Why, in a few words and without the name.
        root: The innermost of the scanned roots that holds it, absolute.
    """

    path: bytes
    reason: str
    root: bytes


def scan(roots: Sequence[str | bytes | os.PathLike[str]]) -> Iterator[FoundFile | SkippedFile]:
    """Walk folders and give every entry below them once, sorted by name within each folder.

    Files come out if their name ends like a picture's or, whatever their name, if they begin like
    one. Skipped are: symbolic links (but a root may be one), anything that is no regular file,
    hidden files and folders (a leading dot), folders in which other programs keep thumbnails and
    waste, collections of this program, and what cannot be read.

    Args:
        roots: Folders, or single files, which always come out. They may overlap.

    Raises:
        UsageError: If a root does not exist or is neither a folder nor a regular file; at once,
            not when the first entry is asked for.
    """
    absolute = [os.path.abspath(os.fsencode(root)) for root in roots]  # noqa: PTH100 - bytes
    for root in absolute:
        _check_root(root)
    # Innermost first: what is then met again below an outer root has been walked already.
    ordered = sorted(absolute, key=lambda root: -os.path.realpath(root).count(b"/"))
    return _Walk().run(ordered)


def _check_root(root: bytes) -> None:
    try:
        mode = os.stat(root).st_mode  # noqa: PTH116 - bytes
    except OSError as error:
        raise UsageError(
            f"{display_path(root)}: {reason_of(error)}; give folders or files that exist"
        ) from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise UsageError(f"{display_path(root)} is {kind_of(mode)}; give a folder or a picture")


class _Walk:
    """One scan; remembers where it has been, so that overlapping roots give nothing twice."""

    def __init__(self) -> None:
        self._walked: set[tuple[int, int]] = set()
        self._single: set[tuple[int, int, bytes]] = set()

    def run(self, roots: Sequence[bytes]) -> Iterator[FoundFile | SkippedFile]:
        folders = []
        for root in roots:
            status = os.stat(root)  # noqa: PTH116 - bytes
            if stat.S_ISDIR(status.st_mode):
                folders.append(root)
            elif self._is_new_single(root):
                yield FoundFile(root, status.st_size, status.st_mtime_ns, root)
        for root in folders:
            yield from self._below(root)

    def _is_new_single(self, path: bytes) -> bool:
        folder, name = os.path.split(os.path.realpath(path))
        status = os.stat(folder)  # noqa: PTH116 - bytes
        entry = (status.st_dev, status.st_ino, name)
        is_new = entry not in self._single
        self._single.add(entry)
        return is_new

    def _below(self, root: bytes) -> Iterator[FoundFile | SkippedFile]:
        # A stack and not recursion: folders nest deeper than Python does.
        open_folders = [self._entries(root, root)]
        while open_folders:
            found = next(open_folders[-1], None)
            if found is None:
                open_folders.pop()
            elif isinstance(found, bytes):
                open_folders.append(self._entries(found, root))
            else:
                yield found

    def _entries(self, folder: bytes, root: bytes) -> Iterator[FoundFile | SkippedFile | bytes]:
        """Give the entries of one folder; folders among them as paths still to be walked."""
        try:
            status = os.stat(folder)  # noqa: PTH116 - bytes
            identity = (status.st_dev, status.st_ino)
            if identity in self._walked:
                return
            # Names alone are sorted; looking at each file waits until it is its turn.
            names = sorted(os.listdir(folder))  # noqa: PTH208 - bytes
        except OSError as error:
            yield SkippedFile(folder, reason_of(error), root)
            return
        self._walked.add(identity)
        for name in names:
            if (*identity, name) not in self._single:
                yield self._look(os.path.join(folder, name), name, root)  # noqa: PTH118 - bytes

    def _look(self, path: bytes, name: bytes, root: bytes) -> FoundFile | SkippedFile | bytes:
        try:
            status = os.lstat(path)
            is_folder = stat.S_ISDIR(status.st_mode)
            reason = _unwanted_folder(name) if is_folder else _unwanted_file(path, name, status)
        except OSError as error:
            reason = reason_of(error)
        except ImageError as error:  # it was replaced by something else just now
            reason = error.reason
        if reason is not None:
            return SkippedFile(path, reason, root)
        return path if is_folder else FoundFile(path, status.st_size, status.st_mtime_ns, root)


def _unwanted_folder(name: bytes) -> str | None:
    if name.startswith(b"."):
        return "a hidden folder"
    if name in _OF_PROGRAMS:
        return "a folder of the system, not of pictures"
    if name.endswith(_COLLECTION):
        return "a collection of this program"
    return None


def _unwanted_file(path: bytes, name: bytes, status: os.stat_result) -> str | None:
    kind = kind_of(status.st_mode)
    if kind is not None:
        return kind
    if name.startswith(b"."):
        return "a hidden file"
    extension = os.path.splitext(name)[1][1:].lower()  # noqa: PTH122 - bytes
    if extension in RAW_EXTENSIONS:
        # They begin like TIFF files, but what could be read is at best a small preview.
        return "a raw camera file, which cannot be read"
    if extension in EXTENSIONS or sniff(read_start(path, SNIFF_BYTES)) is not None:
        return None
    return "not a picture, neither by its name nor by its first bytes"
