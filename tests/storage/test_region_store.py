"""Regions on disk: whole batches, gone with their images, and never taken for what they are not."""

import sqlite3

import numpy as np
import pytest

from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.storage import migrations
from lookalike.storage.catalog import Catalog
from lookalike.storage.regions import PER_IMAGE, NewRegion, replace_content
from tests.storage.stored import DESCRIPTORS, index

DIMS = {"content": DESCRIPTORS["content"], "color": 5, "texture": 3}
TREE = {"/photos/a": "red", "/photos/b": "green", "/photos/c": "blue"}


def region(seed, label=None, **changes):
    rng = np.random.default_rng(seed)
    values = {
        "box": (0.25, 0.0, 0.5, 1.0),
        "area": 0.3,
        "mask": int(rng.integers(0, 2**64, dtype=np.uint64)),
        "label": label,
        "vectors": {name: rng.standard_normal(n).astype(np.float32) for name, n in DIMS.items()},
    }
    return NewRegion(**{**values, **changes})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path):
    with Catalog.create(path, DESCRIPTORS) as made:
        index(made, TREE)
        yield made


def rows_of(catalog, name, **options):
    batches = list(catalog.regions.vectors(name, DIMS[name], **options))
    return {int(i): row for ids, rows in batches for i, row in zip(ids, rows, strict=True)}


def test_regions_come_back_as_they_were_stored(catalog):
    stored = {1: [region(1, "dog"), region(2)], 3: [region(3, "cat", mask=2**64 - 1)]}
    catalog.regions.store(stored, version=1)
    expected = {PER_IMAGE * i + place: r for i, rs in stored.items() for place, r in enumerate(rs)}
    for name in DIMS:
        found = rows_of(catalog, name, batch=2)
        assert found.keys() == expected.keys()
        for region_id, row in found.items():
            np.testing.assert_array_equal(
                row, expected[region_id].vectors[name].astype(np.float16).astype(np.float32)
            )
    outlines = catalog.regions.outlines()
    assert outlines.ids.tolist() == list(expected)
    labels = [None if at < 0 else outlines.names[at] for at in outlines.labels]
    assert labels == ["dog", None, "cat"]
    assert outlines.masks.tolist() == [r.mask for r in expected.values()]
    assert outlines.boxes[0].tolist() == [0.25, 0.0, 0.5, 1.0]


def test_outlines_are_read_some_at_a_time(catalog, monkeypatch):
    catalog.regions.store({1: [region(1, "dog"), region(2)], 3: [region(3, "cat")]}, version=1)
    whole = catalog.regions.outlines()
    monkeypatch.setattr("lookalike.storage.regions._BATCH", 1)
    parts = catalog.regions.outlines()
    assert parts.names == whole.names
    for name in ("ids", "boxes", "areas", "masks", "labels"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_a_catalog_without_regions_has_no_outlines(catalog):
    outlines = catalog.regions.outlines()
    assert (len(outlines.ids), outlines.boxes.shape, outlines.names) == (0, (0, 4), ())


def test_what_lacks_regions_is_told_page_by_page(catalog):
    assert catalog.regions.lacking(1, 0, 2) == [1, 2]
    assert catalog.regions.lacking(1, 2, 2) == [3]
    assert not catalog.regions.is_used
    catalog.regions.store({2: [region(1)]}, version=1)
    assert catalog.regions.is_used
    assert catalog.regions.lacking(1, 0, 9) == [1, 3]
    assert catalog.regions.counts(1) == (1, 2, 1)
    assert catalog.regions.lacking(2, 0, 9) == [1, 2, 3]


def test_regions_made_anew_replace_the_old_ones(catalog):
    catalog.regions.store({1: [region(1), region(2)], 2: [region(3)]}, version=1)
    revision = catalog.revision
    catalog.regions.store({1: [region(4)]}, version=2)
    assert rows_of(catalog, "color").keys() == {64, 128}
    assert catalog.regions.changed_since(revision).tolist() == [1]
    assert rows_of(catalog, "color", since=revision).keys() == {64}
    assert catalog.revision == revision + 1


def test_a_deleted_image_takes_its_regions_with_it(catalog):
    catalog.regions.store({1: [region(1)], 2: [region(2), region(3)]}, version=1)
    index(catalog, {"/photos/b": "green", "/photos/c": "blue"})
    assert rows_of(catalog, "content").keys() == {128, 129}
    assert catalog.regions.counts(1) == (1, 1, 2)


def test_an_image_that_is_gone_gets_no_regions(catalog):
    catalog.regions.store({1: [region(1)], 99: [region(2)]}, version=1)
    assert rows_of(catalog, "content").keys() == {64}


def test_all_of_a_batch_is_stored_or_nothing(catalog):
    broken = region(2, vectors={**region(2).vectors, "color": np.full(5, np.nan, np.float32)})
    with pytest.raises(UsageError, match="a region of image 2 has values that are not finite"):
        catalog.regions.store({1: [region(1)], 2: [broken]}, version=1)
    with pytest.raises(UsageError, match="image 2 has 65 regions, more than 64"):
        catalog.regions.store({1: [region(1)], 2: [region(2)] * 65}, version=1)
    assert not catalog.regions.is_used


CHANGES = {
    "a vector": "UPDATE regions SET color = zeroblob(10) WHERE id = 129",
    "a box": "UPDATE regions SET x = 0.5 WHERE id = 129",
    "a label": "UPDATE regions SET label = 'cow' WHERE id = 129",
    "another image's": "UPDATE regions SET content = (SELECT content FROM regions WHERE id = 64) "
    "WHERE id = 129",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_row_is_noticed(catalog, path, change):
    catalog.regions.store({1: [region(1)], 2: [region(2), region(3, "dog")]}, version=1)
    with sqlite3.connect(path) as connection:
        connection.execute(CHANGES[change])
    connection.close()
    with pytest.raises(DamagedCollectionError, match="regions of image 2 are damaged; repair"):
        rows_of(catalog, "content")


def test_content_can_be_replaced_by_fewer_dimensions(catalog, path):
    catalog.regions.store({1: [region(1), region(2)]}, version=1)
    before = rows_of(catalog, "content")
    opened = migrations.open_current(path, writable=True)
    with opened.writing() as connection:
        replace_content(connection, DIMS["content"], lambda rows: rows[:, :2] * 2)
    opened.close()
    ids, rows = next(catalog.regions.vectors("content", 2))
    np.testing.assert_allclose(rows, np.stack([before[int(i)][:2] * 2 for i in ids]), rtol=1e-3)
    assert len(rows_of(catalog, "color")) == 2
