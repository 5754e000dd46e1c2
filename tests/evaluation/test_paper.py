import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import UsageError
from lookalike.evaluation.paper import (
    READINGS,
    VARIANTS,
    judge_clusters,
    means_of_samples,
    most_frequent_class,
    overlap_by_class_and_size,
    precision_recall,
    repeat_runs,
    sweep_clusters,
    walk_clusters,
)
from lookalike.index.kmeans import assign_clusters
from tests import oracles

GOLDEN = np.array([[c in labels for c in range(1, 5)] for labels in
                   ({1, 2}, {2}, {3}, {1, 3}, {4}, {4, 2})])  # fmt: skip


def cluster(embeddings: np.ndarray, n: int, seed: int) -> np.ndarray:
    return assign_clusters(embeddings, n, seed=seed)


def grouped(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and embeddings in which images that share labels lie together."""
    rng = np.random.default_rng(seed)
    labels = np.eye(4, dtype=bool)[np.arange(n) % 4] | (rng.random((n, 4)) < 0.1)
    embeddings = labels @ rng.normal(size=(4, 6)) + 0.3 * rng.normal(size=(n, 6))
    return labels, embeddings.astype(np.float32)


def test_table_1_starts_from_the_golden_values():
    row = judge_clusters(GOLDEN, np.array([0, 0, 0, 1, 1, 1]), 2)
    assert (row.precision, row.recall, row.scores["f"]) == pytest.approx((1 / 3,) * 3)
    p = 6 / 15
    assert row.one_cluster["f"] == pytest.approx(2 * p / (1 + p))


def test_the_most_frequent_class_is_left_out_of_the_second_reading():
    assert most_frequent_class(GOLDEN) == 1
    row = judge_clusters(GOLDEN, np.array([0, 0, 0, 1, 1, 1]), 2)
    # Without class 2 the pairs {1,2}-{1,3}, {3}-{1,3} and {4}-{4,2} are left; {2} is unlabeled.
    sets = [frozenset(s) for s in ({1}, set(), {3}, {1, 3}, {4}, {4})]
    tp, fp, fn, _ = oracles.pair_counts(sets, [0, 0, 0, 1, 1, 1])
    assert (tp, fp + tp, fn + tp) == (1, 4, 3)
    assert row.scores["f_without"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_one_cluster_scores_its_baseline_in_every_reading():
    labels, _ = grouped(40, seed=0)
    row = judge_clusters(labels, np.zeros(40, np.int64), 1)
    assert set(row.scores) == set(VARIANTS)
    for name in VARIANTS:
        assert row.scores[name] == pytest.approx(row.one_cluster[name])


def test_clusters_of_labels_beat_both_degenerate_clusterings():
    labels, embeddings = grouped(80, seed=1)
    rows = sweep_clusters(labels, embeddings, (4, 8, 60), cluster)
    assert [row.k for row in rows] == [4, 8]
    for name in VARIANTS:
        assert rows[0].scores[name] > rows[0].one_cluster[name]
        assert rows[0].scores[name] > rows[0].random[name]


@pytest.mark.parametrize("order", ["list", "ranked"])
@pytest.mark.parametrize("n", [1, 4, 11])
def test_clusters_are_walked_as_by_hand(order, n):
    rng = np.random.default_rng(2)
    vectors = normalize(rng.normal(size=(30, 5)))
    clusters = rng.integers(3, 9, 30)
    queries = np.array([0, 7, 29])
    found = walk_clusters(vectors, clusters, queries, n, order)
    for row, query in zip(found, queries, strict=True):
        expected = oracles.walked_lists(query, vectors.tolist(), clusters.tolist(), n, order)
        assert row.tolist() == expected


def test_the_two_orders_meet_the_same_clusters():
    rng = np.random.default_rng(3)
    vectors, clusters = rng.normal(size=(30, 5)).astype(np.float32), np.arange(30) % 3
    found = [walk_clusters(vectors, clusters, np.array([4]), 9, order)[0]
             for order in ("list", "ranked")]  # fmt: skip
    assert set(found[0]) == set(found[1])
    assert found[0].tolist() == sorted(found[0])
    assert found[1].tolist() != found[0].tolist()


@pytest.mark.parametrize("n", [0, 30])
def test_more_images_than_there_are_cannot_be_met(n):
    with pytest.raises(UsageError, match="cannot be retrieved for a query out of 30 images"):
        walk_clusters(
            np.ones((30, 2), np.float32), np.zeros(30, np.int64), np.array([0]), n, "list"
        )


def test_precision_and_recall_of_a_case_done_by_hand():
    # {1,2} shares with {2}, {1,3} and {4,2}: three relevant images.
    found = np.array([[1, 2, 3, 4]])
    precision, recall = precision_recall(GOLDEN, np.array([0]), found, (1, 2, 4))
    assert precision.tolist() == [[1, 0.5, 0.5]]
    assert recall == pytest.approx(np.array([[1 / 3, 1 / 3, 2 / 3]]))


def test_runs_differ_and_come_again_with_their_seed():
    labels, embeddings = grouped(60, seed=4)
    options = {"n_clusters": 5, "n_queries": 20, "n_runs": 4}
    runs, again, others = (
        repeat_runs(labels, embeddings, cluster, **options, seed=seed)["ranked"]
        for seed in (0, 0, 1)
    )
    assert runs.precision.shape == (4, 4)
    assert runs.n_queries == 20
    assert len(np.unique(runs.precision[:, 0])) > 1
    np.testing.assert_array_equal(runs.precision, again.precision)
    assert not np.array_equal(runs.precision, others.precision)
    assert (np.diff(runs.recall, axis=1) >= 0).all()


def test_ranking_inside_a_cluster_helps_where_clusters_are_mixed():
    labels, embeddings = grouped(80, seed=5)
    runs = repeat_runs(labels, embeddings, cluster, n_clusters=2, n_queries=80, n_runs=5)
    assert list(runs) == list(READINGS)
    assert runs["ranked"].precision.mean() > runs["list"].precision.mean() + 0.05


def test_the_exact_reading_compares_every_image():
    labels, embeddings = grouped(40, seed=6)
    runs = repeat_runs(labels, embeddings, cluster, n_clusters=9, n_queries=40, n_runs=2, at=(3,))
    rows = normalize(embeddings)
    similarity = rows @ rows.T - 2 * np.eye(40)
    queries = np.flatnonzero((labels @ labels.T).sum(axis=1) > 1)
    hits = [
        [(labels[q] & labels[i]).any() for i in np.argsort(-similarity[q])[:3]] for q in queries
    ]
    assert runs["exact"].precision.tolist() == pytest.approx(np.full((2, 1), np.mean(hits)))
    assert not np.array_equal(runs["exact"].precision, runs["ranked"].precision)


def test_more_queries_change_the_spread_of_a_mean_and_not_the_mean():
    values = np.random.default_rng(6).random(200)
    means, deviations = means_of_samples(values, (5, 20, 80, 200), n_runs=400)
    assert means == pytest.approx(values.mean(), abs=0.02)
    assert means[-1] == pytest.approx(values.mean())
    assert (np.diff(deviations) < 0).all()
    assert deviations[-1] == pytest.approx(0, abs=1e-12)


def test_overlap_is_told_by_class_and_size():
    true = np.zeros((2, 20, 20), np.uint8)
    true[0, :10] = 1  # half of the map
    true[0, 19, :3] = 2  # less than three in a hundred
    true[1, 0, :] = 2  # between three and ten in a hundred
    true[1, 5] = 255
    predicted = true.copy()
    predicted[0, :5] = 0
    predicted[0, 19] = 0
    predicted[1, 5] = 1  # void is not judged
    found = overlap_by_class_and_size(predicted, true, 3)
    assert found.by_class[:2] == pytest.approx((0.5, 20 / 23))
    assert np.isnan(found.by_class[2])
    assert found.by_size == pytest.approx({"small": 0, "middle": 1, "large": 0.5})
    assert found.n_by_size == {"small": 1, "middle": 1, "large": 1}
