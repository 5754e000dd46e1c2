"""What a comparison of kinds of index tells, as plain values."""

from dataclasses import asdict, dataclass
from typing import Any

from lookalike.index.base import TUNED_K


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """One kind of index at one effort.

    Attributes:
        kind: Name of the contender.
        effort: As a few words.
        recall: Share of the true 10 nearest neighbors found, mean over queries.
        median_ms: Median processor time of one query; median over runs.
        p99_ms: 99th percentile of it; median over runs.
        compared: Candidates compared by their rows, mean over queries.
        build_seconds: Processor time to build the index, at any effort.
        n_bytes: Memory of the index with its rows.
        is_exact: Whether no neighbor can be missed.
        is_best: Whether nothing else finds as much in less time, or more in the same.
    """

    kind: str
    effort: str
    recall: float
    median_ms: float
    p99_ms: float
    compared: float
    build_seconds: float
    n_bytes: int
    is_exact: bool
    is_best: bool = False


@dataclass(frozen=True, slots=True)
class DecayPoint:
    """The exact KD-tree on the first principal components.

    Attributes:
        dim: Number of components.
        variance: Share of the variance that they hold.
        compared: Share of the rows that an exact search has to compare, mean over queries.
        tree_ms: Median processor time of a query in SciPy's KD-tree.
        scan_ms: The same of comparing every row.
    """

    dim: int
    variance: float
    compared: float
    tree_ms: float
    scan_ms: float


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """All that was measured.

    Attributes:
        n: Embeddings searched.
        dim: Their length.
        n_queries: Queries.
        runs: Times that each query was timed.
        points: Each kind at each effort.
        decay: The KD-tree by dimension; empty below 8 dimensions.
    """

    n: int
    dim: int
    n_queries: int
    runs: int
    points: tuple[IndexPoint, ...]
    decay: tuple[DecayPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"k": TUNED_K, "threads": 1, **asdict(self)}
