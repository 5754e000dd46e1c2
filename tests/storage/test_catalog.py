import sqlite3

import numpy as np
import pytest

from lookalike.errors import MismatchError, UsageError
from lookalike.storage.annotations import Statement
from lookalike.storage.catalog import Catalog
from lookalike.storage.migrations import MIGRATIONS
from lookalike.storage.records import Batch, FileRecord
from tests.storage.stored import (
    DESCRIPTORS,
    batch_of,
    content_of,
    failed,
    file_of,
    files_by_content,
    image_of,
    index,
    skipped,
    vectors_of,
)


@pytest.fixture
def catalog(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as opened:
        yield opened


def test_a_new_catalog_is_empty_and_knows_its_descriptors(catalog):
    assert catalog.n_images == 0
    assert catalog.n_files == {"indexed": 0, "failed": 0, "skipped": 0}
    assert catalog.descriptors == DESCRIPTORS
    assert catalog.revision == 0
    assert catalog.roots() == []
    assert catalog.ids().tolist() == []
    assert list(catalog.embeddings("content")) == []
    assert catalog.vectors([], "layout").shape == (0, 4)
    assert catalog.images([]) == []
    assert catalog.last_run() is None


def test_what_is_stored_comes_back(catalog):
    run = catalog.begin_run()
    labels = (("cat", 0.5), ("dog", 0.75))
    image, file = image_of("red", labels), file_of("/photos/a", "red")
    catalog.commit(Batch((image,), (file,)), run=run)
    (record,) = catalog.images(catalog.ids())
    assert (record.hash, record.n_bytes, record.width, record.height, record.format) == (
        image.hash,
        3,
        4,
        3,
        "PNG",
    )
    assert record.paths == (b"/photos/a",)
    assert record.labels == (("dog", 0.75), ("cat", 0.5))
    assert catalog.files([b"/photos/a", b"/photos/b"]) == {b"/photos/a": file}
    assert catalog.image_ids([content_of("red"), content_of("blue")]) == {image.hash: record.id}
    assert catalog.ids_of_paths([b"/photos/a", b"/photos/b"]) == {b"/photos/a": record.id}
    assert catalog.roots() == [b"/photos"]


def test_embeddings_come_in_batches_by_ascending_id(catalog):
    names = [str(number) for number in range(23)]
    index(catalog, {f"/photos/{name}": name for name in names})
    for descriptor in DESCRIPTORS:
        expected = np.stack([vectors_of(name)[descriptor] for name in names])
        batches = list(catalog.embeddings(descriptor, batch=5))
        assert [len(ids) for ids, _ in batches] == [5, 5, 5, 5, 3]
        ids = np.concatenate([ids for ids, _ in batches])
        assert ids.tolist() == catalog.ids().tolist() == list(range(1, 24))
        np.testing.assert_array_equal(np.concatenate([rows for _, rows in batches]), expected)
        ((after, rows),) = catalog.embeddings(descriptor, after=20)
        assert after.tolist() == [21, 22, 23]
        np.testing.assert_array_equal(rows, expected[20:])


def test_vectors_and_records_come_in_the_order_asked_for(catalog):
    index(catalog, {f"/photos/{name}": name for name in "abc"})
    np.testing.assert_array_equal(
        catalog.vectors([3, 1, 3], "layout"),
        np.stack([vectors_of(name)["layout"] for name in "cac"]),
    )
    assert [record.id for record in catalog.images(np.array([3, 1, 3]))] == [3, 1, 3]


def test_more_ids_than_fit_into_one_question(catalog):
    index(catalog, {f"/photos/{number:04}": str(number) for number in range(1203)})
    ids = catalog.ids()[::-1]
    assert len(catalog.vectors(ids, "content")) == len(catalog.images(ids)) == 1203
    paths = [f"/photos/{number:04}".encode() for number in range(1203)]
    assert len(catalog.files(paths)) == len(catalog.ids_of_paths(paths)) == 1203


def test_unknown_ids_and_descriptors_are_refused(catalog):
    index(catalog, {"/photos/a": "red"})
    with pytest.raises(UsageError, match="there is no image 2 in the collection"):
        catalog.vectors([1, 2], "content")
    with pytest.raises(UsageError, match="there is no image 0 in the collection"):
        catalog.images([0])
    with pytest.raises(UsageError, match="no descriptor 'color'; this collection has: content, la"):
        catalog.vectors([1], "color")


def test_equal_files_are_one_image_with_two_paths(catalog):
    index(catalog, {"/photos/a": "red", "/photos/b": "red"})
    (record,) = catalog.images(catalog.ids())
    assert record.paths == (b"/photos/a", b"/photos/b")
    assert catalog.n_files["indexed"] == 2


def test_the_same_batch_twice_changes_nothing(catalog):
    batch = batch_of(("/photos/a", "red"), ("/photos/b", "blue"))
    run = catalog.begin_run()
    catalog.commit(batch, run=run)
    before = catalog.revision, catalog.ids().tolist(), files_by_content(catalog)
    catalog.commit(batch, run=run)
    catalog.commit(batch, run=catalog.begin_run())
    assert (catalog.revision, catalog.ids().tolist(), files_by_content(catalog)) == before


def test_an_image_twice_in_a_batch_is_stored_once(catalog):
    run = catalog.begin_run()
    files = (file_of("/photos/a", "red"), file_of("/photos/b", "red"))
    catalog.commit(Batch((image_of("red"), image_of("red")), files), run=run)
    assert catalog.n_images == 1


def test_revision_grows_with_changes_only(catalog):
    assert index(catalog, {"/photos/a": "red"}) == 0
    assert catalog.revision == 1
    assert index(catalog, {"/photos/a": "red"}) == 0
    assert catalog.revision == 1
    assert index(catalog, {"/photos/b": "red"}) == 1
    assert catalog.revision == 3


def test_the_state_tells_every_change_of_any_opening_and_no_reading(catalog, tmp_path):
    path = tmp_path / "catalog.sqlite"
    index(catalog, {"/photos/a": "red"})
    with Catalog.open(path) as reader, Catalog.open(path) as other:
        assert reader.state != other.state
        before = reader.state
        assert reader.images([1])
        assert reader.state == before
        own = catalog.state
        catalog.knowledge.annotations.add("label", {}, [Statement(1, "cat", True)])
        assert catalog.state != own
        labeled = reader.state
        assert labeled != before
        catalog.duplicates.decide("keep", [content_of("red")])
        assert reader.state != labeled
        assert reader.revision == catalog.revision == 1


def test_every_file_keeps_its_state_and_reason(catalog):
    run = catalog.begin_run()
    bad, link = failed(b"/photos/bad", transient=True), skipped(b"/photos/link")
    catalog.commit(Batch((), (bad, link)), run=run)
    assert catalog.files([bad.path, link.path]) == {bad.path: bad, link.path: link}
    assert catalog.n_files == {"indexed": 0, "failed": 1, "skipped": 1}
    assert catalog.failures() == [bad]


def test_failures_are_listed_by_path_up_to_a_limit(catalog):
    records = tuple(failed(f"/photos/{name}".encode()) for name in "cab")
    catalog.commit(Batch((), records), run=catalog.begin_run())
    listed = [record.path for record in catalog.failures(limit=2)]
    assert listed == [b"/photos/a", b"/photos/b"]


def test_a_file_that_fails_now_gives_up_its_image(catalog):
    index(catalog, {"/photos/a": "red"})
    catalog.commit(Batch((), (failed(b"/photos/a"),)), run=catalog.begin_run())
    assert catalog.n_images == 0
    assert catalog.deleted_since(1).tolist() == [1]


def test_a_changed_file_gets_a_new_image_and_the_old_one_goes(catalog):
    index(catalog, {"/photos/a": "red"})
    index(catalog, {"/photos/a": "blue"})
    assert catalog.ids().tolist() == [2]
    assert catalog.deleted_since(1).tolist() == [1]


def test_a_renamed_file_keeps_its_image(catalog):
    index(catalog, {"/photos/a": "red"})
    run = catalog.begin_run()
    catalog.commit(Batch((), (file_of("/photos/b", "red"),)), run=run)
    assert catalog.remove_unseen(run, [b"/photos"]) == 1
    (record,) = catalog.images([1])
    assert record.paths == (b"/photos/b",)
    assert catalog.deleted_since(0).tolist() == []


def test_two_files_that_change_places_keep_their_images(catalog):
    index(catalog, {"/photos/a": "red", "/photos/b": "blue"})
    files = (file_of("/photos/a", "blue"), file_of("/photos/b", "red"))
    catalog.commit(Batch((), files), run=catalog.begin_run())
    assert catalog.ids_of_paths([b"/photos/a", b"/photos/b"]) == {b"/photos/a": 2, b"/photos/b": 1}


def test_ids_are_never_used_again(catalog):
    index(catalog, {"/photos/a": "red", "/photos/b": "blue"})
    index(catalog, {})
    index(catalog, {"/photos/a": "red"})
    assert catalog.ids().tolist() == [3]


def test_deletions_are_told_from_a_revision_on(catalog):
    index(catalog, {f"/photos/{name}": name for name in "abcd"})
    index(catalog, {f"/photos/{name}": name for name in "abc"})
    middle = catalog.revision
    index(catalog, {"/photos/b": "b"})
    assert catalog.deleted_since(0).tolist() == [1, 3, 4]
    assert catalog.deleted_since(middle).tolist() == [1, 3]
    assert catalog.deleted_since(catalog.revision).tolist() == []


def test_unchanged_files_are_only_ticked_off(catalog):
    index(catalog, {"/photos/a": "red", "/photos/b": "blue"})
    run = catalog.begin_run()
    catalog.mark_seen([b"/photos/a", b"/photos/unknown"], run)
    assert catalog.remove_unseen(run, [b"/photos"]) == 1
    assert files_by_content(catalog) == {"/photos/a": content_of("red")}


def test_removal_stays_below_the_roots_and_off_their_neighbors(catalog):
    paths = ["/a/b", "/a/b/x", "/a/b/c/y", "/a/b0", "/a/bc", "/a/b.x", "/a/b!/x", "/a", "/a/B/x"]
    index(catalog, {path: path for path in paths}, roots=[])
    assert catalog.remove_unseen(catalog.begin_run(), [b"/a/b"]) == 3
    assert sorted(files_by_content(catalog)) == sorted(paths[3:])


def test_the_root_of_all_holds_everything(catalog):
    index(catalog, {"/a": "red", "/b/c": "blue"}, roots=[])
    assert catalog.remove_unseen(catalog.begin_run(), [b"/"]) == 2


def test_what_lies_below_unreadable_folders_stays(catalog):
    paths = ["/a/b/x", "/a/b/c/y", "/a/bc", "/a/d"]
    index(catalog, {path: path for path in paths}, roots=[])
    assert catalog.remove_unseen(catalog.begin_run(), [b"/a"], except_below=[b"/a/b"]) == 2
    assert sorted(files_by_content(catalog)) == ["/a/b/c/y", "/a/b/x"]


def test_odd_paths_are_kept_apart(catalog):
    odd = [b"/p/\xff\xfe", b"/p/a\nb", "/p/é".encode(), "/p/e\u0301".encode(), b"/p/-r", b"/p/%2e"]
    odd.append(b"/p/" + b"x" * 255)
    files = tuple(file_of(path, "red", root=b"/p\xff") for path in odd)
    catalog.commit(Batch((image_of("red"),), files), run=catalog.begin_run())
    assert catalog.images([1])[0].paths == tuple(sorted(odd))
    assert catalog.roots() == [b"/p\xff"]


def test_a_root_without_files_is_forgotten(catalog):
    index(catalog, {"/photos/a": "red"})
    index(catalog, {})
    assert catalog.roots() == []


def test_a_file_found_under_another_root_belongs_to_that(catalog):
    index(catalog, {"/photos/a/x": "red"}, roots=[])
    run = catalog.begin_run()
    catalog.commit(batch_of(("/photos/a/x", "red"), root=b"/photos/a"), run=run)
    catalog.remove_unseen(run, [b"/photos/a"])
    assert catalog.roots() == [b"/photos/a"]
    assert catalog.files([b"/photos/a/x"])[b"/photos/a/x"].root == b"/photos/a"


def test_times_beyond_the_year_2262_are_stored_as_far_as_they_go(catalog):
    files = (file_of("/photos/a", "red", mtime_ns=2**63), file_of("/photos/b", "red", mtime_ns=-5))
    catalog.commit(Batch((image_of("red"),), files), run=catalog.begin_run())
    stored = catalog.files([b"/photos/a", b"/photos/b"])
    assert stored[b"/photos/a"].mtime_ns == 2**63 - 1
    assert stored[b"/photos/b"].mtime_ns == -5


def test_a_run_is_noted_with_its_start_and_its_end(catalog):
    run = catalog.begin_run()
    assert catalog.last_run().id == run
    assert catalog.last_run().finished is None
    catalog.remove_unseen(run, [])
    assert catalog.last_run().finished >= catalog.last_run().started


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ({"content": 6}, r"has embeddings content \(6\), the collection holds content \(6\), lay"),
        ({"content": 6, "layout": 5}, r"layout \(5\), the collection holds .* layout \(4\); use"),
        ({"content": 6, "layout": 4, "color": 1}, r"has embeddings color \(1\), content"),
    ],
)
def test_embeddings_of_another_model_are_refused_and_nothing_is_stored(
    catalog, embeddings, message
):
    odd = image_of("blue", embeddings=vectors_of("blue", embeddings))
    files = (file_of("/photos/a", "red"), file_of("/photos/b", "blue"))
    with pytest.raises(MismatchError, match=message):
        catalog.commit(Batch((image_of("red"), odd), files), run=catalog.begin_run())
    assert catalog.n_files["indexed"] == catalog.n_images == catalog.revision == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_nothing_is_stored(catalog, value):
    bad = image_of("red")
    bad.embeddings["layout"][2] = value
    with pytest.raises(UsageError, match=f"layout embedding of image {bad.hash.hex()} holds"):
        catalog.commit(Batch((bad,), (file_of("/photos/a", "red"),)), run=catalog.begin_run())
    assert catalog.n_images == 0


def test_a_file_without_its_image_is_refused_and_nothing_is_stored(catalog):
    files = (file_of("/photos/a", "red"), file_of("/photos/b", "blue"))
    with pytest.raises(UsageError, match=r"file /photos/b holds image .* neither stored nor in"):
        catalog.commit(Batch((image_of("red"),), files), run=catalog.begin_run())
    assert catalog.n_images == catalog.n_files["indexed"] == 0


def test_an_image_without_a_file_is_refused_and_nothing_is_stored(catalog):
    with pytest.raises(UsageError, match="is held by no file of the batch"):
        catalog.commit(Batch((image_of("red"),), (failed(b"/p"),)), run=catalog.begin_run())
    assert catalog.n_images == catalog.n_files["failed"] == 0


def test_only_the_run_going_on_can_store_and_remove(catalog):
    with pytest.raises(UsageError, match=r"run 1 is not going on \(current: None\)"):
        catalog.commit(Batch((), ()), run=1)
    first, second = catalog.begin_run(), catalog.begin_run()
    with pytest.raises(UsageError, match=r"run 1 is not going on \(current: 2\)"):
        catalog.mark_seen([], first)
    catalog.remove_unseen(second, [])
    with pytest.raises(UsageError, match=r"run 2 is not going on"):
        catalog.remove_unseen(second, [b"/"])


def test_another_opening_cannot_end_a_run_whose_files_it_has_not_seen(catalog, tmp_path):
    run = catalog.begin_run()
    catalog.commit(batch_of(("/photos/a", "red")), run=run)
    with Catalog.open(tmp_path / "catalog.sqlite", writable=True) as other:
        with pytest.raises(UsageError, match="is not going on"):
            other.remove_unseen(run, [b"/photos"])
        assert other.n_images == 1


def test_what_is_seen_in_one_run_is_not_seen_in_the_next(catalog):
    index(catalog, {"/photos/a": "red"}, roots=[])
    run = catalog.begin_run()
    catalog.mark_seen([b"/photos/a"], run)
    assert catalog.remove_unseen(catalog.begin_run(), [b"/photos"]) == 1


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ((b"/a", b"/", 1, 1, "indexed", None, None), "has no content hash"),
        ((b"/a", b"/", 1, 1, "failed", None, None), "failed file b'/a' has no reason"),
    ],
)
def test_records_that_say_too_little_are_refused(record, message):
    with pytest.raises(UsageError, match=message):
        FileRecord(*record)


@pytest.mark.parametrize(
    ("descriptors", "message"),
    [({"Content": 3}, "'Content' is not made of small letters"), ({"content": 0}, "dimension 0")],
)
def test_descriptors_without_sense_are_refused(tmp_path, descriptors, message):
    with pytest.raises(UsageError, match=message):
        Catalog.create(tmp_path / "catalog.sqlite", descriptors)


def test_the_file_says_what_it_is(catalog, tmp_path):
    connection = sqlite3.connect(tmp_path / "catalog.sqlite")
    settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode",)]
    assert settings == ["wal"]
    assert connection.execute("PRAGMA application_id").fetchone()[0].to_bytes(4) == b"LOOK"
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    connection.close()
