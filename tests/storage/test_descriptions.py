"""What people and data sets say of pictures: kept by content, whatever happens to the files."""

import sqlite3

import pytest

from lookalike.errors import UsageError
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import (
    DATA_SET,
    FILE,
    PERSON,
    Batch,
    Description,
    ImageDetails,
    Known,
)
from lookalike.storage.words import WordQuery
from tests.killing import failpoints_of, kill_at
from tests.storage.stored import DESCRIPTORS, batch_of, content_of, image_of, index

TREE = {"/photos/a.jpg": "red", "/photos/b.jpg": "blue"}
RED = content_of("red")


@pytest.fixture
def catalog(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as made:
        index(made, TREE)
        yield made


def say(catalog, provenance=PERSON, **values):
    return catalog.descriptions.change([Description(RED, provenance, **values)])


def id_of(catalog, text="red"):
    return catalog.image_ids([content_of(text)])[content_of(text)]


def known(catalog):
    [found] = catalog.descriptions.of_images([id_of(catalog)])
    return found


def matches(catalog, *texts):
    return catalog.words.match(WordQuery((texts,)))[0].tolist()


def test_what_is_said_is_told_with_who_said_it(catalog):
    say(catalog, captions=("A red house",), labels=("house",), attributes={"mood": "calm"})
    say(catalog, DATA_SET, labels=("house", "sky"))
    found = known(catalog)
    assert found.captions == (("A red house", "person"),)
    assert found.labels == (
        ("house", "person", 1.0),
        ("house", "data set", 1.0),
        ("sky", "data set", 1.0),
    )
    assert found.attributes == (Known("mood", "calm", "person"),)


def test_given_labels_count_before_those_of_the_model_and_leave_them(catalog):
    batch = Batch((image_of("green", (("tree", 0.8),)),), batch_of(("/photos/c", "green")).files)
    catalog.commit(batch, run=catalog.begin_run())
    green = content_of("green")
    catalog.descriptions.change([Description(green, PERSON, labels=("tree", "park"))])
    [record] = catalog.images([id_of(catalog, "green")])
    assert record.labels == (("park", 1.0), ("tree", 1.0))
    catalog.descriptions.change([Description(green, PERSON, remove_labels=("tree", "park"))])
    [record] = catalog.images([id_of(catalog, "green")])
    assert record.labels == (("tree", 0.8),)


def test_the_same_said_again_changes_nothing(catalog):
    values = {"captions": ("A",), "labels": ("b",), "attributes": {"c": "d"}}
    assert say(catalog, **values) == 3
    assert say(catalog, **values) == 0
    assert say(catalog, attributes={"c": "e"}) == 2


def test_it_survives_renaming_deletion_and_coming_back(catalog):
    say(catalog, captions=("A red house",), labels=("house",), attributes={"mood": "calm"})
    before = known(catalog)
    index(catalog, {"/photos/renamed.jpg": "red"})
    assert known(catalog) == before
    assert matches(catalog, "renamed") == matches(catalog, "house") == [id_of(catalog)]
    assert matches(catalog, "a.jpg") == []

    index(catalog, {})
    assert catalog.n_images == 0
    assert matches(catalog, "house", "red", "calm") == []

    index(catalog, {"/photos/again.jpg": "red"})
    after = known(catalog)
    assert after.id != before.id
    assert (after.captions, after.labels, after.attributes) == (
        before.captions,
        before.labels,
        before.attributes,
    )
    assert matches(catalog, "house") == matches(catalog, "calm") == [after.id]


def test_pictures_can_be_described_before_they_come(catalog):
    catalog.descriptions.change([Description(content_of("green"), PERSON, labels=("tree",))])
    assert matches(catalog, "tree") == []
    index(catalog, {**TREE, "/photos/c": "green"})
    assert matches(catalog, "tree") == [id_of(catalog, "green")]


def test_what_was_given_can_be_taken_away_and_nothing_else(catalog):
    say(catalog, captions=("A", "B"), labels=("house", "sky"), attributes={"mood": "calm"})
    say(catalog, DATA_SET, labels=("sky",))
    say(catalog, remove_captions=("A",), remove_labels=("sky",), remove_attributes=("mood",))
    found = known(catalog)
    assert found.captions == (("B", "person"),)
    assert found.labels == (("house", "person", 1.0),)
    assert found.attributes == ()
    assert matches(catalog, "sky", "calm") == []
    with pytest.raises(UsageError, match="no given label 'tree'"):
        say(catalog, labels=("lake",), remove_labels=("tree",))
    assert [name for name, _, _ in known(catalog).labels] == ["house"]


def test_a_data_set_read_again_replaces_what_it_said(catalog):
    say(catalog, captions=("mine",))
    say(catalog, DATA_SET, captions=("old",), labels=("x",), replace=True)
    assert say(catalog, DATA_SET, captions=("new",), labels=("x",), replace=True) == 2
    assert known(catalog).captions == (("mine", "person"), ("new", "data set"))
    assert [name for name, _, _ in known(catalog).labels] == ["x"]


def test_a_person_is_trusted_more_than_a_file(catalog):
    image = id_of(catalog)
    details = ImageDetails(RED, (Known("taken", "2020-01-01T00:00:00", FILE),))
    batch = batch_of(("/photos/a.jpg", "red"))
    again = Batch(batch.images, batch.files, (details,))
    catalog.commit(again, run=catalog.begin_run())
    say(catalog, attributes={"taken": "1999-05"})
    connection = sqlite3.connect(catalog.words.folder / "catalog.sqlite")
    of_image = "SELECT value FROM image_attributes WHERE image_id = ? AND is_effective = 1"
    assert connection.execute(of_image, (image,)).fetchall() == [("1999-05",)]
    say(catalog, remove_attributes=("taken",))
    assert connection.execute(of_image, (image,)).fetchall() == [("2020-01-01T00:00:00",)]
    connection.close()


def test_unknown_images_are_told(catalog):
    with pytest.raises(UsageError, match="there is no image 99"):
        catalog.descriptions.of_images([99])


def test_all_changes_are_made_or_none_wherever_it_is_killed(catalog, tmp_path):
    catalog.close()
    path = tmp_path / "catalog.sqlite"

    def change():
        with Catalog.open(path, writable=True) as opened:
            opened.descriptions.change(
                [
                    Description(content_of(text), PERSON, ("said",), ("said",), {"said": "said"})
                    for text in ("red", "blue")
                ]
            )

    copy = path.read_bytes()
    points = failpoints_of(change, tmp_path / "log")
    assert "storage.annotate.stored:1" in points
    for point in points:
        for ending in ("-wal", "-shm"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        path.write_bytes(copy)
        kill_at(point, change)
        with Catalog.open(path, writable=True) as opened:
            ids = opened.ids().tolist()
            found = opened.descriptions.of_images(ids)
            told = {bool(each.captions) for each in found} | {bool(each.labels) for each in found}
            assert len(told) == 1
            assert matches(opened, "said") == (ids if told == {True} else [])
