from collections.abc import Callable, Iterator

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.metrics import (
    anmrr,
    average_precision,
    average_precision_at_k,
    average_precision_over_hits_at_k,
    f_at_k,
    hit_rate_at_k,
    interpolated_precision,
    map_at_r,
    mean_average_precision,
    mean_of_defined,
    nmrr,
    precision_at_k,
    r_precision,
    recall_at_k,
    reciprocal_rank,
)
from tests import oracles

GOLDEN = np.array([[1, 0, 1, 1, 0, 0, 0, 1, 0, 0]], dtype=bool)
FIVE = np.array([5])

AT_K: list[Callable[..., np.ndarray]] = [
    precision_at_k,
    recall_at_k,
    f_at_k,
    hit_rate_at_k,
    average_precision_at_k,
    average_precision_over_hits_at_k,
]
WHOLE: list[Callable[..., np.ndarray]] = [average_precision, map_at_r, r_precision, reciprocal_rank]


def random_rankings(seed: int, n_cases: int = 60) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Rankings of all densities, some cut short, some without any relevant item; and a k."""
    rng = np.random.default_rng(seed)
    for _ in range(n_cases):
        shape = (int(rng.integers(1, 6)), int(rng.integers(1, 16)))
        relevant = rng.random(shape) < rng.random((shape[0], 1)) ** 2
        missing = rng.integers(0, 4, shape[0]) * rng.integers(0, 2)
        yield relevant, relevant.sum(axis=1) + missing, int(rng.integers(1, shape[1] + 4))


def test_both_normalizations_of_average_precision_give_the_golden_values():
    assert average_precision_at_k(GOLDEN, FIVE, 10).round(4) == 0.5833
    assert average_precision_over_hits_at_k(GOLDEN, FIVE, 10).round(4) == 0.7292
    assert average_precision(GOLDEN, FIVE).round(4) == 0.5833


def test_modified_retrieval_rank_gives_the_golden_value():
    relevant = np.zeros((1, 12), bool)
    relevant[0, [0, 2, 3, 11]] = True
    assert nmrr(relevant, np.array([4]), largest=5).round(4) == 0.2625


def test_first_ranks_of_the_golden_ranking_are_counted_by_hand():
    assert precision_at_k(GOLDEN, FIVE, 4) == 3 / 4
    assert recall_at_k(GOLDEN, FIVE, 4) == 3 / 5
    assert f_at_k(GOLDEN, FIVE, 4) == pytest.approx(2 / 3)
    assert r_precision(GOLDEN, FIVE) == 3 / 5
    assert map_at_r(GOLDEN, FIVE) == pytest.approx((1 + 2 / 3 + 3 / 4) / 5)
    assert reciprocal_rank(GOLDEN, FIVE) == 1


def test_measures_at_k_agree_with_plain_loops():
    slow: dict[Callable[..., np.ndarray], Callable[..., float]] = {
        precision_at_k: lambda r, n, k: oracles.precision(r, k) if n else np.nan,
        recall_at_k: oracles.recall,
        f_at_k: oracles.f,
        hit_rate_at_k: oracles.hit_rate,
        average_precision_at_k: lambda r, n, k: oracles.average_precision(r, n, k, "min(k, all)"),
        average_precision_over_hits_at_k: lambda r, n, k: oracles.average_precision(
            r, n, k, "hits"
        ),
    }
    for relevant, n_relevant, k in random_rankings(seed=1):
        for fast in AT_K:
            expected = [
                slow[fast](row, n, k)
                for row, n in zip(relevant.tolist(), n_relevant.tolist(), strict=True)
            ]
            np.testing.assert_allclose(
                fast(relevant, n_relevant, k), expected, rtol=1e-12, err_msg=fast.__name__
            )


def test_measures_of_the_whole_ranking_agree_with_plain_loops():
    slow: dict[Callable[..., np.ndarray], Callable[..., float]] = {
        average_precision: lambda r, n: oracles.average_precision(r, n, len(r), "all"),
        map_at_r: lambda r, n: oracles.average_precision(r, n, n, "all"),
        r_precision: lambda r, n: oracles.recall(r, n, n),
        reciprocal_rank: oracles.reciprocal_rank,
    }
    for relevant, n_relevant, _ in random_rankings(seed=2):
        for fast in WHOLE:
            expected = [
                slow[fast](row, n)
                for row, n in zip(relevant.tolist(), n_relevant.tolist(), strict=True)
            ]
            np.testing.assert_allclose(
                fast(relevant, n_relevant), expected, rtol=1e-12, err_msg=fast.__name__
            )


@pytest.mark.parametrize("n_levels", [2, 3, 11])
def test_precision_recall_curve_agrees_with_a_plain_loop(n_levels: int):
    for relevant, n_relevant, _ in random_rankings(seed=3):
        expected = [
            oracles.interpolated_precision(row, n, n_levels)
            for row, n in zip(relevant.tolist(), n_relevant.tolist(), strict=True)
        ]
        np.testing.assert_allclose(
            interpolated_precision(relevant, n_relevant, n_levels), expected, rtol=1e-12
        )


def test_modified_retrieval_rank_agrees_with_a_plain_loop():
    for relevant, n_relevant, extra in random_rankings(seed=4):
        largest = int(n_relevant.max()) + extra
        expected = [
            oracles.nmrr(row, n, largest)
            for row, n in zip(relevant.tolist(), n_relevant.tolist(), strict=True)
        ]
        np.testing.assert_allclose(nmrr(relevant, n_relevant, largest), expected, rtol=1e-12)


def test_a_perfect_ranking_scores_1():
    relevant = np.array([[True] * 4 + [False] * 6])
    four = np.array([4])
    for whole in WHOLE:
        assert whole(relevant, four) == 1
    for at_k in AT_K:
        assert at_k(relevant, four, 4) == 1
    assert average_precision_at_k(relevant, four, 2) == 1
    assert average_precision_at_k(relevant, four, 10) == 1
    assert (interpolated_precision(relevant, four) == 1).all()
    assert anmrr(relevant, four) == 0
    assert mean_average_precision(relevant, four) == 1


def test_the_order_of_the_queries_is_irrelevant():
    rng = np.random.default_rng(5)
    relevant = rng.random((9, 12)) < 0.4
    n_relevant = relevant.sum(axis=1) + 1
    order = rng.permutation(9)
    for at_k in AT_K:
        np.testing.assert_array_equal(
            at_k(relevant, n_relevant, 5)[order], at_k(relevant[order], n_relevant[order], 5)
        )
    for whole in (*WHOLE, nmrr, interpolated_precision):
        np.testing.assert_array_equal(
            whole(relevant, n_relevant)[order], whole(relevant[order], n_relevant[order])
        )


def test_queries_without_relevant_items_are_undefined_and_leave_the_mean_alone():
    relevant = np.array([[True, False], [False, False]])
    n_relevant = np.array([1, 0])
    for at_k in AT_K:
        assert np.isnan(at_k(relevant, n_relevant, 2)).tolist() == [False, True]
    for whole in WHOLE:
        assert np.isnan(whole(relevant, n_relevant)).tolist() == [False, True]
    assert np.isnan(interpolated_precision(relevant, n_relevant)[1]).all()
    assert mean_average_precision(relevant, n_relevant) == 1
    assert np.isnan(mean_average_precision(relevant[1:], n_relevant[1:]))


def test_ranks_beyond_the_gallery_count_as_not_relevant():
    relevant, two = np.array([[True, True]]), np.array([2])
    assert precision_at_k(relevant, two, 10) == 0.2
    assert recall_at_k(relevant, two, 10) == 1
    assert average_precision_at_k(relevant, two, 10) == 1


def test_an_empty_ranking_finds_nothing():
    relevant, two = np.zeros((1, 0), bool), np.array([2])
    for at_k in AT_K:
        assert at_k(relevant, two, 5) == 0
    for whole in WHOLE:
        assert whole(relevant, two) == 0
    assert (interpolated_precision(relevant, two) == 0).all()


def test_no_queries_give_no_values():
    relevant, none = np.zeros((0, 3), bool), np.zeros(0, np.int64)
    assert precision_at_k(relevant, none, 2).shape == (0,)
    assert interpolated_precision(relevant, none).shape == (0, 11)
    assert np.isnan(mean_of_defined(np.zeros(0)))


@pytest.mark.parametrize("measure", AT_K)
def test_rejects_k_of_zero(measure: Callable[..., np.ndarray]):
    with pytest.raises(UsageError, match="k is 0; ask for at least 1"):
        measure(GOLDEN, FIVE, 0)


@pytest.mark.parametrize("measure", [*WHOLE, nmrr, interpolated_precision])
def test_rejects_more_hits_than_relevant_items(measure: Callable[..., np.ndarray]):
    with pytest.raises(UsageError, match="query 0 has 4 hits but n_relevant=3"):
        measure(GOLDEN, np.array([3]))


def test_rejects_a_curve_of_one_level():
    with pytest.raises(UsageError, match="n_levels is 1"):
        interpolated_precision(GOLDEN, FIVE, 1)


def test_rejects_a_largest_count_that_is_not_the_largest():
    with pytest.raises(UsageError, match="largest is 4"):
        nmrr(GOLDEN, FIVE, largest=4)
