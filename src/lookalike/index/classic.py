"""Classic ways to find neighbors, to be compared: something proposes, the rows decide.

KD-trees and k-means trees (`trees`), locality-sensitive hashing (`lsh`) and what FAISS offers
(`faiss_kinds`) propose candidates. Whoever proposes, the candidates are compared with the query by
the rows themselves, as in every other kind of index, so that only the proposals differ.
"""

from typing import Final, Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import Hits, Order, check_search, pad_rows
from lookalike.index.exact import OverRows, exact_hits, refuse_list_order
from lookalike.index.rows import Rows

EVERYTHING: Final = 1 << 62
"""An effort that leaves nothing out, for those kinds whose effort is a number of rows."""


@runtime_checkable
class Proposer(Protocol):
    """Names rows that may be near a query, the more the more effort is allowed.

    Neighbors are near by Euclidean distance, which orders unit rows as the inner product does.
    """

    @property
    def effort(self) -> int | float:
        """How much may be looked at; what it counts is told by each kind."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether the true neighbors are always among the candidates."""
        ...

    @property
    def n_bytes(self) -> int:
        """Memory of everything but the rows."""
        ...

    def with_effort(self, effort: int | float) -> "Proposer":
        """Return the same structure, searched with another effort."""
        ...

    def candidates(self, query: Float32[ndarray, " dim"], k: int) -> Int64[ndarray, " candidates"]:
        """Return positions of rows, each once, among which the `k` nearest may be."""
        ...


@final
class ClassicIndex(OverRows):
    """A `VectorIndex` of a proposer and the rows it was built from.

    Under a filter, candidates that do not pass are dropped and no further ones are asked for, as
    the classic methods do: rows of hits may be short. A filter that fewer pass than are proposed is
    answered exactly.
    """

    def __init__(self, rows: Rows, proposer: Proposer) -> None:
        super().__init__(rows)
        self.proposer = proposer

    @property
    def is_exact(self) -> bool:
        """Whether a search finds every neighbor."""
        return self.proposer.is_exact

    @property
    def n_bytes(self) -> int:
        """Memory of the rows and of what proposes."""
        return 4 * self.dim * len(self.rows) + self.proposer.n_bytes

    def with_effort(self, effort: int | float) -> "ClassicIndex":
        """Return the same index, searched with another effort."""
        return ClassicIndex(self.rows, self.proposer.with_effort(effort))

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
        refuse_list_order(order, "classic")
        passing = None if allowed is None else self.rows.select(allowed)
        if passing is not None and len(passing) <= k:
            return exact_hits(self.rows, queries, k, allowed)
        found = [self._search_one(query, k, passing) for query in queries]
        ids, scores = pad_rows(found, min(k, len(self.rows)))
        is_exact = self.is_exact and allowed is None
        return Hits(ids, scores, probed_clusters=np.zeros(len(ids), np.int64), is_exact=is_exact)

    def _search_one(
        self,
        query: Float32[ndarray, " dim"],
        k: int,
        passing: Int64[ndarray, " passing"] | None,
    ) -> tuple[Ids, Float32[ndarray, " found"]]:
        candidates = self.proposer.candidates(query, min(k, len(self.rows)))
        if passing is not None:
            candidates = np.intersect1d(candidates, passing)
        return self.rows.best(query, candidates, k)
