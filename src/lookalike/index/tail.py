"""Images that came or went after an index was built."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids, normalize
from lookalike.errors import MismatchError
from lookalike.index.base import Found, Hits, Order, nearest_roughly
from lookalike.index.exact import RowsIndex, exact_index
from lookalike.index.rows import contains


@final
class TailedIndex:
    """An index, with newer images searched exactly beside it and deleted ones masked.

    Hits and scores are those of an index that was built again; implements `VectorIndex`.

    Args:
        base: The index as it was built.
        tail_ids: Ids of newer images, strictly ascending. An id that `base` holds too is searched
            as it is here.
        tail_rows: Their embeddings; scaled to unit length here.
        deleted: Ids not to be found any more; those that are not in `base` are ignored.

    Raises:
        UsageError: If the ids do not ascend, or there are not as many as embeddings.
        MismatchError: If the embeddings have another dimension than the index.
    """

    def __init__(
        self,
        base: RowsIndex,
        tail_ids: Ids,
        tail_rows: Embeddings,
        deleted: Int64[ndarray, " deleted"],
    ) -> None:
        self._base = base.without(np.union1d(deleted, tail_ids))
        self._tail = exact_index(tail_ids, normalize(tail_rows))
        if tail_rows.shape[1] != base.dim:
            raise MismatchError(
                f"new embeddings have {tail_rows.shape[1]} dimensions, the index {base.dim}; "
                "build the index again"
            )

    @cached_property
    def ids(self) -> Ids:
        """Ids of all images that can be found: those of the base, then the newer ones."""
        return np.concatenate([self._base.ids, self._tail.ids])

    @property
    def dim(self) -> int:
        """Length of the stored embeddings."""
        return self._base.dim

    @property
    def is_exact(self) -> bool:
        """Whether a search compares every image."""
        return self._base.is_exact

    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find the `k` best of each query; see `VectorIndex.search`.

        In the order `list`, newer images come last: they are in no cluster yet.
        """
        base = self._base.search(queries, k, allowed=allowed, order=order)
        newer = self._tail.search(queries, k, allowed=allowed)
        ids = np.hstack([base.ids, newer.ids])
        scores = np.hstack([base.scores, newer.scores])
        if order == "list":
            columns = np.argsort(ids == NO_ID, axis=1, kind="stable")
        else:
            columns = np.lexsort((ids, -scores), axis=1)
        columns = columns[:, :k]
        return replace(
            base,
            ids=np.take_along_axis(ids, columns, axis=1),
            scores=np.take_along_axis(scores, columns, axis=1),
        )

    def roughly(self, query: Float32[ndarray, " dim"], n: int) -> Found:
        """Return about the `n` nearest of the base, and all newer ones; see `nearest_roughly`."""
        ids, similarities = nearest_roughly(self._base, query, n)
        newer = self._tail.similarities(query[None])[0]
        return np.append(ids, self._tail.ids), np.append(similarities, newer)

    def products(self, query: Float32[ndarray, " dim"]) -> Iterator[Found]:
        """Give all ids and similarities, by matrix products; see `DenseIndex`."""
        yield from self._base.products(query)
        yield from self._tail.products(query)

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the stored unit embeddings of `ids`; see `VectorIndex.vectors`."""
        is_newer = contains(self._tail.ids, ids)
        result = np.empty((len(ids), self.dim), np.float32)
        result[is_newer] = self._tail.vectors(ids[is_newer])
        result[~is_newer] = self._base.vectors(ids[~is_newer])
        return result

    def similarities(
        self, queries: Float32[ndarray, "queries dim"], ids: Ids | None = None
    ) -> Float32[ndarray, "queries items"]:
        """Return inner products; see `VectorIndex.similarities`."""
        if ids is None:
            parts = [self._base.similarities(queries), self._tail.similarities(queries)]
            return np.concatenate(parts, axis=1)
        is_newer = contains(self._tail.ids, ids)
        result = np.empty((len(queries), len(ids)), np.float32)
        result[:, is_newer] = self._tail.similarities(queries, ids[is_newer])
        result[:, ~is_newer] = self._base.similarities(queries, ids[~is_newer])
        return result
