import json
import shutil

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.progress import SILENT
from lookalike.search.queries import IdExample, Query
from lookalike.shelves.images import Shelf
from lookalike.storage.catalog import Catalog
from tests.storage.stored import DESCRIPTORS, index, vectors_of

N = 30


class NoFiles:
    """These tests ask by id alone."""

    def encode(self, examples, descriptors):
        raise AssertionError(examples)


@pytest.fixture
def catalog(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as made:
        index(made, names(range(N)))
        yield made


@pytest.fixture
def shelf(tmp_path, catalog):
    return Shelf(tmp_path / "index", catalog, "tiny-1")


def names(numbers):
    return {f"/photos/{number:03}": str(number) for number in numbers}


def renew(shelf, kind="auto", recall_target=0.9, *, force=False):
    shelf.renew(kind, recall_target, force=force, progress=SILENT)


def card(tmp_path, descriptor="content"):
    return json.loads((tmp_path / "index" / f"{descriptor}.json").read_text())


def search(shelf, image_id, k=N, **weights):
    query = Query((IdExample(int(image_id)),), weights=weights or None)
    return shelf.open(NoFiles()).searcher.search([query], k)


def by_cosine(catalog, image_id):
    ids = catalog.ids()
    rows = catalog.vectors(ids, "content")
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    order = np.argsort(-(rows @ rows[ids == image_id][0]))
    return [other for other in ids[order].tolist() if other != image_id]


def test_before_any_index_is_built_all_images_are_compared(shelf, catalog):
    assert [(s.kind, s.n, s.newer, s.deleted) for s in shelf.states()] == [(None, 0, N, 0)] * 2
    found = search(shelf, 7, k=N - 1, content=1)
    assert found.ids[0].tolist() == by_cosine(catalog, 7)


def test_a_build_is_told_from_the_one_before(shelf):
    assert shelf.published() == ()
    renew(shelf)
    first = shelf.open(NoFiles()).published
    assert len(first) == len(shelf.states())
    renew(shelf)
    assert shelf.published() == first
    renew(shelf, "clusters")
    assert shelf.published() != first


def test_an_index_that_is_up_to_date_is_left_alone(shelf, tmp_path):
    renew(shelf)
    first = card(tmp_path)
    renew(shelf)
    assert card(tmp_path) == first
    renew(shelf, force=True)
    assert card(tmp_path)["files"] != first["files"]


def test_an_empty_collection_gets_its_index_with_the_first_images(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as catalog:
        shelf = Shelf(tmp_path / "index", catalog, "tiny-1")
        renew(shelf, kind="clusters")
        assert shelf.states()[0].n == 0
        index(catalog, names(range(N)))
        renew(shelf, kind="clusters")
        assert (shelf.states()[0].kind, shelf.states()[0].n) == ("clusters", N)


def test_exactly_a_tenth_is_not_yet_too_much(shelf, catalog, tmp_path):
    renew(shelf)
    index(catalog, names(range(N + 3)))
    renew(shelf)
    assert card(tmp_path)["facts"]["n"] == N
    index(catalog, names(range(N + 4)))
    renew(shelf)
    assert card(tmp_path)["facts"]["n"] == N + 4


def test_what_comes_and_goes_is_counted(shelf, catalog):
    renew(shelf)
    index(catalog, names(range(2, N + 3)))
    state = shelf.states()[0]
    assert (state.n, state.newer, state.deleted) == (N, 3, 2)
    # What came after the index was built and has gone again was never in it.
    index(catalog, names(range(2, N + 1)))
    state = shelf.states()[0]
    assert (state.n, state.newer, state.deleted) == (N, 1, 2)


def test_newer_images_are_found_and_gone_ones_are_not(shelf, catalog):
    renew(shelf)
    gone = set(catalog.ids()[:2].tolist())
    index(catalog, names(range(2, N + 3)))
    for image_id in catalog.ids()[::6].tolist():
        found = search(shelf, image_id, content=1).ids[0].tolist()
        assert found == by_cosine(catalog, image_id)
        assert not gone & set(found)


def test_a_score_means_the_same_until_the_index_is_built_again(shelf, catalog):
    renew(shelf)
    before = search(shelf, 5)
    index(catalog, names(range(N + 2)))
    after = search(shelf, 5, k=N + 2)
    scores = dict(zip(after.ids[0].tolist(), after.scores[0].tolist(), strict=True))
    known = [(i, s) for i, s in zip(before.ids[0].tolist(), before.scores[0], strict=True) if i > 0]
    assert all(scores[image_id] == pytest.approx(score) for image_id, score in known)


def test_another_recall_target_tunes_again_where_something_is_tuned(shelf, tmp_path):
    renew(shelf, recall_target=0.9)
    exact = card(tmp_path)
    renew(shelf, recall_target=0.95)
    assert card(tmp_path) == exact
    renew(shelf, kind="clusters", recall_target=0.9)
    renew(shelf, kind="clusters", recall_target=0.95)
    assert card(tmp_path)["facts"]["recall_target"] == 0.95


def test_without_a_wish_a_new_build_is_of_the_kind_that_suits_the_size(shelf, catalog, tmp_path):
    renew(shelf, kind="clusters")
    renew(shelf)
    assert card(tmp_path)["facts"]["kind"] == "clusters"
    index(catalog, names(range(2 * N)))
    renew(shelf)
    assert card(tmp_path)["facts"]["kind"] == "exact"


def test_no_other_kinds_and_targets_than_those_that_make_sense(shelf, tmp_path):
    with pytest.raises(UsageError, match="no index of kind 'tree'"):
        renew(shelf, kind="tree")
    with pytest.raises(UsageError, match=r"between 0 and 1, not 0\.0"):
        renew(shelf, recall_target=0.0)
    assert not (tmp_path / "index").exists()


def spoil(content, how):
    match how:
        case "of another model":
            return {**content, "model": "other-1"}
        case "of another dimension":
            return {**content, "facts": {**content["facts"], "dim": 5}}
        case "of a later format":
            return {**content, "format": 99}
        case "calibrated by nonsense":
            return {**content, "calibration": {"similarities": "none"}}


@pytest.mark.parametrize(
    "how",
    [
        "of another model",
        "of another dimension",
        "of a later format",
        "calibrated by nonsense",
    ],
)
def test_an_index_that_does_not_fit_is_not_used_and_built_again(shelf, catalog, tmp_path, how):
    renew(shelf)
    sound = card(tmp_path)
    expected = search(shelf, 9)
    (tmp_path / "index" / "content.json").write_text(json.dumps(spoil(sound, how)))
    found = search(shelf, 9)
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_allclose(found.scores, expected.scores)
    renew(shelf)
    again = card(tmp_path)
    assert {**again, "files": 0, "facts": 0} == {**sound, "files": 0, "facts": 0}
    assert len(list((tmp_path / "index").glob("content*"))) == 3


def test_a_gallery_outlives_the_files_it_was_opened_from(shelf, catalog, tmp_path):
    renew(shelf)
    gallery = shelf.open(NoFiles())
    query = [Query((IdExample(3),))]
    expected = gallery.searcher.search(query, 9).ids.tolist()
    renew(shelf, force=True)
    shutil.rmtree(tmp_path / "index")
    assert gallery.searcher.search(query, 9).ids.tolist() == expected


def test_vectors_of_an_index_are_unit_rows_of_the_catalog(shelf, catalog):
    renew(shelf)
    index(catalog, names(range(N + 1)))
    opened = shelf.open(NoFiles()).indexes["content"]
    ids = catalog.ids()
    rows = np.stack([vectors_of(str(number))["content"] for number in range(N + 1)])
    expected = {row.round(4).tobytes() for row in rows / np.linalg.norm(rows, axis=1)[:, None]}
    assert {row.round(4).tobytes() for row in opened.vectors(ids)} == expected
