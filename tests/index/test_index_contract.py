"""What every kind of index promises, each kind through the same tests."""

import numpy as np
import pytest

from lookalike.arrays import NO_ID, Embeddings, Ids, normalize
from lookalike.errors import MismatchError, UsageError
from lookalike.index.base import Hits, VectorIndex
from lookalike.index.fast_scan import FEW_PASS, FastScanIndex
from lookalike.index.tail import TailedIndex
from tests.index.galleries import KINDS, built, clustered, spaced_ids
from tests.oracles_search import flat_search

SMALL, LARGE, DIM = 400, 10_400, 16
ALL = (*KINDS, "tailed")


@pytest.fixture(scope="module")
def small() -> dict[str, VectorIndex]:
    """Every kind over the same 400 embeddings; one with the last 30 in its tail."""
    rows = clustered(SMALL + 20, DIM)[:SMALL]
    ids = spaced_ids(SMALL)
    base = built("clusters", rows[:-30], members=200)
    tailed = TailedIndex(base, ids[-30:], rows[-30:], np.empty(0, np.int64))
    return {**{kind: built(kind, rows) for kind in KINDS}, "tailed": tailed}


@pytest.fixture(scope="module")
def large() -> dict[str, VectorIndex]:
    """So many that a filter which lets half of them pass is not searched exactly."""
    rows = clustered(LARGE + 200, DIM, seed=1)[:LARGE]
    ids = spaced_ids(LARGE)
    base = built("clusters", rows[:-100], members=2000)
    tailed = TailedIndex(base, ids[-100:], rows[-100:], ids[:5])
    return {**{kind: built(kind, rows) for kind in KINDS}, "tailed": tailed}


def new_queries(n: int = 20) -> Embeddings:
    """Embeddings like those of the small gallery, and not among them."""
    return clustered(SMALL + 20, DIM)[SMALL:][:n]


def gallery(index: VectorIndex) -> dict[int, list[float]]:
    ids = index.ids
    return dict(zip(ids.tolist(), index.vectors(ids).tolist(), strict=True))


def recall(hits: Hits, truth: Hits) -> float:
    pairs = zip(hits.ids, truth.ids, strict=True)
    return float(np.mean([np.isin(wanted, found).mean() for found, wanted in pairs]))


@pytest.mark.parametrize("kind", ALL)
def test_finds_what_a_loop_over_all_images_finds(small: dict[str, VectorIndex], kind: str) -> None:
    index, queries = small[kind], new_queries()
    hits = index.search(queries, 10)
    found = 0
    for row, query in enumerate(queries):
        expected = dict(flat_search(gallery(index), query.tolist(), 10))
        for image, score in zip(hits.ids[row].tolist(), hits.scores[row].tolist(), strict=True):
            if image in expected:
                found += 1
                assert score == pytest.approx(expected[image], abs=1e-6)
    assert found >= (200 if index.is_exact else 190)
    assert hits.is_exact == (kind == "exact")


@pytest.mark.parametrize("kind", ALL)
def test_reaches_the_recall_it_was_tuned_to_with_a_filter_too(
    large: dict[str, VectorIndex], kind: str, rng: np.random.Generator
) -> None:
    index, queries = large[kind], clustered(LARGE + 200, DIM, seed=1)[LARGE:]
    half = np.sort(rng.choice(index.ids, len(index.ids) // 2, replace=False))
    assert len(half) > FEW_PASS
    for allowed in (None, half):
        truth = large["exact"].search(
            queries, 10, allowed=index.ids if allowed is None else allowed
        )
        hits = index.search(queries, 10, allowed=allowed)
        assert recall(hits, truth) >= 0.96
        assert np.isin(hits.ids, index.ids if allowed is None else allowed).all()


@pytest.mark.parametrize("kind", ALL)
def test_scores_are_the_same_to_the_last_bit_in_every_kind(
    small: dict[str, VectorIndex], kind: str
) -> None:
    queries = new_queries()
    exact = small["exact"].search(queries, SMALL)
    hits = small[kind].search(queries, 30)
    for row in range(len(queries)):
        known = dict(zip(exact.ids[row].tolist(), exact.scores[row].tolist(), strict=True))
        assert [known[i] for i in hits.ids[row].tolist()] == hits.scores[row].tolist()
        at = small[kind].similarities(queries[[row]], hits.ids[row])
        assert at[0].tolist() == hits.scores[row].tolist()


@pytest.mark.parametrize("kind", ALL)
def test_one_query_is_a_batch_of_one(large: dict[str, VectorIndex], kind: str) -> None:
    queries = clustered(LARGE + 200, DIM, seed=1)[LARGE:][:20]
    batch = large[kind].search(queries, 10)
    for row in range(len(queries)):
        one = large[kind].search(queries[row : row + 1], 10)
        assert one.ids[0].tolist() == batch.ids[row].tolist()
        assert one.scores[0].tolist() == batch.scores[row].tolist()


@pytest.mark.parametrize("kind", ALL)
def test_a_stored_image_finds_itself_first(small: dict[str, VectorIndex], kind: str) -> None:
    ids = small[kind].ids[::20]
    hits = small[kind].search(small[kind].vectors(ids), 3)
    assert hits.ids[:, 0].tolist() == ids.tolist()
    np.testing.assert_allclose(hits.scores[:, 0], 1, atol=1e-6)


@pytest.mark.parametrize("kind", ALL)
def test_k_beyond_the_gallery_gives_all_of_it(small: dict[str, VectorIndex], kind: str) -> None:
    hits = small[kind].search(new_queries(2), SMALL + 5)
    assert hits.ids.shape == (2, SMALL)
    assert sorted(hits.ids[0].tolist()) == sorted(small[kind].ids.tolist())


@pytest.mark.parametrize("kind", ALL)
def test_a_narrow_filter_is_searched_exactly(small: dict[str, VectorIndex], kind: str) -> None:
    index, queries = small[kind], new_queries(5)
    allowed = np.array([7, 10, 100, 401, 1000, 1204, 99_999])
    hits = index.search(queries, 6, allowed=allowed)
    rows = {image: row for image, row in gallery(index).items() if image in allowed.tolist()}
    assert len(rows) == 5
    assert hits.ids[:, 5].tolist() == [NO_ID] * 5
    assert hits.scores[:, 5].tolist() == [-np.inf] * 5
    for row, query in enumerate(queries):
        expected = [image for image, _ in flat_search(rows, query.tolist(), 5)]
        assert hits.ids[row, :5].tolist() == expected


@pytest.mark.parametrize("kind", ALL)
def test_a_filter_that_nothing_passes_gives_padding(
    small: dict[str, VectorIndex], kind: str
) -> None:
    for allowed in (np.empty(0, np.int64), np.array([8, 9])):
        hits = small[kind].search(new_queries(2), 4, allowed=allowed)
        assert (hits.ids == NO_ID).all()
        assert (hits.scores == -np.inf).all()


@pytest.mark.parametrize("kind", KINDS)
def test_equal_scores_are_ordered_by_id(kind: str) -> None:
    rows = np.repeat(clustered(40, 8), 5, axis=0)
    hits = built(kind, rows).search(rows[::5][:10], 5)
    ids = spaced_ids(200).reshape(40, 5)[:10]
    assert hits.ids.tolist() == ids.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_deleted_images_are_not_found(kind: str) -> None:
    rows = clustered(300, 16)
    index = built(kind, rows)
    gone = index.search(rows[:10], 3).ids.ravel()
    unknown = np.array([0, 10**9])
    rest = index.without(np.concatenate([gone, unknown])).without(index.ids[-1:])
    hits = rest.search(rows[:10], 300)
    assert not np.isin(gone, rest.ids).any()
    assert index.ids[-1] not in rest.ids
    assert sorted(hits.ids[0][hits.ids[0] != NO_ID].tolist()) == rest.ids.tolist()
    allowed = np.sort(np.concatenate([gone, rest.ids[:4]]))
    found = rest.search(rows[:1], 9, allowed=np.unique(allowed)).ids[0]
    assert sorted(found[found != NO_ID].tolist()) == rest.ids[:4].tolist()
    with pytest.raises(UsageError, match=f"no image with id {gone[0]}"):
        rest.vectors(gone[:1])
    assert np.isnan(rest.similarities(rows[:2], gone)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "dim"), [(1, 4), (2, 1), (5, 3), (50, 7), (60, 130)])
def test_tiny_collections_are_searched_whole(kind: str, n: int, dim: int) -> None:
    rows = clustered(n, dim, seed=4)
    index = built(kind, rows)
    hits = index.search(rows, n)
    expected = built("exact", rows).search(rows, n)
    assert hits.ids.tolist() == expected.ids.tolist()
    assert hits.scores.tolist() == expected.scores.tolist()


def test_a_scan_fetches_as_many_more_as_the_filter_takes_away() -> None:
    index = built("pq", clustered(12_000, 16))
    assert isinstance(index, FastScanIndex)
    plain = index._candidates(10, 12_000)
    assert plain == 10 * index.facts.refine
    assert index._candidates(10, 6_000) == 3 * plain
    assert index._candidates(10, 5_000) == index._candidates(5_000, 12_000) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_collection_gives_no_hits(kind: str) -> None:
    index = built(kind, np.empty((0, 6), np.float32))
    hits = index.search(np.ones((3, 6), np.float32), 5)
    assert hits.ids.shape == (3, 0)
    assert index.ids.shape == (0,)
    assert index.similarities(np.ones((3, 6), np.float32)).shape == (3, 0)
    assert index.search(np.ones((0, 6), np.float32), 5).ids.shape == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_embeddings_and_zeros_are_no_trouble(kind: str) -> None:
    same = built(kind, np.ones((1000, 8), np.float32), members=200)
    assert same.search(same.vectors(same.ids[:1]), 4).ids.tolist() == [same.ids[:4].tolist()]
    zeros = built(kind, np.zeros((1000, 8), np.float32), members=200)
    assert zeros.search(np.zeros((1, 8), np.float32), 3).scores.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("kind", ALL)
def test_gives_back_its_embeddings(small: dict[str, VectorIndex], kind: str) -> None:
    ids: Ids = np.array([1204, 7, 37, 7])
    rows = clustered(SMALL + 20, DIM)
    np.testing.assert_array_equal(small[kind].vectors(ids), normalize(rows[[399, 0, 10, 0]]))
    with pytest.raises(UsageError, match="no image with id 8 "):
        small[kind].vectors(np.array([7, 8]))


@pytest.mark.parametrize("kind", ALL)
def test_similarities_follow_the_ids(small: dict[str, VectorIndex], kind: str) -> None:
    index, queries = small[kind], new_queries(3)
    everything = index.similarities(queries)
    assert everything.shape == (3, SMALL)
    some = index.similarities(queries, np.array([index.ids[5], 8, index.ids[2]]))
    assert np.isnan(some[:, 1]).all()
    np.testing.assert_array_equal(some[:, [0, 2]], everything[:, [5, 2]])


@pytest.mark.parametrize("kind", ALL)
def test_refuses_what_cannot_be_searched(small: dict[str, VectorIndex], kind: str) -> None:
    queries = new_queries(1)
    with pytest.raises(UsageError, match="must be 1 or more, not 0"):
        small[kind].search(queries, 0)
    with pytest.raises(MismatchError, match="holds 16-dimensional embeddings, the query has 8"):
        small[kind].search(queries[:, :8], 3)
    with pytest.raises(UsageError, match="not finite"):
        small[kind].search(queries * np.float32("nan"), 3)


@pytest.mark.parametrize("kind", ["exact", "pq", "hamming"])
def test_only_clusters_have_a_list_order(small: dict[str, VectorIndex], kind: str) -> None:
    with pytest.raises(UsageError, match=f"kind '{kind}' has none; build the index with the kind"):
        small[kind].search(new_queries(1), 3, order="list")
