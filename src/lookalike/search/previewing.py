"""What propagating labels would give, before anything is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids, normalize
from lookalike.progress import SILENT, Progress
from lookalike.search.annotation import (
    Evidence,
    Propagation,
    Table,
    gather_evidence,
    learn_propagation,
)
from lookalike.search.clusters import open_clusters
from lookalike.storage.catalog import Catalog

AT_LEAST: Final = (0.5, 0.8, 0.95)
"""Probabilities above which pictures are counted."""

_Ranked = tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class WordPreview:
    """What one word would be said of.

    Attributes:
        word: The word.
        n_said: Images of which a person says so.
        counts: How many other images reach each probability of `AT_LEAST`.
        surest: Other images and their probabilities, the largest first.
        doubtful: Other images and their probabilities, nearest to one half first.
    """

    word: str
    n_said: int
    counts: tuple[int, ...]
    surest: _Ranked
    doubtful: _Ranked


def preview_propagation(
    catalog: Catalog, clustering: str, *, n_examples: int = 6, progress: Progress = SILENT
) -> tuple[Propagation, list[WordPreview]]:
    """Work out what `propagate` would store, and store nothing.

    Images are taken some thousand at a time, and of each word only counts and `n_examples` images
    are kept.

    Args:
        catalog: May be open for reading.
        clustering: Name of the clusters.
        n_examples: Images shown of each word, of the surest and of the doubtful ones.
        progress: Told of every image.

    Raises:
        UsageError: If there is no such clustering, or nothing was said.
    """
    stored = open_clusters(catalog, clustering)
    evidence = gather_evidence(catalog.knowledge.annotations.statements())
    rows = normalize(catalog.vectors(evidence.ids, stored.descriptor))
    learned = learn_propagation(rows, evidence, stored)
    tallies = [_Tally(n_examples) for _ in learned.words]
    with progress.task("Previewing labels", catalog.n_images) as task:
        for ids, vectors in catalog.embeddings(stored.descriptor):
            is_new = ~np.isin(ids, evidence.ids)
            table: Table = learned.probabilities(normalize(vectors[is_new]))
            for column, tally in enumerate(tallies):
                tally.add(ids[is_new], table[:, column])
            task.advance(len(ids))
    return learned, _previews(evidence, learned.words, tallies)


def _previews(
    evidence: Evidence, words: Sequence[str], tallies: Sequence["_Tally"]
) -> list[WordPreview]:
    return [
        WordPreview(
            word,
            int(evidence.holds[:, column].sum()),
            tuple(tally.counts),
            tally.ranked(1.0),
            tally.ranked(0.5),
        )
        for column, (word, tally) in enumerate(zip(words, tallies, strict=True))
    ]


class _Tally:
    """Counts of one word, and the few images nearest to a probability of 1 and of one half."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.counts = [0] * len(AT_LEAST)
        self._kept: dict[float, list[tuple[float, int, float]]] = {1.0: [], 0.5: []}

    def add(self, ids: Ids, probabilities: Float64[ndarray, " items"]) -> None:
        """Take some images in."""
        for place, least in enumerate(AT_LEAST):
            self.counts[place] += int((probabilities >= least).sum())
        for target, kept in self._kept.items():
            distances = np.abs(probabilities - target)
            for row in np.argsort(distances, kind="stable")[: self._n].tolist():
                kept.append((float(distances[row]), int(ids[row]), float(probabilities[row])))
            self._kept[target] = sorted(kept)[: self._n]

    def ranked(self, target: float) -> _Ranked:
        """Return the images nearest to a probability."""
        return tuple((image_id, probability) for _, image_id, probability in self._kept[target])
