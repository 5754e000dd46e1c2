"""Searching with marks, with expansion, or with a second look at the first hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import Hits, VectorIndex, pad_rows
from lookalike.search.batches import Batch
from lookalike.search.calibration import Calibration
from lookalike.search.names import Expansion, Reranking
from lookalike.search.parts import Part
from lookalike.search.queries import TEXT_DESCRIPTOR, Query
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
        batch: Batch,
        k: int,
        allowed: Ids | None,
    ) -> Ranked:
        """Find the `k` best images.

        Args:
            query: What is asked.
            batch: The same in numbers, and nothing else.
            k: Hits wanted.
            allowed: Ids that pass a filter, ascending.
        """
        weights = dict(zip(batch.names, batch.weights[0].tolist(), strict=True))
        of_pictures = {
            each.descriptor: each.points[0] if query.has_pictures else None
            for each in batch.points
            if not each.is_text
        }
        seen = {name: weights[name] for name in of_pictures}
        [excluded] = batch.excluded
        parts = self._parts(query, batch, of_pictures, weights)
        if query.expand is not None:
            first = rank(parts, N_EXPANDED, allowed, excluded)
            parts = self._expanded(of_pictures, seen, first.ids, query.expand)
        n_wanted = k if query.rerank is None else max(k, N_RERANKED)
        ranked = rank(parts, n_wanted, allowed, excluded)
        if query.rerank is not None:
            ranked = self._reranked(ranked, seen, query.rerank)
        return ranked.taken(np.arange(min(k, len(ranked.ids))))

    def _parts(
        self,
        query: Query,
        batch: Batch,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
    ) -> list[Weighed]:
        """Return the parts of words and all others, and those of pictures as marks change them."""
        further: list[Part] = [*self._of_words(batch), *batch.parts[0]]
        shares = [query.text_share] * (len(further) - len(batch.parts[0]))
        shares += [1.0] * len(batch.parts[0])
        of_pictures, weights = self._of_pictures(query, points, weights)
        beside = [
            Weighed(part, weights[part.name], share)
            for part, share in zip(further, shares, strict=True)
        ]
        return [*of_pictures, *beside]

    def _of_words(self, batch: Batch) -> list[SteeredPart]:
        return [
            SteeredPart(each.descriptor, each.index, Points(each.points), each.calibration)
            for each in batch.points
            if each.is_text
        ]

    def _of_pictures(
        self,
        query: Query,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
    ) -> tuple[list[Weighed], Mapping[str, float]]:
        """Return the parts of pictures, and all weights as marks have changed them."""
        if query.picture_share == 0:
            return [], weights
        if query.feedback is None:
            return self._plain({n: p for n, p in points.items() if p is not None}, weights), weights
        given = {name: weights[name] for name in points}
        steered = self._steering.steer(points, given, query.feedback)
        names = [part.name for part in steered.parts]
        new = {**weights, **dict(zip(names, steered.weights, strict=True))}
        shares = {name: query.picture_share if name == TEXT_DESCRIPTOR else 1.0 for name in names}
        seen = [Weighed(part, new[part.name], shares[part.name]) for part in steered.parts]
        return seen, new

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


def table_of(row: Ranked, width: int) -> Hits:
    """Put the hits of one query into a table."""
    ids, scores = pad_rows([(row.ids, row.scores)], width)
    parts = {name: pad_rows([(row.ids, under)], width)[1] for name, under in row.parts.items()}
    return Hits(ids, scores, parts, np.array([row.probed], np.int64), row.is_exact)
