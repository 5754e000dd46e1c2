"""Outlines of regions and label maps, kept in files beside the indexes."""

import numpy as np
import pytest

from lookalike import Collection, Query
from lookalike.errors import LookalikeError
from lookalike.search.kept_maps import keep
from lookalike.search.layouts import read_boxes
from lookalike.search.queries import IdExample, RegionExample
from lookalike.shelves.outlines import TABLE, read_outlines
from lookalike.shelves.regions import RegionShelf
from lookalike.storage.integrity import verify
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

N = 9


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_tiny_model(folder / "tiny")
    write_masks(folder / "all", N)
    return folder


@pytest.fixture
def photos(place, tmp_path):
    """A collection of all pictures but the last four; `(collection, add, remove)`."""
    source = tmp_path / "pictures"
    source.mkdir()
    pictures = sorted((place / "all" / "images").iterdir())

    def add(made, chosen):
        for picture in chosen:
            (source / picture.name).write_bytes(picture.read_bytes())
        made.add(source, workers=0, regions=True)

    with Collection.create(tmp_path / "c.lookalike", model=place / "tiny") as made:
        add(made, pictures[:-4])
        yield made, lambda: add(made, pictures[-4:]), source / pictures[0].name


def labels_of(outlines):
    names = (*outlines.names, None)
    return [names[label] for label in outlines.labels]


@pytest.mark.parametrize("is_rebuilt", [False, True])
def test_outlines_are_those_of_the_catalog_whatever_came_and_went(photos, monkeypatch, is_rebuilt):
    made, add, gone = photos
    monkeypatch.setattr("lookalike.shelves.regions.TAIL_SHARE", 0.1 if is_rebuilt else 9.0)
    gone.unlink()
    add()
    folder = made._folder.index
    found = read_outlines(folder, made.catalog, made.manifest.model)
    expected = made.catalog.regions.outlines()
    for name in ("ids", "boxes", "areas", "masks"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
    assert labels_of(found) == labels_of(expected)
    assert len(set(labels_of(found))) > 2


def test_kept_maps_are_those_of_the_model_and_only_newer_ones_are_decoded(photos, monkeypatch):
    made, add, _ = photos
    monkeypatch.setattr("lookalike.shelves.label_maps.TAIL_SHARE", 9.0)
    old = made.catalog.ids()
    add()
    ids = np.random.default_rng(0).permutation(made.catalog.ids())
    codes = made.vectors(ids, "layout")
    expected = keep(made.model.decode_codes(codes))
    found = made._map_shelf.open()(ids)
    assert np.array_equal(found.classes, expected.classes)
    assert np.array_equal(found.shares, expected.shares)

    def decode(codes):
        raise LookalikeError("decoded")

    monkeypatch.setattr(made.model, "decode_codes", decode, raising=True)
    assert len(made._map_shelf.open()(old)) == len(old)
    with pytest.raises(LookalikeError, match="decoded"):
        made._map_shelf.open()(ids)


def test_maps_that_are_kept_are_not_decoded_again_by_indexing(photos, monkeypatch):
    made, add, gone = photos
    decoded = []
    original = made.model.decode_codes
    gone.unlink()

    def decode(codes):
        decoded.append(len(codes))
        return original(codes)

    monkeypatch.setattr("lookalike.shelves.label_maps._DECODED_AT_ONCE", 4)
    add()
    monkeypatch.setattr(made.model, "decode_codes", decode)
    made._map_shelf.renew()
    assert decoded == []  # all are kept
    made._map_shelf.renew(force=True)
    assert sum(decoded) == len(made)


def assert_found_and_made_again(made, name):
    made.close()
    assert any(name in problem.detail for problem in verify(made.path).problems)
    with Collection.open(made.path, writable=True) as again:
        again.build_indexes()
    assert verify(made.path).is_clean


def test_damaged_maps_are_found_and_searches_go_on_without(photos):
    made, _, _ = photos
    query = Query(layout=read_boxes("green@0,0,0.5,0.5"))
    expected = made.search(query)
    [path] = made._folder.index.glob("layout_maps-*.shares.npy")
    path.write_bytes(path.read_bytes()[:-1])
    made._gallery = None
    found = made.search(query)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.scores.tolist() == expected.scores.tolist()
    assert_found_and_made_again(made, path.name)


def test_the_outlines_are_verified_too(photos):
    made, _, _ = photos
    path = made._folder.index / f"{TABLE}.json"
    path.write_text("{}")
    assert_found_and_made_again(made, TABLE)


def test_a_weight_of_0_opens_no_regions(photos, monkeypatch):
    made, _, _ = photos
    box = RegionExample(IdExample(1), (4, 4, 16, 16))
    expected = made.search(Query((box,), weights={"content": 1.0}))

    def refuse(shelf):
        raise LookalikeError("opened")

    monkeypatch.setattr(RegionShelf, "open", refuse)
    made._gallery = None
    found = made.search(Query((box,), weights={"content": 1.0, "region": 0.0}))
    assert found.ids.shape == expected.ids.shape
    assert set(found.parts) == {"content"}
    with pytest.raises(LookalikeError, match="opened"):
        made.search(Query((box,)))
