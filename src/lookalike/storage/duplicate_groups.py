"""Groups of near-duplicates that were found once, in a file of their own.

They are derived: the file may be deleted at any time, and is whoever shows groups', not the
collection's. Beside the groups it holds of every image that was compared the chain it hangs in, so
that what is decided, comes or goes later concerns a few chains and not the whole collection.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np

from lookalike.arrays import Ids
from lookalike.errors import DamagedCollectionError, NotACollectionError
from lookalike.failpoints import failpoint
from lookalike.storage import database
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.duplicates import Decisions

_APPLICATION_ID: Final = 0x4C4F4F44
_VERSION: Final = 1
_PAGE_SIZE: Final = 4096

_TABLES: Final = (
    "CREATE TABLE standing (id INTEGER PRIMARY KEY CHECK (id = 1), facts TEXT NOT NULL) STRICT",
    "CREATE TABLE members (image_id INTEGER PRIMARY KEY, chain INTEGER NOT NULL) STRICT",
    "CREATE INDEX members_of_chain ON members (chain)",
    """CREATE TABLE groups (
        id INTEGER PRIMARY KEY,
        chain INTEGER NOT NULL,
        keep INTEGER NOT NULL,
        n_copies INTEGER NOT NULL,
        n_removable INTEGER NOT NULL,
        content TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX groups_in_order ON groups (n_copies DESC, keep, id)",
    "CREATE INDEX groups_of_chain ON groups (chain)",
    # What had been decided when the groups were formed.
    """CREATE TABLE decided (
        verdict TEXT NOT NULL, first INTEGER NOT NULL, second INTEGER NOT NULL,
        PRIMARY KEY (verdict, first, second)
    ) STRICT, WITHOUT ROWID""",
)

_T = TypeVar("_T")
_Said: TypeAlias = set[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the groups are of.

    Attributes:
        key: Tells the collection, and how it is compared, from others.
        revision: Of the catalog, as far as images that went are concerned.
        searched: When all or the newest images were last compared, in seconds since 1970.
        n_new: Images that came since and have not been compared.
    """

    key: str
    revision: int
    searched: float
    n_new: int = 0


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as it is stored.

    Attributes:
        keep: The image that is to be kept.
        n_copies: Other images.
        n_removable: Those of them that could go.
        content: All of it, as plain values.
    """

    keep: int
    n_copies: int
    n_removable: int
    content: Mapping[str, Any]


Regroup: TypeAlias = Callable[[Sequence[int]], Iterable[GroupRow]]
"""Forms the groups among the images of one chain."""


class GroupFile:
    """The file; any number of threads and processes may use it, changes take turns.

    Args:
        path: Where it lies; made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._opened: database.Database | None = None

    def standing(self) -> Standing | None:
        """Return what the groups are of; `None` if there are none."""
        return self._read(_standing, None)

    def count(self) -> tuple[int, int]:
        """Return the number of groups, and of the images that could go."""
        query = "SELECT count(*), coalesce(sum(n_removable), 0) FROM groups"
        found = self._read(lambda connection: connection.execute(query).fetchone(), (0, 0))
        return int(found[0]), int(found[1])

    def groups(self, start: int = 0, n: int = -1) -> list[dict[str, Any]]:
        """Return `n` groups, or all, from one on: the largest first, then by the image to keep."""
        query = "SELECT content FROM groups ORDER BY n_copies DESC, keep, id LIMIT ? OFFSET ?"
        none: list[tuple[str]] = []
        rows = self._read(lambda opened: opened.execute(query, (n, start)).fetchall(), none)
        return [json.loads(content) for (content,) in rows]

    def replace(
        self,
        standing: Standing,
        members: tuple[Ids, Ids],
        grouped: Iterable[tuple[int, GroupRow]],
        decisions: Decisions,
    ) -> None:
        """Store the groups of a search through everything.

        Args:
            standing: What it is of.
            members: All images that were compared, and the chain that each hangs in.
            grouped: Chain and group.
            decisions: What had been decided.
        """
        with self._writing() as connection:
            for table in ("members", "groups", "decided"):
                connection.execute(f"DELETE FROM {table}")
            ids, chains = (each.tolist() for each in members)
            connection.executemany(
                "INSERT INTO members VALUES (?, ?)", zip(ids, chains, strict=True)
            )
            _insert_groups(connection, grouped)
            _note(connection, standing, _said(decisions))
            failpoint("storage.groups.replace")

    @contextmanager
    def changing(self) -> Iterator["Change"]:
        """Change some of it, whole or not at all; nobody else does meanwhile."""
        with self._writing() as connection:
            yield Change(connection)

    def is_of(self, revision: int, decisions: Decisions) -> bool:
        """Tell whether the groups are of this revision and of these decisions."""

        def ask(connection: sqlite3.Connection) -> bool:
            kept = _standing(connection)
            is_same = kept is not None and kept.revision == revision
            return is_same and _decided(connection) == _said(decisions)

        return self._read(ask, False)

    def _read(self, ask: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        opened = self._existing()
        if opened is None:
            return otherwise
        with opened.reading() as connection:
            return ask(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            opened = self._opened = self._existing() or _create(self._path)
        with opened.writing() as connection:
            yield connection

    def _existing(self) -> database.Database | None:
        with self._lock:
            if self._opened is None or not self._path.exists():
                self._opened = _open(self._path)
            return self._opened


class Change:
    """Changes to the groups inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._touched: set[int] = set()

    def standing(self) -> Standing | None:
        """Return what the groups are of."""
        return _standing(self._connection)

    def decided_since(self, decisions: Decisions) -> set[int]:
        """Return the images of which something else had been decided when groups were formed."""
        differing = _said(decisions) ^ _decided(self._connection)
        return {image for _, *pair in differing for image in pair}

    def known(self) -> Ids:
        """Return the images that were compared, ascending."""
        rows = self._connection.execute("SELECT image_id FROM members ORDER BY image_id")
        return np.array([image_id for (image_id,) in rows], np.int64)

    def touch(self, ids: Iterable[int]) -> None:
        """Form the groups around some images anew."""
        self._touched |= set(self._chains(ids).values())

    def remove(self, ids: Iterable[int]) -> None:
        """Let images go."""
        gone = list(ids)
        self.touch(gone)
        rows = ((image_id,) for image_id in gone)
        self._connection.executemany("DELETE FROM members WHERE image_id = ?", rows)

    def add(self, ids: Iterable[int]) -> None:
        """Take images in that hang in no chain yet."""
        rows = ((image_id, image_id) for image_id in ids)
        self._connection.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", rows)

    def join(self, ids: Sequence[int]) -> None:
        """Make one chain of those that some images hang in, and form its groups anew."""
        chains = sorted(set(self._chains(ids).values()))
        for other in chains[1:]:
            for table in ("members", "groups"):
                self._connection.execute(
                    f"UPDATE {table} SET chain = ? WHERE chain = ?", (chains[0], other)
                )
            self._touched.discard(other)
        self._touched |= set(chains[:1])

    def finish(self, standing: Standing, decisions: Decisions, regroup: Regroup) -> None:
        """Form the groups of all chains that were touched, and note what they are of now."""
        for chain in sorted(self._touched):
            self._connection.execute("DELETE FROM groups WHERE chain = ?", (chain,))
            rows = self._connection.execute(
                "SELECT image_id FROM members WHERE chain = ? ORDER BY image_id", (chain,)
            )
            ids = [image_id for (image_id,) in rows]
            if len(ids) > 1:
                _insert_groups(self._connection, ((chain, group) for group in regroup(ids)))
        _note(self._connection, standing, _said(decisions))

    def _chains(self, ids: Iterable[int]) -> dict[int, int]:
        found: dict[int, int] = {}
        for chunk in chunked([int(image_id) for image_id in ids]):
            marks = placeholders(chunk)
            query = f"SELECT image_id, chain FROM members WHERE image_id IN ({marks})"
            found.update(self._connection.execute(query, chunk))
        return found


def _open(path: Path) -> database.Database | None:
    """Open the file; one that is damaged, or of another version, is deleted."""
    try:
        opened = database.connect(path, writable=True)
        with opened.reading() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == _VERSION:
            return opened
        opened.close()
    except NotACollectionError:
        return None
    except DamagedCollectionError:
        pass
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        each.unlink(missing_ok=True)
    return None


def _create(path: Path) -> database.Database:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = database.create(path, application_id=_APPLICATION_ID, page_size=_PAGE_SIZE)
    with opened.writing() as connection:
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    return opened


def _standing(connection: sqlite3.Connection) -> Standing | None:
    row = connection.execute("SELECT facts FROM standing").fetchone()
    return None if row is None else Standing(**json.loads(row[0]))


def _note(connection: sqlite3.Connection, standing: Standing, said: _Said) -> None:
    facts = {name: getattr(standing, name) for name in Standing.__slots__}
    connection.execute("INSERT OR REPLACE INTO standing VALUES (1, ?)", (json.dumps(facts),))
    connection.execute("DELETE FROM decided")
    connection.executemany("INSERT INTO decided VALUES (?, ?, ?)", sorted(said))


def _decided(connection: sqlite3.Connection) -> _Said:
    return set(connection.execute("SELECT verdict, first, second FROM decided"))


def _said(decisions: Decisions) -> _Said:
    said = {("keep", image_id, image_id) for image_id in decisions.keeps}
    said |= {("same", *pair) for pair in decisions.same}
    return said | {("different", *pair) for pair in decisions.different}


def _insert_groups(connection: sqlite3.Connection, grouped: Iterable[tuple[int, GroupRow]]) -> None:
    connection.executemany(
        "INSERT INTO groups (chain, keep, n_copies, n_removable, content) VALUES (?, ?, ?, ?, ?)",
        (
            (chain, row.keep, row.n_copies, row.n_removable, json.dumps(dict(row.content)))
            for chain, row in grouped
        ),
    )
