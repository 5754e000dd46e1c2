"""The same query has the same answer in Python, on the command line, over REST and on the page."""

import json
import re

import numpy as np
import pytest
from django.urls import reverse

from lookalike import Collection, Query
from lookalike.__main__ import run
from lookalike.errors import UsageError
from lookalike.search.drawings import Drawing

CELLS = [["#ff0000"] * 8] * 3 + [[None] * 8] * 5


def drawing():
    pixels = np.full((64, 64, 3), 255, np.uint8)
    pixels[20:44, 20:22] = 0
    return Drawing.of(pixels).to_json()


QUERIES = {
    "an image": ({"positives": [{"id": 3}]}, {"like": "3"}),
    "unlike another": (
        {"positives": [{"id": 3}, {"id": 4}], "negatives": [{"id": 9}]},
        {"like": ["3", "4"], "unlike": "9"},
    ),
    "weights": (
        {"positives": [{"id": 3}], "weights": {"content": 1.0, "layout": 2.0, "color": 0.5}},
        {"like": "3", "w": ["content:1", "layout:2", "color:0.5"]},
    ),
    "a part": ({"positives": [{"id": 3, "box": [4, 4, 20, 20]}]}, {"like": "3@4,4,20,20"}),
    "labeled boxes": (
        {"layout": {"boxes": [{"label": "red", "box": [0, 0, 1, 0.5]}]}},
        {"box": "red@0,0,1,0.5"},
    ),
    "colors": ({"colors": [["red", 40.0]]}, {"colors": "red:40"}),
    "painted colors": (
        {"painted_colors": CELLS},
        {"cells": ".".join(["ff0000"] * 24 + ["-"] * 40)},
    ),
    "a filter and an image": (
        {"positives": [{"id": 3}], "filter": "id:1..12"},
        {"like": "3", "q": "id:1..12"},
    ),
    "words": ({"filter": "png"}, {"q": "png"}),
    "marks": ({"feedback": {"rounds": [{"3": 1, "5": -1}]}}, {"round": "3,-5"}),
    "the good ones": (
        {"positives": [{"id": 3}], "cut": "auto", "min_score": 0.5},
        {"like": "3", "cut": "auto", "least": "0.5"},
    ),
    # The page sorts all that it shows, not the first few, so that it is not compared here.
    "by name": ({"positives": [{"id": 3}], "sort": "name"}, None),
    "without copies": (
        {"positives": [{"id": 3}], "hide_duplicates": True},
        {"like": "3", "hide": "duplicates"},
    ),
    "a sketch": ({"sketch": drawing()}, None),
    "a texture": ({"texture": drawing()}, None),
    "several points": ({"positives": [{"id": 3}, {"id": 9}], "multipoint": "yes"}, None),
    "clauses": ({"composition": [{"position": "left"}]}, None),
    "expanded": ({"positives": [{"id": 3}], "expand": "average"}, None),
    "reranked": ({"positives": [{"id": 3}], "rerank": "reciprocal"}, None),
}
K = 8


@pytest.fixture(scope="module")
def photos(gallery):
    with Collection.open(gallery) as collection:
        yield collection


def from_python(photos, query):
    hits = photos.search(Query.from_json(query), K)
    kept = hits.ids[0] > 0
    return hits.ids[0][kept].tolist(), hits.scores[0][kept].tolist()


def in_pairs(found):
    return [hit["id"] for hit in found["hits"]], [hit["score"] for hit in found["hits"]]


@pytest.mark.parametrize("name", QUERIES)
def test_the_same_query_has_the_same_answer_everywhere(
    name, photos, gallery, viewer, tmp_path, capsys
):
    query, address = QUERIES[name]
    try:
        expected = from_python(photos, query)
    except UsageError as error:  # what cannot be asked cannot be asked anywhere
        assert name == "clauses"
        expected = str(error)
    response = viewer.post(
        reverse("api:search", args=["photos"]),
        {"query": query, "k": K},
        content_type="application/json",
    )
    content = response.json()
    assert (in_pairs(content) if "hits" in content else content["error"]) == expected
    file = tmp_path / "query.json"
    file.write_text(json.dumps(query))
    run(["search", str(gallery), "--query", str(file), "-k", str(K), "--json"])
    content = json.loads(capsys.readouterr().out)
    assert (in_pairs(content) if "hits" in content else content["error"]) == expected
    if address is not None and not isinstance(expected, str):
        page = viewer.get(reverse("search", args=["photos"]), address).content.decode()
        shown = [int(each) for each in re.findall(r'/c/photos/i/(\d+)/"', page)]
        ids, scores = expected
        assert shown[: len(ids)] == ids
        printed = re.findall(r'class="score"[^>]*>([0-9.-]+)<', page)
        assert printed[: len(scores)] == [f"{score:.2f}" for score in scores]
