"""Reverse annotation: a person says which pictures fit a word, and it is said of all others.

Words are given to clusters or pictures, and every picture gets the probability of every word from
the clusters that it lies between::

    P(c|x) ∝ exp(-||x - m_c||² / 2 s² v_c)           v_c: spread of cluster c, s: softness
    P(w|c) = (n_wc + α) / (n_c + α V)                V: words, and one more for none of them
    P(w|x) = Σ_c P(w|c) P(c|x)

`n_c` counts the labeled pictures of a cluster and `n_wc` those with the word, each by its share in
the cluster. Then the probabilities are calibrated on labeled pictures, each judged by what the
others say. The cost to a person grows with words and clusters, not with pictures.

The form of P. Sankar K., C. V. Jawahar, *Probabilistic Reverse Annotation for Large Scale Image
Retrieval*, CVPR 2007.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import UsageError
from lookalike.progress import SILENT, Progress
from lookalike.search.clusters import open_clusters
from lookalike.search.reliability import (
    Reliability,
    Sigmoid,
    cross_fitted,
    fit_sigmoid,
    log_loss,
    reliability,
)
from lookalike.storage.annotations import Statement
from lookalike.storage.catalog import Catalog
from lookalike.storage.clusterings import StoredClustering

SOFTNESS: Final = (0.15, 0.2, 0.25, 0.3, 0.35, 0.45, 0.6)
ALPHAS: Final = (0.003, 0.01, 0.03, 0.1, 0.3)
"""Values of `s` and `α` that are tried; those with the smallest loss on labeled pictures win."""

LEAST_STORED: Final = 0.05
"""Lower probabilities are not stored."""

LEAST_CHECKED: Final = 20
"""From so many checked pictures on, only these calibrate: they were drawn at random, and those
nearest to a center are easier than the others."""

_MOST_JUDGES: Final = 2_000
"""Labeled pictures by which is chosen and calibrated at most, evenly spaced."""

Table = Float64[ndarray, "items words"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a person said of pictures.

    Attributes:
        ids: Labeled images, ascending.
        words: All words, sorted.
        holds: Which words each image shows; what was not said does not hold.
        is_checked: Images of which a person named all words.
    """

    ids: Ids
    words: tuple[str, ...]
    holds: Bool[ndarray, "items words"]
    is_checked: Bool[ndarray, " items"]


@dataclass(frozen=True, slots=True, eq=False)
class Propagation:
    """How probabilities follow from what a person said.

    Attributes:
        clustering: Clusters that words are propagated through.
        words: All words.
        of_clusters: `P(w|c)`, one row for each cluster.
        softness: `s`.
        alpha: `α`.
        calibration: Turns `P(w|x)` into a probability that can be trusted.
        measured: How well it is calibrated, on pictures that did not take part in calibrating.
        calibrated_on: Labeled pictures that calibrated, and what kind.
    """

    clustering: StoredClustering
    words: tuple[str, ...]
    of_clusters: Float64[ndarray, "clusters words"]
    softness: float
    alpha: float
    calibration: Sigmoid
    measured: Reliability | None
    calibrated_on: Mapping[str, Any]

    def probabilities(self, rows: Embeddings) -> Table:
        """Return the calibrated probability of each word for each unit embedding."""
        shares = soft_assignment(rows, self.clustering, self.softness)
        return self.calibration(shares @ self.of_clusters)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "clustering": self.clustering.name,
            "words": list(self.words),
            "softness": self.softness,
            "alpha": self.alpha,
            "calibrated_on": dict(self.calibrated_on),
            "expected_calibration_error": self.measured and self.measured.error,
        }


def soft_assignment(
    rows: Embeddings, clustering: StoredClustering, softness: float
) -> Float64[ndarray, "items clusters"]:
    """Return `P(c|x)` of each unit embedding; rows sum to 1."""
    distances = 2 - 2 * (rows @ clustering.centers.T).astype(np.float64)
    logits = -distances / (2 * softness**2 * clustering.spreads)
    logits -= logits.max(axis=1, keepdims=True)
    weights = np.exp(logits)
    shares: ndarray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def words_of_clusters(
    shares: Float64[ndarray, "items clusters"], holds: Bool[ndarray, "items words"], alpha: float
) -> Float64[ndarray, "clusters words"]:
    """Return `P(w|c) = (n_wc + α) / (n_c + α V)` from labeled pictures, `V` = words + 1."""
    n_words = holds.shape[1] + 1
    joint = shares.T @ holds
    found: ndarray = (joint + alpha) / (shares.sum(axis=0)[:, None] + alpha * n_words)
    return found


def left_out(
    shares: Float64[ndarray, "items clusters"],
    holds: Bool[ndarray, "items words"],
    alpha: float,
    judges: Int64[ndarray, " judges"],
) -> Float64[ndarray, "judges words"]:
    """Return `P(w|x)` of the labeled pictures in `judges`, each by what the others say alone.

    Its own share is taken from every count, which gives exactly what leaving it out would.
    """
    n_words = holds.shape[1] + 1
    joint, total = shares.T @ holds, shares.sum(axis=0)
    found = np.empty((len(judges), holds.shape[1]), np.float64)
    for place, row in enumerate(judges.tolist()):
        others = joint - shares[row, :, None] * holds[row]
        rest = total - shares[row] + alpha * n_words
        found[place] = (shares[row] / rest) @ (others + alpha)
    return found


def gather_evidence(statements: Sequence[Statement]) -> Evidence:
    """Put what a person said into a table.

    Raises:
        UsageError: If nothing was said, or no word holds of any picture.
    """
    words = sorted({statement.label for statement in statements if statement.holds})
    if not words:
        raise UsageError(
            "no picture has been labeled yet; begin with: lookalike label next COLLECTION"
        )
    ids = sorted({statement.image_id for statement in statements})
    rows, columns = ({key: place for place, key in enumerate(keys)} for keys in (ids, words))
    holds = np.zeros((len(ids), len(words)), bool)
    is_checked = np.zeros(len(ids), bool)
    for statement in statements:
        row = rows[statement.image_id]
        is_checked[row] |= statement.is_checked
        if statement.holds:
            holds[row, columns[statement.label]] = True
    return Evidence(np.array(ids, np.int64), tuple(words), holds, is_checked)


def learn_propagation(
    rows: Embeddings,
    evidence: Evidence,
    clustering: StoredClustering,
    alpha: float | None = None,
) -> Propagation:
    """Work out how words follow from clusters, and how far that can be trusted.

    Args:
        rows: Unit embeddings of the labeled images.
        evidence: What a person said of them.
        clustering: The clusters.
        alpha: `α`, pictures of each word that every cluster is thought to hold beforehand; `None`
            tries `ALPHAS`.

    Raises:
        UsageError: If `alpha` is not above 0.
    """
    if alpha is not None and not 0 < alpha < np.inf:
        raise UsageError(f"alpha must be a number above 0, not {alpha:g}")
    judges, kind = _judges(evidence)
    truth = evidence.holds[judges]
    tried = {}
    for softness in SOFTNESS:
        shares = soft_assignment(rows, clustering, softness)
        for smoothing in ALPHAS if alpha is None else (alpha,):
            raw = left_out(shares, evidence.holds, smoothing, judges)
            tried[softness, smoothing] = log_loss(raw, truth)
    softness, smoothing = min(tried, key=lambda pair: (tried[pair], pair))
    shares = soft_assignment(rows, clustering, softness)
    raw = left_out(shares, evidence.holds, smoothing, judges)
    is_enough = len(truth) >= LEAST_CHECKED
    return Propagation(
        clustering,
        evidence.words,
        words_of_clusters(shares, evidence.holds, smoothing),
        softness,
        smoothing,
        fit_sigmoid(raw, truth) if is_enough else Sigmoid(1.0, 0.0),
        reliability(cross_fitted(raw, truth), truth) if is_enough else None,
        {"pictures": len(truth) if is_enough else 0, "kind": kind if is_enough else "none"},
    )


def _judges(evidence: Evidence) -> tuple[Int64[ndarray, " judges"], str]:
    """Choose the labeled pictures to calibrate on, and say of what kind they are."""
    checked = np.flatnonzero(evidence.is_checked)
    is_enough = len(checked) >= LEAST_CHECKED
    judges = checked if is_enough else np.arange(len(evidence.ids))
    step = max(1, -(-len(judges) // _MOST_JUDGES))
    return judges[::step].astype(np.int64), "checked" if is_enough else "labeled"


def propagate(
    catalog: Catalog,
    clustering: str,
    *,
    alpha: float | None = None,
    job: str = "",
    progress: Progress = SILENT,
) -> Propagation:
    """Give every image the probabilities of all words, with provenance `propagated`.

    Words of which a person has spoken for an image are left alone there: they are known.

    Args:
        catalog: Open for writing.
        clustering: Name of the clusters.
        alpha: See `learn_propagation`.
        job: Kept with the action, by which whoever asked for it finds it again.
        progress: Told of every image.

    Raises:
        UsageError: If there is no such clustering, nothing was said, or `alpha` makes no sense.
    """
    detail = {"clustering": clustering, "alpha": alpha, **({"job": job} if job else {})}
    return _propagate(catalog, detail, catalog.knowledge.annotations.statements(), True, progress)


def undo(catalog: Catalog, progress: Progress = SILENT) -> dict[str, Any]:
    """Take back the latest action, and what followed from it.

    If probabilities had been worked out before, they are worked out again from what was said
    then; they are the same if the clusters still are. Without clusters of that name, or pictures
    with labels from then, there are none.

    Returns:
        The action: its kind, options and number of statements.

    Raises:
        UsageError: If nothing was done.
    """
    action = catalog.knowledge.annotations.undo()
    if action.kind == "propagate":
        propagate_again(catalog, progress)
    return {"kind": action.kind, "detail": dict(action.detail), "statements": action.n}


def propagate_again(catalog: Catalog, progress: Progress = SILENT) -> None:
    """Work out again the probabilities of the last propagation that is left, if there is one."""
    annotations = catalog.knowledge.annotations
    earlier = next((each for each in annotations.history() if each.kind == "propagate"), None)
    if earlier is None:
        return
    statements = annotations.statements(until=earlier.id)
    is_there = earlier.detail["clustering"] in catalog.knowledge.clusterings.names()
    if is_there and any(statement.holds for statement in statements):
        _propagate(catalog, earlier.detail, statements, False, progress)


def _propagate(
    catalog: Catalog,
    detail: Mapping[str, Any],
    statements: Sequence[Statement],
    is_new: bool,
    progress: Progress,
) -> Propagation:
    clustering = open_clusters(catalog, detail["clustering"])
    evidence = gather_evidence(statements)
    rows = normalize(catalog.vectors(evidence.ids, clustering.descriptor))
    learned = learn_propagation(rows, evidence, clustering, detail["alpha"])
    known = {(statement.image_id, statement.label) for statement in statements}

    def batches() -> Iterator[tuple[Ids, tuple[str, ...], Table]]:
        with progress.task("Propagating labels", catalog.n_images) as task:
            for ids, vectors in catalog.embeddings(clustering.descriptor):
                yield ids, learned.words, _without_known(learned, ids, vectors, known)
                task.advance(len(ids))

    catalog.knowledge.annotations.propagate(detail, batches(), LEAST_STORED, is_new=is_new)
    return learned


def _without_known(
    learned: Propagation, ids: Ids, vectors: Embeddings, known: set[tuple[int, str]]
) -> Table:
    table = learned.probabilities(normalize(vectors))
    labeled = {image_id for image_id, _ in known}
    for row, image_id in enumerate(ids.tolist()):
        if image_id in labeled:
            for column, word in enumerate(learned.words):
                if (image_id, word) in known:
                    table[row, column] = 0.0
    return table
