"""An index that compares in a way of its own, against the plainest loop."""

import numpy as np
import pytest

from lookalike.arrays import NO_ID, normalize
from lookalike.errors import MismatchError, UsageError
from lookalike.index.base import VectorIndex
from lookalike.index.compared import ComparedIndex
from lookalike.index.exact import exact_index

IDS = np.array([2, 3, 7, 11, 12, 20], np.int64)


def by_largest_difference(queries, rows):
    apart = np.abs(queries[:, None] - rows).max(axis=2)
    return (1 - apart).astype(np.float32)


@pytest.fixture
def index(rng):
    rows = normalize(rng.standard_normal((len(IDS), 5)))
    return ComparedIndex(exact_index(IDS, rows), by_largest_difference)


def slow(index, query, ids):
    scores = {int(i): 1 - np.abs(query - index.vectors(np.array([i]))[0]).max() for i in ids}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def test_it_finds_what_a_loop_finds_with_and_without_a_filter(index, rng):
    assert isinstance(index, VectorIndex)
    queries = normalize(rng.standard_normal((3, 5)))
    for allowed in (None, np.array([3, 5, 12, 20], np.int64)):
        hits = index.search(queries, 4, allowed=allowed)
        kept = IDS if allowed is None else np.intersect1d(IDS, allowed)
        for row, query in enumerate(queries):
            expected = slow(index, query, kept)[:4]
            found = hits.ids[row][hits.ids[row] != NO_ID]
            assert found.tolist() == [i for i, _ in expected]
            np.testing.assert_allclose(
                hits.scores[row, : len(found)], [s for _, s in expected], rtol=1e-5
            )
    assert hits.ids.shape == (3, 4)
    assert (hits.ids[:, 3] == NO_ID).all()


def test_similarities_follow_the_ids_asked_for(index, rng):
    queries = normalize(rng.standard_normal((2, 5)))
    found = index.similarities(queries, np.array([20, 4, 2]))
    assert np.isnan(found[:, 1]).all()
    whole = index.similarities(queries)
    np.testing.assert_array_equal(found[:, [0, 2]], whole[:, [5, 0]])


def test_what_cannot_be_asked_is_refused(index):
    with pytest.raises(MismatchError, match="5-dimensional"):
        index.search(np.zeros((1, 4), np.float32), 1)
    with pytest.raises(UsageError, match="must be 1 or more"):
        index.search(np.zeros((1, 5), np.float32), 0)
    with pytest.raises(UsageError, match="clusters"):
        index.search(np.zeros((1, 5), np.float32), 1, order="list")


@pytest.mark.parametrize(
    "compare", [lambda q, r: np.zeros(3), lambda q, r: np.full((len(q), len(r)), np.nan)]
)
def test_a_function_that_gives_nonsense_is_told(compare):
    index = ComparedIndex(exact_index(IDS, np.eye(6, 5, dtype=np.float32)), compare)
    with pytest.raises(UsageError, match="a descriptor's similarity gave"):
        index.search(np.zeros((1, 5), np.float32), 1)
