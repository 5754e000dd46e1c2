import itertools

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import aggregate
from lookalike.features.selection.objective import RIDGE, Objective, objective
from lookalike.features.selection.sequential import backward, forward
from lookalike.features.selection.wrappers import (
    SEARCHES,
    ant_colony,
    genetic,
    nested_score,
    wrap,
)
from tests import oracles_selection as oracles
from tests.planted import INFORMATIVE, planted


@pytest.fixture
def noisy(rng):
    """Few items, many dimensions that tell a little each."""
    features = rng.standard_normal((60, 9))
    labels = features @ rng.standard_normal((9, 3)) + rng.standard_normal((60, 3)) > 0
    return features, labels


def slow_score(features, labels, dims, how, seed=0):
    shares = oracles.explained(features, labels, list(dims), RIDGE, seed)
    return float(aggregate(shares[:, None], labels, how)[0])


@pytest.mark.parametrize("how", ["mean", "max", "prevalence"])
def test_the_objective_is_ridge_regression_on_items_left_out(noisy, how):
    judge = objective(*noisy, how)
    for dims in ([0], [2, 5, 8], list(range(9))):
        expected = slow_score(*noisy, dims, how)
        assert judge.scores(np.array([dims]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("how", ["mean", "max"])
def test_forward_takes_the_best_of_all_candidates_at_each_step(noisy, how):
    chosen: list[int] = []
    for _ in range(5):
        left = [dimension for dimension in range(9) if dimension not in chosen]
        chosen.append(max(left, key=lambda d: slow_score(*noisy, [*chosen, d], how)))
    assert forward(objective(*noisy, how), 5).tolist() == chosen


@pytest.mark.parametrize("how", ["mean", "prevalence"])
def test_backward_removes_the_least_missed_at_each_step(noisy, how):
    left = list(range(9))
    while len(left) > 3:
        least = max(left, key=lambda d: slow_score(*noisy, [e for e in left if e != d], how))
        left.remove(least)
    assert backward(objective(*noisy, how), 3).tolist() == left


@pytest.mark.parametrize("search", [genetic, ant_colony])
def test_random_searches_come_close_to_the_best_of_all_sets(noisy, search):
    judge = objective(*noisy, "mean")
    scores = judge.scores(np.array(list(itertools.combinations(range(9), 4))))
    found = search(judge, 4, 3)
    assert len(set(found.tolist())) == 4
    assert judge.scores(np.sort(found)[None])[0] >= np.quantile(scores, 0.98)
    assert search(judge, 4, 3).tolist() == found.tolist()


@pytest.mark.parametrize("search", [genetic, ant_colony])
def test_random_searches_of_all_but_one_dimension_end(noisy, search):
    assert len(search(objective(*noisy, "mean"), 8, 0)) == 8


def test_the_score_that_was_searched_flatters_and_the_nested_one_does_not(rng):
    features, labels = rng.standard_normal((60, 40)), rng.random((60, 1)) < 0.5
    found = wrap(forward, features, labels, 6, "mean", 0)
    assert found.searched > 0.05  # though there is nothing to be known
    assert found.nested < 0


def test_the_nested_search_never_sees_what_it_is_judged_on(noisy):
    features, labels = noisy
    seen: list[Objective] = []

    def spy(judge, n, seed):
        seen.append(judge)
        return forward(judge, n, seed)

    score = nested_score(spy, features, labels, 3, "mean", 0)
    assert [sum(len(fold.labels) for fold in judge.folds) for judge in seen] == [40, 40, 40]
    assert score < 1
    strangers = labels.copy()
    rows = np.random.default_rng(1).permutation(60)
    assert nested_score(spy, features, strangers[rows], 3, "mean", 0) < score


@pytest.mark.parametrize("name", SEARCHES)
def test_planted_dimensions_are_found_and_explain_new_items(name, rng):
    features, labels = planted(rng)
    found = wrap(SEARCHES[name], features, labels, 3, "mean", 1)
    assert found.dims.tolist() == list(INFORMATIVE)
    assert found.nested > 0.6


def test_fewer_items_than_folds_are_refused():
    with pytest.raises(UsageError, match="2 items cannot be parted into 3 folds"):
        objective(np.eye(2), np.eye(2) > 0, "mean")
