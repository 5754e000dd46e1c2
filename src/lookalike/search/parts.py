"""What the parts of a query have in common: each proposes candidates and scores images."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Candidates of one part.

    Attributes:
        ids: At least the best of the part, in any order.
        probed_clusters: Clusters that were visited for them.
        is_exact: Whether they are known to be the best.
    """

    ids: Ids
    probed_clusters: int = 0
    is_exact: bool = True


@runtime_checkable
class Part(Protocol):
    """One part of a query."""

    @property
    def name(self) -> str:
        """Key in `Hits.parts` and in `Query.weights`."""
        ...

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return at least the `n` best images, only among `allowed` ids if given."""
        ...

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return rarities in decades, 0 or more; 0 is no evidence."""
        ...
