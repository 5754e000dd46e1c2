"""Rankings held against the ground truth, a batch of queries at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids
from lookalike.evaluation import metrics
from lookalike.evaluation.graded import exponential_gain, ndcg_at_k
from lookalike.evaluation.layout import Overlap, layout_overlap_of_hits, mean_overlap_at_k
from lookalike.evaluation.truth import GroundTruth
from lookalike.index.base import Hits


class Measure(NamedTuple):
    """What was measured: a name and, for measures of the first `k` ranks, the `k`."""

    name: str
    k: int | None = None

    @property
    def label(self) -> str:
        """Short name for tables: `P@10`, `mAP`, `layout mIoU@10`."""
        short = _LABELS.get(self.name, self.name)
        return short if self.k is None else f"{short}@{self.k}"


_LABELS = {
    "precision_at_k": "P",
    "recall_at_k": "R",
    "f_at_k": "F",
    "hit_rate_at_k": "hit rate",
    "ndcg_at_k": "nDCG",
    "ndcg_exponential_at_k": "nDCG (2^g−1)",
    "mean_average_precision": "mAP",
    "mean_average_precision_at_k": "mAP",
    "mean_average_precision_over_hits_at_k": "mAP over hits",
    "map_at_r": "mAP@R",
    "r_precision": "R-precision",
    "mean_reciprocal_rank": "MRR",
    "label_jaccard_at_k": "label Jaccard",
    "layout_miou_at_k": "layout mIoU",
    "layout_miou_with_background_at_k": "layout mIoU with background",
}


@dataclass(frozen=True, slots=True, eq=False)
class JudgedRankings:
    """Rankings of which every rank is known to be relevant or not.

    Attributes:
        queries: Rows of the ground truth that were asked for.
        hits: Rows of the ground truth, best first, without junk and without the query; `NO_ID`
            fills up the end of a row.
        scores: Scores of the hits; `-inf` where `hits` is filled up.
        grades: Number of relevant labels that each hit shares with the query.
        n_relevant: Number of relevant pictures in the gallery.
        best_grades: The highest grades of the gallery.
        junk: Ids that were ranked though the ground truth does not know them, each once.
    """

    queries: Int64[ndarray, " queries"]
    hits: Int64[ndarray, "queries ranks"]
    scores: Float[ndarray, "queries ranks"]
    grades: Int64[ndarray, "queries ranks"]
    n_relevant: Int64[ndarray, " queries"]
    best_grades: Int64[ndarray, "queries best"]
    junk: Ids

    @property
    def relevant(self) -> Bool[ndarray, "queries ranks"]:
        """Whether the hit at each rank shares a label with the query."""
        shares: ndarray = self.grades > 0
        return shares


def judge(
    truth: GroundTruth, queries: Int64[ndarray, " queries"], hits: Hits, k: int
) -> JudgedRankings:
    """Hold rankings against the ground truth.

    Args:
        truth: What is known of the gallery.
        queries: Rows of `truth`, one per ranking.
        hits: Rankings by image id, as long as the measures need them. Images unknown to `truth`
            and the query itself are taken out and the rest moves up.
        k: Largest number of ranks at which graded relevance will be measured.
    """
    missing = ((0, 0), (0, max(0, k - hits.ids.shape[1])))
    ids = np.pad(hits.ids, missing, constant_values=NO_ID)
    rows = truth.positions(ids)
    junk = np.unique(ids[(rows == NO_ID) & (ids != NO_ID)])
    rows[rows == queries[:, None]] = NO_ID
    order = np.argsort(rows == NO_ID, axis=1, kind="stable")[:, : max(1, len(truth) - 1)]
    rows = np.take_along_axis(rows, order, axis=1)
    scores = np.pad(hits.scores, missing, constant_values=-np.inf)
    scores = np.take_along_axis(scores, order, axis=1)
    shared = truth.shared_labels(queries)
    found = rows != NO_ID
    grades = np.where(found, np.take_along_axis(shared, np.where(found, rows, 0), axis=1), 0)
    # Sixteen bits are sorted by radix, many times faster than any comparison.
    ascending = np.sort(shared.astype(np.int16), axis=1, kind="stable")
    return JudgedRankings(
        queries=queries,
        hits=rows,
        scores=np.where(found, scores, -np.inf),
        grades=grades,
        n_relevant=(shared > 0).sum(axis=1),
        best_grades=ascending[:, -k:].astype(np.int64),
        junk=junk,
    )


def measure(
    judged: JudgedRankings, truth: GroundTruth, overlap: Overlap | None, at: Sequence[int]
) -> dict[Measure, Float64[ndarray, " queries"]]:
    """Compute every measure of every query, `nan` where it is not defined.

    Args:
        judged: Full rankings; missing ranks count as not relevant.
        truth: What is known of the gallery.
        overlap: Layout overlap of the first ranks, from `overlap_of_first`.
        at: Values of `k`.
    """
    relevant, n_relevant = judged.relevant, judged.n_relevant
    values = {
        Measure("mean_average_precision"): metrics.average_precision(relevant, n_relevant),
        Measure("r_precision"): metrics.r_precision(relevant, n_relevant),
        Measure("map_at_r"): metrics.map_at_r(relevant, n_relevant),
        Measure("mean_reciprocal_rank"): metrics.reciprocal_rank(relevant, n_relevant),
    }
    jaccard = _label_jaccard(truth, judged.queries, judged.hits[:, : max(at)])
    for k in at:
        values |= _measure_at_k(judged, k)
        values[Measure("label_jaccard_at_k", k)] = mean_overlap_at_k(jaccard, k)
        if overlap is not None:
            values[Measure("layout_miou_at_k", k)] = mean_overlap_at_k(overlap.labeled, k)
            values[Measure("layout_miou_with_background_at_k", k)] = mean_overlap_at_k(
                overlap.with_background, k
            )
    return values


def overlap_of_first(truth: GroundTruth, judged: JudgedRankings, k: int) -> Overlap | None:
    """Layout overlap of each query with its first `k` hits; `None` without label maps."""
    if truth.label_maps is None:
        return None
    return layout_overlap_of_hits(truth.label_maps, judged.queries, judged.hits[:, :k])


def _measure_at_k(judged: JudgedRankings, k: int) -> dict[Measure, Float64[ndarray, " queries"]]:
    relevant, n_relevant = judged.relevant, judged.n_relevant
    by_name = {
        "precision_at_k": metrics.precision_at_k,
        "recall_at_k": metrics.recall_at_k,
        "f_at_k": metrics.f_at_k,
        "hit_rate_at_k": metrics.hit_rate_at_k,
        "mean_average_precision_at_k": metrics.average_precision_at_k,
        "mean_average_precision_over_hits_at_k": metrics.average_precision_over_hits_at_k,
    }
    values = {Measure(name, k): of(relevant, n_relevant, k) for name, of in by_name.items()}
    grades, best = judged.grades, judged.best_grades
    values[Measure("ndcg_at_k", k)] = ndcg_at_k(grades, best, k)
    values[Measure("ndcg_exponential_at_k", k)] = ndcg_at_k(grades, best, k, exponential_gain)
    return values


def _label_jaccard(
    truth: GroundTruth, queries: Int64[ndarray, " queries"], hits: Int64[ndarray, "queries k"]
) -> Float64[ndarray, "queries k"]:
    """Jaccard index of all labels of query and hit; 0 at a missing rank."""
    of_queries, of_hits = truth.labels[queries][:, None], truth.labels[hits]
    common = (of_queries & of_hits).sum(axis=2)
    union = (of_queries | of_hits).sum(axis=2)
    jaccard: ndarray = np.where(hits == NO_ID, 0.0, common / np.maximum(union, 1))
    return jaccard
