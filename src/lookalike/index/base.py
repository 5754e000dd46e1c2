"""What an index answers, and what every index can do."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids
from lookalike.errors import MismatchError, UsageError

Order: TypeAlias = Literal["ranked", "list"]
"""`ranked`: by score, best first. `list`: cluster after cluster, nearest first, each in the order
in which it is stored, as the method was published."""

Kind: TypeAlias = Literal["exact", "pq", "clusters", "hamming"]
"""The kinds of index: all rows compared, all compressed rows compared, clusters probed, codes of
bits compared."""

TUNED_K: Final = 10
"""Approximate indexes are tuned to find the 10 best; more are found with more effort."""


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
        boxes: Where in each hit the match is: x0, y0, x1, y1 as shares of the picture, `nan` where
            it is nowhere in particular; `None` where no query asks for a place.
        beyond: Images of the best `k` of each query that are left out because their score is below
            the lowest asked for, or behind the knee; `None` where nothing is left out.

    Raises:
        UsageError: If shapes differ or a row is not sorted.
    """

    ids: Int64[ndarray, "queries k"]
    scores: Float[ndarray, "queries k"]
    parts: Mapping[str, Float[ndarray, "queries k"]] = field(default_factory=dict)
    probed_clusters: Int64[ndarray, " queries"] | None = None
    is_exact: bool = True
    is_ranked: bool = True
    boxes: Float64[ndarray, "queries k 4"] | None = None
    beyond: Int64[ndarray, " queries"] | None = None

    def __post_init__(self) -> None:
        for name, values in {"scores": self.scores, **self.parts}.items():
            if values.shape != self.ids.shape:
                raise UsageError(f"ids {self.ids.shape} and {name} {values.shape} differ in shape")
        if self.boxes is not None and self.boxes.shape[:2] != self.ids.shape:
            raise UsageError(f"ids {self.ids.shape} and boxes {self.boxes.shape} differ in shape")
        falling = self.scores[:, :-1] >= self.scores[:, 1:]
        if self.is_ranked and not falling.all():
            row = int(np.argmin(falling.all(axis=1)))
            raise UsageError(f"scores of query {row} are not sorted, best first")


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What is known of an index once it is built; stored with it and shown by `status`.

    Attributes:
        kind: Which kind of index.
        n: Embeddings stored.
        dim: Length of an embedding.
        seed: Seed of everything drawn at random while it was built.
        recall_target: Share of the true 10 nearest neighbors that a search was to find.
        measured_recall: That share as measured against exact search, for queries drawn from the
            collection itself, each without itself; `None` where it was not measured.
        n_clusters: Clusters; 0 without.
        members: A search goes on to the next cluster, or to the next bit that may differ, until so
            many images have been met; 0 without clusters, and where all codes are compared.
        filtered_members: The same under a filter that less than half of the images pass; only
            those that pass count.
        reach: A cluster is also visited if its center is at most this much less similar to the
            query than the nearest center.
        most_clusters: So many clusters are visited at most because of their reach.
        refine: Candidates compared exactly for each hit asked for; 0 where all are.
        n_bits: Bits of a long code; 0 without.
        build_seconds: Time the build took.
    """

    kind: Kind
    n: int
    dim: int
    seed: int = 0
    recall_target: float = 1.0
    measured_recall: float | None = 1.0
    n_clusters: int = 0
    members: int = 0
    filtered_members: int = 0
    reach: float = 0.0
    most_clusters: int = 0
    refine: int = 0
    n_bits: int = 0
    build_seconds: float = 0.0


Found: TypeAlias = tuple[Ids, Float32[ndarray, " found"]]
"""Ids and their similarities to one query."""


@runtime_checkable
class VectorIndex(Protocol):
    """Nearest neighbors by inner product of unit vectors.

    Similarities are always computed from the stored float32 rows, each by itself, so that they
    depend neither on the kind of index nor on how many queries are asked at once.
    """

    @property
    def ids(self) -> Ids:
        """Ids of the stored embeddings, in stored order."""
        ...

    @property
    def dim(self) -> int:
        """Length of the stored embeddings."""
        ...

    @property
    def is_exact(self) -> bool:
        """Whether a search compares every image."""
        ...

    def search(
        self,
        queries: Float32[ndarray, "queries dim"],
        k: int,
        *,
        allowed: Ids | None = None,
        order: Order = "ranked",
    ) -> Hits:
        """Find the `k` best of each query, only among `allowed` ids if given.

        Rows of the answer are `min(k, number of stored embeddings)` long and padded where fewer
        are found. Allowed ids that are not stored are ignored.

        Raises:
            UsageError: If `k` is below 1, a query is not finite, or the order `list` is asked of
                an index without clusters.
            MismatchError: If the queries have another dimension than the index.
        """
        ...

    def vectors(self, ids: Ids) -> Embeddings:
        """Return the stored unit embeddings of `ids`, in the order asked for.

        Raises:
            UsageError: If an id is not stored.
        """
        ...

    def similarities(
        self, queries: Float32[ndarray, "queries dim"], ids: Ids | None = None
    ) -> Float32[ndarray, "queries items"]:
        """Return the inner products of queries and stored embeddings.

        Columns follow `ids`, or the stored order without; `nan` for ids that are not stored.
        """
        ...


@runtime_checkable
class RoughIndex(Protocol):
    """An index that can give thousands in the time of a few, chosen by their codes alone."""

    def roughly(self, query: Float32[ndarray, " dim"], n: int) -> Found:
        """Return about the `n` nearest; see `nearest_roughly`."""
        ...


def nearest_roughly(index: VectorIndex, query: Float32[ndarray, " dim"], n: int) -> Found:
    """Return about the `n` nearest: ids and similarities, in no order.

    Where codes choose, nothing beyond the `n` is compared, so that some of the nearest are missing
    and others have come instead; the similarities are those of the rows themselves.
    """
    if isinstance(index, RoughIndex):
        return index.roughly(query, n)
    hits = index.search(query[None], n)
    is_found = hits.ids[0] != NO_ID
    return hits.ids[0, is_found], hits.scores[0, is_found]


@runtime_checkable
class DenseIndex(Protocol):
    """An index that can compare all its rows by matrix products."""

    def products(self, query: Float32[ndarray, " dim"]) -> Iterator[Found]:
        """Give all ids and their similarities, some ten thousand at a time.

        The last bits of these similarities may differ from those of others.
        """
        ...


def check_search(index: VectorIndex, queries: Float32[ndarray, "queries dim"], k: int) -> None:
    """Refuse what no index can answer; see `VectorIndex.search`."""
    if k < 1:
        raise UsageError(f"the number of hits must be 1 or more, not {k}")
    if queries.shape[1] != index.dim:
        raise MismatchError(
            f"the index holds {index.dim}-dimensional embeddings, the query has "
            f"{queries.shape[1]}; encode it with the collection's own model"
        )
    if not np.isfinite(queries).all():
        raise UsageError(
            "a query embedding has values that are not finite; look at the image and the model "
            "it was made with"
        )


def pad_rows(
    rows: Sequence[tuple[Int64[ndarray, "_"], Float[ndarray, "_"]]], width: int
) -> tuple[Int64[ndarray, "queries k"], Float[ndarray, "queries k"]]:
    """Put hits of differing number into one table, `width` wide.

    Example:
        >>> two, one = (np.array([4, 2]), np.array([0.9, 0.3])), (np.array([7]), np.array([0.5]))
        >>> pad_rows([two, one], width=2)
        (array([[ 4,  2],
               [ 7, -1]]), array([[ 0.9,  0.3],
               [ 0.5, -inf]]))
    """
    dtype = rows[0][1].dtype if rows else np.dtype(np.float32)
    ids = np.full((len(rows), width), NO_ID, np.int64)
    scores = np.full((len(rows), width), -np.inf, dtype)
    for row, (found, found_scores) in enumerate(rows):
        ids[row, : len(found)] = found
        scores[row, : len(found)] = found_scores
    return ids, scores
