"""One writer per collection, known by name.

The lock belongs to the open file, so the system takes it back when the process ends, however it
ends. The content of the file only tells others who holds it.
"""

import contextlib
import json
import os
import shlex
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from lookalike.atomic import environment_fault
from lookalike.errors import CollectionLockedError
from lookalike.failpoints import failpoint
from lookalike.images.scanning import display_path

LOCK: Final = "writer.lock"
"""Name of the lock file in a collection's folder. It stays when the lock is released."""

_LONGEST_COMMAND: Final = 200

_PATIENCE_SECONDS: Final = 0.2

_held: set[int] = set()
_held_guard: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Attributes:
        pid: Process id.
        host: Name of the machine.
        command: Command line, shortened.
        since: Seconds since 1970.
    """

    pid: int
    host: str
    command: str
    since: float

    def __str__(self) -> str:
        at = time.localtime(self.since)
        is_today = at[:3] == time.localtime()[:3]
        since = time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", at)
        return f"process {self.pid} on {self.host} ({self.command}) since {since}"


class WriterLock:
    """Context manager that lets one writer at a time into a collection's folder.

    It excludes other processes as well as other openings in the same process. Readers do not ask.

    Raises:
        CollectionLockedError: On entering, if another holds it; the message says who.
        EnvironmentFault: On entering, if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor: int | None = None

    def __enter__(self) -> "WriterLock":
        path = self._folder / LOCK
        try:
            descriptor = _locked(path)
        except OSError as error:
            raise environment_fault(error, f"{self._folder} could not be locked") from error
        if descriptor is None:
            holder = _read_holder(path)
            raise CollectionLockedError(
                f"{self._folder} is locked by {holder or 'another process'}; "
                "wait until it has finished"
            )
        self._descriptor = descriptor
        failpoint("storage.lock.taken")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            _release(self._descriptor)
            self._descriptor = None


def is_locked(folder: Path) -> bool:
    """Tell whether somebody is writing to the collection; changes nothing."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _try_to_lock(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int | None:
    """Open and lock the file; `None` if another holds it."""
    # A little patience, since `is_locked` takes a free lock for an instant.
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        # A folder that was renamed or deleted between opening and locking has another lock now.
        if _try_to_lock(descriptor) and _is_at(descriptor, path):
            _keep(descriptor)
            _write_holder(descriptor)
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            return None
        time.sleep(_PATIENCE_SECONDS / 10)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int) -> None:
    holder = Holder(os.getpid(), socket.gethostname(), _command(), time.time())
    # A full disk must not keep anybody from deleting something, so the name is left out then.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(asdict(holder)).encode())


def _command() -> str:
    """Return the command line as one printable line: `lookalike index photos.lookalike`."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    arguments = [display_path(os.fsencode(argument)) for argument in sys.argv[1:]]
    line = shlex.join([name, *arguments])
    return line if len(line) <= _LONGEST_COMMAND else f"{line[:_LONGEST_COMMAND]}…"


def _read_holder(path: Path) -> Holder | None:
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # it has just been taken or released


def _keep(descriptor: int) -> None:
    with _held_guard:
        _held.add(descriptor)


def _release(descriptor: int) -> None:
    with _held_guard:
        _held.discard(descriptor)
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
    os.close(descriptor)


def _close_in_child() -> None:
    # A forked worker shares the open file; if it outlived a killed parent, it would keep the lock.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if sys.platform == "win32":
    import msvcrt

    _BYTE_OF_LOCK: Final = 2**30  # far behind the content, which others want to read

    def _try_to_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _BYTE_OF_LOCK, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    os.register_at_fork(after_in_child=_close_in_child)

    def _try_to_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
