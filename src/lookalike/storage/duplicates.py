"""Fingerprints of images, and what a person has decided about near-duplicates.

Fingerprints belong to images and go with them. Decisions belong to contents: they hold for an image
that is removed and added again, renamed, or copied elsewhere.
"""

import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.images.perceptual_hash import N_BYTES, PLAIN, Fingerprint, Hashes
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database

Verdict: TypeAlias = Literal["keep", "same", "different", "forget"]
"""`keep`: this one stays. `same`, `different`: these are copies of each other, or are not, whatever
is measured. `forget`: what was decided about them holds no longer."""

READ_BATCH: Final = 8192

_Row: TypeAlias = tuple[Any, ...]

TABLE: Final = "fingerprints"

_TABLES: Final = (
    f"""CREATE TABLE {TABLE} (
        image_id INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
        bits BLOB NOT NULL CHECK (length(bits) = {N_BYTES}),
        contrast REAL NOT NULL,
        sharpness REAL NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT""",
    """CREATE TABLE duplicate_verdicts (
        first BLOB NOT NULL,
        second BLOB NOT NULL CHECK (first < second),
        verdict TEXT NOT NULL CHECK (verdict IN ('same', 'different')),
        made REAL NOT NULL,
        PRIMARY KEY (first, second)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX verdicts_by_second ON duplicate_verdicts (second)",
    """CREATE TABLE duplicate_keeps (
        hash BLOB PRIMARY KEY,
        made REAL NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

_PRINTS: Final = (
    "SELECT id, bits, contrast, sharpness, n_bytes, width * height, format "
    f"FROM images JOIN {TABLE} ON image_id = id"
)
_KEEPS: Final = "SELECT id FROM duplicate_keeps JOIN images USING (hash)"
_VERDICTS: Final = (
    "SELECT verdict, min(a.id, b.id), max(a.id, b.id) FROM duplicate_verdicts "
    "JOIN images AS a ON a.hash = first JOIN images AS b ON b.hash = second"
)


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """Fingerprints of images beside what tells which copy is the best; one row for each image.

    Attributes:
        ids: Image ids.
        hashes: Perceptual hashes.
        is_plain: Whether there is too little structure for the hash to say anything.
        sharpness: See `Fingerprint`.
        n_bytes: Length of the file.
        n_pixels: Width times height of the file's picture.
        formats: Name of the file format.
    """

    ids: Ids
    hashes: Hashes
    is_plain: Bool[ndarray, " items"]
    sharpness: Float64[ndarray, " items"]
    n_bytes: Int64[ndarray, " items"]
    n_pixels: Int64[ndarray, " items"]
    formats: ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, positions: Int64[ndarray, " taken"]) -> "Prints":
        """Return the rows at some positions."""
        return Prints(*(getattr(self, name)[positions] for name in _FIELDS))


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided about some images, by image id.

    Attributes:
        keeps: Images that stay.
        same: Pairs that are copies, the lower id first.
        different: Pairs that are not.
    """

    keeps: frozenset[int]
    same: frozenset[tuple[int, int]]
    different: frozenset[tuple[int, int]]


class DuplicateStore:
    """Fingerprints and decisions in a catalog; see `Catalog.duplicates`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prints(self, ids: Sequence[int] | Ids | None = None) -> Prints:
        """Return the fingerprints of all images, or of those among `ids`, by ascending id.

        Images without one are left out. A fingerprint takes less than 200 bytes of memory.
        """
        pages = self._pages() if ids is None else self._chunks(sorted({int(id_) for id_ in ids}))
        return _joined([_prints(rows) for rows in pages])

    def _chunks(self, ids: Sequence[int]) -> Iterator[list[_Row]]:
        for chunk in chunked(ids):
            query = f"{_PRINTS} WHERE id IN ({placeholders(chunk)}) ORDER BY id"
            with self._database.reading() as connection:
                rows = connection.execute(query, chunk).fetchall()
            yield rows

    def _pages(self) -> Iterator[list[_Row]]:
        after = 0
        query = f"{_PRINTS} WHERE id > ? ORDER BY id LIMIT {READ_BATCH}"
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(query, (after,)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield rows

    def told(self, ids: Sequence[int] | Ids) -> Int64[ndarray, " told"]:
        """Return those of the `ids` that have a fingerprint, ascending."""
        found: list[int] = []
        for chunk in chunked(sorted({int(id_) for id_ in ids})):
            query = f"SELECT image_id FROM {TABLE} WHERE image_id IN ({placeholders(chunk)})"
            with self._database.reading() as connection:
                found += [image_id for (image_id,) in connection.execute(query, chunk)]
        return np.array(sorted(found), np.int64)

    def lacking(self) -> Ids:
        """Return the ids, ascending, of the images that have no fingerprint yet."""
        query = f"SELECT id FROM images WHERE id NOT IN (SELECT image_id FROM {TABLE}) ORDER BY id"
        with self._database.reading() as connection:
            return np.array([row[0] for row in connection.execute(query)], np.int64)

    def add(self, found: Iterable[tuple[bytes, Fingerprint]]) -> None:
        """Store fingerprints by content hash; contents that are not stored are passed over."""
        with self._database.writing() as connection:
            insert(connection, found)
            failpoint("storage.fingerprints.end")

    def decide(self, verdict: Verdict, contents: Sequence[bytes]) -> None:
        """Store a decision about contents; a later one about the same pair replaces it.

        Raises:
            UsageError: If it needs two contents and there is only one.
        """
        distinct = sorted(set(contents))
        if verdict in ("same", "different") and len(distinct) < 2:
            raise UsageError(f"{verdict!r} is said of two images or more; name another one")
        with self._database.writing() as connection:
            _decide(connection, verdict, distinct)
            failpoint("storage.decide.end")

    def decisions(self, ids: Sequence[int] | Ids | None = None) -> Decisions:
        """Return what was decided about all images and pairs of them, or about those in `ids`."""
        if ids is None:
            with self._database.reading() as connection:
                keeps = connection.execute(_KEEPS).fetchall()
                pairs = connection.execute(_VERDICTS).fetchall()
        else:
            keeps, pairs = [], []
            for chunk in chunked([int(id_) for id_ in ids]):
                marks = placeholders(chunk)
                with self._database.reading() as connection:
                    keeps += connection.execute(f"{_KEEPS} WHERE id IN ({marks})", chunk)
                    pairs += connection.execute(f"{_VERDICTS} WHERE a.id IN ({marks})", chunk)
        return Decisions(
            frozenset(image_id for (image_id,) in keeps),
            frozenset((first, second) for verdict, first, second in pairs if verdict == "same"),
            frozenset((first, second) for verdict, first, second in pairs if verdict != "same"),
        )


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of fingerprints and decisions."""
    for statement in _TABLES:
        connection.execute(statement)


def insert(connection: sqlite3.Connection, found: Iterable[tuple[bytes, Fingerprint]]) -> None:
    """Store fingerprints of contents that are stored already, or replace them."""
    connection.executemany(
        f"INSERT OR REPLACE INTO {TABLE} SELECT id, ?2, ?3, ?4, ?5 FROM images WHERE hash = ?1",
        (
            (
                content,
                print_.bits,
                print_.contrast,
                print_.sharpness,
                _checksum(content, print_.bits),
            )
            for content, print_ in found
        ),
    )


def damaged(connection: sqlite3.Connection) -> list[int]:
    """Return the ids of the images whose hash is not as it was stored."""
    rows = connection.execute(
        f"SELECT id, hash, bits, checksum FROM {TABLE} JOIN images ON image_id = id"
    )
    return [image_id for image_id, content, bits, sum_ in rows if _checksum(content, bits) != sum_]


def delete_damaged(connection: sqlite3.Connection, image_ids: Sequence[int]) -> None:
    """Delete fingerprints, and those of images that are not there; `index` makes them again."""
    connection.executemany(f"DELETE FROM {TABLE} WHERE image_id = ?", ((id_,) for id_ in image_ids))
    connection.execute(f"DELETE FROM {TABLE} WHERE image_id NOT IN (SELECT id FROM images)")


def _decide(connection: sqlite3.Connection, verdict: Verdict, contents: Sequence[bytes]) -> None:
    now = time.time()
    ones = [(content,) for content in contents]
    if verdict == "keep":
        connection.executemany(
            "INSERT OR REPLACE INTO duplicate_keeps VALUES (?, ?)", [(c, now) for c in contents]
        )
    elif verdict == "forget":
        connection.executemany("DELETE FROM duplicate_keeps WHERE hash = ?", ones)
        for column in ("first", "second"):
            connection.executemany(f"DELETE FROM duplicate_verdicts WHERE {column} = ?", ones)
    else:
        connection.executemany(
            "INSERT OR REPLACE INTO duplicate_verdicts VALUES (?, ?, ?, ?)",
            [(first, second, verdict, now) for first, second in combinations(contents, 2)],
        )


def _checksum(content: bytes, bits: bytes) -> int:
    return zlib.crc32(bits, zlib.crc32(content))


def _prints(rows: Sequence[_Row]) -> Prints:
    ids, bits, contrast, sharpness, n_bytes, n_pixels, formats = (
        zip(*rows, strict=True) if rows else ((),) * 7
    )
    return Prints(
        np.array(ids, np.int64),
        np.frombuffer(b"".join(bits), np.uint8).reshape(-1, N_BYTES),
        np.array(contrast, np.float64) < PLAIN,
        np.array(sharpness, np.float64),
        np.array(n_bytes, np.int64),
        np.array(n_pixels, np.int64),
        np.array(formats, np.str_),
    )


def _joined(parts: Sequence[Prints]) -> Prints:
    parts = parts or [_prints([])]
    return Prints(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


_FIELDS: Final = tuple(field.name for field in fields(Prints))
