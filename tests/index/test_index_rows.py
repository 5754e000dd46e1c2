"""Looking up ids among stored rows."""

import numpy as np
import pytest

from lookalike.arrays import Ids, normalize
from lookalike.errors import UsageError
from lookalike.index.rows import Rows, common

DENSE: Ids = np.arange(40, dtype=np.int64) * 2 + 5
SPARSE: Ids = np.arange(40, dtype=np.int64) ** 3 * 1000 - 7


def rows_of(ids: Ids) -> Rows:
    return Rows(ids, normalize(np.random.default_rng(0).normal(size=(len(ids), 4))))


@pytest.mark.parametrize("ids", [DENSE, SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("n", [1, 7, 200])
def test_finds_the_positions_of_ids_and_says_which_are_unknown(ids: Ids, n: int) -> None:
    wanted = np.random.default_rng(n).choice(np.concatenate([ids, ids + 1, [-99, 10**12]]), n)
    positions, is_stored = rows_of(ids).locate(wanted)
    known = {image: at for at, image in enumerate(ids.tolist())}
    assert is_stored.tolist() == [image in known for image in wanted.tolist()]
    assert positions.tolist() == [known[i] for i in wanted.tolist() if i in known]


@pytest.mark.parametrize("ids", [DENSE, SPARSE], ids=["dense", "sparse"])
def test_masked_rows_are_unknown(ids: Ids) -> None:
    rows = rows_of(ids).without(ids[:30]).without(np.array([ids[35], 10**12]))
    _, is_stored = rows.locate(ids)
    assert rows.ids.tolist() == ids[is_stored].tolist() == [*ids[30:35], *ids[36:]]
    assert rows.select(ids[[31, 3, 30, 31]]).tolist() == [30, 31]
    assert len(rows) == 9
    np.testing.assert_array_equal(
        rows.similarities_to(rows.vectors(ids[30:31]), None).shape, (1, 9)
    )


def test_masking_nothing_changes_nothing() -> None:
    rows = rows_of(DENSE)
    assert rows.without(np.array([4, 6])) is rows


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(DENSE)
    queries = rows.embeddings[:3]
    whole = rows.similarities(queries)
    monkeypatch.setattr("lookalike.index.rows._BLOCK_BYTES", 16 * 7)
    np.testing.assert_array_equal(rows.similarities(queries), whole)
    positions = np.arange(39, -1, -2)
    np.testing.assert_array_equal(rows.similarities(queries, positions), whole[:, positions])


def test_refuses_rows_that_do_not_belong_together() -> None:
    with pytest.raises(UsageError, match="40 ids for 3 embeddings"):
        Rows(DENSE, np.ones((3, 4), np.float32))
    with pytest.raises(UsageError, match="strictly ascending; sort"):
        rows_of(DENSE[::-1])


def test_common_ids_are_those_in_both_however_the_others_are_ordered() -> None:
    rng, nothing = np.random.default_rng(1), np.empty(0, np.int64)
    ascending = np.unique(rng.integers(0, 100, 60))
    for others in (np.unique(rng.integers(-5, 110, 40)), rng.integers(-5, 110, 40), nothing):
        assert np.array_equal(common(ascending, others), np.intersect1d(ascending, others))
    assert len(common(nothing, ascending)) == 0
