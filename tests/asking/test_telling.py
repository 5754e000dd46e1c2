"""A query told in words: nothing that it says is left out."""

import dataclasses

import numpy as np
import pytest

from lookalike import Query
from lookalike.asking.telling import tell
from lookalike.search.drawings import Drawing
from lookalike.search.layouts import PaintedLayout, PaintedMap

DRAWING = Drawing.of(np.zeros((8, 8, 3), np.uint8)).to_json()
LIKE = {"positives": [{"id": 3}]}
SAID = {
    "negatives": ([{"id": 4}], "unlike picture 4"),
    "weights": ({"content": 2.0, "layout": 1}, "what counts: content 2, layout 1"),
    "exclude_examples": (False, "examples may be found themselves"),
    "order": ("list", "in the order list, as clusters come"),
    "multipoint": ("yes", "examples kept apart as several points: yes"),
    "exclude_ids": ([5, 6], "without pictures 5, 6"),
    "layout": (
        [{"label": "dog", "box": [0, 0.5, 1, 1]}],
        "dog in the box 0,0.5,1,1",
    ),
    "colors": ([["red", 40.0]], "colors: 40 % red"),
    "painted_colors": (
        [["#ff0000"] * 8] * 3 + [[None] * 8] * 5,
        "colors painted on 24 cells",
    ),
    "sketch": (DRAWING, "a sketch that was drawn"),
    "texture": (DRAWING, "a texture that was drawn"),
    "shape": (DRAWING, "a shape that was drawn"),
    "words": ("beach", "what is said of pictures: beach"),
    "filter": ("width:>10", "only width:>10"),
    "min_score": (0.25, "a score of 0.25 or more"),
    "cut": ("auto", "only the good ones"),
    "sort": ("date", "sorted by date"),
    "hide_duplicates": (True, "of nearly equal pictures the best one"),
    "composition": ([{"position": "left"}], "regions: position left"),
    "feedback": ({"rounds": [{"6": 1, "7": -1}]}, "1 liked and 1 disliked in 1 round, by auto"),
    "expand": ("average", "moved to its first hits: average"),
    "rerank": ("reciprocal", "ranked again: reciprocal"),
}


@pytest.mark.parametrize("name", SAID)
def test_each_part_is_told(name):
    value, words = SAID[name]
    assert tell(Query.from_json({**LIKE, name: value})) == ["like picture 3", words]


def test_there_are_words_for_every_field():
    told = {*SAID, "positives", "positive_weights", "negative_weights"}
    assert {field.name for field in dataclasses.fields(Query)} == told


def test_examples_of_every_kind_are_told():
    examples = [
        {"id": 3, "box": [1, 2, 20, 30], "weight": 0.5},
        {"text": "a dog"},
        {"pixels": {"height": 1, "width": 2, "data": "AAAAAAAA"}},
    ]
    assert tell(Query.from_json({"positives": examples})) == [
        "like the part 1,2,20,30 of picture 3 (counts 0.5)",
        "like the words “a dog” (counts 1)",
        "like a picture that was sent, 2 × 1 (counts 1)",
    ]


def test_a_painted_map_is_told_with_its_labels():
    painted = PaintedMap(bytes([1, 255, 0, 255]), 2, 2, ("sky",))
    query = Query(layout=PaintedLayout(map=painted))
    assert tell(query) == ["a layout painted on 2 × 2 cells: sky"]
