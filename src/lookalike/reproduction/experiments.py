"""Each experiment, for one model or one system, as plain JSON values."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.evaluation.measurements import Evaluation
from lookalike.evaluation.paper import (
    means_of_samples,
    overlap_by_class_and_size,
    possible_queries,
    precision_recall,
    repeat_runs,
    sweep_clusters,
    walk_clusters,
)
from lookalike.evaluation.pixel_subsets import framed_digits, pixel_subset_curve
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.rankings import Measure
from lookalike.features.model import Model
from lookalike.index.kmeans import assign_clusters
from lookalike.progress import Progress
from lookalike.reproduction.materials import Data, Learned, Ranking
from lookalike.reproduction.plan import (
    CLUSTERS,
    MIXTURES,
    N_RETURNED,
    SEGMENTED,
    TABLE_2_CLUSTERS,
    Plan,
)

MEASURES: Final = {
    "map": Measure("mean_average_precision"),
    "precision": Measure("precision_at_k", 10),
    "ndcg": Measure("ndcg_at_k", 10),
    "miou": Measure("layout_miou_at_k", 10),
}
"""What is kept of each ranking of the ablations, mean and value of each query."""

EUCLIDEAN: Final = "layout, Euclidean"
"""Ranking by the distance of pooled probability maps, in place of their cosine."""

SAMPLES: Final = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
MONTAGE_CLUSTERS, MONTAGE_PICTURES = 10, 9
_TOLD_LABELS: Final = 4
_NEARLY_ALL: Final = 0.8
_BLOCK: Final = 64


def figure_3(plan: Plan, progress: Progress) -> dict[str, Any]:
    """Softmax regression on the first pixels and on pixels drawn at random."""
    pixels, labels = framed_digits()
    curve = pixel_subset_curve(pixels, labels, plan.dims, n_draws=plan.n_draws, progress=progress)
    found = {key: np.asarray(value).tolist() for key, value in _fields(curve).items()}
    return {**found, "n_pictures": len(labels)}


def table_1(data: Data, embeddings: Embeddings, seed: int) -> dict[str, Any]:
    """Pairwise clustering F over a sweep of k, in all readings."""
    rows = sweep_clusters(data.labels, embeddings, CLUSTERS, _cluster, seed=seed)
    return {"rows": [asdict(row) for row in rows]}


def figure_4(data: Data, embeddings: Embeddings, seed: int) -> dict[str, Any]:
    """The clusters as a person sees them: largest first, the pictures nearest to each center."""
    n = max(1, min(MONTAGE_CLUSTERS, len(embeddings) // 10))
    clusters = assign_clusters(embeddings, n, seed=seed)
    rows = normalize(embeddings)
    names = np.unique(clusters)
    sizes = {int(name): int((clusters == name).sum()) for name in names}
    shown = []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        members = np.flatnonzero(clusters == name)
        nearness = rows[members] @ normalize(rows[members].sum(axis=0, keepdims=True))[0]
        nearest = members[np.argsort(-nearness, kind="stable")][:MONTAGE_PICTURES]
        shown.append(
            {
                "size": sizes[name],
                "labels": _telling_labels(data, members),
                "nearest": nearest.tolist(),
            }
        )
    return {"clusters": shown, "n_pictures": len(embeddings)}


def table_2(data: Data, plan: Plan, embeddings: Embeddings, seed: int) -> dict[str, Any]:
    """Precision and recall of the first N over many runs, and the whole ranking once."""
    n_clusters = _n_clusters(len(embeddings))
    runs = repeat_runs(
        data.labels,
        embeddings,
        _cluster,
        n_clusters=n_clusters,
        n_queries=_per_run(data, plan),
        at=N_RETURNED,
        n_runs=plan.n_runs,
        seed=seed,
    )
    found = evaluate(
        Ranking(normalize(embeddings)), data.truth, n_queries=plan.n_queries, at=(10,), seed=seed
    )
    return {
        "n_clusters": n_clusters,
        "n_queries": runs["list"].n_queries,
        "n_relevant": float(found.n_relevant.mean()),
        "map": _mean(found, "map"),
        "r_precision": float(found.estimates[Measure("r_precision")].mean),
        "chance": found.prevalence,
        **{
            reading: {
                "precision": run.precision.mean(axis=0).tolist(),
                "precision_sd": run.precision.std(axis=0).tolist(),
                "recall": run.recall.mean(axis=0).tolist(),
                "recall_sd": run.recall.std(axis=0).tolist(),
            }
            for reading, run in runs.items()
        },
    }


def table_3(data: Data, plan: Plan, embeddings: Embeddings, seed: int) -> dict[str, Any]:
    """Means of precision and recall at 10 against the number of queries drawn."""
    clusters = assign_clusters(embeddings, _n_clusters(len(embeddings)), seed=seed)
    queries = possible_queries(data.labels)
    found = walk_clusters(embeddings, clusters, queries, 10, "ranked")
    sizes = [size for size in SAMPLES if size < _NEARLY_ALL * len(queries)] + [len(queries)]
    told: dict[str, Any] = {"n_queries": sizes}
    each = precision_recall(data.labels, queries, found, (10,))
    for name, values in zip(("precision", "recall"), each, strict=True):
        means, deviations = means_of_samples(values[:, 0], sizes, n_runs=plan.n_runs, seed=seed)
        told |= {name: means.tolist(), f"{name}_sd": deviations.tolist()}
    return told


def ablation(
    data: Data, plan: Plan, learned: Learned, model: Path, progress: Progress
) -> dict[str, Any]:
    """Rank by each mixture of content and layout; say what the code keeps of label maps.

    Queries are the same for every model and seed, so that values can be paired.
    """
    systems = {
        f"{beta:g}": Ranking(learned.mixture(beta))
        for beta in (MIXTURES if learned.layout is not None else (0.0,))
    }
    if learned.name == SEGMENTED and learned.layout is not None:
        systems[EUCLIDEAN] = Ranking(learned.layout, is_euclidean=True)
    rankings = {}
    with progress.task("Ranking by content and layout", len(systems), unit="mixtures") as task:
        for beta, system in systems.items():
            found = evaluate(system, data.truth, n_queries=plan.n_queries, at=(10,))
            rankings[beta] = {
                name: [round(value, 6) for value in found.values[measure].tolist()]
                for name, measure in MEASURES.items()
            }
            task.advance()
    told: dict[str, Any] = {
        "rankings": _finite(rankings),
        "learned": dict(learned.card.measured),
        "seconds": dict(learned.card.training_data["seconds"]),
        "device": learned.card.training_data["device"],
        "n_queries": len(found.query_ids),
        "random": {name: found.random[measure] for name, measure in MEASURES.items()},
    }
    if learned.layout is not None:
        told["overlap"] = _overlaps(data, learned.layout, Model.open(model))
    return told


def _overlaps(
    data: Data, layout: Float[ndarray, "gallery code_dim"], model: Model
) -> dict[str, Any]:
    """IoU by class and size: of maps encoded and decoded, and of codes predicted for pictures."""
    if data.truth.label_maps is None:
        return {}
    true, again, predicted = [], [], []
    for start in range(0, len(layout), _BLOCK):
        maps = np.asarray(data.truth.label_maps[start : start + _BLOCK])
        true.append(shrink_label_maps(maps, model.card.grid))
        again.append(_decoded(model, model.encode_label_maps(maps)))
        predicted.append(_decoded(model, layout[start : start + _BLOCK]))
    n = len(data.truth.classes)
    whole = np.concatenate(true)
    return {
        name: _finite(asdict(overlap_by_class_and_size(np.concatenate(maps), whole, n)))
        for name, maps in (("reconstructed", again), ("predicted", predicted))
    }


def _decoded(model: Model, codes: Embeddings) -> UInt8[ndarray, "maps grid grid"]:
    maps: ndarray = model.decode_codes(codes).argmax(axis=1).astype(np.uint8)
    return maps


def _telling_labels(data: Data, members: ndarray) -> list[list[Any]]:
    """Labels that a cluster has oftener than the gallery, by the difference of the shares."""
    labels = data.truth.labels
    own, all_ = labels[members].mean(axis=0), labels.mean(axis=0)
    order = np.argsort(all_ - own, kind="stable")[:_TOLD_LABELS]
    return [
        [data.truth.classes[c], float(own[c]), float(all_[c])] for c in order if own[c] > all_[c]
    ]


def _cluster(embeddings: Embeddings, n: int, seed: int) -> Int64[ndarray, " images"]:
    return assign_clusters(embeddings, n, seed=seed)


def _n_clusters(n: int) -> int:
    return max(2, min(TABLE_2_CLUSTERS, n // 10))


def _per_run(data: Data, plan: Plan) -> int:
    """Queries of a run: fewer than there are, or all runs would ask the same."""
    return max(2, min(plan.n_queries, len(possible_queries(data.labels)) // 2))


def _mean(found: Evaluation, name: str) -> float:
    return float(found.estimates[MEASURES[name]].mean)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say by nothing."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
