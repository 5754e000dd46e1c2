"""Copies of a collection in use: whole, sound and told apart from damaged ones."""

import json
import shutil

import pytest

from lookalike import Collection
from lookalike.errors import DamagedCollectionError, NotACollectionError, UsageError
from lookalike.storage.backups import CARD, back_up, check_backup, read_backup, restore
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import open_folder
from lookalike.storage.integrity import verify
from lookalike.storage.lock import WriterLock
from lookalike.storage.shrinking import shrink_in_place
from tests.killing import failpoints_of, kill_at
from tests.small_sets import write_pictures
from tests.storage.stored import index
from tests.storage.test_integrity import add_index, damage, make
from tests.storage.test_shrinking import contents, shrinking_of, whole
from tests.tiny_model import write_tiny_model

__all__ = ["whole"]


@pytest.fixture
def folder(tmp_path):
    made = make(tmp_path)
    add_index(made, revision=0)
    return made


def held(path):
    """What lies in a folder, but for what readers and writers leave there."""
    return {
        each.relative_to(path).as_posix(): each.read_bytes()
        for each in path.rglob("*")
        if each.is_file() and not each.name.endswith(("-wal", "-shm", ".lock"))
    }


def test_a_backup_is_the_collection_with_a_checksum_of_each_file(folder, tmp_path):
    made = back_up(folder.path, tmp_path / "kept" / "copy")
    copy = tmp_path / "kept" / "copy"
    assert made == read_backup(copy) == check_backup(copy)
    assert (made.collection, made.images, made.revision) == ("c", 2, contents_of(copy)[1])
    assert contents_of(copy) == contents_of(folder.path)
    assert verify(copy).problems == ()
    files = held(copy)
    assert {name: len(data) for name, data in files.items() if name != CARD} == {
        name: each.size for name, each in made.files.items()
    }
    assert (copy / "index/content.faiss").stat().st_nlink == 2  # takes no room on the same disk


def contents_of(path):
    with Catalog.open(open_folder(path)[0].catalog) as catalog:
        ids = catalog.ids()
        return catalog.images(ids), catalog.revision, catalog.vectors(ids, "content").tolist()


def test_a_collection_that_is_being_written_to_is_copied_as_it_was_at_one_moment(folder, tmp_path):
    with WriterLock(folder.path), Catalog.open(folder.catalog, writable=True) as catalog:
        index(catalog, {"/photos/e": "pink"}, roots=[])
        before = contents_of(folder.path)
        back_up(folder.path, tmp_path / "copy")
        index(catalog, {"/photos/f": "teal"}, roots=[])
    assert contents_of(tmp_path / "copy") == before
    assert contents_of(folder.path) != before


def test_a_backup_searches_as_the_collection_did_and_is_restored_to_it(tmp_path):
    write_pictures(tmp_path / "pictures", 8)
    write_tiny_model(tmp_path / "model")
    with Collection.create(tmp_path / "a", model=tmp_path / "model") as made:
        made.add(tmp_path / "pictures", workers=0)
        expected = made.search(3, 8)
    back_up(tmp_path / "a", tmp_path / "copy")
    shutil.rmtree(tmp_path / "a")
    with Collection.open(tmp_path / "copy") as opened:
        assert opened.search(3, 8).scores.tolist() == expected.scores.tolist()
    restored = restore(tmp_path / "copy", tmp_path / "b")
    before = held(tmp_path / "copy")
    with Collection.open(tmp_path / "b", writable=True) as opened:
        assert opened.search(3, 8).ids.tolist() == expected.ids.tolist()
        write_pictures(tmp_path / "more", 2, seed=1)
        assert opened.add(tmp_path / "more", workers=0).indexed == 2
    assert restored.images == 8
    assert held(tmp_path / "copy") == before  # writing to the one leaves the other alone
    check_backup(tmp_path / "copy")


def test_a_collection_of_a_later_generation_is_copied_too(whole, tmp_path):
    shrink_in_place(whole, shrinking_of(whole))
    before = contents(whole)
    back_up(whole, tmp_path / "copy")
    assert contents(tmp_path / "copy") == before
    assert (tmp_path / "copy" / "catalog.sqlite").is_file()


def test_a_damaged_backup_is_refused_before_anything_is_written(folder, tmp_path):
    copy = tmp_path / "copy"
    made = back_up(folder.path, copy)
    for name in made.files:
        shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
        shutil.copytree(copy, tmp_path / "damaged")
        data = bytearray((copy / name).read_bytes())
        data[len(data) // 2] ^= 1
        (tmp_path / "damaged" / name).write_bytes(data)
        with pytest.raises(DamagedCollectionError, match=name):
            restore(tmp_path / "damaged", tmp_path / "b")
        (tmp_path / "damaged" / name).unlink()
        with pytest.raises(DamagedCollectionError, match=name):
            restore(tmp_path / "damaged", tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/b/c"])
def test_a_card_that_names_files_elsewhere_is_refused(folder, tmp_path, name):
    back_up(folder.path, tmp_path / "copy")
    card = json.loads((tmp_path / "copy" / CARD).read_text())
    card["files"][name] = {"size": 1, "sha256": "0"}
    (tmp_path / "copy" / CARD).write_text(json.dumps(card))
    with pytest.raises(DamagedCollectionError, match="not of a kind"):
        restore(tmp_path / "copy", tmp_path / "b")


def test_what_is_no_sound_collection_or_no_free_place_is_refused(folder, tmp_path):
    with pytest.raises(NotACollectionError):
        back_up(tmp_path / "nothing", tmp_path / "copy")
    with pytest.raises(NotACollectionError, match="no backup"):
        restore(folder.path, tmp_path / "copy")
    back_up(folder.path, tmp_path / "copy")
    with pytest.raises(UsageError, match="already"):
        back_up(folder.path, tmp_path / "copy")
    damage(folder, "UPDATE embeddings_content SET vector = zeroblob(24) WHERE image_id = 1")
    with pytest.raises(DamagedCollectionError, match="content embedding of image 1"):
        back_up(folder.path, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_index_that_is_damaged_is_told_rather_than_kept(folder, tmp_path):
    (folder.index / "content.faiss").write_bytes(b"vectorz")
    with pytest.raises(DamagedCollectionError, match="has changed since it was written"):
        back_up(folder.path, tmp_path / "copy")


def test_killed_anywhere_there_is_a_sound_backup_or_none(folder, tmp_path):
    copy = tmp_path / "copy"
    passed = failpoints_of(lambda: back_up(folder.path, copy), tmp_path / "log")
    assert {"storage.backup.model:1", "storage.backup.index:1"} <= set(passed)
    # How single files are written is tested elsewhere.
    for name in [each for each in passed if each.startswith("storage.")]:
        shutil.rmtree(copy, ignore_errors=True)
        kill_at(name, lambda: back_up(folder.path, copy))
        if copy.exists():
            check_backup(copy)
        else:
            back_up(folder.path, copy)  # over what was left
        assert contents_of(copy) == contents_of(folder.path)
        assert held(copy).keys() == {*check_backup(copy).files, CARD}


def test_killed_anywhere_a_collection_is_restored_or_not_there(folder, tmp_path):
    back_up(folder.path, tmp_path / "copy")
    place = tmp_path / "b"
    passed = failpoints_of(lambda: restore(tmp_path / "copy", place), tmp_path / "log")
    assert "storage.restore.end:1" in passed
    for name in [each for each in passed if each.startswith("storage.")]:
        shutil.rmtree(place, ignore_errors=True)
        kill_at(name, lambda: restore(tmp_path / "copy", place))
        if not place.exists():
            restore(tmp_path / "copy", place)
        assert contents_of(place) == contents_of(folder.path)
        assert verify(place).problems == ()
