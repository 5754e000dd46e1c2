"""Searching with marks, with expansion, or with a second look at the first hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import Hits, VectorIndex, pad_rows
from lookalike.search.calibration import Calibration
from lookalike.search.names import Expansion, Reranking
from lookalike.search.parts import Part
from lookalike.search.queries import Query
from lookalike.search.second_look import N_EXPANDED, N_RERANKED, expand, rerank
from lookalike.search.steering import SteeredPart, Steering, rows_of
from lookalike.search.targets import Points

_CANDIDATES: Final = 1_000
_CANDIDATES_PER_HIT: Final = 10


@dataclass(frozen=True, slots=True)
class Weighed:
    """A part with its weight.

    Attributes:
        part: Proposes and scores.
        weight: Of all that bears the part's name.
        share: Share of the part in the score under its name.
    """

    part: Part
    weight: float
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Hits of one query.

    Attributes:
        ids: Best first.
        scores: Their scores, never rising.
        parts: By name the scores under each.
        probed: Clusters that were visited.
        is_exact: Whether nothing better can have been missed.
    """

    ids: Ids
    scores: Float64[ndarray, " hits"]
    parts: Mapping[str, Float64[ndarray, " hits"]]
    probed: int
    is_exact: bool

    def taken(self, positions: Int64[ndarray, " taken"]) -> "Ranked":
        """Return some hits in another order, with the scores of the places where they now are."""
        parts = {name: scores[positions] for name, scores in self.parts.items()}
        scores = self.scores[: len(positions)]
        return Ranked(self.ids[positions], scores, parts, self.probed, self.is_exact)


@final
class SteeredSearch:
    """Answers queries that a plain search cannot.

    Args:
        indexes: One index for each descriptor.
        calibrations: One calibration for each descriptor.
    """

    def __init__(
        self, indexes: Mapping[str, VectorIndex], calibrations: Mapping[str, Calibration]
    ) -> None:
        self._indexes = indexes
        self._calibrations = calibrations
        self._steering = Steering(indexes, calibrations)

    def search(
        self,
        query: Query,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
        words: Sequence[SteeredPart],
        k: int,
        allowed: Ids | None,
    ) -> Ranked:
        """Find the `k` best images.

        Args:
            query: What is asked.
            points: Unit row of its own pictures in each weighed descriptor; `None` without.
            weights: Of these descriptors.
            words: Parts of its words, under the name of the descriptor they are compared with.
            k: Hits wanted.
            allowed: Ids that pass a filter, ascending.
        """
        excluded = np.array(sorted(query.excluded_ids), np.int64)
        parts = self._parts(query, points, weights, words)
        if query.expand is not None:
            first = rank(parts, N_EXPANDED, allowed, excluded)
            parts = self._expanded(points, weights, first.ids, query.expand)
        n_wanted = k if query.rerank is None else max(k, N_RERANKED)
        ranked = rank(parts, n_wanted, allowed, excluded)
        if query.rerank is not None:
            ranked = self._reranked(ranked, weights, query.rerank)
        return ranked.taken(np.arange(min(k, len(ranked.ids))))

    def _parts(
        self,
        query: Query,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
        words: Sequence[SteeredPart],
    ) -> list[Weighed]:
        said = [Weighed(part, weights[part.name], query.text_share) for part in words]
        if query.text_share == 1:
            return said
        if query.feedback is None:
            return self._plain({n: p for n, p in points.items() if p is not None}, weights)
        steered = self._steering.steer(points, weights, query.feedback)
        of_words = {part.name for part in words}
        new = dict(zip((part.name for part in steered.parts), steered.weights, strict=True))
        seen = [
            Weighed(part, new[part.name], 1 - query.text_share if part.name in of_words else 1.0)
            for part in steered.parts
        ]
        return [*seen, *(Weighed(w.part, new[w.part.name], w.share) for w in said)]

    def _plain(
        self, points: Mapping[str, Float32[ndarray, " dim"]], weights: Mapping[str, float]
    ) -> list[Weighed]:
        return [
            Weighed(
                SteeredPart(
                    name, self._indexes[name], Points(point[None]), self._calibrations[name]
                ),
                weights[name],
            )
            for name, point in points.items()
        ]

    def _expanded(
        self,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
        ids: Ids,
        expansion: Expansion,
    ) -> list[Weighed]:
        moved = {
            name: expand(point, rows_of(self._indexes[name], ids), expansion)
            for name, point in points.items()
            if point is not None
        }
        return self._plain(moved, weights)

    def _reranked(
        self, ranked: Ranked, weights: Mapping[str, float], reranking: Reranking
    ) -> Ranked:
        n = min(N_RERANKED, len(ranked.ids))
        pairs = self._pairs(ranked.ids[:n], weights)
        own = np.clip(ranked.scores[:n] / self._highest(weights), 0.0, 1.0)
        order = rerank(own, pairs, reranking)
        return ranked.taken(np.concatenate([order, np.arange(n, len(ranked.ids))]))

    def _pairs(self, ids: Ids, weights: Mapping[str, float]) -> Float64[ndarray, "hits hits"]:
        """Return the scores of images for each other, as shares of the highest there is."""
        total = np.zeros((len(ids), len(ids)))
        for name, weight in weights.items():
            index = self._indexes[name]
            scores = self._calibrations[name].scores(index.similarities(rows_of(index, ids), ids))
            total += weight * np.nan_to_num(scores, nan=0.0)
        pairs: Float64[ndarray, "hits hits"] = total / sum(weights.values())
        pairs = np.clip(pairs / self._highest(weights), 0.0, 1.0)
        np.fill_diagonal(pairs, 1.0)
        return pairs

    def _highest(self, weights: Mapping[str, float]) -> float:
        """Return the score of an image for itself."""
        same = np.ones(1)
        total = sum(w * float(self._calibrations[n].scores(same)[0]) for n, w in weights.items())
        return total / sum(weights.values())


def rank(
    parts: Sequence[Weighed], n: int, allowed: Ids | None, excluded: Int64[ndarray, " excluded"]
) -> Ranked:
    """Take the union of what the parts propose and rank it by the weighted mean of all scores."""
    weighing = [each for each in parts if each.weight * each.share > 0]
    n_wanted = max(_CANDIDATES, _CANDIDATES_PER_HIT * n) + len(excluded)
    proposals = [each.part.propose(n_wanted, allowed) for each in weighing]
    proposed = np.unique(np.concatenate([proposal.ids for proposal in proposals]))
    ids = np.setdiff1d(proposed, excluded, assume_unique=True)
    under = {each.part.name: np.zeros(len(ids)) for each in weighing}
    weights = {each.part.name: each.weight for each in weighing}
    for each in weighing:
        under[each.part.name] += each.share * each.part.scores(ids)
    total = np.zeros(len(ids))
    for name, scores in under.items():
        total += weights[name] / sum(weights.values()) * scores
    order = np.lexsort((ids, -total))[:n]
    return Ranked(
        ids[order],
        total[order],
        {name: scores[order] for name, scores in under.items()},
        sum(proposal.probed_clusters for proposal in proposals),
        all(proposal.is_exact for proposal in proposals),
    )


def table_of(rows: Sequence[Ranked], width: int) -> Hits:
    """Put the hits of several queries into one table."""
    ids, scores = pad_rows([(row.ids, row.scores) for row in rows], width)
    names = list(dict.fromkeys(name for row in rows for name in row.parts))
    parts = {
        name: pad_rows(
            [(row.ids, row.parts.get(name, np.zeros(len(row.ids)))) for row in rows], width
        )[1]
        for name in names
    }
    probed = np.array([row.probed for row in rows], np.int64)
    return Hits(ids, scores, parts, probed, all(row.is_exact for row in rows))
