import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search.subjects import (
    Taxonomy,
    count_facets,
    default_taxonomy,
    pictures_of,
    propose_places,
    taxonomy_of,
)
from tests.search.stocked import planted, stock

TREE = Taxonomy.from_text("animal\n  pet\n    dog\n    cat\n  cow\n# a comment\n\nthing\n  car\n")
LABELS = ("dog", "cat", "car")


@pytest.fixture
def catalog(tmp_path):
    rows, groups = planted(30)

    def labels(number):
        found = [(LABELS[groups[number]], 0.9)]
        return [*found, ("cat", 0.6)] if number == 0 else found

    with stock(tmp_path / "c.sqlite", rows, labels) as opened:
        yield opened


def test_trees_are_read_from_lines_and_from_json():
    assert TREE.children(None) == ["animal", "thing"]
    assert TREE.children("animal") == ["pet", "cow"]
    assert TREE.ancestors("cat") == ("cat", "pet", "animal")
    assert TREE.beneath("pet") == ["pet", "dog", "cat"]
    nested = '{"animal": {"pet": ["dog", "cat"], "cow": {}}, "thing": ["car"]}'
    assert Taxonomy.read(nested) == TREE
    tabs = "animal\n\tpet\n\t\tdog\n\t\tcat\n\tcow\nthing\n\tcar"
    assert Taxonomy.read(tabs) == TREE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  dog\n", r"line 1 \('dog'\) is indented, but beneath nothing"),
        ("dog\ndog\n", "'dog' is twice in the tree"),
        ('{"a": 3}', "objects and lists of names, not 3"),
        ('{"a"', "no valid JSON"),
        ('{"a": ["a"]}', "'a' is twice"),
    ],
)
def test_trees_without_sense_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        Taxonomy.read(text)


def test_counts_hold_all_beneath_and_each_picture_once(catalog):
    facets, total = count_facets(catalog, TREE)
    assert [(f.name, f.pictures, f.n_children) for f in facets] == [
        ("animal", 20, 2),
        ("thing", 10, 1),
    ]
    assert total == 30
    facets, total = count_facets(catalog, TREE, "pet")
    assert [(f.name, f.pictures) for f in facets] == [("dog", 10), ("cat", 11)]
    assert total == 20  # the first picture shows both


def test_counts_follow_a_filter_and_the_probability(catalog):
    only = np.array([1, 2, 3, 999])
    facets, total = count_facets(catalog, TREE, ids=only)
    assert [f.pictures for f in facets] == [2, 1]
    assert total == 3
    facets, _ = count_facets(catalog, TREE, "pet", least=0.7)
    assert [f.pictures for f in facets] == [10, 10]
    with pytest.raises(UsageError, match="no subject 'plant'"):
        count_facets(catalog, TREE, "plant")
    with pytest.raises(UsageError, match="above 0"):
        count_facets(catalog, TREE, least=0.0)


def test_pictures_of_a_subject_come_from_all_beneath(catalog):
    found = pictures_of(catalog, TREE, "animal", 40)
    assert len(found) == 20
    assert found[0] == (1, 0.9)
    only = np.array([2, 3])
    assert pictures_of(catalog, TREE, "animal", 40, ids=only) == [(2, 0.9)]
    assert pictures_of(catalog, TREE, "cow", 5) == []


def test_a_label_is_moved_with_all_beneath_it_and_never_beneath_itself():
    moved = TREE.placed("pet", "thing")
    assert moved.beneath("thing") == ["thing", "car", "pet", "dog", "cat"]
    assert TREE.placed("zebra", "animal").children("animal") == ["pet", "cow", "zebra"]
    with pytest.raises(UsageError, match="which is beneath it"):
        TREE.placed("animal", "dog")
    with pytest.raises(UsageError, match="no subject 'plant' to put 'fern' beneath"):
        TREE.placed("fern", "plant")


def test_a_place_is_proposed_where_pictures_look_alike(tmp_path):
    rows, groups = planted(40, 4, noise=0.05)
    rows[3::4] = rows[0::4] + 0.3 * rows[3::4]
    names = ("dog", "car", "sofa", "wolf")
    with stock(
        tmp_path / "c.sqlite", rows, lambda number: [(names[groups[number]], 1.0)]
    ) as catalog:
        tree = Taxonomy.from_text("animal\n  dog\nthing\n  car\n")
        found = {each.label: each for each in propose_places(catalog, tree)}
    assert set(found) == {"sofa", "wolf"}
    assert (found["wolf"].parent, found["wolf"].like) == ("animal", "dog")
    assert found["sofa"].parent is None  # nothing looks like it


def test_the_default_tree_holds_what_there_is(catalog):
    assert default_taxonomy(["dog", "traffic light", "house"]).nodes == (
        ("outdoor", None),
        ("traffic light", "outdoor"),
        ("animal", None),
        ("dog", "animal"),
    )
    assert taxonomy_of(catalog).children("vehicle") == ["car"]
    catalog.knowledge.subjects.replace(TREE.nodes)
    assert taxonomy_of(catalog) == TREE
