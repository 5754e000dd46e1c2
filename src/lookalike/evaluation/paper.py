"""The tables of the published experiments, computed from embeddings and labels.

L. Duan, Q. En and others, *International Journal of Advanced Robotic Systems*, 2020, name three
measures and leave open how most of them are taken: the number of clusters, the order inside a
cluster, what changes between runs. Every such choice is an argument here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import VOID, Embeddings, normalize
from lookalike.errors import UsageError
from lookalike.evaluation.clustering import extended_bcubed, pairwise_clustering

Clustering: TypeAlias = Callable[[Embeddings, int, int], Int64[ndarray, " images"]]
"""Gives the cluster of each row, for a number of clusters and a seed."""

VARIANTS: Final = ("f", "f_without", "f_jaccard", "f_bcubed")
"""Table 1 in four readings: as published; without the most frequent class; pairs related from a
Jaccard index of 0.5 up; extended BCubed."""

READINGS: Final = ("list", "ranked", "exact")
"""Table 2 in three readings of what is retrieved; see `repeat_runs`."""

SMALL, LARGE = 0.03, 0.10
"""Limits, as shares of the picture, between small, middle and large regions of a class."""


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """Clusters judged in all readings of Table 1, beside the two degenerate clusterings.

    Attributes:
        k: How many clusters were asked for.
        precision: Of pairs, as published.
        recall: Of pairs, as published.
        scores: F in each of `VARIANTS`.
        one_cluster: The same for everything in one cluster.
        random: The same for balanced clusters drawn at random.
    """

    k: int
    precision: float
    recall: float
    scores: dict[str, float]
    one_cluster: dict[str, float]
    random: dict[str, float]


def most_frequent_class(labels: Bool[ndarray, "images classes"]) -> int:
    """Return the class that most images have; of several the first.

    Example:
        >>> most_frequent_class(np.array([[True, False, True], [False, False, True]]))
        2
    """
    return int(labels.sum(axis=0).argmax())


def judge_clusters(
    labels: Bool[ndarray, "images classes"],
    clusters: Int[ndarray, " images"],
    k: int,
    *,
    seed: int = 0,
) -> ClusterRow:
    """Judge one clustering for Table 1.

    F of extended BCubed has no simple expectation for random clusters, so one balanced draw is
    measured.

    Args:
        labels: Classes that count, for each image.
        clusters: Cluster of each image.
        k: How many clusters were asked for.
        seed: Of the random clusters.
    """
    fewer = np.delete(labels, most_frequent_class(labels), axis=1)
    pairs = {
        "f": pairwise_clustering(labels, clusters),
        "f_without": pairwise_clustering(fewer, clusters),
        "f_jaccard": pairwise_clustering(labels, clusters, min_jaccard=0.5),
    }
    dealt = np.random.default_rng(seed).permutation(np.arange(len(labels)) % k)
    one = np.zeros(len(labels), np.int64)
    bcubed = {name: extended_bcubed(labels, c).f for name, c in
              (("own", clusters), ("one", one), ("random", dealt))}  # fmt: skip
    return ClusterRow(
        k=k,
        precision=pairs["f"].precision,
        recall=pairs["f"].recall,
        scores={n: s.f for n, s in pairs.items()} | {"f_bcubed": bcubed["own"]},
        one_cluster={n: s.baseline_one_cluster_f for n, s in pairs.items()}
        | {"f_bcubed": bcubed["one"]},
        random={n: s.baseline_random_f for n, s in pairs.items()} | {"f_bcubed": bcubed["random"]},
    )


def sweep_clusters(
    labels: Bool[ndarray, "images classes"],
    embeddings: Embeddings,
    numbers: Sequence[int],
    cluster: Clustering,
    *,
    seed: int = 0,
) -> list[ClusterRow]:
    """Cluster embeddings and judge the clusters, for several numbers of them (Table 1).

    Numbers above half of the images are left out: clusters of one image have no pairs.
    """
    return [
        judge_clusters(labels, cluster(embeddings, k, seed), k, seed=seed)
        for k in numbers
        if 2 * k <= len(labels)
    ]


def walk_clusters(
    embeddings: Embeddings,
    clusters: Int[ndarray, " images"],
    queries: Int64[ndarray, " queries"],
    n: int,
    order: str,
) -> Int64[ndarray, "queries found"]:
    """Retrieve through k-means clusters as published: nearest cluster first, then the next.

    Centers are the mean directions of their clusters and are visited by falling cosine with the
    query, until `n` images have been met; the query itself is not one of them.

    Args:
        embeddings: Of the whole gallery.
        clusters: Cluster of each image.
        queries: Rows of the gallery that are asked for.
        n: How many images to give; less than there are.
        order: Inside a cluster: `list`, as the images happen to be stored, which is the text of
            the paper taken literally; `ranked`, by falling cosine with the query.

    Raises:
        UsageError: If `n` is below 1 or not below the number of images, or the order unknown.

    Returns:
        Rows of the gallery, in the order in which they are met.
    """
    if order not in ("list", "ranked"):
        raise UsageError(f"order {order!r} is not known; choose list or ranked")
    if not 1 <= n < len(embeddings):
        raise UsageError(
            f"{n} images cannot be retrieved for a query out of {len(embeddings)} images; "
            "ask for at least 1 and fewer than there are"
        )
    rows = normalize(embeddings)
    names, cluster_of = np.unique(clusters, return_inverse=True)
    members = [np.flatnonzero(cluster_of == place) for place in range(len(names))]
    centers = normalize(np.stack([rows[ids].sum(axis=0) for ids in members]))
    nearness = rows[queries] @ centers.T
    found = np.empty((len(queries), n), np.int64)
    for place, query in enumerate(queries):
        nearest = np.argsort(-nearness[place], kind="stable")
        found[place] = _walk(rows, members, nearest, int(query), n, order)
    return found


def _walk(
    rows: Embeddings,
    members: Sequence[ndarray],
    nearest: Int64[ndarray, " clusters"],
    query: int,
    n: int,
    order: str,
) -> Int64[ndarray, " found"]:
    met: list[ndarray] = []
    n_met = 0
    for cluster in nearest:
        ids = members[cluster][members[cluster] != query]
        if order == "ranked":
            ids = ids[np.argsort(-(rows[ids] @ rows[query]), kind="stable")]
        met.append(ids)
        n_met += len(ids)
        if n_met >= n:
            break
    return np.concatenate(met)[:n]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Precision and recall of the first N images, once per run (Table 2).

    Attributes:
        at: The values of N.
        precision: Mean over the queries of each run.
        recall: The same.
        n_queries: Queries of each run.
    """

    at: tuple[int, ...]
    precision: Float64[ndarray, "runs at"]
    recall: Float64[ndarray, "runs at"]
    n_queries: int


def repeat_runs(
    labels: Bool[ndarray, "images classes"],
    embeddings: Embeddings,
    cluster: Clustering,
    *,
    n_clusters: int,
    n_queries: int,
    at: Sequence[int] = (2, 5, 8, 10),
    n_runs: int = 30,
    seed: int = 0,
) -> dict[str, Runs]:
    """Measure retrieval through clusters again and again, with other queries and other clusters.

    Two images are relevant to each other if they share a label. `P@N = hits / N` and
    `R@N = hits / R` with `R` relevant images in the gallery. Runs differ in the queries that are
    drawn, without replacement, and in where k-means starts.

    Args:
        labels: Classes that count, for each image.
        embeddings: Of the same images.
        cluster: Clusters them, by k-means.
        n_clusters: How many clusters.
        n_queries: Queries of each run; all that have a relevant image if there are fewer.
        at: The values of N.
        n_runs: How many runs.
        seed: Of queries and clusters.

    Returns:
        The runs by the order inside a cluster, `list` and `ranked` as in `walk_clusters`, and
        `exact`: every image compared, without clusters. All three have the same queries.
    """
    possible = possible_queries(labels)
    n_queries = min(n_queries, len(possible))
    measured = np.empty((len(READINGS), 2, n_runs, len(at)))
    for run in range(n_runs):
        rng = np.random.default_rng([seed, run])
        queries = np.sort(rng.choice(possible, n_queries, replace=False))
        clusters = cluster(embeddings, n_clusters, int(rng.integers(1 << 30)))
        everything = np.zeros_like(clusters)
        for reading, (lists, order) in enumerate(
            ((clusters, "list"), (clusters, "ranked"), (everything, "ranked"))
        ):
            found = walk_clusters(embeddings, lists, queries, max(at), order)
            each = precision_recall(labels, queries, found, at)
            measured[reading, :, run] = [values.mean(axis=0) for values in each]
    return {
        name: Runs(tuple(at), measured[reading, 0], measured[reading, 1], n_queries)
        for reading, name in enumerate(READINGS)
    }


def possible_queries(labels: Bool[ndarray, "images classes"]) -> Int64[ndarray, " queries"]:
    """Return the images to which another one is relevant.

    Raises:
        UsageError: If there is none.
    """
    common = labels.sum(axis=0) > 1
    possible = np.flatnonzero((labels & common).any(axis=1))
    if len(possible) == 0:
        raise UsageError(
            f"no two of the {len(labels)} images share a label, so nothing can be measured; "
            "take more images or coarser classes"
        )
    return possible


def precision_recall(
    labels: Bool[ndarray, "images classes"],
    queries: Int64[ndarray, " queries"],
    found: Int64[ndarray, "queries n"],
    at: Sequence[int],
) -> tuple[Float64[ndarray, "queries at"], Float64[ndarray, "queries at"]]:
    """Return precision and recall of the first N images of each query.

    Args:
        labels: Classes that count, for each image.
        queries: Rows of `labels` that were asked for; each has a relevant image.
        found: Rows of `labels`, best first, without the query.
        at: The values of N, none above the number of columns of `found`.
    """
    own = labels[queries].astype(np.float32)
    n_relevant = ((own @ labels.T.astype(np.float32)) > 0).sum(axis=1) - 1
    hits = (labels[found] & labels[queries][:, None]).any(axis=2).cumsum(axis=1)
    cuts = np.asarray(at) - 1
    return hits[:, cuts] / np.asarray(at), hits[:, cuts] / n_relevant[:, None]


def means_of_samples(
    values: Float[ndarray, " queries"], sizes: Sequence[int], *, n_runs: int = 30, seed: int = 0
) -> tuple[Float64[ndarray, " sizes"], Float64[ndarray, " sizes"]]:
    """Mean over random samples of queries, against the size of the sample (Table 3).

    A mean of a random sample has the same expectation whatever its size; only its spread falls,
    and it is 0 when all are drawn.

    Args:
        values: One value per query.
        sizes: Queries per sample; at least 1, at most all.
        n_runs: Samples of each size, drawn without replacement.
        seed: Of the samples.

    Returns:
        Mean and standard deviation over the samples of each size.
    """
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(len(values)) for _ in range(n_runs)])
    sums = values[orders].cumsum(axis=1)
    places = np.asarray(sizes) - 1
    means = sums[:, places] / np.asarray(sizes)
    return means.mean(axis=0), means.std(axis=0)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How well label maps are reproduced.

    Attributes:
        by_class: IoU of each class over all cells of all maps; `nan` where no map has it.
        by_size: Mean IoU of the regions of a class in a map that are `small` (below 3 % of the
            map), `middle` (below 10 %) and `large`; `nan` where there is none.
        n_by_size: How many of each.
    """

    by_class: tuple[float, ...]
    by_size: dict[str, float]
    n_by_size: dict[str, int]


def overlap_by_class_and_size(
    predicted: UInt8[ndarray, "maps grid grid"], true: UInt8[ndarray, "maps grid grid"], n: int
) -> Overlaps:
    """Compare label maps with what became of them, by class and by size.

    A code that loses small things cannot teach them. `IoU = |A ∩ B| / |A ∪ B|`; cells that are void
    in the true map are ignored; background is no class.

    Args:
        predicted: Label maps as they came out.
        true: As they are.
        n: Number of classes.
    """
    known = true != VOID
    both, either = np.zeros(n), np.zeros(n)
    ious: dict[str, list[float]] = {"small": [], "middle": [], "large": []}
    for c in range(n):
        is_true, is_found = (true == c + 1) & known, (predicted == c + 1) & known
        inter = (is_true & is_found).sum(axis=(1, 2))
        union = (is_true | is_found).sum(axis=(1, 2))
        both[c], either[c] = inter.sum(), union.sum()
        shares = is_true.mean(axis=(1, 2))
        for place in np.flatnonzero(shares):
            size = "small" if shares[place] < SMALL else "middle"
            size = size if shares[place] < LARGE else "large"
            ious[size].append(inter[place] / union[place])
    by_class = np.divide(both, either, out=np.full(n, np.nan), where=either > 0)
    return Overlaps(
        by_class=tuple(by_class.tolist()),
        by_size={size: float(np.mean(v)) if v else float("nan") for size, v in ious.items()},
        n_by_size={size: len(values) for size, values in ious.items()},
    )
