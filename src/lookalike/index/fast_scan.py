"""Scanning all compressed rows: up to some hundred thousand images, nearly without loss."""

from typing import Final, final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import TUNED_K, Found, Hits, IndexFacts, Order, check_search, pad_rows
from lookalike.index.codes import FlatCodes
from lookalike.index.exact import RowsIndex, exact_hits, refuse_list_order
from lookalike.index.rows import Rows, contains

FEW_PASS: Final = 5_000
"""Up to so many images that pass a filter, comparing them all is as fast as anything else."""

_MOST_FETCHED: Final = 4_096
_MOST_SHARE: Final = 32
"""Above so many candidates, and above this part of all rows, the scan loses its speed, and
comparing the passing rows is better."""


def refined(k: int, facts: IndexFacts) -> int:
    """Return how many candidates are compared exactly to find the `k` best."""
    return facts.refine * max(k, TUNED_K)


@final
class FastScanIndex(RowsIndex):
    """Codes select candidates, rows rank them."""

    def __init__(self, rows: Rows, facts: IndexFacts, codes: FlatCodes) -> None:
        super().__init__(rows, facts)
        self._codes = codes

    @property
    def is_exact(self) -> bool:
        """Never: codes can miss a neighbor."""
        return False

    @property
    def codes(self) -> bytes:
        """The codes in FAISS's own format."""
        return self._codes.to_bytes()

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
        refuse_list_order(order, "pq")
        is_whole = allowed is None and self.rows.alive is None
        passing = None if is_whole else self.rows.select(allowed)
        fetched = self._candidates(k, len(self.rows) if passing is None else len(passing))
        if fetched == 0:
            return exact_hits(self.rows, queries, k, allowed)
        found = [self._search_one(query, k, fetched, passing) for query in queries]
        ids, scores = pad_rows(found, min(k, len(self.rows)))
        return Hits(ids, scores, probed_clusters=np.zeros(len(ids), np.int64), is_exact=False)

    def roughly(self, query: Float32[ndarray, " dim"], n: int) -> Found:
        """Return about the `n` nearest by their codes; see `nearest_roughly`."""
        candidates = np.sort(self._codes.nearest(query, n))
        if len(candidates) < min(n, len(self._codes)):
            candidates = np.arange(len(self._codes))  # the codes of all look the same
        if self.rows.alive is not None:
            candidates = candidates[contains(self.rows.alive, candidates)]
        similarities = self.rows.similarities(query[None], candidates)[0]
        return self.rows.stored_ids[candidates], similarities

    def without(self, deleted: Ids) -> "FastScanIndex":
        """Return the same index with the `deleted` ids masked."""
        return FastScanIndex(self.rows.without(deleted), self.facts, self._codes)

    def with_facts(self, facts: IndexFacts) -> "FastScanIndex":
        """Return the same index, searched with the numbers in `facts`."""
        return FastScanIndex(self.rows, facts, self._codes)

    def _candidates(self, k: int, n_passing: int) -> int:
        """Return how many rows to fetch by their codes; 0 to compare all that pass instead."""
        wanted = refined(k, self.facts)
        if n_passing < len(self._codes):
            if n_passing <= FEW_PASS:
                return 0
            # The scan knows no filter: fetch as many more as the filter takes away, and a half.
            wanted = wanted * 3 * len(self._codes) // (2 * n_passing)
        most = max(_MOST_FETCHED, len(self._codes) // _MOST_SHARE)
        return 0 if wanted > most or wanted >= n_passing else wanted

    def _search_one(
        self,
        query: Float32[ndarray, " dim"],
        k: int,
        fetched: int,
        passing: Int64[ndarray, " passing"] | None,
    ) -> tuple[Ids, Float32[ndarray, " found"]]:
        candidates = self._codes.nearest(query, fetched)
        if passing is not None:
            candidates = candidates[contains(passing, candidates)]
        if len(candidates) < refined(k, self.facts):
            # The filter takes away just what is near, or the codes of all look the same; FAISS
            # then gives none.
            candidates = np.arange(len(self._codes)) if passing is None else passing
        return self.rows.best(query, candidates, k)
