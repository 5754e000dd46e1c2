"""What was found out about pictures goes with them, but for what a person said."""

import sqlite3

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.storage import migrations
from lookalike.storage.annotations import Statement
from lookalike.storage.catalog import Catalog
from lookalike.storage.clusterings import Members, StoredClustering
from lookalike.storage.maps import MapPoints
from lookalike.storage.records import Batch
from tests.killing import failpoints_of, kill_at
from tests.storage.stored import DESCRIPTORS, content_of, file_of, image_of, index

TREE = {f"/photos/{name}": name for name in ("red", "green", "blue")}


@pytest.fixture
def path(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as made:
        index(made, TREE)
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path):
    with Catalog.open(path, writable=True) as opened:
        yield opened


def ids_of(catalog):
    found = catalog.image_ids([content_of(name) for name in TREE.values()])
    return {name: found.get(content_of(name)) for name in TREE.values()}


def cluster(catalog, name="two"):
    ids = catalog.ids()
    centers = np.eye(2, 6, dtype=np.float32)
    made = StoredClustering(name, "content", {"k": 2}, centers, np.array([0.5, 0.25]))
    members = Members(ids, np.arange(len(ids)) % 2, np.linspace(0.1, 0.9, len(ids)))
    catalog.knowledge.clusterings.save(made, members)
    return made


def say(catalog, label="cat", holds=True, name="red", kind="label"):
    statement = Statement(ids_of(catalog)[name], label, holds, kind == "check")
    return catalog.knowledge.annotations.add(kind, {"label": label}, [statement])


def labels_of(catalog, name="red"):
    [record] = catalog.images([ids_of(catalog)[name]])
    return dict(record.labels)


def provenances(path):
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT provenance, probability FROM image_labels").fetchall()
    connection.close()
    return sorted(rows)


def test_a_clustering_comes_back_as_it_was_stored(catalog):
    made = cluster(catalog)
    kept = catalog.knowledge.clusterings
    opened = kept.open("two")
    np.testing.assert_array_equal(opened.centers, made.centers)
    np.testing.assert_array_equal(opened.spreads, made.spreads)
    assert (opened.descriptor, opened.facts) == ("content", {"k": 2})
    assert kept.members("two").clusters.tolist() == [0, 1, 0]
    assert kept.nearest("two", 0, 5).tolist() == [3, 1]
    assert kept.nearest("two", 0, 1, offset=1).tolist() == [1]
    with pytest.raises(UsageError, match="no clustering 'three'; there are: two"):
        kept.open("three")
    with pytest.raises(UsageError, match="no cluster 2 in 'two'; they go from 0 to 1"):
        kept.nearest("two", 2, 1)
    kept.delete("two")
    assert kept.names() == []


def test_what_is_known_of_an_image_goes_with_it_and_what_a_person_said_comes_back(catalog):
    cluster(catalog)
    ids = catalog.ids()
    flat = MapPoints(ids, np.full((len(ids), 2), 0.5), np.ones(len(ids), bool))
    catalog.knowledge.maps.save("content", "content", {}, flat)
    say(catalog)
    say(catalog, "dog", holds=False)
    old = ids_of(catalog)["red"]
    index(catalog, {path: text for path, text in TREE.items() if text != "red"})
    assert old not in catalog.knowledge.clusterings.members("two").ids
    assert old not in catalog.knowledge.maps.points("content").ids
    assert catalog.knowledge.annotations.statements() == []
    index(catalog, TREE)
    new = ids_of(catalog)["red"]
    assert new != old
    assert labels_of(catalog) == {"cat": 1.0}
    assert catalog.knowledge.annotations.statements() == [
        Statement(new, "cat", True),
        Statement(new, "dog", False),
    ]
    assert catalog.knowledge.clusterings.unplaced("two").tolist() == [new]
    assert catalog.knowledge.maps.unplaced("content").tolist() == [new]


def test_a_persons_word_counts_before_the_models(tmp_path):
    with Catalog.create(tmp_path / "c.sqlite", DESCRIPTORS) as catalog:
        run = catalog.begin_run()
        image = image_of("red", (("cat", 0.9), ("dog", 0.8)))
        catalog.commit(Batch((image,), (file_of("/photos/red", "red"),)), run=run)
        say(catalog, "cat", holds=False)
        assert labels_of(catalog) == {"dog": 0.8}
        knowledge = catalog.knowledge
        assert knowledge.annotations.find("cat", 5, 0.5) == []
        assert knowledge.annotations.find("dog", 5, 0.5) == [(1, 0.8, "model")]
        assert knowledge.subjects.believed(0.5, [1, 7]) == [(1, ("dog",))]
        knowledge.annotations.undo()
        assert labels_of(catalog) == {"cat": 0.9, "dog": 0.8}


def test_actions_are_undone_whole_one_by_one(catalog):
    with pytest.raises(UsageError, match="nothing to be undone"):
        catalog.knowledge.annotations.undo()
    ids = ids_of(catalog)
    both = [Statement(ids["red"], "cat", True), Statement(ids["blue"], "cat", True)]
    catalog.knowledge.annotations.add("label", {}, both)
    say(catalog, "cat", holds=False)
    assert labels_of(catalog) == {}
    assert catalog.knowledge.annotations.undo().n == 1
    assert labels_of(catalog) == labels_of(catalog, "blue") == {"cat": 1.0}
    assert catalog.knowledge.annotations.undo().n == 2
    assert labels_of(catalog) == labels_of(catalog, "blue") == {}


def test_propagated_labels_replace_those_before_and_leave_a_persons_alone(catalog, path):
    say(catalog)
    ids, annotations = catalog.ids(), catalog.knowledge.annotations
    table = np.array([[0.0, 0.3], [0.7, 0.01], [0.2, 0.0]])
    assert annotations.propagate({}, [(ids, ("cat", "dog"), table)], 0.05) == 3
    assert annotations.propagate({}, [(ids, ("cat",), table[:, :1])], 0.05) == 2
    assert provenances(path) == [("person", 1.0), ("propagated", 0.2), ("propagated", 0.7)]
    assert annotations.find("cat", 5, 0.1) == [
        (1, 1.0, "person"),
        (2, 0.7, "propagated"),
        (3, 0.2, "propagated"),
    ]


@pytest.mark.parametrize("label", ["", " cat", "cat ", "two\nlines"])
def test_labels_without_sense_are_refused(catalog, label):
    with pytest.raises(UsageError, match="is no label"):
        say(catalog, label)
    assert catalog.knowledge.annotations.history() == []


def test_an_unknown_image_leaves_nothing_behind(catalog):
    with pytest.raises(UsageError, match="no image 99"):
        catalog.knowledge.annotations.add("label", {}, [Statement(99, "cat", True)])
    assert catalog.knowledge.annotations.history() == []


def test_a_killed_action_is_there_whole_or_not_at_all(path, tmp_path):
    def act():
        with Catalog.open(path, writable=True) as catalog:
            cluster(catalog)
            say(catalog)
            catalog.knowledge.annotations.undo()

    names = [n for n in failpoints_of(act, tmp_path / "log") if n.startswith("knowledge.")]
    assert len(names) >= 7
    for name in names:
        kill_at(name, act)
        with Catalog.open(path, writable=True) as catalog:
            annotations = catalog.knowledge.annotations
            n_said = len(annotations.statements())
            assert n_said == len(annotations.history()) == len(labels_of(catalog)), name
            if catalog.knowledge.clusterings.names():
                assert len(catalog.knowledge.clusterings.members("two").ids) == len(TREE)
            while annotations.history():
                annotations.undo()


def test_a_catalog_from_before_gets_the_tables_when_it_is_written(tmp_path, monkeypatch):
    place = tmp_path / "old.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        Catalog.create(place, DESCRIPTORS).close()
    with Catalog.open(place, writable=True) as catalog:
        index(catalog, TREE)
        say(catalog)
        assert labels_of(catalog) == {"cat": 1.0}


def test_saved_searches_are_kept_by_name(catalog):
    searches = catalog.knowledge.searches
    searches.save("beach", {"positives": [{"id": 1}]}, 5)
    searches.save("beach", {"positives": [{"id": 2}]}, 6)
    [found] = searches.all()
    assert (found.name, found.query, found.k) == ("beach", {"positives": [{"id": 2}]}, 6)
    for name in ("", " a", "it's", "a(b"):
        with pytest.raises(UsageError, match="no name for a search"):
            searches.save(name, {}, 1)
    searches.delete("beach")
    with pytest.raises(UsageError, match="no saved search 'beach'; there are: none"):
        searches.open("beach")
