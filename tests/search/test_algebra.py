import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import UsageError
from lookalike.search.algebra import (
    ResultList,
    evaluate,
    intersection,
    minus,
    read_result,
    union,
)

A = ResultList.of({1: 3.0, 2: 2.0, 3: 1.0})
B = ResultList.of({2: 5.0, 3: 1.0, 4: 1.0})
C = ResultList.of({3: 9.0})
LISTS = {"a": A, "saved:b": B, "saved:two words": C}

results = st.dictionaries(st.integers(0, 9), st.floats(-5, 5), max_size=8).map(ResultList.of)


def ask(expression):
    return evaluate(expression, LISTS.__getitem__).by_id()


def test_scores_and_order_by_hand():
    assert list(union(A, B).by_id().items()) == [(2, 5.0), (1, 3.0), (3, 1.0), (4, 1.0)]
    assert list(intersection(A, B).by_id().items()) == [(2, 2.0), (3, 1.0)]
    assert list(minus(A, B).by_id().items()) == [(1, 3.0)]


@settings(max_examples=40, deadline=None)
@given(results, results, results)
def test_laws_of_sets_hold(a, b, c):
    assert union(a, b).by_id() == union(b, a).by_id()
    assert intersection(a, b).by_id() == intersection(b, a).by_id()
    assert union(a, union(b, c)).by_id() == union(union(a, b), c).by_id()
    assert (
        intersection(a, union(b, c)).by_id()
        == union(intersection(a, b), intersection(a, c)).by_id()
    )
    assert minus(a, union(b, c)).by_id() == minus(minus(a, b), c).by_id()
    assert minus(a, a).by_id() == {}
    scores = union(a, b).scores
    assert (scores[:-1] >= scores[1:]).all()


def test_expressions_are_read_as_people_write_them():
    assert ask("a") == A.by_id()
    assert ask("a minus saved:b") == {1: 3.0}
    assert ask("a not saved:b") == {1: 3.0}
    assert ask("a or saved:'two words' minus saved:b") == {1: 3.0}
    assert ask("a or saved:'two words' and saved:b") == {1: 3.0, 2: 2.0, 3: 1.0}
    assert ask('(a union saved:"two words") intersection saved:b') == {2: 2.0, 3: 1.0}
    assert ask("a minus (saved:b minus saved:'two words')") == {1: 3.0, 3: 1.0}


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "a result is missing at character 1"),
        ("a minus", "a result is missing at character 8"),
        ("a saved:b", "and, or or minus is missing at character 3"),
        ("(a or saved:b", "a bracket is not closed at character 14"),
        ("a)", "and, or or minus is missing at character 2"),
        ("a or 'b", "a quote is not closed at character 6"),
        ("or a", "a result is missing at character 1"),
    ],
)
def test_a_broken_expression_is_pointed_at(expression, message):
    with pytest.raises(UsageError, match=message):
        ask(expression)


def test_results_are_read_from_what_commands_print():
    text = json.dumps({"hits": [{"id": 3, "score": 1.0}, {"id": 4, "score": 2, "path": "x"}]})
    assert list(read_result(text, "r.json").by_id().items()) == [(4, 2.0), (3, 1.0)]
    for broken in ("{", "[]", '{"hits": [{"id": "x", "score": 1}]}', '{"hits": [{"id": 1}]}'):
        with pytest.raises(UsageError, match=r"r.json holds no hits; make it with"):
            read_result(broken, "r.json")
    with pytest.raises(UsageError, match="not finite"):
        read_result('{"hits": [{"id": 1, "score": NaN}]}', "r.json")
