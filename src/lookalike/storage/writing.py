"""What changes a catalog: statements that run inside one transaction of `Catalog`.

Two temporary tables in memory serve it: `seen` holds the files met in the current run, `loose` the
images that may just have lost their last file.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.images.scanning import display_path
from lookalike.storage import annotations, descriptions, duplicates, reading, vectors, words
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.records import Batch, FileRecord, NewImage

MODEL: Final = "model"
"""Provenance of labels that a model predicted."""

_INT64: Final = 2**63

_TEMPORARY_TABLES: Final = (
    "CREATE TEMP TABLE seen (file_id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE gone (file_id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE loose (image_id INTEGER PRIMARY KEY)",
)

_UPSERT_FILE: Final = """
    INSERT INTO files (path, display, root_id, size, mtime_ns, state, image_id, hash, reason,
                       transient)
    VALUES (?1, ?2, (SELECT id FROM roots WHERE path = ?3), ?4, ?5, ?6,
            CASE WHEN ?6 = 'indexed' THEN (SELECT id FROM images WHERE hash = ?7) END,
            CASE WHEN ?6 <> 'indexed' THEN ?7 END, ?8, ?9)
    ON CONFLICT (path) DO UPDATE SET
        root_id = excluded.root_id, size = excluded.size, mtime_ns = excluded.mtime_ns,
        state = excluded.state, image_id = excluded.image_id, hash = excluded.hash,
        reason = excluded.reason, transient = excluded.transient
    WHERE (root_id, size, mtime_ns, state, image_id, hash, reason, transient)
        IS NOT (excluded.root_id, excluded.size, excluded.mtime_ns, excluded.state,
                excluded.image_id, excluded.hash, excluded.reason, excluded.transient)
"""


def create_temporary_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that live as long as the connection."""
    for statement in _TEMPORARY_TABLES:
        connection.execute(statement)


def begin_run(connection: sqlite3.Connection, now: float) -> int:
    """Note the start of a run, in which nothing has been seen yet; return its number."""
    connection.execute("DELETE FROM seen")
    run = connection.execute("INSERT INTO runs (started) VALUES (?)", (now,)).lastrowid
    return int(run or 0)


def store(
    connection: sqlite3.Connection,
    batch: Batch,
    descriptors: Mapping[str, int],
    chosen: Collection[str] = (),
) -> None:
    """Store a batch and tick off its files; see `Catalog.commit`."""
    images = list({image.hash: image for image in batch.images}.values())
    packed = vectors.pack(images, descriptors, chosen)
    revision = next_revision(connection)
    failpoint("storage.commit.begin")
    new = _insert_images(connection, images)
    failpoint("storage.commit.images")
    for name, rows in packed.items():
        vectors.insert(connection, name, [row for row in rows if row[0] in new])
    _insert_labels(connection, [image for image in new.values() if image.labels])
    annotations.restore(connection, list(new))
    duplicates.insert(
        connection,
        ((hash_, image.fingerprint) for hash_, image in new.items() if image.fingerprint),
    )
    failpoint("storage.commit.embeddings")
    _note_loose(connection, [file.path for file in batch.files])
    n_changed = _upsert_files(connection, batch.files)
    _check_held(connection, new)
    failpoint("storage.commit.files")
    descriptions.store_details(connection, batch.details)
    held = [file.hash for file in batch.files if file.hash is not None]
    descriptions.materialize(connection, held)
    failpoint("storage.commit.words")
    n_changed += delete_loose(connection, revision)
    if new or n_changed:
        set_revision(connection, revision)
    mark_seen(connection, [file.path for file in batch.files])
    failpoint("storage.commit.end")


def mark_seen(connection: sqlite3.Connection, paths: Sequence[bytes]) -> None:
    """Tick off files; paths that are not stored are passed over."""
    for chunk in chunked(paths):
        connection.execute(
            "INSERT OR IGNORE INTO seen "
            f"SELECT id FROM files WHERE path IN ({placeholders(chunk)})",
            chunk,
        )


def remove_unseen(
    connection: sqlite3.Connection, roots: Iterable[bytes], except_below: Iterable[bytes]
) -> int:
    """Remove the files below `roots` that were not ticked off; return how many."""
    revision = next_revision(connection)
    connection.execute("DELETE FROM gone")
    for root in roots:
        for condition, values in _at_or_below(root):
            connection.execute(
                f"INSERT OR IGNORE INTO gone SELECT id FROM files WHERE {condition} "
                "AND id NOT IN (SELECT file_id FROM seen)",
                values,
            )
    for path in except_below:
        for condition, values in _at_or_below(path):
            connection.execute(
                f"DELETE FROM gone WHERE file_id IN (SELECT id FROM files WHERE {condition})",
                values,
            )
    failpoint("storage.remove.begin")
    n_removed = _delete_gone(connection)
    failpoint("storage.remove.files")
    delete_loose(connection, revision)
    if n_removed:
        set_revision(connection, revision)
    failpoint("storage.remove.end")
    return n_removed


def end_run(connection: sqlite3.Connection, run: int, now: float) -> None:
    """Note that a run has come to its end."""
    connection.execute("DELETE FROM seen")
    connection.execute("UPDATE runs SET finished = ? WHERE id = ?", (now, run))


def forget_images(connection: sqlite3.Connection, image_ids: Sequence[int], reason: str) -> None:
    """Delete images, stored or already lost, and have the files that hold them read again."""
    revision = next_revision(connection)
    for chunk in chunked(image_ids):
        marks = placeholders(chunk)
        connection.execute(
            f"INSERT OR IGNORE INTO loose SELECT id FROM images WHERE id IN ({marks})", chunk
        )
        connection.execute(
            "UPDATE files SET state = 'failed', image_id = NULL, size = NULL, mtime_ns = NULL, "
            f"hash = NULL, reason = ?, transient = 1 WHERE image_id IN ({marks})",
            (reason, *chunk),
        )
    failpoint("storage.repair.files")
    delete_loose(connection, revision)
    set_revision(connection, revision)


def delete_loose(connection: sqlite3.Connection, revision: int) -> int:
    """Delete those of the `loose` images that no file holds any more; return how many."""
    kept = connection.execute(
        "DELETE FROM loose WHERE image_id IN (SELECT image_id FROM files "
        "WHERE image_id IS NOT NULL AND image_id IN (SELECT image_id FROM loose)) "
        "RETURNING image_id"
    ).fetchall()
    words.refresh(connection, [image_id for (image_id,) in kept])
    connection.execute(
        "INSERT OR REPLACE INTO deletions SELECT image_id, ? FROM loose", (revision,)
    )
    deleted = connection.execute("DELETE FROM images WHERE id IN (SELECT image_id FROM loose)")
    connection.execute("DELETE FROM loose")
    return deleted.rowcount


def next_revision(connection: sqlite3.Connection) -> int:
    """Return the revision that this transaction will make."""
    return reading.revision(connection) + 1


def set_revision(connection: sqlite3.Connection, revision: int) -> None:
    """Note that this transaction changes something."""
    connection.execute("UPDATE state SET revision = ?", (revision,))


def _insert_images(
    connection: sqlite3.Connection, images: Sequence[NewImage]
) -> dict[bytes, NewImage]:
    """Insert the images that are not stored yet, and return them by hash."""
    stored = reading.image_ids(connection, [image.hash for image in images])
    new = {image.hash: image for image in images if image.hash not in stored}
    connection.executemany(
        "INSERT INTO images (hash, n_bytes, width, height, format) VALUES (?, ?, ?, ?, ?)",
        (
            (image.hash, image.n_bytes, image.width, image.height, image.format)
            for image in new.values()
        ),
    )
    return new


def _insert_labels(connection: sqlite3.Connection, images: Sequence[NewImage]) -> None:
    names = {name for image in images for name, _ in image.labels}
    connection.executemany(
        "INSERT OR IGNORE INTO labels (name) VALUES (?)", ((name,) for name in sorted(names))
    )
    connection.executemany(
        "INSERT INTO image_labels SELECT images.id, labels.id, ?, ? "
        "FROM images, labels WHERE images.hash = ? AND labels.name = ?",
        (
            (MODEL, probability, image.hash, name)
            for image in images
            for name, probability in dict(image.labels).items()
        ),
    )


def _note_loose(connection: sqlite3.Connection, paths: Sequence[bytes]) -> None:
    for chunk in chunked(paths):
        connection.execute(
            "INSERT OR IGNORE INTO loose SELECT image_id FROM files "
            f"WHERE path IN ({placeholders(chunk)}) AND image_id IS NOT NULL",
            chunk,
        )


def _upsert_files(connection: sqlite3.Connection, files: Sequence[FileRecord]) -> int:
    _check_stored(connection, files)
    connection.executemany(
        "INSERT OR IGNORE INTO roots (path) VALUES (?)",
        ((root,) for root in sorted({file.root for file in files})),
    )
    return connection.executemany(_UPSERT_FILE, (_file_row(file) for file in files)).rowcount


def _file_row(file: FileRecord) -> tuple[object, ...]:
    return (
        file.path,
        display_path(file.path),
        file.root,
        file.size,
        _within_int64(file.mtime_ns),
        file.state,
        file.hash,
        None if file.state == "indexed" else file.reason,
        file.transient,
    )


def _within_int64(mtime_ns: int | None) -> int | None:
    # File systems know years beyond 2262; such a file is read anew in each run, which does no harm.
    return None if mtime_ns is None else max(-_INT64, min(_INT64 - 1, mtime_ns))


def _check_stored(connection: sqlite3.Connection, files: Sequence[FileRecord]) -> None:
    hashes = {file.hash: file for file in files if file.state == "indexed" and file.hash}
    stored = reading.image_ids(connection, list(hashes))
    for content_hash, file in hashes.items():
        if content_hash not in stored:
            raise UsageError(
                f"file {display_path(file.path)} holds image {content_hash.hex()}, which is "
                "neither stored nor in the batch; add it to the batch"
            )


def _check_held(connection: sqlite3.Connection, new: Mapping[bytes, NewImage]) -> None:
    held: set[bytes] = set()
    for chunk in chunked(list(new)):
        rows = connection.execute(
            f"SELECT hash FROM images WHERE hash IN ({placeholders(chunk)}) "
            "AND EXISTS (SELECT 1 FROM files WHERE image_id = images.id)",
            chunk,
        )
        held.update(content_hash for (content_hash,) in rows)
    for content_hash in new:
        if content_hash not in held:
            raise UsageError(
                f"image {content_hash.hex()} is held by no file of the batch; add its file"
            )


def _delete_gone(connection: sqlite3.Connection) -> int:
    connection.execute(
        "INSERT OR IGNORE INTO loose SELECT image_id FROM files "
        "WHERE id IN (SELECT file_id FROM gone) AND image_id IS NOT NULL"
    )
    deleted = connection.execute("DELETE FROM files WHERE id IN (SELECT file_id FROM gone)")
    connection.execute(
        "DELETE FROM roots WHERE NOT EXISTS (SELECT 1 FROM files WHERE root_id = roots.id)"
    )
    return deleted.rowcount


def _at_or_below(path: bytes) -> list[tuple[str, tuple[bytes, ...]]]:
    """Conditions for `path` itself and for all below it, never for its neighbors.

    Below `/a/b` lies all from `/a/b/` up to `/a/b0`, the byte after the slash; `/a/bc` does not.
    """
    start = path.rstrip(b"/") + b"/"
    end = start[:-1] + bytes([start[-1] + 1])
    return [("path = ?", (path,)), ("path >= ? AND path < ?", (start, end))]
