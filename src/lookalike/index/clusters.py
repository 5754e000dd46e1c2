"""Retrieval through k-means clusters: nearest cluster first, then the next, until enough is found.

The published method stops at the first cluster with which N images have been met. Two readings of
it are offered. `list` gives these N images as they come, cluster by cluster. `ranked`, the default,
gathers many more than are asked for and ranks them: clusters are visited until `members` images
*that pass the filter* have been met, and beyond that, up to a limit, as long as their centers are
within `reach` of the nearest. The second rule is not in the method; for the same recall it visits
fewer images than a fixed number of clusters, half as many or less for most queries, since most
lie well inside one cluster and few between many (`benchmarks/search.py`). All these numbers are
tuned when the index is built.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import TUNED_K, Hits, IndexFacts, Order, check_search, pad_rows
from lookalike.index.codes import ClusteredCodes
from lookalike.index.exact import RowsIndex, exact_hits
from lookalike.index.fast_scan import FEW_PASS, refined
from lookalike.index.rows import Rows, contains

_FIRST_CLUSTERS: Final = 33
"""Clusters that are put in order at first: what most queries need, and one to see the end."""


@dataclass(frozen=True, slots=True, eq=False)
class _Passing:
    """A filter as the clusters see it.

    Attributes:
        positions: Positions of the rows that pass, ascending.
        sizes: How many of them each cluster has.
        n: How many there are in all.
        selector: The same for FAISS; `None` when everything passes.
    """

    positions: Int64[ndarray, " passing"] | None
    sizes: Int64[ndarray, " clusters"]
    n: int
    selector: Any


@final
class ClusterIndex(RowsIndex):
    """Clusters select candidates, codes thin them out, rows rank them."""

    def __init__(self, rows: Rows, facts: IndexFacts, codes: ClusteredCodes) -> None:
        super().__init__(rows, facts)
        self._codes = codes
        self._alive = self._passing(rows.alive)

    @property
    def is_exact(self) -> bool:
        """Never: a neighbor can lie in a cluster that is not visited."""
        return False

    @property
    def cluster_sizes(self) -> Int64[ndarray, " clusters"]:
        """Images in each cluster, deleted ones left out."""
        return self._alive.sizes

    @property
    def codes(self) -> bytes:
        """Clusters and codes in FAISS's own format."""
        return self._codes.to_bytes()

    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find `k` of each query, the best or the first met; see `VectorIndex.search`."""
        check_search(self, queries, k)
        passing = self._alive
        if allowed is not None:
            positions = self.rows.select(allowed)
            if order == "ranked" and len(positions) <= FEW_PASS:
                return exact_hits(self.rows, queries, k, allowed)
            passing = self._passing(positions)
        if order == "list":
            return self._walk(queries, k, passing)
        if refined(k, self.facts) >= passing.n:
            return exact_hits(self.rows, queries, k, allowed)
        return self._probe(queries, k, passing)

    def without(self, deleted: Ids) -> "ClusterIndex":
        """Return the same index with the `deleted` ids masked."""
        return ClusterIndex(self.rows.without(deleted), self.facts, self._codes)

    def with_facts(self, facts: IndexFacts) -> "ClusterIndex":
        """Return the same index, searched with the numbers in `facts`."""
        return ClusterIndex(self.rows, facts, self._codes)

    def _passing(self, positions: Int64[ndarray, " passing"] | None) -> _Passing:
        if positions is None:
            return _Passing(None, self._codes.sizes, len(self._codes), None)
        clusters = self._codes.cluster_of[positions]
        sizes = np.bincount(clusters, minlength=self._codes.n_clusters).astype(np.int64)
        return _Passing(positions, sizes, len(positions), self._codes.selector(positions))

    def _probe(self, queries: Float32[ndarray, "queries dim"], k: int, passing: _Passing) -> Hits:
        found, n_probed = [], np.zeros(len(queries), np.int64)
        for row, query in enumerate(queries):
            clusters, nearness = self._nearest_clusters(query, k, passing)
            candidates = self._candidates(query, clusters, nearness, k, passing)
            found.append(self.rows.best(query, candidates, k))
            n_probed[row] = len(clusters)
        ids, scores = pad_rows(found, min(k, len(self.rows)))
        return Hits(ids, scores, probed_clusters=n_probed, is_exact=False)

    def _nearest_clusters(
        self, query: Float32[ndarray, " dim"], k: int, passing: _Passing
    ) -> tuple[Int64[ndarray, " probed"], Float32[ndarray, " probed"]]:
        """Return the shortest run of clusters, nearest first, that satisfies both rules."""
        is_narrow = 2 * passing.n < len(self._codes)
        members = self.facts.filtered_members if is_narrow else self.facts.members
        # More hits lie in more clusters; measured, recall stays the same for 100 and 1,000 hits.
        members = min(members * max(k, TUNED_K) // TUNED_K, passing.n)
        most, everything = self.facts.most_clusters, self._codes.n_clusters
        # Putting all in order takes longer than visiting the few that are mostly needed.
        for count in (_FIRST_CLUSTERS, most + 1, 8 * most, everything):
            clusters, nearness = self._codes.nearest_clusters(query, count)
            enough = int(passing.sizes[clusters].cumsum().searchsorted(members)) + 1
            within = int((-nearness).searchsorted(self.facts.reach - nearness[0], "right"))
            n = max(enough, min(within, most))
            if n < len(clusters) and clusters[n - 1] >= 0:
                break
        return clusters[:n], nearness[:n]

    def _candidates(
        self,
        query: Float32[ndarray, " dim"],
        clusters: Int64[ndarray, " probed"],
        nearness: Float32[ndarray, " probed"],
        k: int,
        passing: _Passing,
    ) -> Int64[ndarray, " candidates"]:
        depth = refined(k, self.facts)
        found = self._codes.nearest(query, clusters, nearness, depth, passing.selector)
        if len(found) < depth:
            # Few lie in these clusters, or the codes of all look the same; FAISS then gives none.
            return self._members(clusters, passing)
        return found

    def _walk(self, queries: Float32[ndarray, "queries dim"], k: int, passing: _Passing) -> Hits:
        """Give the first `k` images met, each cluster in the order in which it holds them."""
        found, n_probed = [], np.zeros(len(queries), np.int64)
        for row, query in enumerate(queries):
            clusters, _ = self._codes.nearest_clusters(query, self._codes.n_clusters)
            met = passing.sizes[clusters].cumsum()
            n_probed[row] = min(int(met.searchsorted(min(k, passing.n))) + 1, len(met))
            positions = self._members(clusters[: n_probed[row]], passing)[:k]
            scores = self.rows.similarities(query[None], positions)[0]
            found.append((self.rows.stored_ids[positions], scores))
        ids, scores = pad_rows(found, min(k, len(self.rows)))
        return Hits(ids, scores, probed_clusters=n_probed, is_exact=False, is_ranked=False)

    def _members(
        self, clusters: Int64[ndarray, " clusters"], passing: _Passing
    ) -> Int64[ndarray, " members"]:
        members = np.concatenate([self._codes.members(int(c)) for c in clusters])
        if passing.positions is None:
            return members
        passes = contains(passing.positions, members)
        return np.compress(passes, members)
