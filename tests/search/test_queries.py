import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search.queries import FileExample, IdExample, PixelsExample, Query

PICTURE = PixelsExample.of(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))


@pytest.mark.parametrize(
    "query",
    [
        Query((IdExample(3),)),
        Query((IdExample(3), FileExample("a.jpg")), (IdExample(4),), {"content": 1.0}),
        Query((PICTURE,), exclude_examples=False, order="list"),
        Query((FileExample.of(b"/photos/caf\xe9\n.jpg"),), weights={"content": 2, "layout": 0}),
    ],
)
def test_a_query_survives_json(query: Query) -> None:
    text = json.dumps(query.to_json())
    assert Query.from_json(json.loads(text)) == query


def test_the_json_of_a_plain_query_is_plain() -> None:
    assert Query((IdExample(7),)).to_json() == {"positives": [{"id": 7}]}


def test_paths_of_any_kind_become_examples() -> None:
    assert FileExample.of(Path("a/b.png")) == FileExample.of(b"a/b.png") == FileExample("a/b.png")


def test_pixels_come_back_as_they_were() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    np.testing.assert_array_equal(PixelsExample.of(pixels).pixels, pixels)
    np.testing.assert_array_equal(PixelsExample.of(pixels[::-1]).pixels, pixels[::-1])


def test_only_images_given_by_id_are_excluded() -> None:
    query = Query((IdExample(3), FileExample("a")), (IdExample(4),))
    assert query.excluded_ids == {3, 4}
    assert Query((IdExample(3),), exclude_examples=False).excluded_ids == set()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"content": -1}, "weight of 'content' must be a number from 0 on, not -1"),
        ({"content": float("nan")}, "from 0 on, not nan"),
        ({"content": float("inf")}, "from 0 on, not inf"),
        ({"content": 0, "layout": 0.0}, r"all weights are 0 \(content, layout\)"),
        ({}, r"all weights are 0 \(none at all\)"),
    ],
)
def test_refuses_weights_that_make_no_sense(weights: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Query((IdExample(1),), weights=weights)


def test_refuses_a_query_without_a_positive_example() -> None:
    with pytest.raises(UsageError, match="the query is empty; give at least one image"):
        Query(())
    with pytest.raises(UsageError, match=r"negative examples alone .* add at least one image"):
        Query((), (IdExample(1),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "the query is empty"),
        ({"positives": [{"id": 1}], "region": 3}, "unknown part 'region' of a query; known are: p"),
        ({"positives": {"id": 1}}, "examples are a JSON list"),
        ({"positives": "a.jpg"}, "examples are a JSON list, not 'a.jpg'"),
        ({"positives": [7]}, "an example is a JSON object, not 7"),
        ({"positives": [{}]}, "an id, a file, a url, pixels or a text, and one of them only"),
        ({"positives": [{"id": "7"}]}, "an id, a file, a url, pixels or a text"),
        ({"positives": [{"id": True}]}, "an id, a file, a url, pixels or a text"),
        ({"positives": [{"id": 7, "file": "a"}]}, "one of them only"),
        ({"positives": [{"uri": "x"}]}, "unknown part 'uri' of an example; known are: id, file, u"),
        ({"positives": [{"id": 1}], "weights": 3}, "weights are an object"),
        ({"positives": [{"id": 1}], "weights": {"content": "much"}}, "from 0 on, not 'much'"),
        ({"positives": [{"id": 1}], "weights": {"content": True}}, "from 0 on, not True"),
        ({"positives": [{"id": 1}], "order": "up"}, "unknown order 'up'"),
        ({"positives": [{"pixels": {"height": 1, "width": 1, "data": "AAA"}}]}, "no base64"),
        ({"positives": [{"pixels": {"height": 1, "width": 1, "data": "AA=="}}]}, "has 3 bytes"),
        ({"positives": [{"pixels": {"height": 0, "width": 1, "data": ""}}]}, "has 0 bytes"),
    ],
)
def test_refuses_json_that_is_no_query(content: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Query.from_json(content)
