"""Ways to find neighbors, measured on the same embeddings: recall, time, memory, building.

Each kind is built once and searched with several efforts, one query at a time on one thread.
Queries are embeddings that are not among those searched.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import UsageError
from lookalike.index.base import TUNED_K
from lookalike.index.classic import EVERYTHING, ClassicIndex, Proposer
from lookalike.index.exact import exact_hits
from lookalike.index.faiss_kinds import FaissKindIndex, one_thread
from lookalike.index.lsh import Lsh
from lookalike.index.points import DecayPoint, IndexComparison, IndexPoint
from lookalike.index.rows import Rows
from lookalike.index.trees import KdTree, KMeansTree, SciPyTree
from lookalike.progress import SILENT, Progress

LEAST_ROWS: Final = 100
"""Fewer embeddings tell nothing about any kind of index."""

DIMS: Final = (4, 8, 16, 32, 64, 128, 256)
"""Numbers of principal components for the decay of the KD-tree."""

_TABLES: Final = 16
_STABLE_BITS: Final = 12


@dataclass(frozen=True, slots=True)
class Contender:
    """A kind of index and how it is built and searched.

    Attributes:
        name: For tables and plots.
        counts: What its effort is.
        build: Builds it from unit rows.
        efforts: Ascending.
    """

    name: str
    counts: str
    build: Callable[[Embeddings], Proposer]
    efforts: tuple[int | float, ...]


def compare_kinds(
    embeddings: Embeddings,
    queries: Float32[ndarray, "queries dim"],
    *,
    runs: int = 3,
    seed: int = 0,
    progress: Progress = SILENT,
) -> IndexComparison:
    """Measure every kind of index on the same embeddings.

    Args:
        embeddings: What is searched; scaled to unit length here.
        queries: Not among them.
        runs: Times that each query is timed.
        seed: Of everything that is drawn.
        progress: Told about every kind.

    Raises:
        UsageError: If there are fewer than 100 embeddings, no query, or no run.
    """
    if len(embeddings) < LEAST_ROWS or len(queries) < 1 or runs < 1:
        raise UsageError(
            f"{len(embeddings)} embeddings, {len(queries)} queries and {runs} runs tell nothing of "
            f"an index; at least {LEAST_ROWS}, 1 and 1 are needed"
        )
    rows = Rows(np.arange(len(embeddings)), normalize(embeddings))
    asked = normalize(queries)
    with one_thread(), progress.task("Indexes", None, "kinds") as task:
        least = exact_hits(rows, asked, TUNED_K, None).scores[:, -1]
        kinds = contenders(rows.embeddings, least, seed)
        task.expect(len(kinds) + 1)
        points: list[IndexPoint] = []
        for kind in kinds:
            points += _measured(kind, rows, asked, least, runs)
            task.advance()
        decay = measure_decay(rows.embeddings, asked, runs)
        task.advance()
    best = tuple(replace(point, is_best=_is_best(point, points)) for point in points)
    return IndexComparison(len(rows), rows.dim, len(asked), runs, best, decay)


def contenders(
    rows: Embeddings, least: Float32[ndarray, " queries"], seed: int = 0
) -> list[Contender]:
    """Return every kind, with settings fit for some rows.

    Args:
        rows: Unit rows.
        least: Similarity of the tenth neighbor of some queries: buckets of 2-stable hashes are two
            and a half times as wide as the median of these distances.
        seed: Of everything that is drawn.
    """
    n = len(rows)
    checks = (*(c for c in (100, 300, 1_000, 3_000, 10_000) if c < n), EVERYTHING)
    lists = tuple(p for p in (1, 2, 4, 8, 16, 32, 64, 128, 256) if p <= n // 8)
    bits = max(4, round(math.log2(n)) - 2)
    width = 2.5 * float(np.median(np.sqrt(np.maximum(2 - 2 * least, 1e-3))))
    compared = "rows compared"
    return [
        Contender("exact", "", lambda r: FaissKindIndex.build(r, "flat"), (1,)),
        Contender("KD-tree", "1 / (1 + eps)", SciPyTree.build, (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)),
        Contender("KD-tree, best bin first", compared, KdTree.build, checks),
        Contender("k-means tree", compared, lambda r: KMeansTree.build(r, seed=seed), checks),
        Contender(
            "LSH, hyperplanes",
            "probes of each table",
            lambda r: Lsh.build(r, tables=_TABLES, bits=bits, seed=seed),
            (1, 4, 16, 64, 256),
        ),
        Contender(
            "LSH, 2-stable",
            "probes of each table",
            lambda r: Lsh.build(
                r, "stable", tables=_TABLES, bits=_STABLE_BITS, width=width, seed=seed
            ),
            (1, 4, 16, 64, 256),
        ),
        Contender(
            "PQ",
            "candidates for each hit",
            lambda r: FaissKindIndex.build(r, "pq"),
            (1, 2, 4, 8, 16, 32),
        ),
        Contender("IVF", "clusters visited", lambda r: FaissKindIndex.build(r, "ivf"), lists),
        Contender(
            "HNSW",
            "length of the list",
            lambda r: FaissKindIndex.build(r, "hnsw"),
            (10, 16, 32, 64, 128, 256, 512),
        ),
    ]


def measure_decay(
    rows: Embeddings,
    queries: Float32[ndarray, "queries dim"],
    runs: int = 3,
    dims: Sequence[int] = DIMS,
) -> tuple[DecayPoint, ...]:
    """Measure the exact KD-tree on the first principal components, few to many."""
    center = rows.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov((rows - center).T))
    values, axes = values[::-1], axes[:, ::-1].astype(np.float32)
    points = []
    for dim in [d for d in dims if d <= rows.shape[1]]:
        low = np.ascontiguousarray((rows - center) @ axes[:, :dim])
        asked = np.ascontiguousarray((queries - center) @ axes[:, :dim])
        tree, fast = KdTree.build(low), SciPyTree.build(low).tree
        compared = [len(tree.candidates(query, TUNED_K)) for query in asked]
        squares = (low**2).sum(axis=1)

        def look(query: ndarray, fast: Any = fast) -> object:
            return fast.query(query, TUNED_K)

        def scan(query: ndarray, low: ndarray = low, squares: ndarray = squares) -> ndarray:
            nearest: ndarray = np.argpartition(squares - 2 * (low @ query), TUNED_K)[:TUNED_K]
            return nearest

        points.append(
            DecayPoint(
                dim,
                float(values[:dim].sum() / values.sum()),
                float(np.mean(compared)) / len(rows),
                _times(look, asked, runs)[0],
                _times(scan, asked, runs)[0],
            )
        )
    return tuple(points)


def _measured(
    kind: Contender,
    rows: Rows,
    queries: Float32[ndarray, "queries dim"],
    least: Float32[ndarray, " queries"],
    runs: int,
) -> list[IndexPoint]:
    started = time.thread_time()
    built = kind.build(rows.embeddings)
    seconds = time.thread_time() - started
    points = []
    for effort in kind.efforts:
        index = ClassicIndex(rows, built.with_effort(effort))
        candidates = [index.proposer.candidates(query, TUNED_K) for query in queries]
        found = [
            (rows.best(query, some, TUNED_K)[1] >= reached).sum() / TUNED_K
            for query, some, reached in zip(queries, candidates, least, strict=True)
        ]

        def ask(query: ndarray, index: ClassicIndex = index) -> object:
            return index.search(query[None], TUNED_K)

        median, p99 = _times(ask, queries, runs)
        points.append(
            IndexPoint(
                kind=kind.name,
                effort=_words(kind.counts, effort),
                recall=float(np.mean(found)),
                median_ms=median,
                p99_ms=p99,
                compared=float(np.mean([len(some) for some in candidates])),
                build_seconds=seconds,
                n_bytes=index.n_bytes,
                is_exact=index.is_exact,
            )
        )
    return points


def _times(
    ask: Callable[[ndarray], object], queries: Float32[ndarray, "queries dim"], runs: int
) -> tuple[float, float]:
    """Return median and 99th percentile of the time of one query, each the median over runs.

    It is the processor time of this thread, which does all the work: what else the machine does
    meanwhile is not counted.
    """
    times = np.empty((runs, len(queries)))
    for run in range(runs):
        for at, query in enumerate(queries):
            started = time.thread_time()
            ask(query)
            times[run, at] = 1000 * (time.thread_time() - started)
    low, high = np.median(np.percentile(times, [50, 99], axis=1), axis=1)
    return float(low), float(high)


def _is_best(point: IndexPoint, points: Sequence[IndexPoint]) -> bool:
    return not any(
        other.recall >= point.recall
        and other.median_ms <= point.median_ms
        and (other.recall, other.median_ms) != (point.recall, point.median_ms)
        for other in points
    )


def _words(counts: str, effort: int | float) -> str:
    if not counts:
        return "all rows compared"
    return f"{counts}: {'no limit' if effort >= EVERYTHING else format(effort, ',')}"
