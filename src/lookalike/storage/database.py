"""The edge to SQLite: connections, transactions, and its errors in our words.

`WAL` lets readers go on beside the one writer; `synchronous=FULL` flushes the log before a commit
returns, so a power cut takes nothing that was committed.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    EnvironmentFault,
    LookalikeError,
    NotACollectionError,
    UsageError,
)

BUSY_SECONDS: Final = 10.0
"""How long to wait for another process that is just committing."""

_WRITER_SETTINGS: Final[Mapping[str, str | int]] = {
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "temp_store": "MEMORY",
    "journal_size_limit": 64 * 2**20,  # bytes to which the write-ahead log is cut back
}

_NO_PERMISSION: Final = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH}
_NOT_SHARED: Final = {  # the disk is full
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMMAP,
}
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_opened: Final = count()
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors about the file at `path` into Lookalike's."""
    try:
        yield
    except sqlite3.Error as error:
        translation = _translation(error, path)
        if translation is None:
            raise
        raise translation from error


def _translation(error: sqlite3.Error, path: Path) -> LookalikeError | None:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return EnvironmentFault(
            f"{path} could not be read or written: {error}; "
            "free some space or look at the disk, then run the same command again"
        )
    if primary in _NO_PERMISSION or primary == sqlite3.SQLITE_CANTOPEN:
        return EnvironmentFault(
            f"{path} could not be opened or written: {error}; "
            "permission for the file and its folder is needed: change it, or copy the collection"
        )
    if primary == sqlite3.SQLITE_NOMEM:
        return EnvironmentFault(f"{path} could not be read: the machine has no memory left for it")
    if primary in _BUSY:
        return CollectionLockedError(
            f"{path} is locked by another process; wait until it has finished"
        )
    if primary in _DAMAGED or str(error).startswith("no such"):
        return DamagedCollectionError(
            f"{path} is damaged: {error}; restore it from a backup, or delete the collection "
            "and index again (pictures are not touched)"
        )
    return None


class Database:
    """One connection, used by one thread at a time, with read and write transactions."""

    def __init__(self, connection: sqlite3.Connection, path: Path, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._connection = connection
        self._lock = threading.RLock()
        self._number = next(_opened)

    @property
    def state(self) -> tuple[int, int, int]:
        """Equal as long as nobody, in whatever process, has committed a change to the file.

        Says nothing beyond this process, and differs between two openings of one file.
        """
        with self.reading() as connection:
            # Counts the commits of all others; it begins anew at each opening.
            (others,) = connection.execute("PRAGMA data_version").fetchone()
            return self._number, int(others), connection.total_changes

    def close(self) -> None:
        """Close the connection; the last one to close also folds the log into the file."""
        with self._lock, translated(self.path):
            self._connection.close()

    def copy_to(self, path: Path) -> None:
        """Copy one state of the file to `path`, where nothing is, whatever a writer does meanwhile.

        Raises:
            EnvironmentFault: If it cannot be written there.
        """
        with self._lock, translated(path), closing(_connect(path, "mode=rwc")) as copy:
            self._connection.backup(copy)

    def check(self) -> None:
        """Read the whole file.

        Raises:
            DamagedCollectionError: If SQLite finds anything wrong.
        """
        with self.reading() as connection:
            (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise DamagedCollectionError(f"{self.path} is damaged: {found}; use a backup")

    def compact(self) -> None:
        """Give the space of what was deleted back to the disk; not inside a transaction.

        Raises:
            UsageError: If the file was opened for reading only.
        """
        self.check_writable()
        with self._lock, translated(self.path):
            self._connection.execute("VACUUM")

    def check_writable(self) -> None:
        """Raise UsageError if the file was opened for reading only."""
        if not self.writable:
            raise UsageError(f"{self.path} was opened for reading only; open it with writable=True")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the file throughout, whatever a writer does meanwhile."""
        with self._lock, translated(self.path):
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                # SQLite may have ended the transaction by itself after an error.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def noting(self) -> Iterator[sqlite3.Connection]:
        """Change temporary tables, which live in memory and as long as this connection."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Make all changes or none; when this returns they are on the disk.

        Raises:
            UsageError: If the file was opened for reading only.
        """
        self.check_writable()
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")


def create(path: Path, *, application_id: int, page_size: int) -> Database:
    """Make a new, empty database file.

    Raises:
        UsageError: If the file exists.
        EnvironmentFault: If it cannot be made there.
    """
    if path.exists():
        raise UsageError(f"{path} exists already; choose another path or delete it")
    with translated(path):
        connection = _connect(path, "mode=rwc")
        _prepare_for_writing(
            connection, path, ("page_size", page_size), ("application_id", application_id)
        )
        return Database(connection, path, writable=True)


def connect(path: Path, *, writable: bool) -> Database:
    """Open a database file that exists.

    Reading works beside a writer. Where the folder cannot be written, as on a read-only medium or
    a full disk, the file is read as one that nobody changes, provided that no log lies beside it.

    Raises:
        NotACollectionError: If there is no such file.
        DamagedCollectionError: If it is no SQLite file or damaged.
        EnvironmentFault: If permission is missing.
    """
    if not path.is_file():
        raise NotACollectionError(f"there is no {path}; make it with: lookalike index")
    with translated(path):
        connection = _open_for_writing(path) if writable else _open_for_reading(path)
        return Database(connection, path, writable=writable)


def _connect(path: Path, query: str) -> sqlite3.Connection:
    # Transactions are opened and closed by hand. A connection may serve several threads, one at a
    # time, where SQLite was built for it.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{query}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=sqlite3.threadsafety < 3,
    )


def _open_for_writing(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "mode=rw")
    _prepare_for_writing(connection, path)
    return connection


def _open_for_reading(path: Path) -> sqlite3.Connection:
    try:
        return _open_to_read(path, "mode=ro")
    except sqlite3.OperationalError as error:
        log = path.with_name(f"{path.name}-wal")
        # A log with content holds commits that an immutable reading would overlook.
        if not _cannot_share(error) or (log.is_file() and log.stat().st_size > 0):
            raise
        return _open_to_read(path, "mode=ro&immutable=1")


def _cannot_share(error: sqlite3.OperationalError) -> bool:
    """Whether the small files could not be made by which readers and a writer know each other."""
    code = error.sqlite_errorcode
    return code in _NOT_SHARED or code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _open_to_read(path: Path, query: str) -> sqlite3.Connection:
    connection = _connect(path, query)
    try:
        # The file is first touched here, so this is where opening fails.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    connection.execute("PRAGMA query_only = ON")
    return connection


def _prepare_for_writing(
    connection: sqlite3.Connection, path: Path, *new_file: tuple[str, int]
) -> None:
    try:
        for name, value in new_file:
            connection.execute(f"PRAGMA {name} = {value}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise EnvironmentFault(
                f"the file system of {path} cannot keep a write-ahead log; use a local disk"
            )
        for name, setting in _WRITER_SETTINGS.items():
            connection.execute(f"PRAGMA {name} = {setting}")
    except BaseException:
        connection.close()
        raise
