import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation import statistics
from lookalike.evaluation.statistics import (
    estimate_mean,
    estimate_means,
    holm,
    paired_difference,
    paired_differences,
)
from tests import oracles


def test_interval_is_about_two_standard_errors_wide_on_each_side():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    estimate = estimate_mean(values)
    standard_error = values.std(ddof=1) / 20
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.high - estimate.mean == pytest.approx(1.96 * standard_error, rel=0.1)
    assert estimate.mean - estimate.low == pytest.approx(1.96 * standard_error, rel=0.1)


def test_interval_holds_the_true_mean_about_19_times_in_20():
    rng = np.random.default_rng(2)
    samples = rng.exponential(1.0, (300, 80))
    estimates = [estimate_mean(sample, n_resamples=400) for sample in samples]
    held = np.mean([e.low <= 1.0 <= e.high for e in estimates])
    assert 0.89 <= held <= 0.98


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(3).random(30)
    assert estimate_mean(values, seed=4) == estimate_mean(values, seed=4)
    assert estimate_mean(values, seed=4) != estimate_mean(values, seed=5)


def test_measures_estimated_together_equal_those_estimated_alone():
    values = np.random.default_rng(4).random((50, 3))
    together = estimate_means(values)
    for column, estimate in enumerate(together):
        alone = estimate_mean(values[:, column])
        assert (estimate.mean, estimate.n) == (alone.mean, alone.n)
        assert [estimate.low, estimate.high] == pytest.approx([alone.low, alone.high], rel=1e-12)


def test_drawing_in_small_chunks_gives_about_the_same_interval(monkeypatch: pytest.MonkeyPatch):
    values = np.random.default_rng(5).random(40)
    whole = estimate_mean(values)
    monkeypatch.setattr(statistics, "_CHUNK_CELLS", 64)
    chunked = estimate_mean(values)
    assert [chunked.low, chunked.high] == pytest.approx([whole.low, whole.high], abs=0.01)


def test_undefined_values_are_left_out_and_counted():
    values = np.array([1.0, np.nan, 3.0, np.nan])
    estimate = estimate_mean(values)
    assert (estimate.mean, estimate.n, estimate.n_undefined) == (2.0, 2, 2)
    assert 1.0 <= estimate.low <= estimate.high <= 3.0


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_defined_has_no_mean(n: int):
    estimate = estimate_mean(np.full(n, np.nan))
    assert np.isnan([estimate.mean, estimate.low, estimate.high]).all()
    assert (estimate.n, estimate.n_undefined) == (0, n)


def test_p_value_of_few_queries_is_exact():
    rng = np.random.default_rng(6)
    for n in (1, 2, 5, 9):
        a, b = rng.random(n).round(1), rng.random(n).round(1)
        expected = oracles.sign_flip_p_value((a - b).tolist())
        assert paired_difference(a, b).p_value == expected


def test_random_sign_patterns_come_close_to_the_exact_p_value(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(7)
    a, b = rng.random(11) + 0.2, rng.random(11)
    exact = paired_difference(a, b).p_value
    monkeypatch.setattr(statistics, "_EXACT_QUERIES", 0)
    for chunk in (64, 1 << 22):
        monkeypatch.setattr(statistics, "_CHUNK_CELLS", chunk)
        assert paired_difference(a, b).p_value == pytest.approx(exact, abs=0.015)


def test_equal_systems_do_not_differ():
    values = np.random.default_rng(8).random(50)
    paired = paired_difference(values, values)
    assert (paired.p_value, paired.difference.mean, paired.effect_size) == (1.0, 0.0, 0.0)


def test_p_values_of_alike_systems_are_spread_evenly():
    rng = np.random.default_rng(9)
    a, b = rng.random((60, 200)), rng.random((60, 200))
    p_values = [paired.p_value for paired in paired_differences(a, b, n_permutations=500)]
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.array(p_values) < 0.05) <= 0.10


def test_a_clear_difference_is_found_with_its_sign_and_size():
    rng = np.random.default_rng(10)
    b = rng.random(200)
    paired = paired_difference(b + rng.normal(0.1, 0.2, 200), b)
    assert paired.p_value < 0.001
    assert 0 < paired.difference.low < 0.1 < paired.difference.high
    assert paired.effect_size == pytest.approx(0.5, abs=0.15)
    swapped = paired_difference(b, b + rng.normal(0.1, 0.2, 200))
    assert swapped.difference.high < 0


def test_queries_undefined_for_either_system_are_left_out():
    a = np.array([1.0, np.nan, 2.0, 3.0])
    b = np.array([0.0, 1.0, np.nan, 1.0])
    paired = paired_difference(a, b)
    assert (paired.difference.mean, paired.difference.n) == (1.5, 2)
    assert paired.p_value == oracles.sign_flip_p_value([1.0, 2.0])


def test_effect_of_equal_differences_is_undefined():
    assert np.isnan(paired_difference(np.array([0.3, 0.6]), np.array([0.1, 0.4])).effect_size)


def test_holm_agrees_with_its_definition():
    rng = np.random.default_rng(11)
    for n in (0, 1, 2, 7):
        p_values = rng.random(n).round(1) ** 2
        np.testing.assert_allclose(holm(p_values), oracles.holm(p_values.tolist()), rtol=1e-12)


def test_rejects_systems_evaluated_on_different_numbers_of_queries():
    with pytest.raises(UsageError, match="same queries"):
        paired_differences(np.zeros((3, 1)), np.zeros((4, 1)))


def test_rejects_a_confidence_of_1():
    with pytest.raises(UsageError, match=r"confidence 1\.0"):
        estimate_mean(np.zeros(3), confidence=1.0)
