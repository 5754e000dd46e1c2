import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import standardized
from lookalike.features.selection.embedded import (
    group_lasso,
    l1_logistic,
    label_weights,
    selection_frequency,
    stability_selection,
)
from lookalike.features.selection.group_lasso import gradient, solve, strongest_penalty
from tests.planted import INFORMATIVE, planted


@pytest.fixture
def material(rng):
    features, labels = planted(rng, 150)
    return standardized(features), labels


@pytest.mark.parametrize("share", [0.6, 0.2, 0.05])
def test_the_group_lasso_fulfills_the_conditions_of_the_optimum(material, share):
    """At the minimum the slope of a used dimension is balanced by the penalty, of others below."""
    features, labels = material
    weights = np.array([1.0, 2.0, 0.5])
    strength = share * strongest_penalty(features, labels, weights)
    found = solve(features, labels, weights, strength, tolerance=1e-9)
    slope, slope_b = gradient(features, labels, weights, found)
    used = found.size > 0
    assert 0 < used.sum() < len(used)
    balance = slope[used] + strength * found.weights[used] / found.size[used, None]
    assert np.abs(balance).max() < 1e-6
    assert (np.linalg.norm(slope[~used], axis=1) <= strength).all()
    assert np.abs(slope_b).max() < 1e-6


def test_with_one_label_the_group_lasso_is_the_lasso(material):
    features, labels = material
    one = labels[:, [1]]
    strength = 0.3 * strongest_penalty(features, one, np.ones(1))
    found = solve(features, one, np.ones(1), strength, tolerance=1e-9)
    lasso = LogisticRegression(
        l1_ratio=1.0, C=1 / (len(features) * strength), solver="saga", tol=1e-8, max_iter=10_000
    ).fit(features, one[:, 0])
    assert found.weights[:, 0] == pytest.approx(lasso.coef_[0], abs=1e-4)
    assert found.intercepts == pytest.approx(lasso.intercept_, abs=1e-4)


def test_above_the_strongest_penalty_nothing_is_used_and_just_below_something_is(material):
    features, labels = material
    strongest = strongest_penalty(features, labels, np.ones(3))
    assert (solve(features, labels, np.ones(3), 1.001 * strongest).size == 0).all()
    assert (solve(features, labels, np.ones(3), 0.98 * strongest).size > 0).sum() == 1


@pytest.mark.parametrize("select", [l1_logistic, group_lasso, stability_selection])
@pytest.mark.parametrize("how", ["mean", "prevalence"])
def test_planted_dimensions_are_chosen(select, how, rng):
    features, labels = planted(rng)
    assert select(features, labels, 3, how, 0).tolist() == list(INFORMATIVE)


@pytest.mark.parametrize("select", [l1_logistic, group_lasso])
def test_so_many_dimensions_are_chosen_as_asked_even_if_few_are_of_use(select, rng):
    features, labels = planted(rng, 30)
    for n in (1, 7, 11):
        assert len(set(select(features, labels, n, "mean", 0).tolist())) == n


def test_halves_agree_on_what_is_planted_and_not_on_noise(rng):
    features, labels = planted(rng, 100)
    frequency = selection_frequency(features, labels, 4, "mean", 0)
    assert frequency[list(INFORMATIVE)] == pytest.approx(1)
    rest = np.setdiff1d(np.arange(12), INFORMATIVE)
    assert frequency[rest].sum() == pytest.approx(1)
    assert frequency[rest].max() < 0.8


def test_a_sum_of_losses_knows_no_largest_label():
    labels = np.array([[1, 0], [1, 1], [1, 0], [0, 0]], bool)
    assert label_weights(labels, "mean").tolist() == [1, 1]
    assert label_weights(labels, "prevalence").tolist() == [1.5, 0.5]
    with pytest.raises(UsageError, match="knows no 'max'"):
        label_weights(labels, "max")
