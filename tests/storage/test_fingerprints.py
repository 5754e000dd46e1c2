"""Fingerprints go with their images, decisions stay with contents; both last."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from lookalike.dimensions import Selection
from lookalike.errors import MismatchError, UsageError
from lookalike.images.perceptual_hash import Fingerprint
from lookalike.storage.catalog import Catalog
from lookalike.storage.duplicates import DuplicateStore
from lookalike.storage.folder import create_folder, open_folder
from lookalike.storage.integrity import verify
from lookalike.storage.migrations import MIGRATIONS, m006_fingerprints_and_decisions
from lookalike.storage.records import Batch
from lookalike.storage.shrinking import Shrinking, shrink_in_place
from tests.killing import failpoints_of, kill_at
from tests.storage.stored import batch_of, content_of, file_of, image_of, index
from tests.storage.test_folder import SPECS, write_model

TEXTS = ("red", "green", "blue")


def print_of(text: str) -> Fingerprint:
    return Fingerprint(content_of(text)[:16], 40.0, 2.5)


@pytest.fixture
def folder(tmp_path):
    """Three images with fingerprints; red and green were said to differ, blue to be kept."""
    made = create_folder(tmp_path / "c", write_model(tmp_path / "model"), SPECS)
    with Catalog.open(made.catalog, writable=True) as catalog:
        images = tuple(image_of(text, fingerprint=print_of(text)) for text in TEXTS)
        files = tuple(file_of(f"/photos/{text}", text) for text in TEXTS)
        catalog.commit(Batch(images, files), run=catalog.begin_run())
        catalog.duplicates.decide("different", [content_of("red"), content_of("green")])
        catalog.duplicates.decide("keep", [content_of("blue")])
    return made


def state(store: DuplicateStore):
    prints, decisions = store.prints(), store.decisions()
    hashes = {int(id_): row.tobytes() for id_, row in zip(prints.ids, prints.hashes, strict=True)}
    return hashes, decisions.keeps, decisions.different, decisions.same


EXPECTED = ({n + 1: print_of(t).bits for n, t in enumerate(TEXTS)}, {3}, {(1, 2)}, frozenset())


def test_what_is_stored_comes_back(folder):
    with Catalog.open(folder.catalog) as catalog:
        assert state(catalog.duplicates) == EXPECTED
        some = catalog.duplicates.prints([3, 1, 99])
        assert some.ids.tolist() == [1, 3]
        assert some.sharpness.tolist() == [2.5, 2.5]
        assert some.n_pixels.tolist() == [12, 12]
        assert catalog.duplicates.decisions([1, 2]).different == {(1, 2)}
        assert catalog.duplicates.decisions([3]).different == frozenset()
        assert len(catalog.duplicates.prints([])) == 0
        assert len(catalog.duplicates.lacking()) == 0


def test_fingerprints_go_with_their_image_and_decisions_wait_for_its_return(folder):
    with Catalog.open(folder.catalog, writable=True) as catalog:
        index(catalog, {"/photos/green": "green"})
        hashes, keeps, different, _ = state(catalog.duplicates)
        assert (set(hashes), keeps, different) == ({2}, frozenset(), frozenset())
        index(catalog, {"/photos/elsewhere/red": "red", "/photos/green": "green"})
        assert catalog.duplicates.decisions().different == {(2, 4)}
        assert catalog.duplicates.lacking().tolist() == [4]
        catalog.duplicates.add([(content_of("red"), print_of("red")), (b"unknown", print_of("a"))])
        assert set(state(catalog.duplicates)[0]) == {2, 4}


def test_a_later_decision_replaces_an_earlier_one_about_the_same_pair(folder):
    with Catalog.open(folder.catalog, writable=True) as catalog:
        catalog.duplicates.decide("same", [content_of(text) for text in TEXTS])
        assert state(catalog.duplicates)[2:] == (frozenset(), {(1, 2), (1, 3), (2, 3)})
        catalog.duplicates.decide("forget", [content_of("red"), content_of("blue")])
        assert state(catalog.duplicates)[1:] == (frozenset(), frozenset(), frozenset())


def test_one_image_is_not_the_same_as_itself(folder):
    with (
        Catalog.open(folder.catalog, writable=True) as catalog,
        pytest.raises(UsageError, match="'same' is said of two images or more"),
    ):
        catalog.duplicates.decide("same", [content_of("red")] * 2)


def test_an_older_catalog_lacks_fingerprints_until_they_are_added(folder):
    with closing(sqlite3.connect(folder.catalog)) as connection:
        for table in ("fingerprints", "duplicate_verdicts", "duplicate_keeps"):
            connection.execute(f"DROP TABLE {table}")
        before = MIGRATIONS.index(m006_fingerprints_and_decisions)
        connection.execute(f"PRAGMA user_version = {before}")
        connection.commit()
    with pytest.raises(MismatchError, match="catalog version 5"):
        Catalog.open(folder.catalog)
    with Catalog.open(folder.catalog, writable=True) as catalog:
        assert catalog.duplicates.lacking().tolist() == [1, 2, 3]
        catalog.duplicates.add([(content_of(text), print_of(text)) for text in TEXTS])
        assert state(catalog.duplicates)[0] == EXPECTED[0]


def test_damaged_and_stray_fingerprints_are_told_and_made_again(folder):
    with closing(sqlite3.connect(folder.catalog)) as connection:
        connection.execute("UPDATE fingerprints SET bits = zeroblob(16) WHERE image_id = 2")
        connection.execute("INSERT INTO fingerprints VALUES (77, zeroblob(16), 1.0, 1.0, 0)")
        connection.commit()
    problems = verify(folder.path).problems
    assert [problem.kind for problem in problems] == ["fingerprint"] * 2
    assert "fingerprint of image 2 (/photos/green) is damaged" in problems[0].detail
    assert verify(folder.path, repair=True).is_clean
    assert verify(folder.path).problems == ()
    with Catalog.open(folder.catalog) as catalog:
        assert catalog.duplicates.lacking().tolist() == [2]
        assert state(catalog.duplicates)[1:] == EXPECTED[1:]


def test_a_shrunken_collection_keeps_both(folder):
    _, manifest = open_folder(folder.path)
    selection = Selection(6, np.array([1, 3, 4]))
    shrink_in_place(folder.path, Shrinking(manifest.model_checksum, selection, {"method": "pca"}))
    shrunken, _ = open_folder(folder.path)
    with Catalog.open(shrunken.catalog) as catalog:
        assert state(catalog.duplicates) == EXPECTED


def decide_all(path):
    with Catalog.open(path, writable=True) as catalog:
        catalog.duplicates.decide("same", [content_of(text) for text in TEXTS])
        catalog.duplicates.add([(content_of("red"), print_of("other"))])


def test_a_decision_is_stored_whole_or_not_at_all(folder, tmp_path):
    names = failpoints_of(lambda: decide_all(folder.catalog), tmp_path / "log")
    assert {"storage.decide.end:1", "storage.fingerprints.end:1"} <= set(names)
    with Catalog.open(folder.catalog, writable=True) as catalog:
        catalog.duplicates.decide("forget", [content_of(text) for text in TEXTS])
    kill_at("storage.decide.end:1", lambda: decide_all(folder.catalog))
    with Catalog.open(folder.catalog) as catalog:
        assert state(catalog.duplicates)[2:] == (frozenset(), frozenset())


def test_a_batch_without_fingerprints_is_stored_all_the_same(folder):
    with Catalog.open(folder.catalog, writable=True) as catalog:
        catalog.commit(batch_of(("/photos/d", "gray")), run=catalog.begin_run())
        assert catalog.duplicates.lacking().tolist() == [4]
