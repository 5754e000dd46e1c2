"""Indexes follow what comes and goes, and are made again when they are damaged."""

import json
import os
import shutil

import numpy as np
import pytest

from lookalike import Collection, IdExample, Query
from lookalike.arrays import NO_ID
from lookalike.errors import (
    UsageError,
)
from tests.whole_collection.photos import (
    N,
    add_pictures,
    exact_order,
    id_of,
    index_card,
    path_of,
    update,
)


def test_new_images_are_found_at_once_and_no_index_is_built(own):
    built = index_card(own)
    new = add_pictures(own, 3)
    assert update(own).indexed == 3
    assert index_card(own) == built
    for path in new:
        hits = own.search(path, k=5)
        assert path_of(own, hits.ids[0, 0]) == str(path)
        others = own.search(id_of(own, path), k=N + 2)
        ranked = own.search(
            Query((IdExample(id_of(own, path)),), weights={"content": 1}), k=N + 2
        ).ids[0]
        assert ranked.tolist() == exact_order(own, id_of(own, path), "content")
        assert NO_ID not in others.ids


def test_what_was_deleted_is_found_no_more(own):
    built = index_card(own)
    gone = [own.path.parent / "pictures" / f"00{number}.png" for number in (1, 2, 3)]
    ids = {id_of(own, path) for path in gone}
    for path in gone:
        path.unlink()
    assert update(own).removed == 3
    assert index_card(own) == built
    hits = own.search(5, k=N)
    assert not ids & set(hits.ids[0].tolist())
    assert (hits.ids[0] != NO_ID).sum() == N - 3 - 1
    assert own.status()["indexes"][0]["deleted"] == 3
    with pytest.raises(UsageError, match="no image"):
        own.search(min(ids))


def test_the_index_is_built_again_when_a_tenth_has_come_or_gone(own):
    add_pictures(own, 4, seed=1)
    update(own)
    assert index_card(own)["facts"]["n"] == N
    (own.path.parent / "pictures" / "000.png").unlink()
    update(own)
    assert index_card(own)["facts"]["n"] == N + 3
    assert own.status()["indexes"][0]["newer"] == 0


def search_all(collection):
    """Everything that searches for every image find, ids and scores."""
    hits = [collection.search(int(image_id), k=N) for image_id in collection.catalog.ids()]
    return [(one.ids.tolist(), one.scores.round(3).tolist()) for one in hits]


def damage(collection, how):
    folder = collection.path / "index"
    rows = [path for path in folder.iterdir() if path.name.endswith(".rows.npy")]
    if how == "deleted":
        shutil.rmtree(folder)
    elif how == "truncated":
        for path in rows:
            os.truncate(path, path.stat().st_size - 1)
    elif how == "rows missing":
        for path in rows:
            path.unlink()
    elif how == "card overwritten":
        (folder / "content.json").write_text("{")
    elif how == "of another model":
        card = json.loads((folder / "layout.json").read_text())
        (folder / "layout.json").write_text(json.dumps({**card, "model": "other-1"}))


@pytest.mark.parametrize(
    "how", ["deleted", "truncated", "rows missing", "card overwritten", "of another model"]
)
def test_a_damaged_index_is_done_without_and_built_again(indexed, tmp_path, pictures, how):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with Collection.open(copy, writable=True) as opened:
        expected = search_all(opened)
    damage(opened, how)
    with Collection.open(copy, writable=True) as opened:
        assert search_all(opened) == expected
        opened.add(pictures, workers=0)
        assert {index_card(opened, name)["model"] for name in ("content", "layout")} == {
            opened.card.id
        }
        assert [index["n"] for index in opened.status()["indexes"]] == [N, N]
        assert search_all(opened) == expected


def test_a_reader_sees_what_a_writer_stores(own):
    with Collection.open(own.path) as reader:
        assert reader.search(1, k=3).ids.tolist() == own.search(1, k=3).ids.tolist()
        [new] = add_pictures(own, 1)
        update(own)
        assert len(reader) == N + 1
        assert path_of(reader, reader.search(new, k=1).ids[0, 0]) == str(new)
        add_pictures(own, 10, seed=2)
        update(own)  # builds the index again while the reader has the old one open
        assert index_card(own)["facts"]["n"] == N + 11
        assert reader.search(new, k=9).ids.tolist() == own.search(new, k=9).ids.tolist()
        assert reader.status()["images"] == N + 11


@pytest.mark.parametrize("kind", ["clusters", "pq", "hamming"])
def test_other_kinds_of_index_are_tuned_and_say_what_they_find(own, kind):
    exact = search_all(own)
    update(own, kind=kind, recall_target=0.9)
    for state in own.status()["indexes"]:
        assert state["kind"] == kind
        assert state["recall_target"] == 0.9
        assert 0.9 <= state["measured_recall"] <= 1
        assert (state["n_clusters"] > 1) == (state["members"] > 0) == (kind == "clusters")
    found = search_all(own)
    shared = [len({*a[0][0][:10]} & {*b[0][0][:10]}) for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) >= 9
    new = add_pictures(own, 1)[0]
    update(own, recall_target=0.9)  # of whatever kind: it stays as it is
    assert own.status()["indexes"][0]["kind"] == kind
    assert path_of(own, own.search(new, k=1).ids[0, 0]) == str(new)


def test_clusters_can_be_walked_as_published(own):
    update(own, kind="clusters")
    query = Query((IdExample(4),), weights={"content": 1}, order="list")
    hits = own.search(query, k=12)
    assert not hits.is_ranked
    assert hits.probed_clusters is not None
    assert hits.probed_clusters[0] >= 1
    found = hits.ids[0].tolist()
    assert len(set(found)) == 12
    assert not {4, NO_ID} & set(found)
    assert own.search(query, k=12).ids[0].tolist() == found


def test_a_kind_can_be_changed_back(own):
    update(own, kind="clusters")
    update(own, kind="exact")
    assert own.status()["indexes"][0]["kind"] == "exact"
