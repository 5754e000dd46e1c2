"""Small pictures of a collection, kept so that they need not be made twice.

They are derived: the file may be deleted at any time. It is written by whoever shows pictures,
beside the collection's one writer, and never waits for it.
"""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS thumbnails (
        hash BLOB NOT NULL, side INTEGER NOT NULL, picture BLOB NOT NULL, PRIMARY KEY (hash, side)
    ) WITHOUT ROWID
"""
_BUSY_SECONDS: Final = 2.0


class ThumbnailStore:
    """Encoded pictures by content hash and size; any number of threads and processes may use it.

    A file that cannot be read or written does no harm: nothing is found, nothing is kept.

    Args:
        path: The SQLite file; made when something is first kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def get(self, content_hash: bytes, side: int) -> bytes | None:
        """Return a picture, if it is kept."""
        try:
            row = (
                self._connection()
                .execute(
                    "SELECT picture FROM thumbnails WHERE hash = ? AND side = ?",
                    (content_hash, side),
                )
                .fetchone()
            )
        except sqlite3.Error:
            return None
        return None if row is None else bytes(row[0])

    def put(self, content_hash: bytes, side: int, picture: bytes) -> bool:
        """Keep a picture; `False` if that is not possible just now."""
        try:
            with self._connection() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)",
                    (content_hash, side, picture),
                )
        except sqlite3.Error:
            return False
        return True

    def _connection(self) -> sqlite3.Connection:
        opened: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if opened is None:
            opened = sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
            # What is lost can be made again, so nothing waits for the disk.
            opened.execute("PRAGMA journal_mode=WAL")
            opened.execute("PRAGMA synchronous=OFF")
            opened.execute(_SCHEMA)
            self._local.connection = opened
        return opened


def count_thumbnails(path: Path) -> int:
    """Return how many pictures a file keeps; 0 if there is none."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
        (n,) = opened.execute("SELECT count(*) FROM thumbnails").fetchone()
    return int(n)
