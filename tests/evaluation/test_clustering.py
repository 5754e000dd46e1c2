from collections.abc import Iterator

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation import clustering
from lookalike.evaluation.clustering import extended_bcubed, pairwise_clustering
from tests import oracles

GOLDEN_LABELS = ({1, 2}, {2}, {3}, {1, 3}, {4}, {4, 2})
GOLDEN_CLUSTERS = np.array([0, 0, 0, 1, 1, 1])


def label_matrix(sets: tuple[set[int], ...], n_classes: int = 5) -> np.ndarray:
    return np.array([[c in labels for c in range(n_classes)] for labels in sets])


def random_clusterings(seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    for _ in range(60):
        shape = (int(rng.integers(0, 30)), int(rng.integers(1, 12)))
        labels = rng.random(shape) < rng.random()
        yield labels, rng.integers(-2, rng.integers(-1, 8), shape[0])


def counts(labels: np.ndarray, clusters: np.ndarray, min_jaccard: float = 0.0) -> tuple[int, ...]:
    scores = pairwise_clustering(labels, clusters, min_jaccard=min_jaccard)
    return (
        scores.true_positive,
        scores.false_positive,
        scores.false_negative,
        scores.true_negative,
    )


def slow_counts(labels: np.ndarray, clusters: np.ndarray, min_jaccard: float) -> tuple[int, ...]:
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in labels]
    return oracles.pair_counts(sets, clusters.tolist(), min_jaccard)


def test_gives_the_golden_values():
    labels = label_matrix(GOLDEN_LABELS)
    scores = pairwise_clustering(labels, GOLDEN_CLUSTERS)
    assert counts(labels, GOLDEN_CLUSTERS) == (2, 4, 4, 5)
    assert (scores.precision, scores.recall) == (1 / 3, 1 / 3)
    assert scores.f == pytest.approx(1 / 3)
    assert scores.n_clusters == 2


@pytest.mark.parametrize("min_jaccard", [0.0, 0.4, 0.5, 1.0])
@pytest.mark.parametrize("block_cells", [1, 50, 1 << 22])
def test_agrees_with_a_loop_over_pairs(
    min_jaccard: float, block_cells: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clustering, "_BLOCK_CELLS", block_cells)
    for labels, clusters in random_clusterings(seed=1):
        expected = slow_counts(labels, clusters, min_jaccard)
        assert counts(labels, clusters, min_jaccard) == expected


def test_everything_in_one_cluster_scores_its_baseline():
    rng = np.random.default_rng(2)
    scores = pairwise_clustering(rng.random((40, 6)) < 0.3, np.zeros(40, np.int64))
    assert scores.recall == 1
    assert scores.precision == pytest.approx(scores.prevalence)
    assert scores.f == pytest.approx(scores.baseline_one_cluster_f)
    assert scores.f == pytest.approx(2 * scores.prevalence / (1 + scores.prevalence))


def test_random_balanced_clusters_score_their_baseline_on_average():
    rng = np.random.default_rng(3)
    labels = rng.random((43, 6)) < 0.3
    labels[:, 0] |= ~labels.any(axis=1)
    balanced = np.arange(43) % 5
    runs = [pairwise_clustering(labels, rng.permutation(balanced)) for _ in range(300)]
    assert np.mean([run.f for run in runs]) == pytest.approx(runs[0].baseline_random_f, rel=0.01)
    assert np.mean([run.recall for run in runs]) == pytest.approx(1 / 5, abs=0.02)


def test_images_without_label_are_left_out_and_counted():
    labels = label_matrix((*GOLDEN_LABELS, set(), set()))
    clusters = np.append(GOLDEN_CLUSTERS, [0, 7])
    scores = pairwise_clustering(labels, clusters)
    assert scores.n_unlabeled == 2
    assert scores.n_clusters == 2
    assert counts(labels, clusters) == (2, 4, 4, 5)


def test_singleton_clusters_score_zero_and_stay_finite():
    scores = pairwise_clustering(label_matrix(GOLDEN_LABELS), np.arange(6))
    assert (scores.precision, scores.recall, scores.f) == (0, 0, 0)
    assert scores.baseline_random_f == 0


def test_no_images_score_zero():
    scores = pairwise_clustering(np.zeros((0, 3), bool), np.zeros(0, np.int64))
    assert (scores.f, scores.baseline_one_cluster_f, scores.baseline_random_f) == (0, 0, 0)


def test_counts_of_a_large_collection_stay_exact():
    n = 200_000
    labels = np.tile(np.array([[True, False], [False, True]]), (n // 2, 1))
    scores = pairwise_clustering(labels, np.arange(n) % 2)
    half = n // 2
    assert scores.true_positive == half * (half - 1)
    assert scores.f == 1


def test_rejects_a_jaccard_index_above_1():
    with pytest.raises(UsageError, match=r"min_jaccard is 1\.5"):
        pairwise_clustering(np.ones((2, 1), bool), np.zeros(2, np.int64), min_jaccard=1.5)


def test_extended_bcubed_gives_the_values_of_a_case_done_by_hand():
    labels = label_matrix(({1, 2}, {1, 2}, {3}))
    scores = extended_bcubed(labels, np.array([0, 0, 1]))
    assert scores.precision == 1
    # The first two share two labels with themselves and each other, and one cluster: a half each.
    assert scores.recall == pytest.approx((0.5 + 0.5 + 1) / 3)
    assert scores.f == pytest.approx(0.8)


@pytest.mark.parametrize("block_cells", [1, 50, 1 << 22])
def test_extended_bcubed_agrees_with_a_loop_over_pairs(
    block_cells: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(clustering, "_BLOCK_CELLS", block_cells)
    for labels, clusters in random_clusterings(seed=4):
        sets = [frozenset(np.flatnonzero(row).tolist()) for row in labels]
        scores = extended_bcubed(labels, clusters)
        expected = oracles.extended_bcubed(sets, clusters.tolist())
        assert (scores.precision, scores.recall) == pytest.approx(expected)


def test_extended_bcubed_of_single_labels_and_perfect_clusters_is_1():
    labels = np.eye(3, dtype=bool)[[0, 1, 2, 0, 1, 0]]
    assert extended_bcubed(labels, np.array([4, 5, 6, 4, 5, 4])).f == 1
