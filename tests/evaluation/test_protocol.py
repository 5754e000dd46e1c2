import json

import numpy as np
import pytest

from lookalike.arrays import NO_ID, Ids
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation import protocol
from lookalike.evaluation.measurements import compare
from lookalike.evaluation.protocol import RandomOrder, System, draw_queries, evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.truth import GroundTruth
from lookalike.index.base import Hits
from tests import oracles
from tests.evaluation.truths import random_truth
from tests.rankers import ExactRanking


def label_ranking(truth: GroundTruth, noise: float, seed: int = 0) -> ExactRanking:
    """A system that knows the labels, more or less."""
    rng = np.random.default_rng(seed)
    embeddings = truth.relevant_labels + noise * rng.normal(size=truth.relevant_labels.shape)
    return ExactRanking(truth.ids, embeddings.astype(np.float32))


def slow_measures(system: System, truth: GroundTruth, query: int, k: int) -> dict[str, float]:
    """Measures of one query, from sets and loops."""
    sets = [frozenset(np.flatnonzero(row).tolist()) for row in truth.labels]
    relevant_sets = [labels & truth.relevant_classes for labels in sets]
    asked_for = len(truth) + truth.n_unknown - 1
    ranked = system.rank(truth.ids[[query]], asked_for).ids[0].tolist()
    rows = [truth.ids.tolist().index(i) for i in ranked if i in truth.ids.tolist()]
    gallery = [
        len(relevant_sets[query] & other) for row, other in enumerate(relevant_sets) if row != query
    ]
    grades = [len(relevant_sets[query] & relevant_sets[row]) for row in rows]
    relevant, n = [grade > 0 for grade in grades], sum(grade > 0 for grade in gallery)
    assert truth.label_maps is not None
    maps = truth.label_maps.tolist()
    overlaps = np.array([oracles.layout_miou(maps[query], maps[row]) for row in rows[:k]])
    return {
        "mean_average_precision": oracles.average_precision(relevant, n, len(relevant), "all"),
        "precision_at_k": oracles.precision(relevant, k),
        "recall_at_k": oracles.recall(relevant, n, k),
        "f_at_k": oracles.f(relevant, n, k),
        "hit_rate_at_k": oracles.hit_rate(relevant, n, k),
        "mean_average_precision_at_k": oracles.average_precision(relevant, n, k, "min(k, all)"),
        "mean_average_precision_over_hits_at_k": oracles.average_precision(relevant, n, k, "hits"),
        "ndcg_at_k": oracles.ndcg(grades, gallery, k, float),
        "ndcg_exponential_at_k": oracles.ndcg(grades, gallery, k, lambda g: 2.0**g - 1),
        "r_precision": oracles.recall(relevant, n, n),
        "map_at_r": oracles.average_precision(relevant, n, n, "all"),
        "mean_reciprocal_rank": oracles.reciprocal_rank(relevant, n),
        "layout_miou_at_k": float(np.mean(overlaps[~np.isnan(overlaps)])),
        "label_jaccard_at_k": np.mean(
            [len(sets[query] & sets[row]) / len(sets[query] | sets[row]) for row in rows[:k]]
        ).item(),
    }


class WithJunk:
    """Ranks as another system does, with images the data set does not know in between."""

    def __init__(self, system: System, junk: Ids) -> None:
        self.system, self.junk = system, junk

    def rank(self, query_ids: Ids, k: int) -> Hits:
        known = self.system.rank(query_ids, k)
        ids = np.hstack([known.ids, np.tile(self.junk, (len(query_ids), 1))])
        between = np.tile(np.linspace(0.9, 0.1, len(self.junk)), (len(query_ids), 1))
        scores = np.hstack([known.scores, between])
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return Hits(np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1))


@pytest.mark.parametrize("chunk_cells", [1, 1 << 22])
def test_every_measure_agrees_with_a_loop(chunk_cells: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(protocol, "_CHUNK_CELLS", chunk_cells)
    for seed in range(3):
        truth = random_truth(seed)
        system = label_ranking(truth, noise=0.8)
        evaluation = evaluate(system, truth, at=(3, 7))
        for position, query_id in enumerate(evaluation.query_ids):
            query = truth.ids.tolist().index(query_id)
            for k in (3, 7):
                for name, expected in slow_measures(system, truth, query, k).items():
                    measure = Measure(name, k if name.endswith("_at_k") else None)
                    assert evaluation.values[measure][position] == pytest.approx(expected), name


def test_a_system_that_knows_the_labels_is_perfect():
    truth = random_truth(4, n_classes=3, density=0.5)
    single = np.eye(3, dtype=bool)[np.arange(30) % 3]
    truth = GroundTruth(
        truth.ids,
        single,
        None,
        truth.classes,
        frozenset({0, 1, 2}),
        truth.palette,
        truth.names,
    )
    evaluation = evaluate(label_ranking(truth, noise=0), truth, at=(2, 5))
    for measure, estimate in evaluation.estimates.items():
        if measure.name not in ("recall_at_k", "f_at_k"):
            assert (estimate.mean, estimate.low, estimate.high) == (1, 1, 1), measure
    assert (evaluation.curve == 1).all()


def test_junk_is_taken_out_of_the_ranking_and_counted():
    truth = random_truth(5, n_unknown=4)
    system = label_ranking(truth, noise=0.5)
    junk = np.arange(1001, 1005)
    with_junk = evaluate(WithJunk(system, junk), truth)
    without = evaluate(system, truth)
    assert (with_junk.n_junk, without.n_junk) == (4, 0)
    for measure, values in without.values.items():
        np.testing.assert_array_equal(with_junk.values[measure], values)
    np.testing.assert_array_equal(with_junk.hits.ids, without.hits.ids)


def test_a_query_in_its_own_ranking_is_not_counted():
    truth = random_truth(6)

    class WithItself:
        def rank(self, query_ids: Ids, k: int) -> Hits:
            own = label_ranking(truth, noise=0.5).rank(query_ids, k)
            ids = np.hstack([query_ids[:, None], own.ids])
            return Hits(ids, np.hstack([np.full((len(ids), 1), 2.0), own.scores]))

    expected = evaluate(label_ranking(truth, noise=0.5), truth)
    actual = evaluate(WithItself(), truth)
    for measure, values in expected.values.items():
        np.testing.assert_array_equal(actual.values[measure], values)


def test_ranks_that_a_system_leaves_out_count_as_not_found():
    truth = random_truth(7)

    class OneHit:
        def rank(self, query_ids: Ids, k: int) -> Hits:
            hits = label_ranking(truth, noise=0).rank(query_ids, 1)
            padding = np.full((len(query_ids), 2), NO_ID)
            return Hits(
                np.hstack([hits.ids, padding]),
                np.hstack([hits.scores, np.full(padding.shape, -np.inf)]),
            )

    evaluation = evaluate(OneHit(), truth, at=(10,))
    assert evaluation.values[Measure("precision_at_k", 10)].max() == 0.1
    assert evaluation.estimates[Measure("layout_miou_at_k", 10)].mean <= 0.1
    assert evaluation.values[Measure("label_jaccard_at_k", 10)].max() <= 0.1
    assert evaluation.estimates[Measure("hit_rate_at_k", 10)].mean == 1


def test_k_beyond_the_gallery_is_allowed():
    truth = random_truth(8, n=6, density=0.6)
    evaluation = evaluate(label_ranking(truth, noise=0.5), truth, at=(50,))
    assert evaluation.estimates[Measure("recall_at_k", 50)].mean == 1
    assert evaluation.estimates[Measure("precision_at_k", 50)].mean <= 5 / 50
    assert evaluation.hits.ids.shape == (len(evaluation.query_ids), 5)


def test_random_order_scores_the_share_of_relevant_pictures():
    truth = random_truth(9, n=120)
    evaluation = evaluate(label_ranking(truth, noise=0.5), truth)
    prevalence = np.mean(evaluation.n_relevant / (len(truth) - 1))
    assert evaluation.random[Measure("precision_at_k", 10)] == pytest.approx(prevalence, abs=0.03)
    assert evaluation.random[Measure("recall_at_k", 10)] == pytest.approx(10 / 119, abs=0.01)
    own = evaluate(RandomOrder(truth.ids), truth)
    assert (
        own.estimates[Measure("precision_at_k", 10)].mean
        == evaluation.random[Measure("precision_at_k", 10)]
    )


def test_random_order_ranks_each_other_picture_once():
    order = RandomOrder(np.array([3, 5, 8]), seed=1)
    hits = order.rank(np.array([5, 3]), 10)
    assert [sorted(row) for row in hits.ids.tolist()] == [[NO_ID, 3, 8], [NO_ID, 5, 8]]
    np.testing.assert_array_equal(hits.ids[1:], order.rank(np.array([3]), 10).ids)


def test_queries_are_drawn_once_each_among_pictures_with_a_relevant_other():
    truth = random_truth(10, n=60, density=0.1)
    drawn = draw_queries(truth, 10, seed=3)
    assert len(set(drawn.tolist())) == 10
    assert truth.has_relevant[drawn].all()
    np.testing.assert_array_equal(drawn, draw_queries(truth, 10, seed=3))
    assert drawn.tolist() != draw_queries(truth, 10, seed=4).tolist()
    possible = np.flatnonzero(truth.has_relevant)
    np.testing.assert_array_equal(draw_queries(truth, None, seed=0), possible)
    np.testing.assert_array_equal(draw_queries(truth, 1000, seed=0), possible)
    evaluation = evaluate(label_ranking(truth, noise=0), truth)
    assert evaluation.n_without_relevant == 60 - len(possible)


def test_the_json_has_every_promised_key_and_only_finite_numbers():
    truth = random_truth(11, density=0.2)
    clusters = np.arange(len(truth)) % 4
    evaluation = evaluate(label_ranking(truth, 0.5), truth, at=(2, 5), clusters=clusters)
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    found = json.loads(text)
    for key in ("precision_at_k", "recall_at_k", "f_at_k", "layout_miou_at_k"):
        assert list(found[key]) == ["2", "5"]
        assert list(found["intervals"][key]) == ["2", "5"]
        low, high = found["intervals"][key]["5"]
        assert low <= found[key]["5"] <= high
    assert found["n_queries"] == len(evaluation.query_ids)
    assert found["n_gallery"] == 30
    assert 0 < found["mean_average_precision"] < 1
    keys = {"precision", "recall", "f", "k", "baseline_one_cluster_f", "baseline_random_f"}
    assert keys <= set(found["clustering"])
    assert found["clustering"]["k"] == 4


def test_undefined_measures_become_null():
    truth = random_truth(12)
    blank = GroundTruth(
        truth.ids,
        truth.labels,
        np.zeros((30, 4, 4), np.uint8),
        truth.classes,
        truth.relevant_classes,
        truth.palette,
        truth.names,
    )
    found = evaluate(label_ranking(truth, 0.5), blank, at=(2,)).to_json()
    assert found["layout_miou_at_k"] == {"2": None}
    assert found["clustering"] is None


def test_a_set_without_label_maps_has_no_layout_measure():
    truth = random_truth(13, with_maps=False)
    found = evaluate(label_ranking(truth, 0.5), truth).to_json()
    assert "layout_miou_at_k" not in found


def test_a_better_system_is_told_from_a_worse_one():
    truth = random_truth(14, n=80)
    better = evaluate(label_ranking(truth, 0.3), truth)
    worse = evaluate(label_ranking(truth, 2.0), truth)
    comparison = compare(better, worse)
    paired = comparison.differences[Measure("mean_average_precision")]
    assert paired.p_value < 0.001
    assert paired.difference.low > 0
    assert comparison.adjusted[Measure("mean_average_precision")] >= paired.p_value
    found = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert found["precision_at_k"]["10"]["difference"] > 0
    assert found["precision_at_k"]["2"]["holm_p_value"] is None


def test_a_system_does_not_differ_from_itself():
    truth = random_truth(15)
    evaluation = evaluate(label_ranking(truth, 0.5), truth)
    comparison = compare(evaluation, evaluation)
    assert {paired.p_value for paired in comparison.differences.values()} == {1.0}


def test_evaluations_on_different_queries_cannot_be_compared():
    truth = random_truth(16)
    system = label_ranking(truth, 0.5)
    first, second = (evaluate(system, truth, n_queries=5, seed=seed) for seed in (0, 1))
    with pytest.raises(UsageError, match="give both the same ground truth"):
        compare(first, second)


def test_wrong_use_is_refused():
    truth = random_truth(17)
    system = label_ranking(truth, 0.5)
    with pytest.raises(UsageError, match="n_queries is 0"):
        evaluate(system, truth, n_queries=0)
    with pytest.raises(UsageError, match=r"at is \[0, 5\]"):
        evaluate(system, truth, at=[0, 5])
    with pytest.raises(UsageError, match="clusters are given for 3 pictures"):
        evaluate(system, truth, clusters=np.zeros(3, np.int64))
    lonely = random_truth(18, density=0.0)
    with pytest.raises(DatasetError, match="no two of the 30 pictures"):
        evaluate(label_ranking(lonely, 0.5), lonely)
