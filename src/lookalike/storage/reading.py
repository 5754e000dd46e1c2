"""What is asked of a catalog: statements that run inside one transaction of `Catalog`."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from lookalike.arrays import Ids
from lookalike.errors import DamagedCollectionError
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.records import FileRecord, FileState, ImageRecord, RunRecord

Item = TypeVar("Item")

_FILES: Final = """
    SELECT files.path, roots.path, size, mtime_ns, state, coalesce(images.hash, files.hash),
           reason, transient
    FROM files JOIN roots ON roots.id = root_id LEFT JOIN images ON images.id = image_id
"""


def revision(connection: sqlite3.Connection) -> int:
    """Return the number of commits that changed something."""
    row = connection.execute("SELECT revision FROM state").fetchone()
    if row is None:
        raise DamagedCollectionError(
            "the catalog has lost its revision; restore it from a backup, or delete the collection "
            "and index again (pictures are not touched)"
        )
    return int(row[0])


def descriptors(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the dimension of each descriptor, by name."""
    return dict(connection.execute("SELECT name, dim FROM descriptors ORDER BY name").fetchall())


def image_ids(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> dict[bytes, int]:
    """Return the ids of those contents that are stored."""
    found: dict[bytes, int] = {}
    for chunk in chunked(hashes):
        found.update(
            connection.execute(
                f"SELECT hash, id FROM images WHERE hash IN ({placeholders(chunk)})", chunk
            )
        )
    return found


def ids_of_paths(connection: sqlite3.Connection, paths: Sequence[bytes]) -> dict[bytes, int]:
    """Return the image ids of those paths that are indexed."""
    found: dict[bytes, int] = {}
    for chunk in chunked(paths):
        found.update(
            connection.execute(
                f"SELECT path, image_id FROM files WHERE path IN ({placeholders(chunk)}) "
                "AND image_id IS NOT NULL",
                chunk,
            )
        )
    return found


def files(connection: sqlite3.Connection, paths: Sequence[bytes]) -> dict[bytes, FileRecord]:
    """Return what is known of those paths that are stored."""
    found: dict[bytes, FileRecord] = {}
    for chunk in chunked(paths):
        rows = connection.execute(f"{_FILES} WHERE files.path IN ({placeholders(chunk)})", chunk)
        found.update((row[0], _file(row)) for row in rows)
    return found


def failures(connection: sqlite3.Connection, limit: int | None) -> list[FileRecord]:
    """Return the files that failed by ascending path, at most `limit`."""
    # The first condition lets SQLite use the index of the few files that are not indexed; the sign
    # keeps it from walking through all paths in order instead.
    rows = connection.execute(
        f"{_FILES} WHERE state <> 'indexed' AND state = 'failed' ORDER BY +files.path LIMIT ?",
        (-1 if limit is None else limit,),
    )
    return [_file(row) for row in rows]


def count_files(connection: sqlite3.Connection) -> dict[FileState, int]:
    """Return the number of files in each state; zeros included."""
    (n_files,) = connection.execute("SELECT count(*) FROM files").fetchone()
    others = dict(
        connection.execute(
            "SELECT state, count(*) FROM files WHERE state <> 'indexed' GROUP BY state"
        ).fetchall()
    )
    failed, skipped = others.get("failed", 0), others.get("skipped", 0)
    return {"indexed": n_files - failed - skipped, "failed": failed, "skipped": skipped}


def ids(connection: sqlite3.Connection, query: str, *values: int) -> Ids:
    """Return the ids that `query` gives, ascending."""
    rows = connection.execute(query, values).fetchall()
    return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def images(connection: sqlite3.Connection, wanted: Sequence[int]) -> dict[int, ImageRecord]:
    """Return the records of those ids that are stored."""
    found: dict[int, ImageRecord] = {}
    for chunk in chunked(sorted(set(wanted))):
        paths, labels = _paths(connection, chunk), _labels(connection, chunk)
        rows = connection.execute(
            "SELECT id, hash, n_bytes, width, height, format FROM images "
            f"WHERE id IN ({placeholders(chunk)})",
            chunk,
        )
        for image_id, content_hash, n_bytes, width, height, name in rows:
            found[image_id] = ImageRecord(
                image_id,
                content_hash,
                n_bytes,
                width,
                height,
                name,
                paths=tuple(paths[image_id]),
                labels=tuple(labels[image_id]),
            )
    return found


def last_run(connection: sqlite3.Connection) -> RunRecord | None:
    """Return the run that was begun last."""
    row = connection.execute(
        "SELECT id, started, finished FROM runs ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return None if row is None else RunRecord(*row)


def _file(row: tuple[Any, ...]) -> FileRecord:
    path, root, size, mtime_ns, state, content_hash, reason, transient = row
    return FileRecord(path, root, size, mtime_ns, state, content_hash, reason, bool(transient))


def _paths(connection: sqlite3.Connection, wanted: Sequence[int]) -> dict[int, list[bytes]]:
    rows = connection.execute(
        f"SELECT image_id, path FROM files WHERE image_id IN ({placeholders(wanted)}) "
        "ORDER BY path",
        wanted,
    )
    return _grouped(rows)


def _labels(
    connection: sqlite3.Connection, wanted: Sequence[int]
) -> dict[int, list[tuple[str, float]]]:
    # What a person says counts before everything else; then the largest probability.
    rows = connection.execute(
        "SELECT image_id, name, coalesce(max(CASE provenance WHEN 'person' THEN probability END), "
        "max(probability)) AS believed FROM image_labels "
        f"JOIN labels ON labels.id = label_id WHERE image_id IN ({placeholders(wanted)}) "
        "GROUP BY image_id, label_id HAVING believed > 0 ORDER BY believed DESC, name",
        wanted,
    )
    return _grouped((image_id, (name, probability)) for image_id, name, probability in rows)


def _grouped(rows: Iterable[tuple[int, Item]]) -> dict[int, list[Item]]:
    groups: dict[int, list[Item]] = defaultdict(list)
    for key, value in rows:
        groups[key].append(value)
    return groups
