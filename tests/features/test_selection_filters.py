import numpy as np
import pytest
from sklearn.feature_selection import f_classif

from lookalike.errors import UsageError
from lookalike.features.selection import information
from lookalike.features.selection.aggregation import aggregate, best_dimensions, telling_labels
from lookalike.features.selection.discretization import equal_frequency, mdl_codes, mdl_cuts
from lookalike.features.selection.filters import FILTERS, anova, chi2_counts, correlation, mrmr
from lookalike.features.selection.information import contingency_tables
from tests import oracles_selection as oracles

Y = np.array([[1], [1], [1], [0], [0], [0], [0], [0]], bool)
A = np.array([[1], [1], [0], [1], [0], [0], [0], [0]])


def test_golden_values():
    tables = contingency_tables(A, Y)
    assert information.entropy(tables.sum(axis=-2))[0, 0] == pytest.approx(0.954434, abs=5e-7)
    assert information.conditional_entropy(tables)[0, 0] == pytest.approx(0.795566, abs=5e-7)
    assert information.information_gain(tables)[0, 0] == pytest.approx(0.158868, abs=5e-7)
    assert information.chi_square(tables)[0, 0] == pytest.approx(1.742222, abs=5e-7)
    assert chi2_counts(A.astype(float), Y, 0)[0, 0] == pytest.approx(1.088889, abs=5e-7)


def test_chi_square_of_two_by_two_is_the_short_form():
    a, b, c, d = 17, 4, 9, 12
    codes = np.repeat([[1], [1], [0], [0]], [a, b, c, d], axis=0)
    label = np.repeat([[True], [False], [True], [False]], [a, b, c, d], axis=0)
    n = a + b + c + d
    expected = n * (a * d - b * c) ** 2 / ((a + c) * (b + d) * (a + b) * (c + d))
    found = information.chi_square(contingency_tables(codes, label))[0, 0]
    assert found == pytest.approx(expected)


def test_measures_of_discrete_features_agree_with_loops(rng):
    codes = rng.integers(0, 4, (60, 5))
    codes[:, 3] = 2
    labels = rng.random((60, 3)) < 0.3
    tables = contingency_tables(codes, labels)
    gain, chi = information.information_gain(tables), information.chi_square(tables)
    ratio = information.gain_ratio(tables)
    uncertainty = information.symmetrical_uncertainty(tables)
    for label in range(3):
        y = labels[:, label].tolist()
        for dimension in range(5):
            a = codes[:, dimension].tolist()
            ig, own = oracles.information_gain(y, a), oracles.entropy(a)
            assert gain[label, dimension] == pytest.approx(ig, abs=1e-12)
            assert chi[label, dimension] == pytest.approx(oracles.chi_square(y, a))
            assert ratio[label, dimension] == pytest.approx(ig / own if own else 0, abs=1e-12)
            expected = 2 * ig / (oracles.entropy(y) + own)
            assert uncertainty[label, dimension] == pytest.approx(expected, abs=1e-12)


def test_a_copy_of_the_label_tells_all_of_it():
    tables = contingency_tables(Y.astype(np.int64), Y)
    assert information.gain_ratio(tables)[0, 0] == pytest.approx(1)
    assert information.symmetrical_uncertainty(tables)[0, 0] == pytest.approx(1)
    assert information.chi_square(tables)[0, 0] == pytest.approx(len(Y))


def test_bins_hold_about_equally_many_and_never_part_equal_values(rng):
    values = rng.standard_normal((1000, 1))
    assert np.bincount(equal_frequency(values)[:, 0]).tolist() == [100] * 10
    sparse = np.where(rng.random((1000, 1)) < 0.6, 0.0, np.abs(values))
    codes = equal_frequency(sparse)[:, 0]
    assert set(codes[sparse[:, 0] == 0].tolist()) == {0}
    assert codes.max() == 9
    with pytest.raises(UsageError, match="n_bins is 1"):
        equal_frequency(values, 1)


@pytest.mark.parametrize("seed", range(6))
def test_mdl_cuts_agree_with_trying_every_cut(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 40, 80).astype(float)
    label = (values > 12) ^ (values > 30) ^ (rng.random(80) < 0.1)
    found = mdl_cuts(values, label)
    assert found.tolist() == oracles.mdl_cuts(values.tolist(), label.tolist())
    assert seed != 0 or len(found) == 2


def test_mdl_asks_the_price_of_the_article_to_the_bit():
    """The gain, 0.5900 bits, lies between the price, 0.5855, and that of a near miss, 0.6257."""
    values = np.repeat([0.0, 1.0], [4, 5])
    label = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0], bool)
    assert mdl_cuts(values, label).tolist() == [0.5]
    assert mdl_cuts(values[1:], label[1:]).tolist() == []


def test_mdl_leaves_noise_uncut_and_codes_follow_the_cuts(rng):
    label = np.arange(100) % 2 == 0
    assert mdl_cuts(rng.random(100), label).tolist() == []
    column = np.array([[0.0], [5.5], [5.6], [11.0]])
    together = np.concatenate([np.arange(12.0)[:, None], column])
    classes = np.concatenate([np.arange(12) > 5, [False, False, True, True]])
    codes = mdl_codes(together, classes)[:, 0]
    assert codes.tolist() == classes.astype(int).tolist()


def test_correlation_and_f_are_those_of_the_books(rng):
    features = rng.standard_normal((50, 4))
    labels = rng.random((50, 2)) < 0.4
    r, f = correlation(features, labels, 0), anova(features, labels, 0)
    for label in range(2):
        for dimension in range(4):
            expected = np.corrcoef(features[:, dimension], labels[:, label])[0, 1]
            assert r[label, dimension] == pytest.approx(abs(expected))
            assert f[label, dimension] == pytest.approx(48 * expected**2 / (1 - expected**2))
    assert f[0] == pytest.approx(f_classif(features, labels[:, 0])[0])


@pytest.mark.parametrize("name", FILTERS)
def test_a_dimension_that_never_varies_scores_nothing(name, rng):
    features = rng.random((40, 3))
    features[:, 1] = 0.0 if name == "chi2-counts" else 7.0
    labels = rng.random((40, 2)) < 0.5
    scores = FILTERS[name](features, labels, 0)
    assert scores.shape == (2, 3)
    assert np.isfinite(scores).all()
    assert scores[:, 1] == pytest.approx([0, 0], abs=0.02)  # neighbors of noise: about nothing


def test_a_dimension_that_parts_the_classes_wholly_has_an_infinite_f():
    features = np.array([[0.0, 3], [0, 1], [1, 2], [1, 5]])
    scores = anova(features, np.array([[0], [0], [1], [1]], bool), 0)
    assert scores[0, 0] == np.inf
    assert np.isfinite(scores[0, 1])


def test_counts_are_not_negative():
    with pytest.raises(UsageError, match="chi2-counts takes features for counts"):
        chi2_counts(np.array([[1.0], [-1.0]]), np.array([[True], [False]]), 0)


@pytest.mark.parametrize("seed", range(4))
def test_mrmr_agrees_with_loops_and_leaves_copies_out(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (80, 7))
    codes[:, 5] = codes[:, 2]
    labels = ((codes[:, 2] + codes[:, 4] + rng.integers(0, 2, 80)) > 3)[:, None]
    gain = information.information_gain(contingency_tables(codes, labels))[0]
    found = mrmr(codes, gain, 5)
    assert found.tolist() == oracles.mrmr(codes.T.tolist(), gain.tolist(), 5)
    assert set(found[:2].tolist()) == {2, 4}
    codes[:, 0] = 1
    assert mrmr(codes, np.where(np.arange(7) == 0, 0.0, gain), 7)[-1] == 0


def test_labels_are_joined_as_stated():
    labels = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], bool)
    scores = np.array([[0.8, 0.0], [0.4, 1.0]])
    assert aggregate(scores, labels, "mean") == pytest.approx([0.6, 0.5])
    assert aggregate(scores, labels, "max") == pytest.approx([0.8, 1.0])
    assert aggregate(scores, labels, "prevalence") == pytest.approx([0.7, 0.25])
    with pytest.raises(UsageError, match="no aggregate 'least'; choose mean, max, prevalence"):
        aggregate.__wrapped__(scores, labels, "least")


def test_equal_scores_go_to_the_lower_dimension():
    assert best_dimensions(np.array([1.0, 2.0, 1.0, 1.0]), 3).tolist() == [0, 1, 2]


def test_labels_of_all_or_one_tell_nothing():
    labels = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]], bool)
    assert telling_labels(labels).tolist() == [1]
