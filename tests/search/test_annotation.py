import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search.annotation import (
    gather_evidence,
    learn_propagation,
    left_out,
    propagate,
    soft_assignment,
    undo,
    words_of_clusters,
)
from lookalike.search.clusters import make_clusters
from lookalike.search.labeling import check_pictures, next_clusters, next_exemplars
from lookalike.search.reliability import (
    Sigmoid,
    cross_fitted,
    fit_sigmoid,
    log_loss,
    reliability,
)
from lookalike.storage.annotations import Statement
from lookalike.storage.clusterings import StoredClustering
from tests.search.stocked import planted, stock

WORDS = ("cat", "dog", "cow")


@pytest.fixture
def catalog(tmp_path):
    rows, _ = planted(90, noise=0.1)
    with stock(tmp_path / "c.sqlite", rows) as opened:
        make_clusters(opened, "content", k=3)
        yield opened


def group_of(image_id):
    return WORDS[(image_id - 1) % 3]


def label(catalog, ids, kind="label"):
    statements = [Statement(i, group_of(i), True, kind == "check") for i in ids]
    return catalog.knowledge.annotations.add(kind, {}, statements)


def two_clusters(spreads=(0.5, 0.5)):
    centers = np.eye(2, dtype=np.float32)
    return StoredClustering("two", "content", {}, centers, np.array(spreads))


def test_shares_of_clusters_by_hand():
    rows = np.array([[1.0, 0.0]], np.float32)
    # Squared distances 0 and 2; 2 s² v = 0.5 · 0.5 · 2 · ... = 0.25 with s² = 0.25, v = 0.5.
    shares = soft_assignment(rows, two_clusters(), 0.5)
    np.testing.assert_allclose(shares, [[1 / (1 + np.exp(-8)), 1 / (1 + np.exp(8))]])
    wider = soft_assignment(rows, two_clusters((0.5, 5.0)), 0.5)
    assert wider[0, 1] == pytest.approx(1 / (1 + np.exp(2 / 2.5)))


def test_words_of_clusters_by_hand():
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    holds = np.array([[True, False], [True, True], [False, True]])
    table = words_of_clusters(shares, holds, 0.1)
    # n_c: 2.5 and 0.5; three words: two and none of them.
    np.testing.assert_allclose(table, [[2.1 / 2.8, 1.6 / 2.8], [0.1 / 0.8, 0.6 / 0.8]])


def test_leaving_out_is_what_learning_without_the_picture_gives(rng):
    shares = rng.dirichlet(np.ones(4), 12)
    holds = rng.random((12, 3)) < 0.4
    fast = left_out(shares, holds, 0.1, np.arange(12)[::-1].copy())[::-1]
    for row in range(12):
        others = np.arange(12) != row
        slow = shares[row] @ words_of_clusters(shares[others], holds[others], 0.1)
        np.testing.assert_allclose(fast[row], slow)


def test_a_few_labels_reach_the_others_of_their_clusters(catalog):
    label(catalog, range(1, 31))
    learned = propagate(catalog, "content")
    assert learned.words == ("cat", "cow", "dog")
    find = catalog.knowledge.annotations.find
    for word in WORDS:
        hits = find(word, 90, 0.5)
        assert {group_of(image_id) for image_id, _, _ in hits} == {word}
        assert len(hits) == 30
        assert [by for _, _, by in hits].count("person") == 10
    assert learned.measured is not None
    assert learned.measured.error < 0.1
    assert learned.calibrated_on == {"pictures": 30, "kind": "labeled"}


def test_checked_pictures_alone_calibrate_when_there_are_enough(catalog):
    label(catalog, range(1, 13))
    label(catalog, range(40, 60), kind="check")
    learned = propagate(catalog, "content")
    assert learned.calibrated_on == {"pictures": 20, "kind": "checked"}


def test_too_few_labels_are_not_calibrated(catalog):
    label(catalog, [1, 2, 3])
    learned = propagate(catalog, "content")
    assert learned.measured is None
    assert learned.calibration == Sigmoid(1.0, 0.0)
    assert learned.to_json()["expected_calibration_error"] is None


def test_undoing_brings_back_what_was_propagated_before(catalog):
    find = catalog.knowledge.annotations.find
    label(catalog, range(1, 31))
    propagate(catalog, "content")
    first = find("cat", 90, 0.05)
    label(catalog, [31, 34])
    wrong = [Statement(i, "cat", True) for i in (32, 35, 38)]
    catalog.knowledge.annotations.add("label", {}, wrong)
    propagate(catalog, "content")
    assert find("cat", 90, 0.05) != first
    assert undo(catalog)["kind"] == "propagate"
    undo(catalog)
    undo(catalog)
    assert find("cat", 90, 0.05) == first
    assert undo(catalog)["kind"] == "propagate"
    assert {by for _, _, by in find("cat", 90, 0.05)} == {"person"}


def test_undoing_does_without_clusters_that_are_gone(catalog):
    label(catalog, range(1, 31))
    propagate(catalog, "content")
    make_clusters(catalog, "other", k=2)
    propagate(catalog, "other")
    catalog.knowledge.clusterings.delete("content")
    assert undo(catalog)["detail"]["clustering"] == "other"
    assert {by for _, _, by in catalog.knowledge.annotations.find("cat", 90, 0.05)} == {"person"}


def test_the_next_cluster_is_large_and_unknown(tmp_path):
    rows, groups = planted(90, noise=0.05)
    keep = np.flatnonzero((groups != 2) | (np.arange(90) < 12))  # the last group is small
    with stock(tmp_path / "c.sqlite", rows[keep]) as catalog:
        make_clusters(catalog, "content", k=3)
        of_image = catalog.knowledge.clusterings.members("content").clusters
        first, second, third = next_clusters(catalog, "content", 3, n_exemplars=4)
        assert third.cluster == of_image[2]
        assert len(first.exemplars) == 4
        assert first.words == ()
        shown = next_exemplars(catalog, "content", first.cluster, 4)
        assert tuple(shown.tolist()) == first.exemplars
        said = [Statement(int(i), "cat", True) for i in shown]
        catalog.knowledge.annotations.add("label", {}, said)
        now = {each.cluster: each for each in next_clusters(catalog, "content", 3, n_exemplars=4)}
        assert next(iter(now)) == second.cluster
        known = now[first.cluster]
        assert (known.n_labeled, known.words[0][0]) == (4, "cat")
        assert known.entropy < now[second.cluster].entropy
        assert not set(known.exemplars) & set(first.exemplars)


def test_pictures_to_check_are_drawn_among_those_not_labeled(catalog):
    label(catalog, range(1, 81))
    drawn = check_pictures(catalog, 50, seed=0)
    assert sorted(drawn.tolist()) == list(range(81, 91))


def test_nothing_said_and_no_sense_are_refused(catalog):
    with pytest.raises(UsageError, match="no picture has been labeled yet"):
        propagate(catalog, "content")
    label(catalog, [1])
    with pytest.raises(UsageError, match="no clustering 'other'"):
        propagate(catalog, "other")
    with pytest.raises(UsageError, match="alpha must be a number above 0"):
        propagate(catalog, "content", alpha=0.0)
    assert len(catalog.knowledge.annotations.history()) == 1


def test_calibration_error_by_hand():
    probabilities = np.array([[0.12, 0.18, 0.95, 0.01]])
    truth = np.array([[True, False, True, True]])
    measured = reliability(probabilities, truth)
    # Two near 0.15 of which half are true, one of 0.95 that is; the one below 0.05 is left out.
    assert measured.error == pytest.approx((2 * abs(0.15 - 0.5) + 0.05) / 3)
    assert measured.counts.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_sigmoid_puts_wrong_probabilities_right(rng):
    true = rng.random((4000, 1))
    truth = rng.random((4000, 1)) < true
    bold = Sigmoid(3.0, 1.0)(true)
    mended = cross_fitted(bold, truth)
    assert reliability(bold, truth).error > 0.15
    assert reliability(mended, truth).error < 0.04
    fitted = fit_sigmoid(bold, truth)
    assert fitted.slope == pytest.approx(1 / 3, abs=0.04)
    assert log_loss(mended, truth) < log_loss(bold, truth)
    order = np.argsort(bold, axis=0)
    assert (np.diff(np.take_along_axis(fitted(bold), order, axis=0), axis=0) >= 0).all()


def test_a_few_labels_never_make_anything_certain():
    probabilities = np.array([[0.9], [0.8], [0.1], [0.2]])
    fitted = fit_sigmoid(probabilities, probabilities > 0.5)
    assert fitted(probabilities).max() == pytest.approx(3 / 4, abs=0.05)
    assert fitted(probabilities).min() == pytest.approx(1 / 4, abs=0.05)


def test_one_kind_of_truth_teaches_nothing():
    assert fit_sigmoid(np.array([[0.2, 0.4]]), np.array([[True, True]])) == Sigmoid(1.0, 0.0)


def test_soft_labels_follow_the_nearer_cluster(catalog):
    label(catalog, range(1, 31))
    evidence = gather_evidence(catalog.knowledge.annotations.statements())
    rows = catalog.vectors(evidence.ids, "content")
    clustering = catalog.knowledge.clusterings.open("content")
    learned = learn_propagation(rows, evidence, clustering)
    between = (clustering.centers[0] + clustering.centers[1]) / np.sqrt(2)
    table = learned.probabilities(np.stack([clustering.centers[0], between]).astype(np.float32))
    assert table[0].max() > table[1].max()
