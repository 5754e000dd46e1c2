"""Files that are either wholly there or not there at all, whenever the process or the power stops.

A file is written under a temporary name beside its place, flushed to the disk, renamed, and the
folder is flushed too. What a killed process leaves behind ends in `PARTIAL` and may be deleted by
whoever holds the right to write there.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lookalike.errors import EnvironmentFault
from lookalike.failpoints import failpoint

PARTIAL: Final = ".partial"
"""Ending of temporary names."""

_NO_SPACE: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION: Final = {errno.EACCES, errno.EPERM, errno.EROFS}


def write_atomically(path: Path, content: bytes | Callable[[Path], object]) -> None:
    """Write or replace the file at `path` so that no reader ever sees a part of it.

    Args:
        path: Final place; its folder exists.
        content: The bytes, or a function that writes the file at the path it is given.

    Raises:
        EnvironmentFault: If the disk is full or permission is missing; `path` is as it was before.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        failpoint("atomic.begin")
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            content(temporary)
        failpoint("atomic.written")
        sync_file(temporary)
        failpoint("atomic.synced")
        temporary.replace(path)
        failpoint("atomic.renamed")
        sync_folder(path.parent)
        failpoint("atomic.end")
    except OSError as error:
        raise environment_fault(error, f"{path} could not be written") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files that killed writers left in `folder`, sorted by name."""
    return sorted(folder.glob(f".*{PARTIAL}"))


def sweep(folder: Path) -> list[Path]:
    """Delete the temporary files in `folder` and return their paths.

    Only for the one process that may write there: it would take away the file on which another is
    still at work.

    Raises:
        EnvironmentFault: If one cannot be deleted.
    """
    found = leftovers(folder)
    for path in found:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise environment_fault(error, f"{path} could not be deleted") from error
    return found


def sync_file(path: Path) -> None:
    """Flush a closed file to the disk; raises OSError."""
    # Read-write, since some systems refuse to flush what was opened for reading.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that new names in it survive a power cut; raises OSError."""
    if os.name == "nt":  # Windows knows no such thing
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def environment_fault(error: OSError, what: str) -> EnvironmentFault:
    """Put an operating-system error in words: what failed, why, and what to do.

    Example:
        >>> error = OSError(errno.ENOSPC, "No space left on device")
        >>> print(environment_fault(error, "/photos/a could not be written"))
        /photos/a could not be written: No space left on device; free some space, then run the same
        command again
    """
    why = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        remedy = "free some space, then run the same command again"
    elif error.errno in _NO_PERMISSION:
        remedy = "write permission is needed: change it, or choose another folder"
    else:
        remedy = "look at the disk, then run the same command again"
    return EnvironmentFault(f"{what}: {why}; {remedy}")
