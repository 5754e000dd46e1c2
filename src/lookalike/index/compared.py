"""An index whose images are compared in a way of their own, not by the inner product."""

from collections.abc import Callable
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, top_k
from lookalike.errors import UsageError
from lookalike.index.base import Hits, Order, VectorIndex, check_search
from lookalike.index.exact import refuse_list_order

Compare: TypeAlias = Callable[
    [Float32[ndarray, "queries dim"], Float32[ndarray, "items dim"]],
    Float32[ndarray, "queries items"],
]

_BLOCK: Final = 8_192
"""Rows that are compared at a time."""


@final
class ComparedIndex:
    """All rows of another index, compared by a function; implements `VectorIndex`.

    Args:
        base: Holds the unit rows.
        compare: Similarities from -1 to 1, higher is more alike, each pair by itself.
    """

    def __init__(self, base: VectorIndex, compare: Compare) -> None:
        self._base = base
        self._compare = compare

    @property
    def ids(self) -> Ids:
        """Ids of the stored embeddings, in stored order."""
        return self._base.ids

    @property
    def dim(self) -> int:
        """Length of the stored embeddings."""
        return self._base.dim

    @property
    def is_exact(self) -> bool:
        """Always."""
        return True

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
        ids = self.ids if allowed is None else np.intersect1d(self.ids, allowed)
        found, scores = top_k(self.similarities(queries, ids), ids, k)
        width = min(k, len(self.ids))
        missing = ((0, 0), (0, width - found.shape[1]))
        return Hits(
            np.pad(found, missing, constant_values=-1),
            np.pad(scores, missing, constant_values=-np.inf),
            probed_clusters=np.zeros(len(queries), np.int64),
        )

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the stored unit embeddings of `ids`; see `VectorIndex.vectors`."""
        return self._base.vectors(ids)

    def similarities(
        self, queries: Float32[ndarray, "queries dim"], ids: Ids | None = None
    ) -> Float32[ndarray, "queries items"]:
        """Return what the function gives; see `VectorIndex.similarities`.

        Raises:
            UsageError: If it gives something else than one finite number for each pair.
        """
        wanted = self.ids if ids is None else ids
        result = np.full((len(queries), len(wanted)), np.nan, np.float32)
        is_stored = np.isin(wanted, self.ids)
        stored, columns = wanted[is_stored], np.flatnonzero(is_stored)
        for start in range(0, len(stored), _BLOCK):
            part = slice(start, start + _BLOCK)
            values = self._compare(queries, self._base.vectors(stored[part]))
            if values.shape != (len(queries), len(stored[part])) or not np.isfinite(values).all():
                raise UsageError(
                    f"a descriptor's similarity gave {values.shape}, or values that are not "
                    f"finite, for {len(queries)} queries and {len(stored[part])} images; "
                    "have it mended"
                )
            result[:, columns[part]] = values
        return result
