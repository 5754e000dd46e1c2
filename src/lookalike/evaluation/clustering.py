"""How well clusters agree with labels, for images that have several labels each.

Judged over pairs of images, as the method's authors do: a pair belongs together if the two share
a label. On common labels this measure saturates, and it is driven mostly by the number of
clusters; therefore two degenerate clusterings are always reported beside it.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Int64
from numpy import ndarray

from lookalike.errors import UsageError

_BLOCK_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class ClusteringScores:
    """Counts over all unordered pairs of labeled images, and what follows from them.

    Attributes:
        true_positive: Pairs related and in one cluster.
        false_positive: Pairs not related and in one cluster.
        false_negative: Pairs related and in different clusters.
        true_negative: Pairs not related and in different clusters.
        n_clusters: Clusters that hold a labeled image.
        n_unlabeled: Images left out because they have no label.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int
    n_clusters: int
    n_unlabeled: int

    @property
    def precision(self) -> float:
        """`TP / (TP + FP)`; 0 where no two images share a cluster (it is undefined there)."""
        return _share(self.true_positive, self.false_positive)

    @property
    def recall(self) -> float:
        """`TP / (TP + FN)`; 0 where no two images are related (it is undefined there)."""
        return _share(self.true_positive, self.false_negative)

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall; 0 without a true positive."""
        return _harmonic_mean(self.precision, self.recall)

    @property
    def prevalence(self) -> float:
        """Share `p` of all pairs that are related."""
        related = self.true_positive + self.false_negative
        return _share(related, self.false_positive + self.true_negative)

    @property
    def baseline_one_cluster_f(self) -> float:
        """F of all images in one cluster: precision `p`, recall 1, so `2p / (1 + p)`."""
        return _harmonic_mean(self.prevalence, 1.0 if self.prevalence else 0.0)

    @property
    def baseline_random_f(self) -> float:
        """F of as many balanced clusters drawn at random, from expected precision and recall.

        Expected precision is `p`; expected recall is the share of all pairs that fall into one
        cluster when sizes differ by at most one, about one over the number of clusters.
        """
        return _harmonic_mean(self.prevalence, self._balanced_share())

    def _balanced_share(self) -> float:
        pairs = self.true_positive + self.false_positive + self.false_negative + self.true_negative
        if pairs == 0:
            return 0.0
        # pairs = n (n - 1) / 2 gives back the number of labeled images.
        n = (1 + math.isqrt(1 + 8 * pairs)) // 2
        size, larger = divmod(n, self.n_clusters)
        smaller = self.n_clusters - larger
        together = larger * (size + 1) * size // 2 + smaller * size * (size - 1) // 2
        return together / pairs


def pairwise_clustering(
    labels: Bool[ndarray, "images classes"],
    clusters: Int[ndarray, " images"],
    *,
    min_jaccard: float = 0.0,
) -> ClusteringScores:
    """Compare clusters with labels over all unordered pairs of labeled images.

    `s_ij` = images `i` and `j` share a label and the Jaccard index of their label sets,
    `|Y_i ∩ Y_j| / |Y_i ∪ Y_j|`, is at least `min_jaccard`; `c_ij` = they lie in one cluster;
    `TP = sum s c`, `FP = sum (1 - s) c`, `FN = sum s (1 - c)`. Counts are exact. Pairs are never
    held at once; equal label sets are counted once with their number, so the cost grows with the
    square of the number of different label sets.

    Args:
        labels: Which classes each image shows.
        clusters: Cluster of each image; any whole numbers.
        min_jaccard: 0 for "at least one common label", as published; 0.5 asks for more and
            saturates less.

    Raises:
        UsageError: If `min_jaccard` is not in `[0, 1]`.

    Example:
        >>> labels = np.array([[True, False], [True, True], [False, True]])
        >>> scores = pairwise_clustering(labels, np.array([0, 0, 1]))
        >>> scores.precision, scores.recall
        (1.0, 0.5)

    References:
        C. D. Manning, P. Raghavan, H. Schütze, *Introduction to Information Retrieval*, Cambridge
        University Press, 2008, section 16.3, with "same class" replaced by "common label".
    """
    if not 0 <= min_jaccard <= 1:
        raise UsageError(f"min_jaccard is {min_jaccard}; give a value from 0 to 1")
    labeled = labels.any(axis=1)
    labels, clusters = labels[labeled], clusters[labeled]
    order = np.argsort(clusters, kind="stable")
    _, starts = np.unique(clusters[order], return_index=True)
    members = np.split(order, starts[1:]) if len(order) else []
    related = _related_pairs(labels, min_jaccard)
    together = sum(len(ids) * (len(ids) - 1) // 2 for ids in members)
    true_positive = sum(_related_pairs(labels[ids], min_jaccard) for ids in members)
    pairs = len(labels) * (len(labels) - 1) // 2
    return ClusteringScores(
        true_positive=true_positive,
        false_positive=together - true_positive,
        false_negative=related - true_positive,
        true_negative=pairs - together - related + true_positive,
        n_clusters=len(members),
        n_unlabeled=int((~labeled).sum()),
    )


@dataclass(frozen=True, slots=True)
class BCubedScores:
    """Extended BCubed precision and recall, means over labeled images.

    Attributes:
        precision: How much of an image's own cluster shares a label with it.
        recall: How much of what shares a label with an image lies in its cluster, a pair with
            several common labels counting the less, since one cluster can repeat one only.
    """

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall."""
        return _harmonic_mean(self.precision, self.recall)


def extended_bcubed(
    labels: Bool[ndarray, "images classes"], clusters: Int[ndarray, " images"]
) -> BCubedScores:
    """Compare clusters with labels image by image, for images that have several labels each.

    With `C` the clusters and `L` the labels of an image, precision is the mean over images `e` of
    the mean over all `e'` with a common cluster of `min(|C∩C'|, |L∩L'|) / |C∩C'|`, and recall that
    over all `e'` with a common label of `min(|C∩C'|, |L∩L'|) / |L∩L'|`; `e` itself is one of them.
    Here every image lies in one cluster, so `|C∩C'|` is 0 or 1. Unlike the measure over pairs it
    gives every image the same weight, however large its cluster. Unlabeled images are left out;
    without labeled images both are 0.

    Example:
        >>> labels = np.array([[True, False], [True, True], [False, True]])
        >>> scores = extended_bcubed(labels, np.array([0, 0, 1]))
        >>> round(scores.precision, 3), round(scores.recall, 3)
        (1.0, 0.667)

    References:
        E. Amigó, J. Gonzalo, J. Artiles, F. Verdejo, *A Comparison of Extrinsic Clustering
        Evaluation Metrics Based on Formal Constraints*, Information Retrieval 12, 2009, section 5.
    """
    labeled = labels.any(axis=1)
    labels, clusters = labels[labeled], clusters[labeled]
    if len(labels) == 0:
        return BCubedScores(0.0, 0.0)
    sets, counts, set_of = _distinct_rows(labels)
    _, cluster_of = np.unique(clusters, return_inverse=True)
    table = np.zeros((len(sets), int(cluster_of.max()) + 1))
    np.add.at(table, (set_of, cluster_of), 1.0)
    sizes = table.sum(axis=0)
    precision = recall = 0.0
    members = sets.astype(np.float32)
    rows = max(1, _BLOCK_CELLS // len(sets))
    for start in range(0, len(sets), rows):
        block = slice(start, start + rows)
        common = members[block] @ members.T
        related = common > 0
        together = related @ table
        precision += float((table[block] * together / sizes).sum())
        shared = np.divide(1.0, common, out=np.zeros_like(common), where=related) @ table
        recall += float((table[block] * shared / (related @ counts)[:, None]).sum())
    return BCubedScores(precision / len(labels), recall / len(labels))


def _related_pairs(labels: Bool[ndarray, "images classes"], min_jaccard: float) -> int:
    """Count unordered pairs with a common label; every image must have a label."""
    sets, counts, _ = _distinct_rows(labels)
    members = sets.astype(np.float32)  # counts of common labels stay exact
    sizes = members.sum(axis=1)
    rows = max(1, _BLOCK_CELLS // max(1, len(sets)))
    ordered = 0
    for start in range(0, len(sets), rows):
        block = slice(start, start + rows)
        common = members[block] @ members.T
        union = sizes[block, None] + sizes - common
        related = (common > 0) & (common >= min_jaccard * union)
        ordered += int(counts[block] @ (related @ counts))
    # Each image is related to itself, and each pair was counted in both orders.
    return (ordered - len(labels)) // 2


def _distinct_rows(
    labels: Bool[ndarray, "images classes"],
) -> tuple[Bool[ndarray, "sets classes"], Int64[ndarray, " sets"], Int64[ndarray, " images"]]:
    """Return the different label sets, how many images have each, and which set each image has."""
    if len(labels) == 0:
        return labels, np.empty(0, np.int64), np.empty(0, np.int64)
    packed = np.ascontiguousarray(np.packbits(labels, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, set_of, counts = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    return labels[first], counts.astype(np.int64), set_of.astype(np.int64)


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else 0.0


def _harmonic_mean(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0
