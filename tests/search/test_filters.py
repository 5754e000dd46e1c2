"""The language of filters: what is read, what is refused and where, and that `str` leads back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UsageError
from lookalike.search.filter_keys import FILTER_KEYS
from lookalike.search.filters import LONGEST, parse_conditions, parse_filter
from lookalike.storage.conditions import (
    All,
    Colored,
    Contains,
    Either,
    Matches,
    Named,
    Not,
    Says,
    Within,
)

DOG, CAT = Named("label", "dog"), Named("label", "cat")


@pytest.mark.parametrize(
    ("text", "condition", "words"),
    [
        ("", None, ""),
        ("label:dog", DOG, ""),
        ("label:dog label:cat", All((DOG, CAT)), ""),
        ("label:dog OR label:cat", Either((DOG, CAT)), ""),
        ("label:dog OR label:cat id:1", All((Either((DOG, CAT)), Within("id", 1, 1))), ""),
        ("-label:dog", Not(DOG), ""),
        ("NOT label:dog", Not(DOG), ""),
        ("--label:dog", DOG, ""),
        ("(label:dog (label:cat))", All((DOG, CAT)), ""),
        ("-(label:dog OR label:cat)", Not(Either((DOG, CAT))), ""),
        ("two dogs label:dog -cat", DOG, "two dogs -cat"),
        ('"two dogs" label:dog', DOG, '"two dogs"'),
        ("(two dogs)", All((Says("text", "two"), Says("text", "dogs"))), ""),
        ("a OR label:dog", Either((Says("text", "a"), DOG)), ""),
        ("ORANGE", None, "ORANGE"),
        ("Label:dog", DOG, ""),
        ("label:\"hot \\\"dog\\\"\"", Named("label", 'hot "dog"'), ""),
        ("12:30", None, '"12:30"'),
        ("/a b\\/c/", Matches("path", "a b/c"), ""),
        ("caption:/x/", Matches("caption", "x"), ""),
        ("path:/x/", Matches("path", "x"), ""),
        ("name:/x/", Contains("name", "/x/"), ""),
        ("camera:=x", Contains("camera", "x", whole=True), ""),
        ("iso:800", Contains("iso", "800"), ""),
        ("iso:>800", Within("iso", 800, None, above=True), ""),
        ('iso:">800"', Contains("iso", ">800"), ""),
        ("iso:100..200", Within("iso", 100, 200), ""),
        ("size:2MB", Within("size", 1.5e6, 2.5e6), ""),
        ("size:<=1.5GiB", Within("size", None, 1.5 * 2**30), ""),
        ("color:blue", Colored("blue", 0.2), ""),
        ("color:blue:10..30%", Colored("blue", 0.1, 0.3), ""),
        ("color:blue<30%", Colored("blue", 0.0, 0.3), ""),
        ("taken:1970", Within("taken", 0, 31535999), ""),
    ],
)  # fmt: skip
def test_what_is_read(text, condition, words):
    found = parse_filter(text)
    assert found.condition == condition
    assert found.words == words


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("(label:a", 1, "this '.' is not closed"),
        ("label:a)", 8, "no '.' for this '.'"),
        ("a ()", 3, "nothing between"),
        ("label:", 1, "label: has no value"),
        ('label:""', 1, "label: has no value"),
        ("label:a OR", 11, "nothing follows OR"),
        ("OR label:a", 1, "nothing stands before OR"),
        ("label:a -", 9, "neither a condition nor a word"),
        ("(label:a -)", 11, "nothing follows the minus"),
        ("width:wide", 7, "width needs a number, not 'wide'"),
        ("width:5px", 7, "'5px' has a unit that width does not know"),
        ("size:2XB", 6, "sizes are written 500kB or 2MB"),
        ("width:10..5", 7, "begins after its end"),
        ("width:..", 7, "has no numbers"),
        ("a color:bleu", 9, "no color 'bleu'; did you mean blue"),
        ("color:blue:150%", 12, "no share from 0 to 100 %"),
        ("color:blue>101%", 11, "no share from 0 to 100 %"),
        ("taken:2024-13", 7, "'2024-13' is no date"),
        ("taken:2023..2024-02-30", 13, "'2024-02-30' is no date"),
        ("taken:yesterday", 7, "no date"),
        ("format:jpe", 8, "did you mean jpeg"),
        ("orientation:up", 13, "choose landscape, portrait, square"),
        ("duplicate:maybe", 11, "choose yes, no"),
        ("aspect:0:1", 8, "no proportion"),
        ('"abc', 1, "quotation mark is not closed"),
        ('label:"abc', 7, "quotation mark is not closed"),
        ("/abc", 1, "not closed by another"),
        ("//", 1, "expression is empty"),
        ("caption:...", 9, "needs a word"),
        ("***", 1, "neither a condition nor a word"),
        ("(" * 50, 18, "more than 16 parentheses"),
        ("a " * 201, 401, "more than 200 conditions and words"),
    ],
)
def test_errors_point_at_the_character(text, at, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse_filter(text)
    assert f"at character {at}:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_text_or_endless_is_refused():
    with pytest.raises(UsageError, match="no valid text"):
        parse_filter("label:\ud800")
    with pytest.raises(UsageError, match=f"the limit is {LONGEST}"):
        parse_filter("a" * (LONGEST + 1))
    with pytest.raises(UsageError, match="the filter is empty"):
        parse_conditions("  ")


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.strip)
wordy = names.filter(lambda name: any(map(str.isalnum, name)))
numbers = st.integers(0, 10**6).map(float) | st.floats(0.001, 1e6)
leaves = st.one_of(
    st.builds(Named, st.sampled_from(["label", "given", "predicted"]), names),
    st.builds(Contains, st.sampled_from(["path", "name"]), names, st.booleans()),
    st.builds(Says, st.sampled_from(["caption", "text"]), wordy),
    st.builds(Within, st.sampled_from(["width", "iso"]), numbers, st.none(), st.booleans()),
    st.builds(Within, st.sampled_from(["size", "id"]), st.none(), numbers),
    numbers.map(lambda low: Within("width", low, low + 1)),
    st.integers(0, 2**31).map(lambda low: Within("taken", float(low), float(low + 5))),
    st.integers(0, 50).map(lambda low: Colored("red", low / 100, (low + 50) / 100)),
    st.from_regex(r"[a-z/ \\.]{1,5}x", fullmatch=True).map(lambda x: Matches("path", x)),
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).flatmap(
            lambda parts: st.sampled_from([All(tuple(parts)), Either(tuple(parts))])
        )
        | inner.filter(lambda part: not isinstance(part, Not)).map(Not)
    ),
    max_leaves=6,
)


def flat(condition):
    """The same with no `All` in an `All`, as the parser has it."""
    if isinstance(condition, Not):
        return Not(flat(condition.part))
    if not isinstance(condition, All | Either):
        return condition
    kind = type(condition)
    parts = [flat(part) for part in condition.parts]
    joined = [p for part in parts for p in (part.parts if isinstance(part, kind) else [part])]
    return kind(tuple(joined))


@settings(max_examples=40, deadline=None)
@given(trees)
def test_every_tree_is_read_again_from_its_text(condition):
    found = parse_conditions(str(condition))
    if isinstance(condition, Matches):
        assert str(found) == str(condition)
    elif "/" not in str(condition):
        assert found == flat(condition)


@settings(max_examples=100, deadline=None)
@given(st.text('labeldog:()-"/ .>=OR\\12%', max_size=30))
def test_any_text_is_read_or_refused_in_one_line(text):
    complaint = ""
    try:
        found = parse_filter(text)
        assert parse_filter(str(found)).condition == found.condition
    except UsageError as error:
        complaint = str(error)
    assert "\n" not in complaint


def test_every_key_that_is_explained_is_read():
    for key in FILTER_KEYS:
        assert parse_filter(key.example).condition is not None
