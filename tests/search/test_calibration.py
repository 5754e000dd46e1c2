import json
import math

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import DamagedCollectionError
from lookalike.index.exact import ExactIndex, exact_index
from lookalike.search.calibration import Calibration, fit_calibration, fit_similarities
from tests.index.galleries import clustered, spaced_ids


def grid() -> np.ndarray:
    """Every thousandth from -1 to 1, and float32 neighbors close to 1."""
    top = [np.float32(1)]
    for _ in range(20):
        top.append(np.nextafter(top[-1], np.float32(0)))
    return np.unique(np.concatenate([np.linspace(-1, 1, 2001), top]).astype(np.float32))


def index_of(n: int) -> ExactIndex:
    return exact_index(spaced_ids(n), clustered(n, 8))


def test_a_score_counts_the_random_pairs_that_are_at_least_as_similar() -> None:
    pairs = np.random.default_rng(0).normal(0.2, 0.1, size=100_000)
    calibration = fit_similarities(pairs)
    for similarity in (0.0, 0.1, 0.2, 0.3, 0.4):
        share = float((pairs >= similarity).mean())
        assert calibration.scores(np.array([similarity]))[0] == pytest.approx(
            -math.log10(share), abs=0.02
        )


def test_three_decades_are_one_pair_in_a_thousand() -> None:
    """Beyond the 99th percentile the tail is a model: here of pairs that follow it exactly."""
    pairs = np.random.default_rng(0).exponential(0.05, size=20_000)
    scores = fit_similarities(pairs).scores(0.05 * np.log(10) * np.array([2.0, 3.0, 4.0, 6.0]))
    np.testing.assert_allclose(scores, [2, 3, 4, 6], rtol=0.05)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 60, 200, 900])
def test_scores_rise_strictly_and_stay_finite_for_collections_of_any_size(n: int) -> None:
    scores = fit_calibration(index_of(n)).scores(grid())
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    assert scores[0] >= 0
    assert scores[-1] < 100


@pytest.mark.parametrize(
    "pairs",
    [
        np.ones(1000),
        np.zeros(1000),
        -np.ones(1000),
        np.repeat([0.1, 0.9], 500),
        np.r_[np.zeros(9_999), 1.0],
        np.r_[np.ones(9_999), -1.0],
        np.full(1000, 0.99) + np.random.default_rng(0).normal(0, 1e-4, 1000),
        np.array([1.0000001, -1.0000001, 0.5]),
    ],
)
def test_degenerate_collections_give_sensible_scores(pairs: np.ndarray) -> None:
    calibration = fit_similarities(pairs)
    scores = calibration.scores(grid())
    assert np.isfinite(scores).all()
    assert (np.diff(scores) > 0).all()
    # What all random pairs are is no evidence of anything.
    assert calibration.scores(np.array([pairs.min()]))[0] < 0.31


def test_equal_images_only_make_equality_unremarkable() -> None:
    calibration = fit_calibration(exact_index(spaced_ids(50), normalize(np.ones((50, 4)))))
    assert calibration.scores(np.array([1.0]))[0] == pytest.approx(0, abs=0.01)


def test_scores_do_not_depend_on_what_else_is_asked() -> None:
    calibration = fit_calibration(index_of(500))
    values = grid()
    together = calibration.scores(values)
    alone = [calibration.scores(values[i : i + 1])[0] for i in range(0, len(values), 37)]
    assert alone == together[::37].tolist()
    table = calibration.scores(values[:2000].reshape(4, 500))
    np.testing.assert_array_equal(table.ravel(), together[:2000])


def test_missing_similarities_stay_missing() -> None:
    scores = fit_calibration(index_of(50)).scores(np.array([np.nan, 0.5], np.float32))
    assert np.isnan(scores).tolist() == [True, False]


def test_the_same_seed_draws_the_same_pairs() -> None:
    index = index_of(400)
    assert fit_calibration(index, seed=1) == fit_calibration(index, seed=1)
    assert fit_calibration(index, seed=1) != fit_calibration(index, seed=2)
    assert fit_calibration(index).n_pairs == 20_000
    assert fit_calibration(index_of(20)).n_pairs == 190


def test_pairs_are_of_different_images() -> None:
    """Orthogonal images: a pair of an image with itself would have similarity 1."""
    calibration = fit_calibration(exact_index(spaced_ids(300), np.eye(300, dtype=np.float32)))
    assert max(calibration.similarities) == 0
    assert calibration.decades > 1000  # nothing beyond 0 was seen


def test_a_calibration_survives_json() -> None:
    calibration = fit_calibration(index_of(300))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


@pytest.mark.parametrize(
    "change",
    [
        {"similarities": [0.1, 0.1]},
        {"rarities": [0.0, 2.0, 1.0]},
        {"rarities": [0.0]},
        {"similarities": [], "rarities": []},
        {"decades": 0},
        {"decades": "steep"},
        {"n_pairs": None},
        {"similarities": 3},
    ],
)
def test_refuses_json_that_is_no_calibration(change: dict[str, object]) -> None:
    content = {"similarities": [0, 0.5], "rarities": [0, 1], "decades": 2, "n_pairs": 9, **change}
    with pytest.raises(DamagedCollectionError, match="calibration"):
        Calibration.from_json(content)
