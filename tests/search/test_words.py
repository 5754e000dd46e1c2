"""Words as a part of a query: taken apart, looked up, and scored by rarity."""

import math

import numpy as np
import pytest

from lookalike import Query
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.search.filters import parse_conditions
from lookalike.search.parts import Part
from lookalike.search.words import (
    Words,
    WordsPart,
    expand,
    parse_words,
    rarities,
    read_synonyms,
    understand,
    with_words_sorted_out,
)
from tests.storage.described import make


@pytest.fixture
def place(tmp_path):
    catalog, ids = make(tmp_path / "catalog.sqlite")
    with catalog:
        yield catalog, ids


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dog", Words((("dog",),), is_open=True)),
        ("dog ", Words((("dog",),))),
        ("two dogs", Words((("two",), ("dogs",)), is_open=True)),
        ('"two dogs"', Words((("two dogs",),))),
        ("dog|hound", Words((("dog", "hound"),))),
        ('"great dane"|hound cat', Words((("great dane", "hound"), ("cat",)), is_open=True)),
        ("dog -cat", Words((("dog",),), ("cat",))),
        ('-"big cat" dog', Words((("dog",),), ("big cat",), is_open=True)),
        ("-cat", Words((), ("cat",))),
        ("dog - cat & !", Words((("dog",), ("cat",)), is_open=True)),
        ("dog| |cat |", Words((("dog",), ("cat",)), is_open=True)),
        ("well-known", Words((("well-known",),), is_open=True)),
    ],
)
def test_a_text_is_taken_apart(text, expected):
    found = parse_words(text)
    assert (found.groups, found.excluded) == (expected.groups, expected.excluded)
    assert found.is_open == expected.is_open


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no word"),
        ("  ?! ", "no word"),
        ('dog "big', "at character 5: this quotation mark is not closed"),
        ("a " * 65, "more than 64 words"),
        ("a" * 1001, "the limit is 1000"),
    ],
)
def test_what_makes_no_sense_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_words(text)


def test_words_that_must_not_be_there_need_another(place):
    with pytest.raises(UsageError, match="add a word to look for"):
        understand("-cat", place[0])


def test_a_score_is_the_share_of_images_that_match_as_well():
    relevance = np.array([3.0, 1.0, 2.0, 3.0, 3.0 + 1e-12])
    slow = [math.log10(100 / sum(o >= r - 1e-9 for o in relevance)) for r in relevance]
    assert rarities(relevance, 99) == pytest.approx(slow)
    assert len(rarities(np.empty(0), 5)) == 0


def test_a_part_proposes_its_best_and_scores_any():
    ids = np.array([2, 3, 5, 8], np.int64)
    part = WordsPart(ids, np.array([1.0, 4.0, 1.0, 2.0]), 99)
    assert isinstance(part, Part)
    assert part.name == "words"
    assert part.propose(2, None).ids.tolist() == [3, 8]
    assert part.propose(3, None).ids.tolist() == [2, 3, 5, 8]  # the last of three has an equal
    assert part.propose(9, np.array([1, 2, 8], np.int64)).ids.tolist() == [2, 8]
    assert part.propose(9, None).is_exact
    scores = part.scores(np.array([9, 1, 3, 8, 2], np.int64))
    assert scores == pytest.approx([0, 0, 2, math.log10(50), math.log10(25)])
    nothing = WordsPart(np.empty(0, np.int64), np.empty(0), 99)
    assert nothing.propose(5, None).ids.tolist() == []
    assert nothing.scores(ids).tolist() == [0, 0, 0, 0]


def test_misspelled_words_are_known_again_and_told(place):
    found = understand("baech holidy ", place[0])
    assert found.corrections == {"baech": ("beach",), "holidy": ("holiday",)}
    assert found.query.groups == (("beach",), ("holiday",))
    for text in ("beach ", "holi", '"two baech"', "img_9999 ", "dgo "):
        assert understand(text, place[0]).corrections == {}


def test_the_last_word_may_be_unfinished(place):
    catalog, ids = place
    assert catalog.words.match(understand("holi", catalog).query)[0].tolist() == sorted(
        [ids["a"], ids["b"]]
    )
    assert understand("windo ", catalog).corrections == {"windo": ("window",)}


def test_synonyms_of_the_collection_are_looked_for_too(place):
    catalog, ids = place
    (catalog.words.folder / "synonyms.txt").write_text(
        "# animals\nDog, hound, puppy\n\nbeach, sea shore  # water\n", encoding="utf-8"
    )
    assert understand("hound ", catalog).query.groups == (("hound", "Dog", "puppy"),)
    matched, _ = catalog.words.match(understand("sea shore|x ", catalog).query)
    assert ids["a"] not in matched.tolist()
    matched, _ = catalog.words.match(understand('"sea shore"', catalog).query)
    assert matched.tolist() == [ids["a"]]
    assert understand("hound baech ", catalog).query.groups[1] == ("beach", "sea shore")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dog\n", "line 1: 'dog' is no group"),
        (b"a, b\ndog, \n", "line 2"),
        (b"a, \xff\n", "no UTF-8"),
    ],
)
def test_a_bad_file_of_synonyms_is_told(tmp_path, content, message):
    path = tmp_path / "synonyms.txt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_synonyms(path)


def test_a_missing_file_of_synonyms_is_told(tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere.txt cannot be read: No such file"):
        read_synonyms(tmp_path / "nowhere.txt")


def test_synonyms_are_written_into_a_text():
    same = [("dog", "great dane"), ("cat", "kitten")]
    assert expand("dog -cat grass", same) == 'dog|"great dane" -cat grass'
    assert expand("DOG", same) == 'DOG|"great dane"'


@pytest.mark.parametrize(
    ("words", "filter_", "expected_words", "expected_filter"),
    [
        ("dog", "", "dog", ""),
        ("dog", "id:3", "dog", "id:3"),
        ("dog -cat", "", "dog ", "-text:cat"),
        ("-cat dog", "id:3..5", "dog", "id:3..5 -text:cat"),
        ("", "id:3..5 two dogs", "two dogs", "id:3..5"),
        ("a", "b -c label:d", "a b ", "label:d -text:c"),
        ('"a b"|c', "-d", '"a b"|c ', "-text:d"),
    ],
)
def test_words_rank_and_conditions_filter(words, filter_, expected_words, expected_filter):
    found = with_words_sorted_out(Query(words=words, filter=filter_))
    assert found.words == expected_words
    if expected_filter:
        assert parse_conditions(found.filter) == parse_conditions(expected_filter)
    else:
        assert found.filter == ""
    assert with_words_sorted_out(found) == found
