"""How recall is measured and effort chosen."""

from dataclasses import replace

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.index.base import TUNED_K
from lookalike.index.clusters import ClusterIndex
from lookalike.index.rows import Rows
from lookalike.index.tuning import _tuned, draw_sample, measure, query_positions
from tests.index.galleries import built, clustered


def test_exact_search_has_recall_one() -> None:
    index = built("exact", clustered(600, 8))
    for n_passing in (None, 60, 5):
        recall = measure(index, draw_sample(index.rows, 0, n_passing))
        assert (recall.mean, recall.lower) == (1, 1)


def test_recall_is_the_share_of_the_true_neighbors() -> None:
    index = built("exact", clustered(600, 8))
    sample = draw_sample(index.rows, 0)
    assert sample.n_true == TUNED_K
    worse = index.without(index.ids[::2])
    found = []
    for image, query in zip(sample.ids, sample.queries, strict=True):
        truth = [i for i in index.search(query[None], 11).ids[0].tolist() if i != image][:10]
        hits = [i for i in worse.search(query[None], 11).ids[0].tolist() if i != image][:10]
        found.append(len(set(truth) & set(hits)) / 10)
    recall = measure(worse, sample)
    assert recall.mean == pytest.approx(np.mean(found))
    assert recall.lower == pytest.approx(np.mean(found) - 1.645 * np.std(found) / np.sqrt(60))


def test_any_image_as_similar_as_a_true_neighbor_counts_as_one() -> None:
    index = built("exact", np.repeat(clustered(20, 8), 30, axis=0))
    # Of 30 equal images 15 are left, which is enough for ten neighbors.
    assert measure(index.without(index.ids[::2]), draw_sample(index.rows, 0)).mean == 1


def test_one_image_alone_has_nothing_to_find() -> None:
    rows = Rows(np.array([4]), normalize(np.ones((1, 3))))
    assert draw_sample(rows, 0).n_true == 0
    assert measure(built("exact", clustered(1, 3)), draw_sample(rows, 0)).mean == 1


def test_queries_are_a_tenth_at_most_and_never_repeated() -> None:
    for n, expected in ((1, 1), (9, 1), (100, 10), (4000, 400), (10**6, 1000)):
        positions = query_positions(n, 7)
        assert len(set(positions.tolist())) == len(positions) == expected
        assert 0 <= positions.min() <= positions.max() < n


def test_the_cheapest_step_that_reaches_the_target_is_chosen() -> None:
    index = built("clusters", clustered(1500, 8), members=100, recall_target=0.5)
    assert isinstance(index, ClusterIndex)
    sample = draw_sample(index.rows, 0)
    steps = [1, 50, 100, 200, 400, 800, 1500]
    reached = [
        measure(index.with_facts(replace(index.facts, members=step)), sample).lower
        for step in steps
    ]
    for target in (0.0, 0.7, 0.9, 0.99, 2.0):
        expected = next((s for s, r in zip(steps, reached, strict=True) if r >= target), 1500)
        assert _tuned(index, "members", steps, [sample], target).facts.members == expected
    assert len(set(reached)) > 3
