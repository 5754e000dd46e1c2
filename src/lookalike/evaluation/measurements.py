"""What an evaluation found, and how two of them compare."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.evaluation.clustering import ClusteringScores
from lookalike.evaluation.rankings import Measure
from lookalike.evaluation.statistics import Estimate, PairedDifference, holm, paired_differences
from lookalike.index.base import Hits


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """How well a system ranks a gallery, measured over queries drawn from it.

    Attributes:
        query_ids: Image ids of the queries, ascending.
        n_relevant: Number of relevant pictures of each query.
        n_gallery: Pictures in the gallery; each query searches all others.
        at: The values of `k`, ascending.
        seed: Which draw of queries, intervals and random order this was.
        values: Value of each measure for each query; `nan` where it is not defined.
        estimates: Mean of each measure over the queries, with its 95 % interval.
        random: Mean of each measure when the gallery is ranked in random order.
        curve: Mean precision at recall 0, 0.1, … 1, interpolated.
        random_curve: The same for random order.
        hits: The first `max(at)` hits of each query, without junk.
        hit_relevant: Whether each of them is relevant.
        hit_overlap: Layout overlap of each of them with the query, `None` without label maps.
        clustering: Agreement of clusters with labels, `None` where no clusters were given.
        strict_clustering: The same with pairs related only from a Jaccard index of 0.5 up.
        n_without_relevant: Pictures never used as query, since no other is relevant to them.
        n_junk: Images that were ranked, are unknown to the data set, and were left out.
        n_missing: Pictures of the data set that are not in the collection.
    """

    query_ids: Ids
    n_relevant: Int64[ndarray, " queries"]
    n_gallery: int
    at: tuple[int, ...]
    seed: int
    values: Mapping[Measure, Float64[ndarray, " queries"]]
    estimates: Mapping[Measure, Estimate]
    random: Mapping[Measure, float]
    curve: Float64[ndarray, " levels"]
    random_curve: Float64[ndarray, " levels"]
    hits: Hits
    hit_relevant: Bool[ndarray, "queries k"]
    hit_overlap: Float64[ndarray, "queries k"] | None
    clustering: ClusteringScores | None
    strict_clustering: ClusteringScores | None
    n_without_relevant: int
    n_junk: int
    n_missing: int

    @property
    def headline(self) -> tuple[Measure, ...]:
        """The few measures a table should show, at the largest `k`."""
        k = self.at[-1]
        wanted = (
            Measure("mean_average_precision"),
            Measure("precision_at_k", k),
            Measure("ndcg_at_k", k),
            Measure("layout_miou_at_k", k),
        )
        return tuple(measure for measure in wanted if measure in self.estimates)

    @property
    def prevalence(self) -> float:
        """Mean share of the gallery that is relevant to a query: the precision of chance."""
        return float(np.mean(self.n_relevant) / max(1, self.n_gallery - 1))

    def to_json(self) -> dict[str, object]:
        """Everything but the values per query, ready for `json.dumps`; undefined becomes null.

        Measures at `k` are objects keyed by `k` as text. `intervals` and `random` repeat the keys
        of the measures.
        """
        means = {measure: estimate.mean for measure, estimate in self.estimates.items()}
        return {
            "n_queries": len(self.query_ids),
            "n_gallery": self.n_gallery,
            **_nested({measure: _finite(mean) for measure, mean in means.items()}),
            "clustering": _clustering_json(self.clustering, self.strict_clustering),
            "precision_at_recall": [_finite(value) for value in self.curve],
            "intervals": _nested(
                {m: [_finite(e.low), _finite(e.high)] for m, e in self.estimates.items()}
            ),
            "random": _nested({m: _finite(value) for m, value in self.random.items()}),
            "prevalence": _finite(self.prevalence),
            "n_without_relevant": self.n_without_relevant,
            "n_junk": self.n_junk,
            "n_missing": self.n_missing,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Two systems on the same queries, first minus second.

    Attributes:
        differences: Paired difference of each measure, with interval and p-value.
        adjusted: p-value of each headline measure, adjusted for their number by Holm's procedure.
    """

    differences: Mapping[Measure, PairedDifference]
    adjusted: Mapping[Measure, float]

    def to_json(self) -> dict[str, object]:
        """Differences in the shape of `Evaluation.to_json`; undefined becomes null."""
        return _nested(
            {
                measure: {
                    "difference": _finite(paired.difference.mean),
                    "interval": [_finite(paired.difference.low), _finite(paired.difference.high)],
                    "p_value": _finite(paired.p_value),
                    "holm_p_value": _finite(self.adjusted.get(measure, math.nan)),
                    "effect_size": _finite(paired.effect_size),
                    "n": paired.difference.n,
                }
                for measure, paired in self.differences.items()
            }
        )


def compare(a: Evaluation, b: Evaluation, *, n_permutations: int = 10_000) -> Comparison:
    """Test every measure that both have for a difference, query by query.

    Holm's adjustment is made over the headline measures only: those at other `k` say nearly the
    same, and with forty of them no difference would ever count.

    Raises:
        UsageError: If the two were not evaluated on the same queries and gallery.
    """
    if not np.array_equal(a.query_ids, b.query_ids) or a.n_gallery != b.n_gallery:
        raise UsageError(
            f"the evaluations have {len(a.query_ids)} and {len(b.query_ids)} queries over "
            f"galleries of {a.n_gallery} and {b.n_gallery}, not the same; give both the same "
            "ground truth, n_queries and seed"
        )
    measures = [measure for measure in a.values if measure in b.values]
    differences = dict(
        zip(
            measures,
            paired_differences(
                _columns(a, measures),
                _columns(b, measures),
                n_permutations=n_permutations,
                seed=a.seed,
            ),
            strict=True,
        )
    )
    family = [measure for measure in a.headline if measure in differences]
    adjusted = holm(np.array([differences[measure].p_value for measure in family]))
    return Comparison(differences, dict(zip(family, adjusted.tolist(), strict=True)))


def _columns(
    evaluation: Evaluation, measures: Sequence[Measure]
) -> Float64[ndarray, "queries measures"]:
    return np.stack([evaluation.values[measure] for measure in measures], axis=1)


def _nested(values: Mapping[Measure, object]) -> dict[str, object]:
    """Turn `(name, k)` into an object per name, keyed by `k`."""
    nested: dict[str, object] = {}
    for (name, k), value in values.items():
        if k is None:
            nested[name] = value
        else:
            by_k = nested.setdefault(name, {})
            if isinstance(by_k, dict):
                by_k[str(k)] = value
    return nested


def _clustering_json(scores: ClusteringScores | None, strict: ClusteringScores | None) -> object:
    if scores is None:
        return None
    return {
        "precision": scores.precision,
        "recall": scores.recall,
        "f": scores.f,
        "k": scores.n_clusters,
        "baseline_one_cluster_f": scores.baseline_one_cluster_f,
        "baseline_random_f": scores.baseline_random_f,
        "n_unlabeled": scores.n_unlabeled,
        "f_jaccard": strict.f if strict else None,
        "baseline_one_cluster_f_jaccard": strict.baseline_one_cluster_f if strict else None,
        "baseline_random_f_jaccard": strict.baseline_random_f if strict else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
