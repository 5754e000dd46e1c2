"""What an index answers, and what every index can do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Retrieved gallery images of a batch of queries, best first.

    Attributes:
        ids: Image ids; `NO_ID` pads a row with fewer than `k` hits.
        scores: Higher is better; `-inf` where `ids` is padding. Equal scores are ordered by
            ascending id, unless the hits come in list order (`is_ranked` false).
        parts: Score of each hit under each descriptor that took part, same shape as `scores`.
        probed_clusters: Clusters that were visited for each query; 0 where none exist.
        is_exact: Whether every image of the gallery was compared.
        is_ranked: Whether rows are sorted by score; false for the literal list order.

    Raises:
        UsageError: If shapes differ or a row is not sorted.
    """

    ids: Int64[ndarray, "queries k"]
    scores: Float[ndarray, "queries k"]
    parts: Mapping[str, Float[ndarray, "queries k"]] = field(default_factory=dict)
    probed_clusters: Int64[ndarray, " queries"] | None = None
    is_exact: bool = True
    is_ranked: bool = True

    def __post_init__(self) -> None:
        for name, values in {"scores": self.scores, **self.parts}.items():
            if values.shape != self.ids.shape:
                raise UsageError(f"ids {self.ids.shape} and {name} {values.shape} differ in shape")
        falling = self.scores[:, :-1] >= self.scores[:, 1:]
        if self.is_ranked and not falling.all():
            row = int(np.argmin(falling.all(axis=1)))
            raise UsageError(f"scores of query {row} are not sorted, best first")


class VectorIndex(Protocol):
    """Nearest neighbors by inner product of unit vectors."""

    @property
    def ids(self) -> Ids:
        """Ids of the stored embeddings, in stored order."""
        ...

    @property
    def dim(self) -> int:
        """Length of the stored embeddings."""
        ...

    def search(
        self, queries: Float32[ndarray, "queries dim"], k: int, *, allowed: Ids | None = None
    ) -> Hits:
        """Find the `k` best of each query, only among `allowed` ids if given (ascending)."""
        ...

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the stored unit embeddings of `ids`, in the order asked for."""
        ...
