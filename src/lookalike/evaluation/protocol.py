"""How a system is evaluated: leave-one-out over a labeled gallery.

Queries are drawn without replacement from the pictures to which at least one other is relevant.
Each is searched among all other pictures of the gallery and the whole ranking is judged. Images
of the collection that the data set does not know are junk: they are taken out of the ranking
before it is judged. The same queries are also judged in random order, since a share of relevant
pictures means little without knowing what chance gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation.clustering import ClusteringScores, pairwise_clustering
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.metrics import interpolated_precision, mean_of_defined
from lookalike.evaluation.rankings import (
    JudgedRankings,
    Measure,
    judge,
    measure,
    overlap_of_first,
)
from lookalike.evaluation.statistics import estimate_means
from lookalike.evaluation.truth import GroundTruth
from lookalike.index.base import Hits
from lookalike.progress import SILENT, Progress, Task

_CHUNK_CELLS = 1 << 22
_CHUNK_QUERIES = 256


@runtime_checkable
class System(Protocol):
    """Anything that ranks a gallery for queries out of that gallery."""

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the `k` best images for each query image, without the query itself."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RandomOrder:
    """A system that ranks by lot, the same for a query each time it is asked.

    Attributes:
        ids: The gallery.
        seed: Which lot.
    """

    ids: Ids
    seed: int = 0

    def rank(self, query_ids: Ids, k: int) -> Hits:
        """Return the others in random order; scores fall from 1 to 0."""
        k = min(k, len(self.ids))
        ranked = np.full((len(query_ids), k), NO_ID, np.int64)
        for row, query_id in enumerate(query_ids):
            rng = np.random.default_rng([self.seed, int(query_id)])
            others = rng.permutation(self.ids[self.ids != query_id])[:k]
            ranked[row, : len(others)] = others
        scores = np.where(ranked == NO_ID, -np.inf, np.linspace(1.0, 0.0, k))
        return Hits(ranked, scores)


def evaluate(
    system: System,
    truth: GroundTruth,
    *,
    n_queries: int | None = None,
    at: Sequence[int] = (2, 5, 8, 10),
    seed: int = 0,
    clusters: Int[ndarray, " images"] | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure how well a system ranks the pictures of the ground truth.

    Memory stays bounded: rankings are judged a few million cells at a time.

    Args:
        system: Ranks images by id; asked for the whole gallery.
        truth: Labels and label maps of the gallery.
        n_queries: Number of queries; all that are possible if not given or more than there are.
        at: The values of `k`.
        seed: Same seed, same queries, intervals and random order.
        clusters: Cluster of each picture in the order of `truth.ids`, to be compared with labels.
        progress: Told of each query.

    Raises:
        UsageError: If a `k` or `n_queries` is below 1 or `clusters` does not fit the gallery.
        DatasetError: If no two pictures of the gallery are relevant to each other.
    """
    cuts = _checked_cuts(at)
    queries = draw_queries(truth, n_queries, seed)
    with progress.task("Judging", 2 * len(queries), unit="queries") as task:
        own = _judged(system, truth, queries, cuts, task)
        random = _judged(RandomOrder(truth.ids, seed), truth, queries, cuts, task)
    estimates = estimate_means(np.stack(list(own.values.values()), axis=1), seed=seed)
    scores, strict = _judged_clusters(truth, clusters)
    return Evaluation(
        query_ids=truth.ids[queries],
        n_relevant=own.n_relevant,
        n_gallery=len(truth),
        at=cuts,
        seed=seed,
        values=own.values,
        estimates=dict(zip(own.values, estimates, strict=True)),
        random={name: mean_of_defined(values) for name, values in random.values.items()},
        curve=own.curves.mean(axis=0),
        random_curve=random.curves.mean(axis=0),
        hits=own.hits,
        hit_relevant=own.hit_relevant,
        hit_overlap=own.hit_overlap,
        clustering=scores,
        strict_clustering=strict,
        n_without_relevant=int((~truth.has_relevant).sum()),
        n_junk=len(own.junk),
        n_missing=truth.n_missing,
    )


def draw_queries(
    truth: GroundTruth, n_queries: int | None, seed: int
) -> Int64[ndarray, " queries"]:
    """Draw rows of the ground truth to which another picture is relevant, ascending.

    Raises:
        UsageError: If `n_queries` is below 1.
        DatasetError: If no two pictures of the gallery are relevant to each other.
    """
    if n_queries is not None and n_queries < 1:
        raise UsageError(f"n_queries is {n_queries}; ask for at least 1 query")
    possible = np.flatnonzero(truth.has_relevant)
    if len(possible) == 0:
        raise DatasetError(
            f"no two of the {len(truth)} pictures found share a class that counts; "
            "evaluate with more pictures or with coarser classes"
        )
    if n_queries is None or n_queries >= len(possible):
        return possible
    drawn: ndarray = np.random.default_rng(seed).choice(possible, n_queries, replace=False)
    return np.sort(drawn)


@dataclass(frozen=True, slots=True, eq=False)
class _Findings:
    """What is kept of judged rankings: never the whole of them."""

    n_relevant: Int64[ndarray, " queries"]
    values: dict[Measure, Float64[ndarray, " queries"]]
    curves: Float64[ndarray, "queries levels"]
    hits: Hits
    hit_relevant: Bool[ndarray, "queries k"]
    hit_overlap: Float64[ndarray, "queries k"] | None
    junk: Ids


def _judged(
    system: System,
    truth: GroundTruth,
    queries: Int64[ndarray, " queries"],
    at: tuple[int, ...],
    task: Task,
) -> _Findings:
    rows = min(_CHUNK_QUERIES, max(1, _CHUNK_CELLS // len(truth)))
    batches: list[_Findings] = []
    for start in range(0, len(queries), rows):
        batch = queries[start : start + rows]
        hits = system.rank(truth.ids[batch], max(1, len(truth) + truth.n_unknown - 1))
        batches.append(_findings(judge(truth, batch, hits, at[-1]), truth, at, hits.is_ranked))
        task.advance(len(batch))
    return _joined(batches)


def _findings(
    judged: JudgedRankings, truth: GroundTruth, at: tuple[int, ...], is_ranked: bool
) -> _Findings:
    k = at[-1]
    overlap = overlap_of_first(truth, judged, k)
    first = judged.hits[:, :k]
    ids = np.where(first == NO_ID, NO_ID, truth.ids[first])
    return _Findings(
        n_relevant=judged.n_relevant,
        values=measure(judged, truth, overlap, at),
        curves=interpolated_precision(judged.relevant, judged.n_relevant),
        hits=Hits(ids, judged.scores[:, :k], is_ranked=is_ranked),
        hit_relevant=judged.relevant[:, :k],
        hit_overlap=overlap.labeled if overlap else None,
        junk=judged.junk,
    )


def _joined(batches: Sequence[_Findings]) -> _Findings:
    overlaps = [batch.hit_overlap for batch in batches if batch.hit_overlap is not None]
    return _Findings(
        n_relevant=np.concatenate([batch.n_relevant for batch in batches]),
        values={
            name: np.concatenate([batch.values[name] for batch in batches])
            for name in batches[0].values
        },
        curves=np.concatenate([batch.curves for batch in batches]),
        hits=Hits(
            np.concatenate([batch.hits.ids for batch in batches]),
            np.concatenate([batch.hits.scores for batch in batches]),
            is_ranked=all(batch.hits.is_ranked for batch in batches),
        ),
        hit_relevant=np.concatenate([batch.hit_relevant for batch in batches]),
        hit_overlap=np.concatenate(overlaps) if overlaps else None,
        junk=np.unique(np.concatenate([batch.junk for batch in batches])),
    )


def _judged_clusters(
    truth: GroundTruth, clusters: Int[ndarray, " images"] | None
) -> tuple[ClusteringScores | None, ClusteringScores | None]:
    """Judge clusters by any common label, and by label sets that are half the same."""
    if clusters is None:
        return None, None
    if len(clusters) != len(truth):
        raise UsageError(
            f"clusters are given for {len(clusters)} pictures, the gallery has {len(truth)}; "
            "give one for each of truth.ids"
        )
    labels = truth.relevant_labels
    return (
        pairwise_clustering(labels, clusters),
        pairwise_clustering(labels, clusters, min_jaccard=0.5),
    )


def _checked_cuts(at: Sequence[int]) -> tuple[int, ...]:
    cuts = tuple(sorted(set(at)))
    if not cuts or cuts[0] < 1:
        raise UsageError(f"at is {list(at)}; give one or more values of k, each at least 1")
    return cuts
