"""Comparing the query with every image: the right choice up to some ten thousand images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final, final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, top_k
from lookalike.errors import UsageError
from lookalike.index.base import Found, Hits, IndexFacts, Order, check_search, pad_rows
from lookalike.index.rows import Rows, contains

_TABLE_SIZE: Final = 1 << 24
"""Similarities held in memory at once: 64 MiB."""

_PRODUCTS: Final = 1 << 16
"""Rows multiplied at once."""


class OverRows:
    """What every index tells by the rows that it holds."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @property
    def ids(self) -> Ids:
        """Ids of the stored embeddings, ascending."""
        return self.rows.ids

    @property
    def dim(self) -> int:
        """Length of the stored embeddings."""
        return self.rows.dim

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the stored unit embeddings of `ids`; see `VectorIndex.vectors`."""
        return self.rows.vectors(ids)

    def similarities(
        self, queries: Float32[ndarray, "queries dim"], ids: Ids | None = None
    ) -> Float32[ndarray, "queries items"]:
        """Return inner products; see `VectorIndex.similarities`."""
        return self.rows.similarities_to(queries, ids)

    def products(self, query: Float32[ndarray, " dim"]) -> Iterator[Found]:
        """Give all ids and similarities, by matrix products; see `DenseIndex`."""
        for start in range(0, len(self.rows.stored_ids), _PRODUCTS):
            part = slice(start, start + _PRODUCTS)
            ids, similarities = self.rows.stored_ids[part], self.rows.embeddings[part] @ query
            if self.rows.alive is not None:
                is_alive = contains(self.rows.alive, np.arange(start, start + len(ids)))
                ids, similarities = ids[is_alive], similarities[is_alive]
            yield ids, similarities


class RowsIndex(OverRows, ABC):
    """What indexes of a whole collection share, whatever their kind; each is a `VectorIndex`."""

    def __init__(self, rows: Rows, facts: IndexFacts) -> None:
        super().__init__(rows)
        self.facts = facts

    @property
    @abstractmethod
    def is_exact(self) -> bool:
        """Whether a search compares every image."""

    @property
    @abstractmethod
    def codes(self) -> bytes | None:
        """Everything but ids and rows, as bytes."""

    @abstractmethod
    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find the `k` best of each query; see `VectorIndex.search`."""

    @abstractmethod
    def without(self, deleted: Ids) -> "RowsIndex":
        """Return the same index with the `deleted` ids masked; unknown ids are ignored."""


@final
class ExactIndex(RowsIndex):
    """Every stored row is compared."""

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

    @property
    def codes(self) -> None:
        """There is nothing but ids and rows."""
        return

    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find the `k` best of each query; see `VectorIndex.search`."""
        check_search(self, queries, k)
        refuse_list_order(order, "exact")
        return exact_hits(self.rows, queries, k, allowed)

    def without(self, deleted: Ids) -> "ExactIndex":
        """Return the same index with the `deleted` ids masked."""
        return ExactIndex(self.rows.without(deleted), self.facts)


def exact_index(ids: Ids, embeddings: Embeddings) -> ExactIndex:
    """Return an exact index of unit rows that are already in memory, ids ascending."""
    rows = Rows(ids, embeddings)
    return ExactIndex(rows, IndexFacts("exact", len(rows), rows.dim))


def exact_hits(
    rows: Rows, queries: Float32[ndarray, "queries dim"], k: int, allowed: Ids | None
) -> Hits:
    """Compare each query with every row that is allowed."""
    is_whole = allowed is None and rows.alive is None
    positions = None if is_whole else rows.select(allowed)
    ids = rows.stored_ids if positions is None else rows.stored_ids[positions]
    batch = max(1, _TABLE_SIZE // max(1, len(ids)))
    found: list[tuple[Ids, Float32[ndarray, " found"]]] = []
    for start in range(0, len(queries), batch):
        scores = rows.similarities(queries[start : start + batch], positions)
        found.extend(zip(*top_k(scores, ids, k), strict=True))
    padded_ids, padded_scores = pad_rows(found, min(k, len(rows)))
    return Hits(padded_ids, padded_scores, probed_clusters=np.zeros(len(queries), np.int64))


def refuse_list_order(order: Order, kind: str) -> None:
    """Refuse the order `list` for an index that has no clusters."""
    if order == "list":
        raise UsageError(
            f"the order 'list' walks k-means clusters, and an index of kind {kind!r} has none; "
            "build the index with the kind 'clusters'"
        )
