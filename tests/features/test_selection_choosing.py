import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.features.selection.choosing import choose
from lookalike.features.selection.names import METHODS, UNLABELED, WRAPPERS
from lookalike.features.selection.projections import itq, pca, quantizing_rotation
from tests.planted import INFORMATIVE, planted


@pytest.mark.parametrize("method", [name for name in METHODS if name not in UNLABELED])
def test_every_method_finds_the_planted_dimensions(method, rng):
    features, labels = planted(rng)
    choice = choose(method, features, labels, 3)
    assert choice.selection.columns == INFORMATIVE
    assert (choice.wrapped is not None) == (method in WRAPPERS)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_chooses_the_same(method, rng):
    features, labels = planted(rng, 60)
    one, two = (choose(method, features, labels, 3, seed=3).selection for _ in range(2))
    np.testing.assert_array_equal(one.array, two.array)
    assert one.dims == 3
    assert one.apply(features).shape == (60, 3)


@pytest.mark.parametrize("method", ["anova", "forward", "l1-logistic"])
def test_labels_that_tell_nothing_are_left_out(method, rng):
    features, labels = planted(rng, 90)
    everything = np.ones((90, 1), bool)
    rare = np.zeros((90, 1), bool)
    rare[0] = True
    more = np.concatenate([everything, labels, rare], axis=1)
    expected = choose(method, features, labels, 3).selection.columns
    assert choose(method, features, more, 3).selection.columns == expected


def test_what_makes_no_sense_is_refused(rng):
    features, labels = planted(rng, 30)
    with pytest.raises(UsageError, match="no method 'magic'; choose information-gain, "):
        choose("magic", features, labels, 3)
    for n in (0, 12, 500):
        with pytest.raises(UsageError, match=f"{n} of 12 dimensions .* 1 to 11"):
            choose("anova", features, labels, n)
    for nothing in (None, np.zeros((30, 2), bool), np.zeros((30, 0), bool)):
        with pytest.raises(UsageError, match=r"anova learns from labels, .* or choose pca"):
            choose("anova", features, nothing, 3)
    with pytest.raises(UsageError, match="pca looks at no labels, so the aggregate 'max'"):
        choose("pca", features, labels, 3, how="max")
    with pytest.raises(UsageError, match="4 pictures have no 5 principal components"):
        choose("pca", features[:4], None, 5)


def test_principal_components_keep_distances_where_the_items_fill_few_dimensions(rng):
    flat = rng.standard_normal((40, 3)) @ rng.standard_normal((3, 9)) + 5
    matrix = pca(flat, 3)
    projected = flat @ matrix[:-1] + matrix[-1]
    assert np.abs(projected.mean(axis=0)).max() < 1e-4
    before = np.linalg.norm(flat[:, None] - flat, axis=-1)
    after = np.linalg.norm(projected[:, None] - projected, axis=-1)
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_iterative_quantization_only_turns_and_its_signs_lose_less(rng):
    features = rng.standard_normal((200, 6)) * (5, 4, 3, 1, 0.1, 0.1)
    principal, turned = pca(features, 4), itq(features, 4, 0)
    before = features @ principal[:-1] + principal[-1]
    after = features @ turned[:-1] + turned[-1]
    np.testing.assert_allclose(after @ after.T, before @ before.T, atol=1e-3)

    def loss(rows):
        return float(((np.where(rows >= 0, 1, -1) - rows) ** 2).sum())

    assert loss(after) < 0.98 * loss(before)


def test_more_steps_of_quantization_never_lose_more(rng):
    rows = rng.standard_normal((100, 5)) * (3, 2, 1, 1, 0.5)
    losses = []
    for steps in (0, 1, 2, 5, 20):
        rotation = quantizing_rotation(rows, 0, steps=steps)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(5), atol=1e-10)
        turned = rows @ rotation
        losses.append(((np.where(turned >= 0, 1, -1) - turned) ** 2).sum())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
