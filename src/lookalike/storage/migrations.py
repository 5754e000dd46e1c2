"""The schema of the catalog as a list of numbered steps.

A new catalog takes all of them, an older one those it lacks. A step that has been released is
never changed: what is to be different comes as a further step. `PRAGMA user_version` counts the
steps taken, and each step commits together with its number.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lookalike.errors import DamagedCollectionError, MismatchError, NotACollectionError
from lookalike.failpoints import failpoint
from lookalike.storage import descriptions, duplicates, knowledge, regions, words
from lookalike.storage.database import Database, connect

APPLICATION_ID: Final = 0x4C4F4F4B
"""Marks an SQLite file as a catalog: `LOOK`."""


def m001_images_files_embeddings_labels(connection: sqlite3.Connection) -> None:
    """Make the tables of the first version."""
    for statement in _FIRST_TABLES:
        connection.execute(statement)


def m005_knowledge(connection: sqlite3.Connection) -> None:
    """Make the tables of clusters, annotations, maps, subjects and saved searches."""
    knowledge.create_tables(connection)


_FIRST_TABLES: Final = (
    # One row. The revision grows with every commit that changes what the catalog holds.
    """CREATE TABLE state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL
    ) STRICT""",
    "INSERT INTO state VALUES (1, 0)",
    # The vectors of each descriptor lie in a table of their own, `embeddings_<name>`.
    """CREATE TABLE descriptors (
        name TEXT PRIMARY KEY,
        dim INTEGER NOT NULL CHECK (dim > 0)
    ) STRICT, WITHOUT ROWID""",
    # AUTOINCREMENT: an id is never used again, so what refers to it never means another image.
    """CREATE TABLE images (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hash BLOB NOT NULL UNIQUE,
        n_bytes INTEGER NOT NULL,
        width INTEGER NOT NULL CHECK (width > 0),
        height INTEGER NOT NULL CHECK (height > 0),
        format TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE roots (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE
    ) STRICT""",
    # `hash` is that of a file that failed; an indexed file has the one of its image.
    """CREATE TABLE files (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL UNIQUE,
        display TEXT NOT NULL,
        root_id INTEGER NOT NULL REFERENCES roots (id),
        size INTEGER,
        mtime_ns INTEGER,
        state TEXT NOT NULL CHECK (state IN ('indexed', 'failed', 'skipped')),
        image_id INTEGER REFERENCES images (id),
        hash BLOB,
        reason TEXT,
        transient INTEGER NOT NULL CHECK (transient IN (0, 1)),
        CHECK ((state = 'indexed') = (image_id IS NOT NULL)),
        CHECK ((state = 'indexed') = (reason IS NULL))
    ) STRICT""",
    "CREATE INDEX files_of_image ON files (image_id) WHERE image_id IS NOT NULL",
    "CREATE INDEX files_of_root ON files (root_id)",
    "CREATE INDEX files_not_indexed ON files (state) WHERE state <> 'indexed'",
    """CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    ) STRICT""",
    """CREATE TABLE image_labels (
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        label_id INTEGER NOT NULL REFERENCES labels (id),
        provenance TEXT NOT NULL,
        probability REAL NOT NULL CHECK (probability BETWEEN 0 AND 1),
        PRIMARY KEY (image_id, label_id, provenance)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX images_of_label ON image_labels (label_id)",
    # What an index built at an earlier revision has to leave out.
    """CREATE TABLE deletions (
        image_id INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX deletions_by_revision ON deletions (revision)",
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started REAL NOT NULL,
        finished REAL
    ) STRICT""",
)


def m002_chosen_descriptors(connection: sqlite3.Connection) -> None:
    """Tell descriptors that a person chose, which images may lack, from those of the model."""
    for statement in _CHOSEN_DESCRIPTORS:
        connection.execute(statement)


_CHOSEN_DESCRIPTORS: Final = (
    "ALTER TABLE descriptors ADD COLUMN version INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE descriptors ADD COLUMN is_chosen INTEGER NOT NULL DEFAULT 0 "
    "CHECK (is_chosen IN (0, 1))",
    # The revision at which images last got vectors that are not the newest images.
    "ALTER TABLE descriptors ADD COLUMN filled INTEGER NOT NULL DEFAULT 0",
)


def m003_words_descriptions_attributes(connection: sqlite3.Connection) -> None:
    """Make what can be searched in words; all files are read again for their metadata."""
    descriptions.create_tables(connection)
    words.create_tables(connection)
    words.fill(connection)
    connection.execute("UPDATE files SET transient = 1 WHERE state = 'indexed'")


def m004_regions(connection: sqlite3.Connection) -> None:
    """Make the tables of regions."""
    regions.create_tables(connection)


def m006_fingerprints_and_decisions(connection: sqlite3.Connection) -> None:
    """Make the tables of near-duplicates; the next `index` fills in the fingerprints."""
    duplicates.create_tables(connection)


MIGRATIONS: Final[tuple[Callable[[sqlite3.Connection], None], ...]] = (
    m001_images_files_embeddings_labels,
    m002_chosen_descriptors,
    m003_words_descriptions_attributes,
    m004_regions,
    m005_knowledge,
    m006_fingerprints_and_decisions,
)


def open_current(path: Path, *, writable: bool) -> Database:
    """Open a catalog of this program's version; for writing, an older one is brought up to it.

    Raises:
        NotACollectionError: If there is no such file, or it belongs to another program.
        DamagedCollectionError: If it cannot be read.
        MismatchError: If it is newer than this program, or older and not `writable`.
        EnvironmentFault: If permission is missing.
    """
    opened = connect(path, writable=writable)
    try:
        check_version(opened)
        if writable:
            migrate(opened)
        return opened
    except BaseException:
        opened.close()
        raise


def migrate(database: Database) -> None:
    """Take the steps that the catalog lacks, each whole or not at all."""
    with database.reading() as connection:
        taken = _version(connection)
    for number, step in enumerate(MIGRATIONS[taken:], start=taken + 1):
        failpoint("storage.migrate.begin")
        with database.writing() as connection:
            step(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            failpoint("storage.migrate.step")
        failpoint("storage.migrate.end")


def check_version(database: Database) -> None:
    """Check that the file is a catalog, and of a version that this program knows.

    Raises:
        NotACollectionError: If it is an SQLite file of something else.
        DamagedCollectionError: If it holds nothing.
        MismatchError: If it is newer than this program, or older and opened for reading only.
    """
    with database.reading() as connection:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        version = _version(connection)
    path = database.path
    if application_id != APPLICATION_ID and n_tables > 0:
        raise NotACollectionError(f"{path} is an SQLite file, but not of a Lookalike collection")
    if version == 0 or n_tables == 0:
        raise DamagedCollectionError(
            f"{path} is empty; restore it from a backup, or delete the collection and index again "
            "(pictures are not touched)"
        )
    _check_known(version, path, writable=database.writable)


def _check_known(version: int, path: Path, *, writable: bool) -> None:
    known = len(MIGRATIONS)
    if version > known:
        raise MismatchError(
            f"{path} has catalog version {version}, this program knows up to {known}; "
            "update Lookalike"
        )
    if version < known and not writable:
        raise MismatchError(
            f"{path} has catalog version {version}, this program reads {known}; "
            "bring it up to date with: lookalike verify --repair COLLECTION"
        )


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
