"""The embeddings themselves: ids and unit rows, in memory or mapped from a file.

Every similarity in the program comes out of this module, one row at a time and in float32, so that
it is the same to the last bit for every kind of index, batch size and filter.
"""

from functools import cached_property
from pathlib import Path
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError

_BLOCK_BYTES: Final = 1 << 19
"""Rows are compared in blocks that stay in the processor's cache for all queries of a batch."""

_SPARSE: Final = 16
"""Ids so many times as far apart as they could be are looked up without a table."""


@final
class Rows:
    """Unit embeddings with their ids.

    Args:
        ids: Ids, strictly ascending, so that the order of rows is the order of ids.
        embeddings: One unit row per id; may be mapped from a file.
        alive: Positions of the rows that are not deleted, ascending; `None` for all.
        path: The file that the embeddings are mapped from; `None` for rows in memory.

    Raises:
        UsageError: If the lengths differ or the ids do not ascend.
    """

    def __init__(
        self,
        ids: Ids,
        embeddings: Float32[ndarray, "rows dim"],
        alive: Int64[ndarray, " alive"] | None = None,
        path: Path | None = None,
    ) -> None:
        if len(ids) != len(embeddings):
            raise UsageError(f"{len(ids)} ids for {len(embeddings)} embeddings")
        if not (ids[1:] > ids[:-1]).all():
            raise UsageError("the ids of embeddings must be strictly ascending; sort them first")
        self.stored_ids = ids
        self.embeddings = embeddings
        self.alive = alive
        self.path = path

    def __len__(self) -> int:
        return len(self.stored_ids) if self.alive is None else len(self.alive)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.embeddings.shape[1])

    @property
    def ids(self) -> Ids:
        """Ids of all rows that are not deleted, ascending."""
        return self.stored_ids if self.alive is None else self.stored_ids[self.alive]

    def without(self, deleted: Ids) -> "Rows":
        """Return the same rows with the `deleted` ids masked; unknown ids are ignored."""
        gone, _ = self.locate(deleted)
        if len(gone) == 0:
            return self
        is_alive = np.ones(len(self.stored_ids), bool)
        is_alive[gone] = False
        alive = np.flatnonzero(is_alive) if self.alive is None else self.alive[is_alive[self.alive]]
        return Rows(self.stored_ids, self.embeddings, alive, self.path)

    def select(self, allowed: Ids | None) -> Int64[ndarray, " selected"]:
        """Return the positions of all rows that are not deleted and allowed, ascending."""
        if allowed is not None:
            positions = self.locate(allowed)[0]
            is_ascending = (positions[1:] > positions[:-1]).all()
            return positions if is_ascending else np.unique(positions)
        return np.arange(len(self.stored_ids)) if self.alive is None else self.alive

    def locate(self, ids: Ids) -> tuple[Int64[ndarray, " found"], Bool[ndarray, " items"]]:
        """Return the positions of those `ids` that are stored, and which of them are."""
        if len(self.stored_ids) == 0:
            return np.empty(0, np.int64), np.zeros(len(ids), bool)
        positions = self._positions(ids)
        is_stored = self.stored_ids[positions] == ids
        if self.alive is not None:
            is_stored &= contains(self.alive, positions)
        return positions[is_stored], is_stored

    def _positions(self, ids: Ids) -> Int64[ndarray, " items"]:
        """Return where each id is, if it is anywhere."""
        first, last = int(self.stored_ids[0]), int(self.stored_ids[-1])
        is_sparse = last - first > _SPARSE * len(self.stored_ids)
        if is_sparse or len(ids) * _SPARSE < len(self.stored_ids):
            positions = np.searchsorted(self.stored_ids, ids)
            return np.minimum(positions, len(self.stored_ids) - 1)
        # A wide filter: ten times faster than a search for each.
        return np.asarray(self._position_table[np.clip(ids, first, last) - first])

    @cached_property
    def _position_table(self) -> Int64[ndarray, " span"]:
        table = np.zeros(int(self.stored_ids[-1] - self.stored_ids[0]) + 1, np.int64)
        table[self.stored_ids - self.stored_ids[0]] = np.arange(len(self.stored_ids))
        return table

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the rows of `ids`, in the order asked for; UsageError if one is not stored."""
        positions, is_stored = self.locate(ids)
        if not is_stored.all():
            missing = int(ids[np.argmin(is_stored)])
            raise UsageError(f"there is no image with id {missing} in the index")
        return np.take(self.embeddings, positions, axis=0)

    def similarities(
        self,
        queries: Float32[ndarray, "queries dim"],
        positions: Int64[ndarray, " items"] | None = None,
    ) -> Float32[ndarray, "queries items"]:
        """Return the inner product of each query with each row, or with those at `positions`."""
        queries = np.ascontiguousarray(queries)
        n = len(self.embeddings) if positions is None else len(positions)
        result = np.empty((len(queries), n), np.float32)
        block = max(1, _BLOCK_BYTES // (4 * self.dim))
        for start in range(0, n, block):
            part = slice(start, start + block)
            rows = self.embeddings[part if positions is None else positions[part]]
            # Not a matrix product: its result depends on the number of queries.
            np.vecdot(rows[None], queries[:, None], out=result[:, part])
        return result

    def best(
        self, query: Float32[ndarray, " dim"], positions: Int64[ndarray, " candidates"], k: int
    ) -> tuple[Ids, Float32[ndarray, " found"]]:
        """Return ids and similarities of the `k` best among some hundred candidates."""
        scores = np.vecdot(self.embeddings[positions], query)
        # For so few a full sort is several times faster than `top_k`. Positions ascend with ids.
        order = np.lexsort((positions, -scores))[:k]
        return self.stored_ids[positions[order]], scores[order]

    def similarities_to(
        self, queries: Float32[ndarray, "queries dim"], ids: Ids | None
    ) -> Float32[ndarray, "queries items"]:
        """Return the inner products with the rows of `ids`; `nan` for those not stored."""
        if ids is None:
            return self.similarities(queries, self.alive)
        positions, is_stored = self.locate(ids)
        if is_stored.all():
            return self.similarities(queries, positions)
        result = np.full((len(queries), len(ids)), np.nan, np.float32)
        result[:, is_stored] = self.similarities(queries, positions)
        return result


def contains(
    ascending: Int64[ndarray, " many"], values: Int64[ndarray, " items"]
) -> Bool[ndarray, " items"]:
    """Return which of `values` are among the `ascending` ones."""
    if len(ascending) == 0:
        return np.zeros(len(values), bool)
    at = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: ndarray = ascending[at] == values
    return found


def common(
    ascending: Int64[ndarray, " many"], others: Int64[ndarray, " items"]
) -> Int64[ndarray, " common"]:
    """Return the ids that are in both, ascending; fast where the others ascend, as they mostly do.

    Example:
        >>> common(np.array([2, 3, 5, 8]), np.array([1, 3, 8]))
        array([3, 8])
    """
    if (others[1:] > others[:-1]).all():
        found: ndarray = others[contains(ascending, others)]
        return found
    return np.intersect1d(ascending, others)
