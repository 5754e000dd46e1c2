"""How much effort an approximate index needs to find what exact search finds.

Queries are drawn from the collection itself and searched without themselves. Since they are few,
the recall that counts is the lower end of its one-sided 95 % interval: what was promised then also
holds for queries that were not drawn.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Float, Float32, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import TUNED_K, IndexFacts, VectorIndex
from lookalike.index.bits import BinaryCodes
from lookalike.index.clusters import ClusterIndex
from lookalike.index.codes import ClusteredCodes, FlatCodes, exact_neighbors
from lookalike.index.fast_scan import FEW_PASS, FastScanIndex
from lookalike.index.hamming import BINARY_REFINE, HammingIndex
from lookalike.index.rows import Rows

_N_QUERIES: Final = 1_000
_N_FILTERED: Final = 300
"""Queries for tuning with a filter, which takes longer."""

_Z: Final = 1.645
"""Standard errors that leave 5 % below a one-sided interval."""

_REFINE: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_REACH: Final = tuple(np.round(np.linspace(0, 2, 201), 2).tolist())
_FEWEST_CLUSTERS: Final = 16
_FEWEST_MEMBERS: Final = 1_000
"""Less is not tried: queries unlike anything in the collection need some room."""

_REFINE_BITS: Final = (2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Bits tell less than codes of four bits for two dimensions."""
_SHORT_CODES_FROM: Final = 50_000
"""Smaller collections are searched faster without short codes."""

_Index = TypeVar("_Index", FastScanIndex, ClusterIndex, HammingIndex)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Queries with a known answer.

    Attributes:
        ids: Their own ids, not to be found.
        queries: Their embeddings.
        least: Similarity of the last of the true neighbors of each; what reaches it is one.
        n_true: Number of true neighbors, `TUNED_K` unless there are fewer images.
        allowed: The filter under which they are true; `None` for none.
    """

    ids: Ids
    queries: Float32[ndarray, "queries dim"]
    least: Float32[ndarray, " queries"]
    n_true: int
    allowed: Int64[ndarray, " allowed"] | None


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the true neighbors found, and the lower end of its interval."""

    mean: float
    lower: float


def query_positions(n: int, seed: int) -> Int64[ndarray, " queries"]:
    """Return the positions of the rows that serve as queries, at most a tenth of all.

    Training is not to see them: with a query that k-means was trained with, its neighbors are
    found too easily. Very small collections are measured with what they have.
    """
    n_queries = min(_N_QUERIES, max(1, n // 10))
    return np.random.default_rng(seed).choice(n, n_queries, replace=False)


def draw_sample(rows: Rows, seed: int, n_passing: int | None = None) -> Sample:
    """Search the queries exactly, also under a random filter that `n_passing` pass."""
    chosen = query_positions(len(rows), seed)
    allowed, passing = None, rows.embeddings
    if n_passing is not None:
        chosen = chosen[:_N_FILTERED]
        drawn = np.random.default_rng(seed + 1).choice(len(rows), n_passing, replace=False)
        allowed, passing = rows.stored_ids[np.sort(drawn)], rows.embeddings[np.sort(drawn)]
    n_true = min(TUNED_K, len(passing) - 1)
    ids, queries = rows.stored_ids[chosen], rows.embeddings[chosen]
    if n_true < 1:
        return Sample(ids, queries, np.full(len(ids), -np.inf, np.float32), 0, allowed)
    nearest = exact_neighbors(passing, queries, n_true + 1)
    found = rows.stored_ids[nearest] if allowed is None else allowed[nearest]
    # Similarities as any search gives them, so that they can be compared for equality.
    scores = np.vecdot(passing[nearest], queries[:, None])
    least = _without_self(found, scores, ids).min(axis=1)
    return Sample(ids, queries, least, n_true, allowed)


def measure(index: VectorIndex, sample: Sample) -> Recall:
    """Measure the recall of `index`; 1 where there is nothing to be found."""
    if sample.n_true == 0:
        return Recall(1.0, 1.0)
    hits = index.search(sample.queries, sample.n_true + 1, allowed=sample.allowed)
    scores = _without_self(hits.ids, hits.scores, sample.ids)
    found = (scores >= sample.least[:, None]).sum(axis=1) / sample.n_true
    error = float(found.std() / np.sqrt(len(found)))
    mean = float(found.mean())
    return Recall(mean, mean - _Z * error)


def tuned_fast_scan(rows: Rows, codes: FlatCodes, facts: IndexFacts) -> FastScanIndex:
    """Return the index that looks at as few candidates as the recall target allows."""
    sample = draw_sample(rows, facts.seed)
    index = FastScanIndex(rows, facts, codes)
    return _measured(_tuned(index, "refine", _REFINE, [sample], facts.recall_target), sample)


def tuned_clusters(rows: Rows, codes: ClusteredCodes, facts: IndexFacts) -> ClusterIndex:
    """Return the index that visits as few images as the recall target allows.

    What may be lost is spent in steps, each of which leaves something to the next. First, without
    a filter, the most clusters that are visited however near they all are, and the reach within
    which fewer are enough. Then the members under a filter that lets a tenth pass: it takes away
    most of what is near, and the reach alone would stop too soon. Then the candidates that the
    codes hand on.

    If `facts.members` is set it stays, with a filter and without, and the reach is 0.
    """
    sample, filtered = draw_sample(rows, facts.seed), _filtered_samples(rows, facts.seed)
    members = facts.members or min(_FEWEST_MEMBERS, len(rows))
    start = replace(facts, members=members, filtered_members=members, refine=_REFINE[-1])
    index = ClusterIndex(rows, replace(start, most_clusters=_FEWEST_CLUSTERS), codes)
    if not facts.members:
        index = index.with_facts(replace(index.facts, reach=_REACH[-1]))
        most = _steps(_FEWEST_CLUSTERS, facts.n_clusters)
        index = _tuned(index, "most_clusters", most, [sample], _less(facts, 0.4))
        index = _tuned(index, "reach", _REACH, [sample], _less(facts, 0.8))
        members_tried = _steps(_FEWEST_MEMBERS, len(rows))
        index = _tuned(index, "filtered_members", members_tried, filtered, _less(facts, 0.8))
    index = _tuned(index, "refine", _REFINE, [sample, *filtered], facts.recall_target)
    return _measured(index, sample)


def tuned_hamming(rows: Rows, codes: BinaryCodes, facts: IndexFacts) -> HammingIndex:
    """Return the index that looks at as few candidates as the recall target allows.

    First those that the long codes hand on, with half of what may be lost; then, in collections
    large enough, those that the short codes hand on to them. Bits need no tuning.
    """
    sample, target = draw_sample(rows, facts.seed), facts.recall_target
    if codes.are_bits:
        found = HammingIndex(rows, replace(facts, refine=BINARY_REFINE), codes)
        return _measured(found, sample)
    index = HammingIndex(rows, facts, codes)
    if len(rows) < _SHORT_CODES_FROM:
        return _measured(_tuned(index, "refine", _REFINE_BITS, [sample], target), sample)
    index = _tuned(index, "refine", _REFINE_BITS, [sample], _less(facts, 0.5))
    # The last step is all of them.
    steps = [*_steps(_FEWEST_MEMBERS, len(rows) // 4), 0]
    return _measured(_tuned(index, "members", steps, [sample], target), sample)


def _less(facts: IndexFacts, share: float) -> float:
    """Return the recall at which a share of what may be lost is lost."""
    return 1 - share * (1 - facts.recall_target)


def _filtered_samples(rows: Rows, seed: int) -> list[Sample]:
    """Draw queries under a filter that passes a tenth, or a few more than are compared exactly.

    None for collections of which a narrow filter leaves so few that all are compared.
    """
    n_passing = max(len(rows) // 10, 2 * FEW_PASS)
    return [draw_sample(rows, seed, n_passing)] if 2 * n_passing < len(rows) else []


def _steps(fewest: int, most: int) -> list[int]:
    """Numbers to try, each about a third more than the last.

    Example:
        >>> _steps(10, 40), _steps(10, 7)
        ([10, 13, 17, 23, 30, 40], [7])
    """
    if fewest >= most:
        return [most]
    n_steps = 1 + round(np.log(most / fewest) / np.log(4 / 3))
    return [round(step) for step in np.geomspace(fewest, most, max(2, n_steps)).tolist()]


def _tuned(
    index: _Index, name: str, steps: Sequence[int | float], samples: Sequence[Sample], target: float
) -> _Index:
    """Return the index at the first step that reaches the target, or else at the last one.

    Found by halving, since each step finds what the one before it does, and more.

    Args:
        index: What is tuned.
        name: The number in its facts that is set.
        steps: Values to try, ascending.
        samples: What the recall is measured with; all are to reach the target.
        target: Lower end of the recall.
    """

    def at(step: int | float) -> _Index:
        return index.with_facts(replace(index.facts, **{name: step}))  # type: ignore[arg-type]

    def reaches_target(step: int | float) -> bool:
        return all(measure(at(step), sample).lower >= target for sample in samples)

    return at(steps[bisect_left(steps[:-1], True, key=reaches_target)])


def _measured(index: _Index, sample: Sample) -> _Index:
    facts = replace(index.facts, measured_recall=measure(index, sample).mean)
    return index.with_facts(facts)


def _without_self(
    ids: Int64[ndarray, "queries found"], scores: Float[ndarray, "queries found"], own: Ids
) -> Float[ndarray, "queries others"]:
    """Drop each query's own column, or the last where it was not found."""
    is_own = ids == own[:, None]
    is_own[~is_own.any(axis=1), -1] = True
    return np.compress(~is_own.ravel(), scores).reshape(len(scores), scores.shape[1] - 1)
