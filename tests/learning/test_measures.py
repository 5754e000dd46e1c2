import numpy as np
import pytest

from lookalike.learning.measures import OverlapCounter, label_f, label_mean_average_precision


def overlap(predicted, true, n_values=4):
    counter = OverlapCounter(n_values)
    counter.add(np.array(predicted, np.uint8), np.array(true, np.uint8))
    return counter


def test_overlap_of_a_case_done_by_hand():
    counter = overlap([[[1, 1], [2, 0]]], [[[1, 2], [2, 255]]])
    # Class 1: one cell of two; class 2: one of two; background is void in the true map.
    assert counter.picture_miou() == pytest.approx((1 / 2 + 1 / 2) / 2)
    np.testing.assert_allclose(counter.class_iou(), [1 / 2, 1 / 2, np.nan])
    assert counter.class_miou() == pytest.approx(1 / 2)


def test_overlap_agrees_with_a_loop():
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 4, (7, 5, 5), dtype=np.uint8)
    true = rng.choice(np.array([0, 1, 2, 3, 255], np.uint8), (7, 5, 5))
    counter = overlap(predicted, true)
    per_picture = []
    for a, b in zip(predicted, true, strict=True):
        values = []
        for c in (1, 2, 3):
            union = ((a == c) | (b == c)) & (b != 255)
            if union.any():
                values.append(((a == c) & (b == c)).sum() / union.sum())
        per_picture.append(np.mean(values))
    assert counter.picture_miou() == pytest.approx(np.mean(per_picture))
    for c in (1, 2, 3):
        union = ((predicted == c) | (true == c)) & (true != 255)
        both = (predicted == c) & (true == c)
        assert counter.class_iou()[c - 1] == pytest.approx(both.sum() / union.sum())


def test_overlap_does_not_depend_on_batches():
    rng = np.random.default_rng(1)
    predicted, true = rng.integers(0, 4, (2, 6, 5, 5), dtype=np.uint8)
    whole, parts = overlap(predicted, true), OverlapCounter(4)
    for first in range(0, 6, 2):
        parts.add(predicted[first : first + 2], true[first : first + 2])
    assert parts.picture_miou() == whole.picture_miou()
    assert parts.class_miou() == whole.class_miou()


def test_a_perfect_prediction_overlaps_wholly_and_background_alone_does_not_count():
    maps = np.array([[[1, 2], [3, 0]], [[0, 0], [0, 0]]], np.uint8)
    counter = overlap(maps, maps)
    assert counter.per_picture == [1.0]
    assert counter.class_miou() == 1.0


def test_overlap_of_nothing_is_not_a_number():
    assert np.isnan(OverlapCounter(3).picture_miou())
    assert np.isnan(OverlapCounter(3).class_miou())


def test_mean_average_precision_agrees_with_a_loop():
    rng = np.random.default_rng(2)
    probabilities, labels = rng.random((30, 4)), rng.random((30, 4)) < 0.3
    labels[:, 3] = False
    expected = []
    for c in range(3):
        ranked = labels[np.argsort(-probabilities[:, c]), c]
        hits = np.flatnonzero(ranked)
        expected.append(np.mean([(i + 1) / (rank + 1) for i, rank in enumerate(hits)]))
    found = label_mean_average_precision(probabilities, labels)
    assert found == pytest.approx(np.mean(expected))


def test_perfect_rankings_score_one_and_none_is_not_a_number():
    labels = np.array([[True], [False]])
    assert label_mean_average_precision(labels.astype(float), labels) == 1
    assert np.isnan(label_mean_average_precision(np.ones((2, 1)), np.zeros((2, 1), bool)))


def test_f_counts_pairs_of_picture_and_label():
    probabilities = np.array([[0.9, 0.6, 0.1], [0.2, 0.5, 0.4]])
    labels = np.array([[True, False, True], [False, True, False]])
    # Right: 2, too many: 1, missing: 1.
    assert label_f(probabilities, labels, False) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))


def test_f_of_single_labels_is_the_share_labeled_right():
    probabilities = np.array([[0.4, 0.35, 0.25], [0.2, 0.3, 0.5], [0.1, 0.1, 0.8]])
    labels = np.eye(3, dtype=bool)[[0, 2, 1]]
    assert label_f(probabilities, labels, True) == pytest.approx(2 / 3)
    assert np.isnan(label_f(np.zeros((2, 2)), np.zeros((2, 2), bool), False))
