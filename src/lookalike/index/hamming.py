"""Searching codes of bits: a short code selects, a long code ranks, rows decide.

Candidates are the rows whose short code differs from the query's in the fewest bits: a radius grows
until enough are met. Their long codes thin them out, and what is left is compared by the rows
themselves, as in every other kind. Small collections go without the short code. Where the rows are
bits themselves, the long codes rank exactly like the rows, and no neighbor is missed.
"""

from typing import Final, final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import TUNED_K, Hits, IndexFacts, Order, check_search, pad_rows
from lookalike.index.bits import BinaryCodes, are_bits
from lookalike.index.exact import RowsIndex, exact_hits, refuse_list_order
from lookalike.index.fast_scan import FEW_PASS, refined
from lookalike.index.rows import Rows

BINARY_REFINE: Final = 16
"""Candidates for each hit where rows are bits and a query is not, as when it was predicted."""


@final
class HammingIndex(RowsIndex):
    """Bits select candidates, rows rank them."""

    def __init__(self, rows: Rows, facts: IndexFacts, codes: BinaryCodes) -> None:
        super().__init__(rows, facts)
        self._codes = codes

    @property
    def is_exact(self) -> bool:
        """Never: a query need not consist of bits, even if all rows do."""
        return False

    @property
    def codes(self) -> bytes:
        """Projections and codes."""
        return self._codes.to_bytes()

    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find the `k` best of each query; see `VectorIndex.search`.

        The answer is exact, and says so, where rows and queries consist of bits.
        """
        check_search(self, queries, k)
        refuse_list_order(order, "hamming")
        is_whole = allowed is None and self.rows.alive is None
        passing = None if is_whole else self.rows.select(allowed)
        n_passing = len(self.rows) if passing is None else len(passing)
        is_narrow = passing is not None and n_passing <= FEW_PASS
        if is_narrow or refined(k, self.facts) >= n_passing:
            return exact_hits(self.rows, queries, k, allowed)
        finds_all = self._codes.are_bits and are_bits(queries)
        found = [self._search_one(query, k, passing, finds_all) for query in queries]
        ids, scores = pad_rows(found, min(k, len(self.rows)))
        nothing = np.zeros(len(ids), np.int64)
        return Hits(ids, scores, probed_clusters=nothing, is_exact=finds_all)

    def without(self, deleted: Ids) -> "HammingIndex":
        """Return the same index with the `deleted` ids masked."""
        return HammingIndex(self.rows.without(deleted), self.facts, self._codes)

    def with_facts(self, facts: IndexFacts) -> "HammingIndex":
        """Return the same index, searched with the numbers in `facts`."""
        return HammingIndex(self.rows, facts, self._codes)

    def _search_one(
        self,
        query: Float32[ndarray, " dim"],
        k: int,
        passing: Int64[ndarray, " passing"] | None,
        finds_all: bool,
    ) -> tuple[Ids, Float32[ndarray, " found"]]:
        candidates = passing
        if self.facts.members and not finds_all:
            wanted = self.facts.members * max(k, TUNED_K) // TUNED_K
            candidates = self._codes.within_radius(query, wanted, passing)
        depth = k if finds_all else refined(k, self.facts)
        return self.rows.best(query, self._codes.nearest(query, depth, candidates), k)
