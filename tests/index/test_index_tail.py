"""Newer and deleted images beside an index that was built before."""

import numpy as np
import pytest

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import MismatchError, UsageError
from lookalike.index.exact import ExactIndex, exact_index
from lookalike.index.tail import TailedIndex
from tests.index.galleries import KINDS, built, clustered, spaced_ids

ROWS, IDS = 2.5 * clustered(330, 12), spaced_ids(330)
NONE: Ids = np.empty(0, np.int64)


def rebuilt(ids: Ids, rows: Embeddings) -> ExactIndex:
    order = np.argsort(ids)
    return exact_index(ids[order], normalize(rows[order]))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_as_if_it_had_been_built_again(kind: str) -> None:
    deleted = np.concatenate([IDS[:300:7], IDS[[-1]]])
    index = TailedIndex(built(kind, ROWS[:300]), IDS[300:-1], ROWS[300:-1], deleted)
    kept = ~np.isin(IDS, deleted)
    whole = rebuilt(IDS[kept], ROWS[kept])
    hits, expected = index.search(ROWS, 400), whole.search(ROWS, 400)
    assert hits.ids.tolist() == expected.ids.tolist()
    assert hits.scores.tolist() == expected.scores.tolist()
    assert sorted(index.ids.tolist()) == whole.ids.tolist()
    np.testing.assert_array_equal(index.vectors(whole.ids), whole.vectors(whole.ids))
    np.testing.assert_array_equal(
        index.similarities(ROWS[:3], whole.ids), whole.similarities(ROWS[:3])
    )
    np.testing.assert_array_equal(
        index.similarities(ROWS[:3]), index.similarities(ROWS[:3], index.ids)
    )


def test_new_images_are_found_at_once_and_deleted_ones_no_more() -> None:
    index = TailedIndex(built("pq", ROWS[:300]), IDS[[310]], ROWS[[310]], IDS[[5]])
    assert index.search(ROWS[[310]], 1).ids.tolist() == [[IDS[310]]]
    assert IDS[5] not in index.search(ROWS[[5]], 300).ids
    with pytest.raises(UsageError, match=f"no image with id {IDS[5]} "):
        index.vectors(IDS[[5]])


def test_filters_reach_the_tail() -> None:
    index = TailedIndex(built("exact", ROWS[:300]), IDS[300:], ROWS[300:], NONE)
    allowed = IDS[[2, 305, 320]]
    hits = index.search(ROWS[[320]], 5, allowed=allowed)
    assert hits.ids[0, 0] == IDS[320]
    assert sorted(hits.ids[0, :3].tolist()) == allowed.tolist()
    assert hits.ids[0, 3:].tolist() == [-1, -1]


def test_an_image_in_the_tail_replaces_the_one_of_the_same_id() -> None:
    index = TailedIndex(built("clusters", ROWS[:300]), IDS[[4]], -ROWS[[4]], NONE)
    assert index.search(-ROWS[[4]], 1).ids.tolist() == [[IDS[4]]]
    assert len(index.ids) == 300
    np.testing.assert_array_equal(index.vectors(IDS[[4]]), normalize(-ROWS[[4]]))


def test_equal_scores_across_base_and_tail_are_ordered_by_id() -> None:
    base = exact_index(np.array([4, 9]), normalize(ROWS[[0, 0]]))
    index = TailedIndex(base, np.array([2, 7]), ROWS[[0, 0]], NONE)
    assert index.search(ROWS[[0]], 3).ids.tolist() == [[2, 4, 7]]


def test_works_over_an_empty_base_and_without_a_tail() -> None:
    empty = exact_index(NONE, np.empty((0, 12), np.float32))
    index = TailedIndex(empty, IDS[:3], ROWS[:3], NONE)
    assert index.search(ROWS[[1]], 5).ids[0, 0] == IDS[1]
    bare = TailedIndex(empty, NONE, np.empty((0, 12), np.float32), IDS[:1])
    assert bare.search(ROWS[[1]], 5).ids.shape == (1, 0)
    assert bare.ids.shape == (0,)


def test_tail_rows_are_scaled_to_unit_length() -> None:
    index = TailedIndex(built("exact", ROWS[:10]), IDS[[20]], ROWS[[20]], NONE)
    np.testing.assert_allclose(np.linalg.norm(index.vectors(IDS[[20]])), 1, rtol=1e-6)


def test_refuses_a_tail_that_does_not_fit() -> None:
    base = built("exact", ROWS[:10])
    with pytest.raises(MismatchError, match="have 5 dimensions, the index 12; build"):
        TailedIndex(base, IDS[[20]], ROWS[[20], :5], NONE)
    with pytest.raises(UsageError, match="strictly ascending"):
        TailedIndex(base, IDS[[20, 20]], ROWS[[20, 20]], NONE)
