"""A catalog of the first release, brought forward: everything is there, what is new can be used."""

import sqlite3
import zlib
from contextlib import closing

import numpy as np

from lookalike.storage import database, migrations
from lookalike.storage.catalog import PAGE_SIZE, Catalog
from lookalike.storage.migrations import MIGRATIONS
from lookalike.storage.vectors import create_table, insert

HASH = b"\1" * 20


def write_first(path):
    """Write a catalog as the first release did: one image, with one file and one label."""
    opened = database.create(path, application_id=migrations.APPLICATION_ID, page_size=PAGE_SIZE)
    row = np.array([0.6, 0.8], "<f4").tobytes()
    with opened.writing() as connection:
        MIGRATIONS[0](connection)
        connection.execute("PRAGMA user_version = 1")
        create_table(connection, "content", 2)
        connection.execute(
            "INSERT INTO images (hash, n_bytes, width, height, format) "
            "VALUES (?, 10, 20, 30, 'JPEG')",
            (HASH,),
        )
        connection.execute("INSERT INTO roots (path) VALUES (?)", (b"/photos",))
        connection.execute(
            "INSERT INTO files (path, display, root_id, size, mtime_ns, state, image_id, "
            "transient) VALUES (?, '/photos/beach.jpg', 1, 10, 1, 'indexed', 1, 0)",
            (b"/photos/beach.jpg",),
        )
        connection.execute("INSERT INTO labels (name) VALUES ('sea')")
        connection.execute("INSERT INTO image_labels VALUES (1, 1, 'model', 0.9)")
        checksum = zlib.crc32(row, zlib.crc32(HASH, zlib.crc32(b"content")))
        insert(connection, "content", [(HASH, row, checksum)])
        connection.execute("UPDATE state SET revision = 1")
    opened.close()


def test_a_catalog_of_the_first_release_is_brought_forward_whole(tmp_path):
    path = tmp_path / "catalog.sqlite"
    write_first(path)
    with Catalog.open(path, writable=True) as catalog:
        [record] = catalog.images([1])
        assert record.paths == (b"/photos/beach.jpg",)
        assert record.labels == (("sea", 0.9),)
        np.testing.assert_allclose(catalog.vectors([1], "content"), [[0.6, 0.8]])
        assert catalog.duplicates.lacking().tolist() == [1]
        assert not catalog.regions.is_used
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        found = connection.execute("SELECT rowid FROM words WHERE words MATCH 'beach'").fetchall()
        assert found == [(1,)]
