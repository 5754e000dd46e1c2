"""The full-text index: in step with the catalog, and words that are misspelled."""

import itertools

import pytest

from lookalike.storage.catalog import Catalog
from lookalike.storage.integrity import verify
from lookalike.storage.words import WordQuery, edit_distance, match_text
from tests.storage.described import make
from tests.storage.stored import DESCRIPTORS, index
from tests.storage.test_integrity import damage
from tests.storage.test_integrity import make as make_folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    catalog, ids = make(tmp_path_factory.mktemp("words") / "catalog.sqlite")
    with catalog:
        yield catalog, ids


def found(place, *groups, **options):
    catalog, ids = place
    names = {image: name for name, image in ids.items()}
    matched, relevance = catalog.words.match(WordQuery(groups, **options))
    assert (relevance > 0).all()
    return {names[image]: float(value) for image, value in zip(matched, relevance, strict=True)}


def test_every_kind_of_text_is_found(place):
    assert set(found(place, ("beach",))) == {"a"}
    assert set(found(place, ("Größe",))) == {"c"}
    assert set(found(place, ("deja vu",))) == {"d"}
    assert set(found(place, ("plan",))) == {"c"}
    assert set(found(place, ("holiday",))) == {"a", "b"}
    assert set(found(place, ("nikon",))) == {"b"}


def test_alternatives_exclusion_and_beginnings(place):
    assert set(found(place, ("window", "canon"))) == {"a", "b"}
    assert set(found(place, ("holiday",), excluded=("cat",))) == set()
    assert set(found(place, ("holiday",), excluded=("window",))) == {"a"}
    assert set(found(place, ("holi",))) == set()
    assert set(found(place, ("holi",), prefix=True)) == {"a", "b"}


def test_a_given_label_says_more_than_one_of_the_model_or_a_name(place):
    ranked = found(place, ("dog",))
    assert ranked["a"] > ranked["c"]
    assert found(place, ("dog",), ("canon",))["a"] > ranked["a"]


@pytest.mark.parametrize(
    "text", ['"', 'a" OR "b', "NEAR(a b)", "captions : dog", "dog*", "^dog", "\0", "- AND", ")("]
)
def test_no_word_is_taken_for_a_command(place, text):
    assert isinstance(found(place, (text,), excluded=(text,)), dict)
    assert match_text(WordQuery(((text,),))).count('"') % 2 == 0


@pytest.mark.parametrize(
    ("word", "distance", "expected"),
    [
        ("baech", 1, ["beach"]),
        ("windwo", 1, ["window"]),
        ("hliday", 1, ["holiday"]),
        ("hollyday", 2, ["holiday"]),
        ("cannon", 1, ["canon"]),
        ("xxxxxx", 2, []),
        ("holiday", 1, ["holiday"]),
    ],
)
def test_a_misspelled_word_is_known_again(place, word, distance, expected):
    assert place[0].words.similar(word, distance) == expected


def test_words_that_nobody_has_any_more_are_not_offered(tmp_path):
    with Catalog.create(tmp_path / "c.sqlite", DESCRIPTORS) as catalog:
        index(catalog, {"/photos/elephant.jpg": "red"})
        assert catalog.words.similar("elefant", 2) == ["elephant"]
        index(catalog, {"/photos/giraffe.jpg": "red"})
        assert catalog.words.similar("elefant", 2) == []


def recursive_distance(first, second):
    """The definition, letter by letter."""
    if not first or not second:
        return len(first) + len(second)
    cost = min(
        recursive_distance(first[:-1], second) + 1,
        recursive_distance(first, second[:-1]) + 1,
        recursive_distance(first[:-1], second[:-1]) + (first[-1] != second[-1]),
    )
    if first[-2:] == second[-2:][::-1] and len(first[-2:]) == 2:
        cost = min(cost, recursive_distance(first[:-2], second[:-2]) + 1)
    return cost


def test_the_distance_of_words_is_that_of_its_definition():
    words = ["".join(letters) for n in range(5) for letters in itertools.product("ab", repeat=n)]
    for first, second in itertools.product(words, words[::3]):
        assert edit_distance(first, second) == recursive_distance(first, second), (first, second)


def test_files_are_known_by_the_end_of_their_path(place):
    catalog, ids = place
    assert catalog.words.ids_named("beach.jpg") == {ids["a"]}
    assert catalog.words.ids_named("holiday/beach.jpg") == {ids["a"]}
    assert catalog.words.ids_named("/p/holiday/beach.jpg") == {ids["a"]}
    assert catalog.words.ids_named("each.jpg") == set()
    assert catalog.words.ids_named("dog.gif") == {ids["d"]}


def test_a_damaged_index_of_words_is_told_and_made_again(tmp_path):
    folder = make_folder(tmp_path)
    damage(folder, "DELETE FROM words WHERE rowid = 2")
    report = verify(folder.path)
    assert [problem.kind for problem in report.problems] == ["words"]
    assert verify(folder.path, repair=True).is_clean
    damage(folder, "UPDATE words_data SET block = zeroblob(30) WHERE id > 10")
    assert not verify(folder.path).is_clean
    assert verify(folder.path, repair=True).is_clean
    assert verify(folder.path).problems == ()
    with Catalog.open(folder.catalog) as catalog:
        assert catalog.words.match(WordQuery((("b",),)))[0].tolist() == [2]
