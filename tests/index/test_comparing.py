"""The comparison of kinds of index: what it measures is what it says."""

from itertools import pairwise

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.index import comparing
from lookalike.index.comparing import compare_kinds, contenders, measure_decay
from tests.index.galleries import clustered

N, DIM = 300, 12
ASKED = 12


@pytest.fixture(scope="module")
def compared():
    rows = clustered(N + ASKED, DIM)
    return compare_kinds(rows[ASKED:], rows[:ASKED], runs=1)


def test_every_kind_is_measured_at_several_efforts(compared):
    kinds = {point.kind for point in compared.points}
    assert kinds == {
        *("exact", "KD-tree", "KD-tree, best bin first", "k-means tree", "LSH, hyperplanes"),
        *("LSH, 2-stable", "PQ", "IVF", "HNSW"),
    }
    assert (compared.n, compared.dim, compared.n_queries, compared.runs) == (N, DIM, ASKED, 1)
    for point in compared.points:
        assert 0 <= point.recall <= 1
        assert 0 < point.median_ms <= point.p99_ms
        assert point.n_bytes >= 4 * DIM * N
        assert point.recall == 1 or not point.is_exact
        assert point.compared <= N


def test_what_is_best_is_dominated_by_nothing(compared):
    best = [point for point in compared.points if point.is_best]
    assert best
    for point in compared.points:
        beaten = [
            other
            for other in compared.points
            if other.recall >= point.recall
            and other.median_ms <= point.median_ms
            and (other.recall > point.recall or other.median_ms < point.median_ms)
        ]
        assert point.is_best == (not beaten)


def test_an_exact_tree_compares_more_the_more_dimensions_there_are():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1_500, 32)).astype(np.float32)
    points = measure_decay(rows[10:], rows[:10], runs=1)
    assert [point.dim for point in points] == [4, 8, 16, 32]
    shares = [point.compared for point in points]
    assert shares == sorted(shares)
    assert shares[0] < 0.5
    assert shares[-1] > 0.9
    assert points[-1].variance == pytest.approx(1)
    assert all(a.variance < b.variance for a, b in pairwise(points))


def test_components_that_hold_most_come_first():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((400, 8)) * np.array([9, 1, 1, 1, 1, 1, 1, 9])
    [point, _] = measure_decay(rows[5:].astype(np.float32), rows[:5].astype(np.float32), 1, (2, 4))
    assert point.variance > 0.95


def test_settings_follow_the_size():
    small = contenders(clustered(200, 6), np.full(3, 0.9, np.float32))
    assert all(contender.efforts for contender in small)
    by_name = {contender.name: contender for contender in small}
    assert max(by_name["IVF"].efforts) <= 200 // 8
    assert 1_000 not in by_name["k-means tree"].efforts


def test_times_are_medians_over_runs(monkeypatch):
    now = iter(np.cumsum([0, 1, 0, 2, 0, 30, 0, 4, 0, 5, 0, 6.0]))
    monkeypatch.setattr(comparing.time, "thread_time", lambda: float(next(now)))
    median, p99 = comparing._times(lambda query: None, np.zeros((2, 3), np.float32), 3)
    assert median == pytest.approx(1000 * np.median([1.5, 17, 5.5]))
    assert p99 > median


@pytest.mark.parametrize(("n", "n_queries", "runs"), [(50, 5, 1), (200, 0, 1), (200, 5, 0)])
def test_what_tells_nothing_is_refused(n, n_queries, runs):
    rows = clustered(n + 5, 6)
    with pytest.raises(UsageError, match="tell nothing of an index"):
        compare_kinds(rows[5:], rows[:n_queries], runs=runs)
