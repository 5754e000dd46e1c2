"""A collection with fewer dimensions: the old one or the new one, whatever happens on the way."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.dimensions import Selection
from lookalike.errors import CollectionLockedError, MismatchError, NotACollectionError, UsageError
from lookalike.model_folder import NETWORK, ModelCard, read_card, write_card
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import (
    CollectionFolder,
    DescriptorSpec,
    check_model,
    create_folder,
    open_folder,
)
from lookalike.storage.integrity import verify
from lookalike.storage.lock import LOCK, WriterLock
from lookalike.storage.shrinking import Shrinking, shrink_in_place, write_shrunken
from tests.killing import failpoints_of, kill_at
from tests.storage.stored import DESCRIPTORS, index, vectors_of

COLUMNS = np.array([1, 3, 4])
TEXTS = ("red", "green", "blue", "gray", "teal")


@pytest.fixture
def whole(tmp_path):
    """Four images with gaps in their ids, a failed one long gone, labels."""
    model = tmp_path / "model"
    model.mkdir()
    (model / NETWORK).write_bytes(b"network")
    write_card(model, ModelCard("m", ("a",), (0,), ((0, 0, 0), (1, 1, 1)), 32, 8, 6, 4, False, 3))
    specs = {name: DescriptorSpec(1, dim) for name, dim in DESCRIPTORS.items()}
    folder = create_folder(tmp_path / "whole", model, specs)
    with Catalog.open(folder.catalog, writable=True) as catalog:
        index(catalog, {f"/photos/{text}": text for text in TEXTS})
        index(catalog, {f"/photos/{text}": text for text in TEXTS if text != "green"})
    return folder.path


def shrinking_of(path: Path) -> Shrinking:
    _, manifest = open_folder(path)
    return Shrinking(manifest.model_checksum, Selection(6, COLUMNS), {"method": "anova"})


def contents(path: Path) -> dict[str, object]:
    """All that a collection holds."""
    folder, manifest = open_folder(path)
    check_model(folder, manifest)
    assert read_card(folder.model).id == manifest.model
    with Catalog.open(folder.catalog) as catalog:
        ids = catalog.ids()
        expected = {name: spec.dim for name, spec in manifest.descriptors.items()}
        assert catalog.descriptors == expected
        return {
            "ids": ids.tolist(),
            "images": catalog.images(ids),
            "revision": catalog.revision,
            "deleted": catalog.deleted_since(0).tolist(),
            "vectors": {name: catalog.vectors(ids, name).tolist() for name in expected},
            "model": manifest.model,
        }


def shrunken(before: dict[str, object]) -> dict[str, object]:
    """What must be left of `before`."""
    rows = np.array(before["vectors"]["content"], np.float32)
    content = normalize(rows[:, COLUMNS]).tolist()
    return {**before, "vectors": {**before["vectors"], "content": content}}


def assert_equal(found: dict[str, object], expected: dict[str, object]) -> None:
    assert {**found, "model": ""} == {**expected, "model": ""}


def test_a_copy_holds_the_same_images_with_fewer_dimensions(whole, tmp_path):
    before = contents(whole)
    write_shrunken(whole, tmp_path / "small", shrinking_of(whole))
    found = contents(tmp_path / "small")
    assert_equal(found, shrunken(before))
    assert len(found["ids"]) == 4
    assert found["ids"] != [1, 2, 3, 4]
    assert found["model"] != before["model"]
    assert contents(whole) == before
    assert verify(tmp_path / "small").problems == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small", "whole"]


def test_in_place_the_old_embeddings_are_gone(whole):
    before = contents(whole)
    shrink_in_place(whole, shrinking_of(whole))
    assert_equal(contents(whole), shrunken(before))
    report = verify(whole)
    assert (report.problems, report.leftovers) == ((), ())
    names = sorted(path.name for path in whole.iterdir())
    names = [name for name in names if not name.endswith(("-shm", "-wal"))]  # of readers
    assert names == ["catalog-2.sqlite", "collection.json", "model-2", LOCK]


def test_more_can_be_indexed_afterwards(whole):
    shrink_in_place(whole, shrinking_of(whole))
    with Catalog.open(open_folder(whole)[0].catalog, writable=True) as catalog:
        assert catalog.descriptors == {"content": 3, "layout": 4}
        with pytest.raises(MismatchError, match=r"content \(6\)"):
            index(catalog, {"/photos/pink": "pink"})


def test_the_space_of_the_old_embeddings_is_given_back(tmp_path, whole):
    with Catalog.open(open_folder(whole)[0].catalog, writable=True) as catalog:
        index(catalog, {f"/photos/{n}": f"text {n}" for n in range(2000)})
    before = open_folder(whole)[0].catalog.stat().st_size
    write_shrunken(whole, tmp_path / "small", shrinking_of(whole))
    after = (tmp_path / "small" / "catalog.sqlite").stat().st_size
    assert before - after >= 2000 * 3 * 4 * 0.8


@pytest.mark.parametrize("in_place", [pytest.param(False, marks=pytest.mark.slow), True])
def test_killed_anywhere_the_old_or_the_new_collection_is_left(whole, tmp_path, in_place):
    before = contents(whole)
    start = tmp_path / "start"
    shutil.copytree(whole, start)
    out = whole if in_place else tmp_path / "small"

    def shrink() -> None:
        if in_place:
            shrink_in_place(whole, shrinking_of(whole))
        else:
            write_shrunken(whole, out, shrinking_of(whole))

    passed = failpoints_of(shrink, tmp_path / "log")
    assert {"storage.shrink.model:1", "storage.shrink.vectors:1"} <= set(passed)
    shrunk_names = set()
    for name in passed:
        for path in (whole, out):
            shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(start, whole)
        kill_at(name, shrink)
        found = contents(whole)
        assert verify(whole).problems == ()
        if in_place:
            is_new = found["model"] != before["model"]
            assert_equal(found, shrunken(before) if is_new else before)
            shrunk_names |= {name} if is_new else set()
        else:
            assert found == before
            is_new = out.exists()
        if not is_new:
            shrink()  # what was left is swept away
        assert_equal(contents(out), shrunken(before))
        assert verify(out, repair=True).problems == ()
        assert verify(out).leftovers == ()
    if in_place:
        assert {"storage.shrink.committed:1", "storage.shrink.end:1"} <= shrunk_names
        assert "storage.shrink.catalog:1" not in shrunk_names


def test_a_reader_goes_on_with_what_it_opened(whole):
    folder, _ = open_folder(whole)
    with Catalog.open(folder.catalog) as reader:
        shrink_in_place(whole, shrinking_of(whole))
        found = reader.vectors([1], "content")[0]
        np.testing.assert_array_equal(found, vectors_of("red")["content"])
    assert contents(whole)["vectors"]["content"][0] != found.tolist()


def test_a_folder_opened_before_sweeps_nothing_that_holds_now(whole):
    opened_before, _ = open_folder(whole)
    shrink_in_place(whole, shrinking_of(whole))
    assert opened_before.sweep() == []
    assert open_folder(whole)[0] == CollectionFolder(whole, 2)


def test_what_cannot_be_shrunk_is_refused_and_left_alone(whole, tmp_path):
    before = contents(whole)
    wrong = Shrinking("0" * 64, Selection(6, COLUMNS), {})
    for shrink in (
        lambda change: shrink_in_place(whole, change),
        lambda change: write_shrunken(whole, tmp_path / "small", change),
    ):
        with pytest.raises(MismatchError, match="not the one that the dimensions were chosen for"):
            shrink(wrong)
        checksum = shrinking_of(whole).model_checksum
        with pytest.raises(UsageError, match="selection takes 7"):
            shrink(Shrinking(checksum, Selection(7, COLUMNS), {}))
    with WriterLock(whole), pytest.raises(CollectionLockedError):
        shrink_in_place(whole, shrinking_of(whole))
    with pytest.raises(NotACollectionError):
        shrink_in_place(tmp_path / "nothing", shrinking_of(whole))
    with pytest.raises(UsageError, match="exists already"):
        write_shrunken(whole, tmp_path / "model", shrinking_of(whole))
    assert contents(whole) == before
    assert not (tmp_path / "small").exists()
