import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    EnvironmentFault,
    MismatchError,
    NotACollectionError,
    UsageError,
)
from lookalike.storage import database, migrations
from lookalike.storage.catalog import Catalog
from tests.storage.permissions import forbid_writing, ordinary_user, public_folder
from tests.storage.stored import DESCRIPTORS, batch_of, files_by_content, index

KNOWN = len(migrations.MIGRATIONS)
TREE = {"/photos/a": "red", "/photos/b": "blue"}

WRITE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tests.storage.stored import batch_of
from lookalike.storage.catalog import Catalog
catalog = Catalog.open(Path(sys.argv[1]), writable=True)
run = catalog.begin_run()
catalog.commit(batch_of(("/photos/c", "green")), run=run)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path):
    """A closed catalog with two images."""
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as catalog:
        index(catalog, TREE)
    return tmp_path / "catalog.sqlite"


@contextmanager
def largest_file(n_bytes):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def ids_of(path):
    with Catalog.open(path) as catalog:
        return catalog.ids()


def delete_all_files_and_fail(catalog):
    with catalog._database.writing() as connection:
        connection.execute("DELETE FROM files")
        raise ZeroDivisionError


def write_and_die(path):
    done = subprocess.run([sys.executable, "-c", WRITE_AND_DIE, path])
    assert done.returncode == -signal.SIGKILL


def test_closing_folds_the_log_into_the_file(path):
    assert [entry.name for entry in path.parent.iterdir()] == ["catalog.sqlite"]


def test_a_reader_sees_what_was_committed_beside_it(path):
    with Catalog.open(path, writable=True) as writer, Catalog.open(path) as reader:
        assert reader.n_images == 2
        writer.commit(batch_of(("/photos/c", "green")), run=writer.begin_run())
        assert reader.n_images == 3


def test_a_reader_goes_on_while_a_writer_is_in_the_middle(path):
    with Catalog.open(path) as reader:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM files")
        assert reader.n_files["indexed"] == 2
        connection.close()


def test_a_reader_never_writes(path):
    with Catalog.open(path) as reader:
        with pytest.raises(UsageError, match="opened for reading only; open it with writable=True"):
            reader.begin_run()
        with pytest.raises(UsageError, match="opened for reading only"):
            reader.mark_seen([], 1)


def test_several_threads_may_read(path):
    failures = []

    def read(catalog):
        for _ in range(50):
            if files_by_content(catalog).keys() != TREE.keys():
                failures.append(catalog)

    with Catalog.open(path) as reader:
        threads = [threading.Thread(target=read, args=(reader,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.parametrize("writable", [False, True])
def test_what_a_killed_writer_committed_is_there(path, writable):
    write_and_die(path)
    assert path.with_name("catalog.sqlite-wal").stat().st_size > 0
    with Catalog.open(path, writable=writable) as catalog:
        assert files_by_content(catalog).keys() == {"/photos/a", "/photos/b", "/photos/c"}


def test_a_read_only_folder_can_be_read():
    with public_folder() as folder:
        with Catalog.create(folder / "catalog.sqlite", DESCRIPTORS) as catalog:
            index(catalog, TREE)
        forbid_writing(folder)
        with ordinary_user(), Catalog.open(folder / "catalog.sqlite") as catalog:
            assert files_by_content(catalog).keys() == TREE.keys()
        assert [entry.name for entry in folder.iterdir()] == ["catalog.sqlite"]


def test_a_read_only_folder_with_an_unfinished_log_is_never_read_without_it():
    with public_folder() as folder:
        path = folder / "catalog.sqlite"
        with Catalog.create(path, DESCRIPTORS) as catalog:
            index(catalog, TREE)
        write_and_die(path)
        (folder / "catalog.sqlite-shm").unlink()
        forbid_writing(folder)
        with ordinary_user(), pytest.raises(EnvironmentFault, match="permission for the file and"):
            Catalog.open(path)


def test_writing_without_permission_is_told_with_the_path_and_what_to_do():
    with public_folder() as folder:
        path = folder / "catalog.sqlite"
        Catalog.create(path, DESCRIPTORS).close()
        forbid_writing(folder)
        with ordinary_user():
            with pytest.raises(EnvironmentFault, match=r"catalog.sqlite could not be .*permission"):
                Catalog.open(path, writable=True)
            with pytest.raises(EnvironmentFault, match=r"other.sqlite could not be .*permission"):
                Catalog.create(folder / "other.sqlite", DESCRIPTORS)


def test_reading_without_permission_is_told():
    with public_folder() as folder:
        path = folder / "catalog.sqlite"
        Catalog.create(path, DESCRIPTORS).close()
        path.chmod(0)
        with ordinary_user(), pytest.raises(EnvironmentFault, match="permission for the file and"):
            Catalog.open(path)


def test_a_full_disk_loses_nothing_and_the_same_batch_succeeds_afterwards(path):
    batch = batch_of(*((f"/photos/new{number}", str(number)) for number in range(300)))
    with Catalog.open(path, writable=True) as catalog:
        run = catalog.begin_run()
        with (
            largest_file(20_000),
            pytest.raises(EnvironmentFault, match=r"catalog.sqlite could not be .*free some space"),
        ):
            catalog.commit(batch, run=run)
        assert files_by_content(catalog).keys() == TREE.keys()
        catalog.commit(batch, run=run)
        assert catalog.n_images == 302
    with Catalog.open(path) as catalog:
        assert catalog.n_images == 302


def test_on_a_full_disk_one_can_still_read(path):
    with largest_file(0), Catalog.open(path) as catalog:
        assert files_by_content(catalog).keys() == TREE.keys()


def test_a_full_disk_is_told_when_a_catalog_is_made(tmp_path):
    with largest_file(4096), pytest.raises(EnvironmentFault, match="free some space"):
        Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS)


def test_a_missing_file_is_no_collection(tmp_path):
    with pytest.raises(NotACollectionError, match=r"there is no .*/none; make it with"):
        Catalog.open(tmp_path / "none")


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not SQLite at all" * 100, "is damaged: file is not a database"),
        (b"", "catalog.sqlite is empty; restore it"),
    ],
)
def test_what_is_no_sqlite_file_is_damaged(tmp_path, content, message, writable):
    (tmp_path / "catalog.sqlite").write_bytes(content)
    with pytest.raises(DamagedCollectionError, match=message):
        Catalog.open(tmp_path / "catalog.sqlite", writable=writable)


@pytest.mark.parametrize("writable", [False, True])
def test_an_sqlite_file_of_something_else_is_no_collection(tmp_path, writable):
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(NotACollectionError, match="is an SQLite file, but not of a Lookalike"):
        Catalog.open(tmp_path / "catalog.sqlite", writable=writable)


def test_a_missing_table_is_damage(path):
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE embeddings_layout")
    connection.close()
    with (
        Catalog.open(path) as catalog,
        pytest.raises(DamagedCollectionError, match="is damaged: no such table: embeddings_layout"),
    ):
        catalog.vectors([1], "layout")


def test_a_cut_file_is_damaged(path):
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(DamagedCollectionError, match=r"is damaged: .*malformed"):
        ids_of(path)


def test_overwritten_pages_are_damage(path):
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * (len(content) - 8192))
    with pytest.raises(DamagedCollectionError, match=r"is damaged: .*malformed"):
        ids_of(path)


@pytest.mark.parametrize("column", ["vector", "checksum", "image_id"])
def test_a_changed_embedding_is_noticed_and_its_image_named(path, column):
    changed = {
        "vector": "UPDATE embeddings_content SET vector = zeroblob(24) WHERE image_id = 2",
        "checksum": "UPDATE embeddings_content SET checksum = checksum + 1 WHERE image_id = 2",
        "image_id": "UPDATE embeddings_content SET image_id = 3 - image_id + 10",
    }
    connection = sqlite3.connect(path)
    connection.execute(changed[column])
    if column == "image_id":  # the two rows have changed places
        connection.execute("UPDATE embeddings_content SET image_id = image_id - 10")
    connection.commit()
    connection.close()
    number = 1 if column == "image_id" else 2
    message = f"the content embedding of image {number} is damaged; repair it with: lookalike ver"
    with Catalog.open(path) as catalog:
        with pytest.raises(DamagedCollectionError, match=message):
            list(catalog.embeddings("content"))
        with pytest.raises(DamagedCollectionError, match=message):
            catalog.vectors([number], "content")
        assert len(catalog.vectors([1, 2], "layout")) == 2


@pytest.mark.parametrize("change", ["DELETE FROM embeddings_layout", "short"])
def test_a_missing_or_short_embedding_is_noticed(path, change):
    connection = sqlite3.connect(path)
    if change == "short":
        change = "UPDATE embeddings_layout SET vector = zeroblob(20)"
    connection.execute(f"{change} WHERE image_id = 1")
    connection.commit()
    connection.close()
    with (
        Catalog.open(path) as catalog,
        pytest.raises(DamagedCollectionError, match="the layout embedding of image 1 is damaged"),
    ):
        list(catalog.embeddings("layout"))


def test_a_second_writer_in_the_middle_of_a_commit_is_told(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with Catalog.open(path, writable=True) as catalog:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CollectionLockedError, match=r"catalog.sqlite is locked by another"):
            catalog.begin_run()
        other.close()
        assert catalog.begin_run() > 0


def test_a_newer_catalog_is_refused_with_what_to_do(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for writable in (False, True):
        with pytest.raises(
            MismatchError, match=r"version 99, this program knows up to \d+; update"
        ):
            Catalog.open(path, writable=writable)


def test_an_older_catalog_is_brought_up_to_date_by_a_writer_only(path, monkeypatch):
    def add_titles(connection):
        connection.execute("ALTER TABLE images ADD COLUMN title TEXT")

    steps = (*migrations.MIGRATIONS, add_titles)
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    with pytest.raises(MismatchError, match=r"version \d+, this program reads \d+; .* --repair"):
        Catalog.open(path)
    with Catalog.open(path, writable=True) as catalog:
        assert files_by_content(catalog).keys() == TREE.keys()
    with Catalog.open(path) as catalog:
        assert catalog.n_images == 2


def test_a_failing_step_leaves_the_older_catalog(path, monkeypatch):
    def fail(connection):
        connection.execute("ALTER TABLE images ADD COLUMN title TEXT")
        connection.execute("SELECT title FROM nowhere")

    steps = (*migrations.MIGRATIONS, fail)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", steps)
        with pytest.raises(DamagedCollectionError, match="no such table: nowhere"):
            Catalog.open(path, writable=True)
    with Catalog.open(path) as catalog:
        assert catalog.n_images == 2


def test_an_existing_file_is_not_overwritten(path):
    with pytest.raises(UsageError, match=r"catalog.sqlite exists already; choose another path"):
        Catalog.create(path, DESCRIPTORS)


def test_a_copy_made_beside_a_writer_with_its_log_is_whole(path, tmp_path):
    with Catalog.open(path, writable=True) as catalog:
        catalog.commit(batch_of(("/photos/c", "green")), run=catalog.begin_run())
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("catalog.sqlite", "catalog.sqlite-wal"):
            shutil.copy(path.with_name(name), copy)
    with Catalog.open(copy / "catalog.sqlite") as catalog:
        assert catalog.n_images == 3


def test_a_transaction_is_undone_when_something_else_goes_wrong(path):
    with Catalog.open(path, writable=True) as catalog:
        with pytest.raises(ZeroDivisionError):
            delete_all_files_and_fail(catalog)
        assert catalog.n_files["indexed"] == 2
        assert catalog.begin_run() > 0
