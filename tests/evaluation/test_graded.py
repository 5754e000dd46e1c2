import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.graded import dcg_at_k, exponential_gain, linear_gain, ndcg_at_k
from tests import oracles

GOLDEN = np.array([[3, 2, 3, 0, 1, 2]])


def test_both_gains_give_the_golden_values():
    assert ndcg_at_k(GOLDEN, GOLDEN, 6).round(4) == 0.9608
    assert ndcg_at_k(GOLDEN, GOLDEN, 6, exponential_gain).round(4) == 0.9488


def test_agrees_with_a_plain_loop():
    rng = np.random.default_rng(1)
    for _ in range(60):
        gallery = rng.integers(0, 4, (3, int(rng.integers(1, 14)))) * rng.integers(0, 2, (3, 1))
        ranking = rng.permuted(gallery, axis=1)[:, : int(rng.integers(1, 14))]
        k = int(rng.integers(1, 16))
        for gain, slow in ((linear_gain, float), (exponential_gain, lambda g: 2.0**g - 1)):
            expected = [
                oracles.ndcg(row, best, k, slow)
                for row, best in zip(ranking.tolist(), gallery.tolist(), strict=True)
            ]
            np.testing.assert_allclose(ndcg_at_k(ranking, gallery, k, gain), expected, rtol=1e-12)


def test_a_perfect_ranking_scores_1_and_a_longer_k_changes_nothing():
    ranking = np.array([[2, 1, 1, 0]])
    assert ndcg_at_k(ranking, ranking, 4) == 1
    assert ndcg_at_k(ranking, ranking, 40) == 1


def test_the_best_grades_may_come_in_any_order():
    ranking = np.array([[1, 0, 2]])
    best = np.array([[0, 1, 2]])
    assert ndcg_at_k(ranking, best, 3) == ndcg_at_k(ranking, best[:, ::-1], 3)


def test_is_undefined_where_nothing_has_a_grade():
    assert np.isnan(ndcg_at_k(np.zeros((1, 3)), np.zeros((1, 3)), 3)).all()


def test_rejects_k_of_zero():
    with pytest.raises(UsageError, match="k is 0"):
        dcg_at_k(GOLDEN, 0)


def test_rejects_best_grades_that_are_not_the_best():
    with pytest.raises(UsageError, match="query 0 gains"):
        ndcg_at_k(GOLDEN, np.ones((1, 6)), 6)
