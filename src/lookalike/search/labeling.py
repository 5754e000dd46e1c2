"""What a person should label next: the clusters that would tell most, and pictures to check by."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.search.annotation import (
    Evidence,
    gather_evidence,
    words_of_clusters,
)
from lookalike.storage.annotations import Statement
from lookalike.storage.catalog import Catalog
from lookalike.storage.clusterings import Members


@dataclass(frozen=True, slots=True)
class NextCluster:
    """A cluster that a person should label.

    Attributes:
        cluster: Its number.
        size: Images in it.
        n_labeled: How many of them a person has labeled.
        entropy: Of the words in it, in nats: how little is known of it.
        words: What is known of it: words and `P(w|c)`, the most probable first.
        exemplars: Images to look at, not labeled yet, nearest to the center first.
    """

    cluster: int
    size: int
    n_labeled: int
    entropy: float
    words: tuple[tuple[str, float], ...]
    exemplars: tuple[int, ...]


def next_clusters(
    catalog: Catalog, clustering: str, n: int = 1, *, n_exemplars: int = 8
) -> list[NextCluster]:
    """Return the clusters whose labels would tell most: largest entropy × images without label.

    Entropy is that of `(n_wc + α, …, α) / (n_c + α V)`, the last entry for none of the words; a
    cluster of which nothing is known has the largest. Labels count for the cluster that the image
    lies in.

    Raises:
        UsageError: If there is no such clustering.
    """
    kept = catalog.knowledge.clusterings
    evidence = _evidence(catalog)
    members, n_clusters = kept.members(clustering), len(kept.open(clustering).centers)
    order, table, entropy, n_labeled = rank_clusters(members, evidence, n_clusters)
    sizes = np.bincount(members.clusters, minlength=n_clusters)
    labeled = set(evidence.ids.tolist())
    found = []
    for cluster in order[:n].tolist():
        near = kept.nearest(clustering, cluster, n_exemplars + int(n_labeled[cluster])).tolist()
        words = sorted(zip(evidence.words, table[cluster].tolist(), strict=True), key=_by_share)
        found.append(
            NextCluster(
                cluster,
                int(sizes[cluster]),
                int(n_labeled[cluster]),
                float(entropy[cluster]),
                tuple(words[:3]) if n_labeled[cluster] else (),
                tuple([image for image in near if image not in labeled][:n_exemplars]),
            )
        )
    return found


def next_exemplars(catalog: Catalog, clustering: str, cluster: int, n: int) -> Ids:
    """Return `n` members of a cluster that nobody has labeled, nearest to the center first.

    Raises:
        UsageError: If there is no such clustering or cluster.
    """
    kept = catalog.knowledge.clusterings
    labeled = {s.image_id for s in catalog.knowledge.annotations.statements()}
    near = kept.nearest(clustering, cluster, n + len(labeled)).tolist()
    return np.array([image for image in near if image not in labeled][:n], np.int64)


_ALPHA: Final = 0.1

_NO_EVIDENCE: Final = Evidence(np.empty(0, np.int64), (), np.empty((0, 0), bool), np.empty(0, bool))


def _evidence(catalog: Catalog) -> Evidence:
    statements: list[Statement] = catalog.knowledge.annotations.statements()
    return gather_evidence(statements) if any(s.holds for s in statements) else _NO_EVIDENCE


def rank_clusters(
    members: Members, evidence: Evidence, n_clusters: int
) -> tuple[
    Int64[ndarray, " clusters"],
    Float64[ndarray, "clusters words"],
    Float64[ndarray, " clusters"],
    Int64[ndarray, " clusters"],
]:
    """Return the order in which to label clusters, `P(w|c)`, entropies and labeled members."""
    _, ours, theirs = np.intersect1d(
        evidence.ids, members.ids, assume_unique=True, return_indices=True
    )
    shares = np.zeros((len(ours), n_clusters))
    shares[np.arange(len(ours)), members.clusters[theirs]] = 1.0
    table = words_of_clusters(shares, evidence.holds[ours], _ALPHA)
    n_labeled = shares.sum(axis=0).astype(np.int64)
    entropy = _entropy(table)
    left = np.bincount(members.clusters, minlength=n_clusters) - n_labeled
    return np.lexsort((np.arange(n_clusters), -entropy * left)), table, entropy, n_labeled


def _by_share(word: tuple[str, float]) -> tuple[float, str]:
    return -word[1], word[0]


def _entropy(table: Float64[ndarray, "clusters words"]) -> Float64[ndarray, " clusters"]:
    """Entropy of the words of each cluster and of none of them; at least that of a coin a-priori.

    Without any word all clusters are equally unknown.
    """
    if table.shape[1] == 0:
        return np.full(len(table), np.log(2.0))
    rest = np.clip(1 - table.sum(axis=1, keepdims=True), 1e-9, None)
    parts = np.concatenate([table, rest], axis=1)
    parts /= parts.sum(axis=1, keepdims=True)
    entropy: ndarray = -(parts * np.log(parts)).sum(axis=1)
    return entropy


def check_pictures(catalog: Catalog, n: int, seed: int) -> Ids:
    """Draw pictures, not labeled yet, of which a person shall name all words: they calibrate."""
    labeled = np.array(sorted({s.image_id for s in catalog.knowledge.annotations.statements()}))
    ids = np.setdiff1d(catalog.ids(), labeled)
    drawn: Ids = np.random.default_rng(seed).permutation(ids)[:n].astype(np.int64)
    return drawn
