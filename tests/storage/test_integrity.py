import hashlib
import json
import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest

from lookalike.errors import CollectionLockedError, NotACollectionError
from lookalike.index.building import build_index
from lookalike.index.files import new_rows_file, publish_index
from lookalike.model_folder import NETWORK
from lookalike.storage import integrity
from lookalike.storage.catalog import Catalog
from lookalike.storage.checks import READ_AGAIN
from lookalike.storage.folder import create_folder
from lookalike.storage.integrity import verify
from lookalike.storage.lock import WriterLock
from lookalike.storage.records import Batch
from tests.killing import failpoints_of, kill_at
from tests.storage.permissions import forbid_writing, ordinary_user, public_folder
from tests.storage.stored import content_of, failed, index, vectors_of
from tests.storage.test_folder import SPECS, write_model

TREE = {"/photos/a": "red", "/photos/b": "blue", "/photos/c": "blue"}


@pytest.fixture
def folder(tmp_path):
    """A collection of two images in three files, and a file that failed."""
    return make(tmp_path)


def make(parent):
    folder = create_folder(parent / "c", write_model(parent / "model"), SPECS)
    with Catalog.open(folder.catalog, writable=True) as catalog:
        index(catalog, TREE, roots=[])
        catalog.commit(Batch((), (failed(b"/photos/d"),)), run=catalog.begin_run())
    return folder


def damage(folder, *statements):
    with closing(sqlite3.connect(folder.catalog)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def add_index(folder, revision=1, content=b"vectors"):
    folder.index.mkdir(exist_ok=True)
    (folder.index / "content.faiss").write_bytes(content)
    files = {"content.faiss": {"sha256": hashlib.sha256(content).hexdigest()}}
    description = {"files": files, "revision": revision}
    (folder.index / "content.json").write_text(json.dumps(description))


def told(folder, **options):
    report = verify(folder.path, **options)
    return [(problem.kind, problem.detail) for problem in report.problems]


def test_a_sound_collection_is_clean_and_everything_was_looked_at(folder):
    add_index(folder)
    report = verify(folder.path)
    assert report.is_clean
    assert report.problems == report.leftovers == ()
    assert report.checked == {
        "model_files": 1,
        "images": 2,
        "files": 4,
        "embeddings": 4,
        "index_files": 2,
    }


def test_verifying_counts_every_embedding(folder):
    class Counting:
        def __init__(self):
            self.done = self.total = 0

        def advance(self, n=1):
            self.done += n

        def expect(self, total):
            self.total = total

        def note(self, text):
            pass

        def task(self, description, total=None, unit="images"):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    counting = Counting()
    verify(folder.path, progress=counting)
    assert counting.done == counting.total == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE embeddings_layout SET vector = zeroblob(16) WHERE image_id = 2",
        "UPDATE embeddings_layout SET vector = zeroblob(15) WHERE image_id = 2",
        "UPDATE embeddings_layout SET checksum = 0 WHERE image_id = 2",
        "UPDATE images SET hash = randomblob(20) WHERE id = 2",
        "DELETE FROM embeddings_layout WHERE image_id = 2",
    ],
)
def test_a_damaged_embedding_is_told_and_its_files_are_read_again(folder, statement):
    damage(folder, statement)
    problem = ("embedding", "the layout embedding of image 2 (/photos/b) is damaged")
    assert problem in told(folder)
    report = verify(folder.path, repair=True)
    assert report.is_clean
    assert all(problem.repaired for problem in report.problems)
    assert told(folder) == []
    with Catalog.open(folder.catalog, writable=True) as catalog:
        assert catalog.ids().tolist() == [1]
        assert catalog.deleted_since(0).tolist() == [2]
        records = catalog.files([b"/photos/b", b"/photos/c"]).values()
        assert {(r.state, r.reason, r.transient, r.size, r.mtime_ns) for r in records} == {
            ("failed", READ_AGAIN, True, None, None)
        }
        index(catalog, TREE, roots=[])
        row = catalog.vectors(
            [catalog.image_ids([content_of("blue")])[content_of("blue")]], "layout"
        )
        np.testing.assert_array_equal(row[0], vectors_of("blue")["layout"])
    assert told(folder) == []


def test_an_embedding_that_is_not_finite_is_damaged_whatever_its_checksum(folder):
    row = np.full(4, np.nan, "<f4").tobytes()
    seed = zlib.crc32(b"layout")
    checksum = zlib.crc32(row, zlib.crc32(content_of("red"), seed))
    with closing(sqlite3.connect(folder.catalog)) as connection:
        connection.execute(
            "UPDATE embeddings_layout SET vector = ?, checksum = ? WHERE image_id = 1",
            (row, checksum),
        )
        connection.commit()
    assert told(folder) == [
        ("embedding", "the layout embedding of image 1 (/photos/a) is damaged"),
    ]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM files WHERE image_id = 1", ("image", "no file holds image 1")),
        (
            "INSERT INTO embeddings_content VALUES (9, zeroblob(24), 0)",
            ("embedding", "there are content embeddings of images that are not there"),
        ),
    ],
)
def test_what_belongs_to_nothing_is_told_and_deleted(folder, statement, problem):
    damage(folder, statement)
    assert told(folder) == [problem]
    assert verify(folder.path, repair=True).is_clean
    assert told(folder) == []


def test_a_file_whose_image_is_lost_is_told_and_read_again(folder):
    damage(folder, "DELETE FROM images WHERE id = 2")
    assert ("file", "/photos/b is said to hold image 2, which is not there") in told(folder)
    assert verify(folder.path, repair=True).is_clean
    assert told(folder) == []
    with Catalog.open(folder.catalog) as catalog:
        assert catalog.files([b"/photos/b"])[b"/photos/b"].transient
        assert catalog.n_files == {"indexed": 1, "failed": 3, "skipped": 0}


def test_what_cannot_be_repaired_is_told_and_left_alone(folder):
    damage(folder, "UPDATE files SET root_id = 99 WHERE id = 1")
    problem = ("catalog", "a row of files refers to one of roots that is not there")
    assert told(folder) == [problem]
    report = verify(folder.path, repair=True)
    assert not report.is_clean
    assert told(folder) == [problem]


def test_an_index_of_sqlite_that_lost_a_row_is_remade(folder):
    damage(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX files_of_root ON files (id)' "
        "WHERE name = 'files_of_root'",
    )
    damage(folder, "INSERT INTO roots VALUES (5, x'61')", "UPDATE files SET root_id = 5")
    damage(
        folder,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX files_of_root ON files (root_id)' "
        "WHERE name = 'files_of_root'",
    )
    assert {kind for kind, _ in told(folder)} == {"catalog"}
    assert verify(folder.path, repair=True).is_clean
    assert told(folder) == []


def test_a_malformed_catalog_is_told(folder):
    content = folder.catalog.read_bytes()
    folder.catalog.write_bytes(content[: 8192 * 3] + b"\xff" * (len(content) - 8192 * 3))
    report = verify(folder.path)
    assert not report.is_clean
    assert any("malformed" in problem.detail for problem in report.problems)
    assert not verify(folder.path, repair=True).is_clean


def test_a_flipped_bit_anywhere_in_the_embeddings_is_noticed(folder, rng):
    sound = folder.catalog.read_bytes()
    for name, text in (("content", "red"), ("layout", "blue")):
        start = sound.index(vectors_of(text)[name].tobytes())
        for bit in rng.choice(8 * 16, size=5, replace=False):
            content = bytearray(sound)
            content[start + bit // 8] ^= 1 << bit % 8
            folder.catalog.write_bytes(content)
            image = 1 if text == "red" else 2
            (problem,) = verify(folder.path).problems
            assert problem.detail.startswith(f"the {name} embedding of image {image} ")


def test_other_descriptors_than_the_manifest_says_are_told(folder):
    text = folder.manifest.read_text().replace('"dim": 6', '"dim": 7')
    folder.manifest.write_text(text)
    ((kind, detail),) = told(folder)
    assert kind == "catalog"
    assert "the catalog holds {'content': 6, 'layout': 4}, collection.json says" in detail


def test_a_changed_model_is_told(folder):
    (folder.model / NETWORK).write_bytes(b"other")
    ((kind, detail),) = told(folder)
    assert kind == "model"
    assert "has changed since the model was made" in detail
    assert not verify(folder.path, repair=True).is_clean


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda f: (f / "content.faiss").write_bytes(b"other"), "content.faiss has changed since"),
        (lambda f: (f / "content.faiss").unlink(), "its file content.faiss is missing"),
        (lambda f: (f / "content.json").write_text("{"), "content.json: cannot be read: "),
        (lambda f: (f / "content.json").write_text("{}"), "cannot be read: it lists no files"),
        (
            lambda f: (f / "content.json").write_text('{"files": {"../c": {}}}'),
            "it lists files of another folder",
        ),
        (
            lambda f: (f / "content.json").write_text('{"files": {"c": {}}}'),
            "it lists no checksum of c",
        ),
    ],
)
def test_a_damaged_index_is_told_and_deleted(folder, change, detail):
    add_index(folder)
    change(folder.index)
    ((kind, found),) = told(folder)
    assert kind == "index"
    assert detail in found
    assert verify(folder.path, repair=True).is_clean
    assert not (folder.index / "content.json").exists()
    assert told(folder) == []


def test_an_index_of_a_later_catalog_is_told_and_deleted(folder):
    add_index(folder, revision=3)
    ((kind, detail),) = told(folder)
    assert kind == "index"
    assert "of a later catalog (revision 3) than the one here (2)" in detail
    assert verify(folder.path, repair=True).is_clean
    assert list(folder.index.iterdir()) == []


def test_damaged_thumbnails_are_told_and_deleted(folder):
    folder.thumbnails.write_bytes(b"no thumbnails" * 100)
    ((kind, detail),) = told(folder)
    assert kind == "thumbnails"
    assert "file is not a database" in detail
    assert verify(folder.path, repair=True).is_clean
    assert not folder.thumbnails.exists()


def test_an_index_as_it_is_published_is_sound_and_its_strays_are_leftovers(folder):
    folder.index.mkdir()
    for in_memory in (True, False):
        with Catalog.open(folder.catalog) as catalog:
            rows_file = None if in_memory else new_rows_file(folder.index, "layout")
            built = build_index(catalog.embeddings("layout"), dim=4, n=2, rows_file=rows_file)
            publish_index(
                folder.index, "layout", built, model="m", revision=catalog.revision, calibration={}
            )
    report = verify(folder.path)
    assert (report.problems, report.leftovers, report.checked["index_files"]) == ((), (), 3)
    stray = folder.index / "layout-01234567.rows.npy"
    stray.touch()
    assert verify(folder.path).leftovers == (str(stray),)
    assert verify(folder.path, repair=True).is_clean
    assert not stray.exists()
    next(folder.index.glob("*.ids.npy")).write_bytes(b"other")
    assert not verify(folder.path).is_clean
    assert verify(folder.path, repair=True).is_clean
    assert list(folder.index.iterdir()) == []


def test_leftovers_are_told_but_no_problem_and_swept_by_a_repair(folder):
    left = folder.path / ".collection.json.12.partial"
    left.touch()
    report = verify(folder.path)
    assert report.is_clean
    assert report.leftovers == (str(left),)
    assert left.exists()
    verify(folder.path, repair=True)
    assert not left.exists()


def test_while_somebody_writes_only_the_catalog_is_looked_at(folder):
    add_index(folder)
    (folder.index / "content.faiss").write_bytes(b"just being written")
    with WriterLock(folder.path):
        assert told(folder) == []
        with pytest.raises(CollectionLockedError, match="is locked by process"):
            verify(folder.path, repair=True)


def test_many_problems_are_counted_rather_than_listed(folder, monkeypatch):
    monkeypatch.setattr(integrity, "MOST_LISTED", 1)
    damage(folder, "UPDATE embeddings_layout SET checksum = 0")
    assert told(folder) == [
        ("embedding", "the layout embedding of image 1 (/photos/a) is damaged"),
        ("embedding", "and 1 more"),
    ]


def test_a_collection_that_cannot_be_written_can_be_verified():
    with public_folder() as parent:
        folder = make(parent)
        forbid_writing(folder.path)
        with ordinary_user():
            assert verify(folder.path).is_clean


def test_what_is_no_collection_is_told(tmp_path):
    with pytest.raises(NotACollectionError, match="is not a collection"):
        verify(tmp_path)


def test_a_repair_killed_anywhere_can_be_repeated(folder, tmp_path):
    def repair():
        verify(folder.path, repair=True)

    damage(folder, "UPDATE embeddings_layout SET checksum = 0 WHERE image_id = 1")
    damaged = folder.catalog.read_bytes()
    passed = failpoints_of(repair, tmp_path / "log")
    assert "storage.repair.files:1" in passed
    for name in passed:
        for path in folder.path.glob("catalog.sqlite-*"):
            path.unlink()
        folder.catalog.write_bytes(damaged)
        kill_at(name, repair)
        repair()
        assert told(folder) == []
        with Catalog.open(folder.catalog, writable=True) as catalog:
            assert catalog.ids().tolist() == [2]
