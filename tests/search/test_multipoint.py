"""Examples that stay several points, and examples that count differently."""

import math

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import UsageError
from lookalike.index.exact import exact_index
from lookalike.search.calibration import fit_calibration
from lookalike.search.queries import IdExample, PixelsExample, Query
from lookalike.search.query_embeddings import combine
from tests.index.galleries import built, clustered, spaced_ids
from tests.search.painters import color_searcher, painted, searcher_of

N = 300
IDS = spaced_ids(N)
ROWS = clustered(N, 12, seed=1)
INDEX = exact_index(IDS, ROWS)
SEARCHER = searcher_of({"content": INDEX})


def by_id(*places):
    return tuple(IdExample(int(IDS[at])) for at in places)


def scores_of(query, searcher=SEARCHER):
    hits = searcher.search([query], N)
    return {
        i: s for i, s in zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True) if i > 0
    }


def slow_best(points):
    """Score of the best of some points, less the decades that choosing it is worth."""
    calibration = fit_calibration(INDEX)
    rarities = np.stack([calibration.scores(np.vecdot(ROWS, point)) for point in points])
    return np.maximum(rarities.max(axis=0) - math.log10(len(points)), 0)


def test_each_positive_picture_is_a_point_and_the_best_one_counts():
    query = Query(by_id(3, 70, 150), by_id(9), multipoint="yes")
    points = [combine(ROWS[[at]], ROWS[[9]]) for at in (3, 70, 150)]
    expected = dict(zip(IDS.tolist(), slow_best(points).tolist(), strict=True))
    found = scores_of(query)
    assert len(found) == N - 4
    for image, score in found.items():
        assert score == pytest.approx(expected[image], abs=1e-6)


@pytest.mark.parametrize("kind", ["exact", "clusters", "pq"])
def test_through_any_index_the_scores_are_the_same(kind):
    rows = clustered(3000, 12, seed=1)
    ids = spaced_ids(3000)
    query = Query((IdExample(int(ids[3])), IdExample(int(ids[900]))), multipoint="yes")
    exact = searcher_of({"content": built("exact", rows)}).search([query], 3000)
    hits = searcher_of({"content": built(kind, rows, members=1500)}).search([query], 10)
    known = dict(zip(exact.ids[0].tolist(), exact.scores[0].tolist(), strict=True))
    assert [known[image] for image in hits.ids[0].tolist()] == hits.scores[0].tolist()
    assert len(set(hits.ids[0].tolist()) & set(exact.ids[0, :10].tolist())) >= 9


def test_between_two_kinds_of_pictures_the_mean_finds_neither():
    """Red and blue: their mean is purple, and two points find more red and more blue."""
    rng = np.random.default_rng(3)

    def near(color):
        return tuple(np.clip(np.array(color) + rng.integers(-15, 16, 3), 0, 255).tolist())

    colors = [near(c) for c in [(250, 20, 20)] * 6 + [(20, 20, 250)] * 6 + [(150, 20, 150)] * 6]
    searcher = color_searcher([painted(color, color) for color in colors], IDS[:18])
    examples = by_id(0, 6)
    first = {
        mode: searcher.search([Query(examples, multipoint=mode)], 6).ids[0]
        for mode in ("no", "yes")
    }
    purple = IDS[12:18]
    assert np.isin(first["no"], purple).all()
    assert not np.isin(first["yes"], purple).any()
    assert 0 < np.isin(first["yes"], IDS[:6]).sum() < 6


def test_examples_that_resemble_each_other_become_one_point():
    similar = ROWS @ ROWS.T
    calibration = fit_calibration(INDEX)
    near = int(np.argsort(-similar[3])[1])
    far = int(np.argmin(similar[3] + similar[near]))
    assert calibration.scores(similar[[3], [near]])[0] > 1
    query = Query(by_id(3, near, far), multipoint="auto")
    points = [combine(ROWS[[3, near]], ROWS[:0]), ROWS[far]]
    expected = dict(zip(IDS.tolist(), slow_best(points).tolist(), strict=True))
    for image, score in scores_of(query).items():
        assert score == pytest.approx(expected[image], abs=1e-6)


def test_one_cluster_of_examples_is_one_mean():
    near = np.argsort(-(ROWS @ ROWS[3]))[:2].tolist()
    auto, mean = (scores_of(Query(by_id(*near), multipoint=mode)) for mode in ("auto", "no"))
    assert auto == pytest.approx(mean, abs=1e-6)


def test_weights_of_examples_pull_the_mean():
    weighted = Query(by_id(3, 70), by_id(9, 20), positive_weights=(3, 1), negative_weights=(1, 4))
    point = normalize((3 * ROWS[3] + ROWS[70]) / 4)
    point = normalize(point - 0.5 * (ROWS[9] + 4 * ROWS[20]) / 5)
    expected = fit_calibration(INDEX).scores(np.vecdot(ROWS, point))
    known = dict(zip(IDS.tolist(), expected.tolist(), strict=True))
    assert scores_of(weighted) == pytest.approx(
        {i: known[i] for i in scores_of(weighted)}, abs=1e-5
    )


def test_equal_weights_of_examples_are_none_to_the_last_bit():
    plain = Query(by_id(3, 70, 9))
    assert scores_of(Query(by_id(3, 70, 9), positive_weights=(2, 2, 2))) == scores_of(plain)


def test_excluded_images_are_not_found():
    nearest = list(scores_of(Query(by_id(3))))
    found = list(scores_of(Query(by_id(3), exclude_ids=tuple(nearest[:5]))))
    assert found == nearest[5:]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0,), "1 weights for 2 examples; give one for each, or none"),
        ((1.0, 0.0), "weight of an example must be above 0, not 0.0"),
        ((1.0, float("inf")), "above 0, not inf"),
        ((1.0, -2), "above 0, not -2"),
    ],
)
def test_weights_of_examples_that_make_no_sense_are_refused(weights, message):
    with pytest.raises(UsageError, match=message):
        Query(by_id(3, 70), positive_weights=weights)


def test_weights_and_choices_go_into_json_and_back():
    query = Query(
        (IdExample(3), PixelsExample(b"abc", 1, 1)),
        positive_weights=(2, 0.5),
        multipoint="auto",
        exclude_ids=(4, 5),
        min_score=1.5,
        cut="auto",
        sort="date",
        hide_duplicates=True,
    )
    content = query.to_json()
    assert content["positives"][0] == {"id": 3, "weight": 2}
    assert Query.from_json(content) == query
    partly = {"positives": [{"id": 1, "weight": 3}, {"id": 2}]}
    assert Query.from_json(partly).positive_weights == (3, 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"multipoint": "maybe"}, "unknown multipoint 'maybe'; choose 'no', 'yes' or 'auto'"),
        ({"cut": True}, "unknown cut True; choose 'none' or 'auto'"),
        ({"sort": "size"}, "unknown sort 'size'; choose 'score', 'date' or 'name'"),
        ({"min_score": "high"}, "lowest score must be a number, such as 2, not 'high'"),
        ({"min_score": float("nan")}, "lowest score must be a number"),
        ({"hide_duplicates": "yes"}, "'hide_duplicates' of a query is a bool, not 'yes'"),
        ({"exclude_ids": [1, "2"]}, "excluded ids are a JSON list of numbers"),
        ({"words": 3}, "'words' of a query is a str, not 3"),
    ],
)
def test_choices_that_do_not_exist_are_refused(content, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json({"positives": [{"id": 1}], **content})
