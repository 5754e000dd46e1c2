"""The k-means retrieval of the method, in both readings."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from lookalike.arrays import Embeddings, normalize
from lookalike.index.building import default_clusters
from lookalike.index.clusters import ClusterIndex
from lookalike.index.codes import ClusteredCodes
from lookalike.index.tail import TailedIndex
from tests.index.galleries import built, clustered, spaced_ids


def corners() -> Embeddings:
    """Six images near each of four axes; image `i` of a group leans away by `i` steps."""
    lean = np.arange(6) * 0.02
    rows = np.zeros((24, 4))
    for group in range(4):
        rows[group * 6 : group * 6 + 6, group] = 1
        rows[group * 6 : group * 6 + 6, (group + 1) % 4] = lean
    return normalize(rows)


@pytest.fixture(scope="module")
def four() -> ClusterIndex:
    index = built("clusters", corners(), n_clusters=4, members=6)
    assert isinstance(index, ClusterIndex)
    return index


def test_list_order_takes_the_nearest_cluster_as_it_is_stored_then_the_next(
    four: ClusterIndex,
) -> None:
    query = normalize(np.array([[0.2, 1.0, 0.6, 0.0]]))
    hits = four.search(query, 9, order="list")
    ids = spaced_ids(24)
    # Group 1 is nearest, then group 2; within a group the order of ids, not of similarity.
    assert hits.ids[0].tolist() == ids[[6, 7, 8, 9, 10, 11, 12, 13, 14]].tolist()
    assert hits.probed_clusters is not None
    assert hits.probed_clusters.tolist() == [2]
    assert not hits.is_ranked
    assert not hits.is_exact
    np.testing.assert_array_equal(hits.scores, four.similarities(query, hits.ids[0]))


def test_list_order_stops_as_soon_as_enough_have_been_met(four: ClusterIndex) -> None:
    query = corners()[[6]]
    for k, probed in ((1, 1), (6, 1), (7, 2), (24, 4), (90, 4)):
        hits = four.search(query, k, order="list")
        assert hits.probed_clusters is not None
        assert hits.probed_clusters.tolist() == [probed]
        assert hits.ids.shape == (1, min(k, 24))


def test_list_order_counts_only_what_passes_the_filter(four: ClusterIndex) -> None:
    ids = spaced_ids(24)
    allowed = ids[[0, 11, 12, 23]]
    query = normalize(np.array([[0.2, 1.0, 0.6, 0.0]]))
    hits = four.search(query, 2, allowed=allowed, order="list")
    assert hits.ids.tolist() == [ids[[11, 12]].tolist()]
    masked = four.without(ids[:12]).search(query, 3, order="list")
    assert masked.ids.tolist() == [ids[[12, 13, 14]].tolist()]
    nothing = four.search(query, 2, allowed=np.array([8]), order="list")
    assert nothing.ids.tolist() == [[-1, -1]]


def test_images_in_the_tail_come_last_in_list_order(four: ClusterIndex) -> None:
    newer = np.array([500, 501])
    index = TailedIndex(four, newer, corners()[[6, 18]], spaced_ids(24)[:3])
    hits = index.search(corners()[[6]], 30, order="list")
    assert hits.ids[0, -2:].tolist() == [500, 501]
    assert hits.ids.shape == (1, 23)


def test_ranked_order_ranks_what_the_visited_clusters_hold(four: ClusterIndex) -> None:
    query = normalize(np.array([[0.0, 1.0, 0.05, 0.0]]))
    hits = four.search(query, 2)
    exact = built("exact", corners()).search(query, 2)
    assert hits.ids.tolist() == exact.ids.tolist()
    assert hits.is_ranked


def test_visits_clusters_until_enough_members_pass() -> None:
    rows = clustered(12_000, 16, seed=2)
    index = built("clusters", rows, members=1200, n_clusters=100)
    assert isinstance(index, ClusterIndex)
    sizes = index.cluster_sizes
    plain = index.search(rows[:20], 5)
    half = index.search(rows[:20], 5, allowed=index.ids[::2])
    assert plain.probed_clusters is not None
    assert half.probed_clusters is not None
    assert half.probed_clusters.mean() == pytest.approx(2 * plain.probed_clusters.mean(), rel=0.2)
    assert plain.probed_clusters.mean() == pytest.approx(1200 / sizes.mean(), rel=0.3)


def test_more_hits_take_more_clusters() -> None:
    rows = clustered(6000, 16, seed=2)
    index = built("clusters", rows, members=300, n_clusters=100)
    few, many = (index.search(rows[:20], k).probed_clusters for k in (10, 100))
    assert few is not None
    assert many is not None
    assert (many > few).all()


def test_reach_visits_every_cluster_about_as_near_as_the_nearest(four: ClusterIndex) -> None:
    between = normalize(np.array([[1.0, 1.0, 0.0, 0.0]]))
    narrow = four.with_facts(replace(four.facts, members=1, refine=1, reach=0.0))
    wide = four.with_facts(replace(four.facts, members=1, refine=1, reach=0.3))
    assert narrow.search(between, 1).probed_clusters.tolist() == [1]
    assert wide.search(between, 1).probed_clusters.tolist() == [2]


def test_the_number_of_clusters_follows_the_size() -> None:
    assert [default_clusters(n) for n in (1, 7, 50, 1000, 10_000, 1_000_000)] == [
        1, 1, 6, 125, 400, 4000,
    ]  # fmt: skip
    assert built("clusters", clustered(50, 8)).facts.n_clusters == 6
    assert built("clusters", clustered(50, 8), n_clusters=13).facts.n_clusters == 13
    assert built("clusters", clustered(5, 8), n_clusters=13).facts.n_clusters == 5


def test_the_same_seed_gives_the_same_index() -> None:
    rows = clustered(1200, 16)
    first, second, other = (built("clusters", rows, seed=seed, members=100) for seed in (3, 3, 4))
    assert first.codes == second.codes
    assert first.codes != other.codes


def test_the_nearest_of_many_centers_are_found_by_their_codes() -> None:
    rows = clustered(6000, 16, seed=5)
    codes = ClusteredCodes.train(rows, 1100, seed=0)
    list(codes.add(rows))
    again = ClusteredCodes.from_bytes(np.frombuffer(codes.to_bytes(), np.uint8))
    n_same = 0
    for query in rows[:50]:
        exact, nearness = codes.nearest_clusters(query, 1100)
        assert (np.diff(nearness) <= 0).all()
        assert sorted(exact.tolist()) == list(range(1100))
        few, few_nearness = codes.nearest_clusters(query, 33)
        assert set(few_nearness.tolist()) <= set(nearness.tolist())
        assert again.nearest_clusters(query, 33)[0].tolist() == few.tolist()
        n_same += np.isin(exact[:8], few).sum()
    assert n_same >= 0.97 * 8 * 50


def test_threads_do_not_disturb_each_other() -> None:
    rows = clustered(6000, 16, seed=5)
    index = built("clusters", rows, members=600)
    alone = [index.search(rows[i : i + 1], 5 + i % 3) for i in range(200)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: index.search(rows[i : i + 1], 5 + i % 3), range(200)))
    for one, other in zip(alone, together, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.scores.tolist() == other.scores.tolist()
