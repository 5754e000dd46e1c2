"""Answering queries: candidates, exact scores in every descriptor, one ranking.

Each weighted descriptor proposes candidates. Their union is compared exactly in all of them, the
similarities become scores by the collection's own calibration, and the weighted mean of these
ranks the images. Words are compared with `content`, by a calibration of their own; in a query of
words and pictures each kind counts by its number of positive examples. Where all indexes are exact,
or nearly everything is asked for, all images are candidates. Either way an image has the same
score for a query, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids, top_k
from lookalike.errors import UsageError
from lookalike.index.base import Hits, VectorIndex, pad_rows
from lookalike.search.calibration import Calibration, fit_text_calibration
from lookalike.search.queries import TEXT_DESCRIPTOR, Query
from lookalike.search.query_embeddings import (
    ExampleEncoder,
    TextEncoder,
    embed_queries,
    embed_texts,
)
from lookalike.search.steered_search import Ranked, SteeredSearch, table_of
from lookalike.search.steering import SteeredPart
from lookalike.search.targets import Points

_CANDIDATES: Final = 1_000
"""Images that each of several descriptors proposes at least: what is best in the mean of all need
not be among the first of any."""

_CANDIDATES_PER_HIT: Final = 10
_FEW: Final = 5_000
"""So few images that pass a filter are all compared."""

_TABLE_SIZE: Final = 1 << 21
"""Scores per descriptor held in memory at once: 16 MiB."""


@final
class Searcher:
    """Finds images in one collection.

    Args:
        indexes: One index for each descriptor.
        calibrations: One calibration for each descriptor.
        encoder: Encodes examples that come as files or pixels.
        texts: Gives what encodes words; asked when there are any.

    Raises:
        UsageError: If there is no descriptor, or one lacks its calibration.
    """

    def __init__(
        self,
        indexes: Mapping[str, VectorIndex],
        calibrations: Mapping[str, Calibration],
        encoder: ExampleEncoder,
        texts: Callable[[], TextEncoder] | None = None,
    ) -> None:
        if not indexes or set(indexes) - set(calibrations):
            raise UsageError(
                f"indexes of {sorted(indexes)} need calibrations of the same, "
                f"not of {sorted(calibrations)}"
            )
        self._indexes = dict(indexes)
        self._calibrations = dict(calibrations)
        self._encoder = encoder
        self._texts = texts
        self._ids: Ids = reduce(_union, [index.ids for index in indexes.values()], _NO_IDS)
        self._is_stored_order = {
            name: np.array_equal(index.ids, self._ids) for name, index in indexes.items()
        }

    def search(self, queries: Sequence[Query], k: int, *, allowed: Ids | None = None) -> Hits:
        """Find the `k` best images of each query, only among `allowed` ids if given.

        Args:
            queries: Any number; all in the same order.
            k: Hits wanted; rows are `min(k, images)` long and padded where fewer are found.
            allowed: Ids that pass a filter, ascending; unknown ones are ignored.

        Returns:
            Scores are rarities in decades, see `lookalike.search.calibration`; `parts` holds the
            score under each descriptor that any of the queries weighs.

        Raises:
            UsageError: If `k` is below 1, the collection is empty, a weight names no descriptor,
                an id is unknown, or orders differ.
            ImageError: If a file is no readable image.
            MismatchError: If the encoder's embeddings are not of the collection's kind.
        """
        if k < 1:
            raise UsageError(f"the number of hits (-k) must be 1 or more, not {k}")
        if len(self._ids) == 0:
            raise UsageError(
                "the collection has no images yet; add some with: lookalike index COLLECTION FOLDER"
            )
        if any(query.is_steered for query in queries):
            return self._steer(queries, k, allowed)
        batch = self._batch(queries)
        if any(query.order == "list" for query in queries):
            return self._walk(queries, batch, k, allowed)
        if allowed is not None:
            allowed = np.intersect1d(self._ids, allowed)
        if self._compares_all(batch, k, allowed):
            return self._rank_all(batch, k, allowed)
        return self._rank_candidates(batch, k, allowed)

    def _steer(self, queries: Sequence[Query], k: int, allowed: Ids | None) -> Hits:
        """Answer queries with marks, expansion or re-ranking, one by one."""
        if any(query.order == "list" for query in queries):
            raise UsageError(
                "queries in the order 'list' and steered ones cannot be asked together"
            )
        ranked = [self._steered(query, k, allowed) for query in queries]
        return table_of(ranked, min(k, len(self._ids)))

    def _steered(self, query: Query, k: int, allowed: Ids | None) -> Ranked:
        batch = self._batch([query])
        seen = {part.descriptor: part.points[0] for part in batch.parts if not part.is_text}
        points = {name: seen[name] if query.has_pictures else None for name in batch.names}
        weights = dict(zip(batch.names, batch.weights[0].tolist(), strict=True))
        words = [
            SteeredPart(
                part.descriptor,
                self._indexes[part.descriptor],
                Points(part.points),
                part.calibration,
            )
            for part in batch.parts
            if part.is_text
        ]
        return self._steered_search.search(query, points, weights, words, k, allowed)

    @cached_property
    def _steered_search(self) -> SteeredSearch:
        return SteeredSearch(self._indexes, self._calibrations)

    def _batch(self, queries: Sequence[Query]) -> "_Batch":
        named = [self._weights_of(query) for query in queries]
        names = [name for name in self._indexes if any(weights.get(name) for weights in named)]
        table = np.array([[weights.get(name, 0.0) for name in names] for weights in named])
        weights = table.reshape(len(queries), len(names))
        excluded = [np.array(sorted(query.excluded_ids), np.int64) for query in queries]
        parts = self._parts(queries, names)
        return _Batch(names, parts, weights / weights.sum(axis=1, keepdims=True), excluded)

    def _parts(self, queries: Sequence[Query], names: Sequence[str]) -> list["_Part"]:
        """Return what is compared: pictures in each descriptor, and words in theirs."""
        text = np.array([query.text_share for query in queries])
        parts = []
        if (text < 1).any():
            rows = embed_queries(queries, {n: self._indexes[n] for n in names}, self._encoder)
            for name, points in rows.items():
                shares = 1 - text if name == TEXT_DESCRIPTOR else (text < 1).astype(np.float64)
                parts.append(_Part(name, self._calibrations[name], points, shares))
        if (text > 0).any():
            points = embed_texts(queries, self._indexes[TEXT_DESCRIPTOR], self._text_encoder)
            calibration = self._text_calibration
            parts.append(_Part(TEXT_DESCRIPTOR, calibration, points, text, is_text=True))
        return parts

    @property
    def _text_encoder(self) -> TextEncoder:
        if self._texts is None:
            raise UsageError("words cannot be searched here: there is nothing that encodes them")
        return self._texts()

    @cached_property
    def _text_calibration(self) -> Calibration:
        references = self._text_encoder.reference_texts()
        return fit_text_calibration(self._indexes[TEXT_DESCRIPTOR], references)

    def _weights_of(self, query: Query) -> Mapping[str, int | float]:
        weights = query.weights
        if weights is None:
            weights = dict.fromkeys(query.compared_in(self._indexes), 1.0)
        unknown = sorted(set(weights) - set(self._indexes))
        if unknown:
            raise UsageError(
                f"there is no descriptor {unknown[0]!r} in this collection; "
                f"it has: {', '.join(self._indexes)}"
            )
        _check_text_weights(query, weights)
        return weights

    def _compares_all(self, batch: "_Batch", k: int, allowed: Ids | None) -> bool:
        is_exact = all(self._indexes[name].is_exact for name in batch.names)
        n_passing = len(self._ids) if allowed is None else len(allowed)
        return is_exact or 4 * k >= n_passing or (allowed is not None and n_passing <= _FEW)

    def _rank_all(self, batch: "_Batch", k: int, allowed: Ids | None) -> Hits:
        ids = self._ids if allowed is None else allowed
        columns = np.arange(len(ids))
        n_rows = max(1, _TABLE_SIZE // max(1, len(ids)))
        ranked: list[_Ranked] = []
        for start in range(0, len(batch), n_rows):
            part = batch.rows(slice(start, start + n_rows))
            table = self._scores(part, None if allowed is None else ids)
            for row, excluded in enumerate(part.excluded):
                table[-1, row, np.isin(ids, excluded)] = -np.inf
            best, _ = top_k(table[-1], columns, k)
            ranked.extend((ids[chosen], table[:, row, chosen]) for row, chosen in enumerate(best))
        kept = [(found[s[-1] > -np.inf], s[:, s[-1] > -np.inf]) for found, s in ranked]
        return self._hits(batch, kept, k)

    def _rank_candidates(self, batch: "_Batch", k: int, allowed: Ids | None) -> Hits:
        # Indexes are tuned on pictures; words lie elsewhere, and need more candidates.
        is_simple = len(batch.parts) == 1 and not batch.parts[0].is_text
        n_wanted = k if is_simple else max(_CANDIDATES, _CANDIDATES_PER_HIT * k)
        n_wanted += max((len(ids) for ids in batch.excluded), default=0)
        proposals = [
            self._indexes[part.descriptor].search(part.points, n_wanted, allowed=allowed)
            for part in batch.parts
        ]
        ranked: list[_Ranked] = []
        for row, excluded in enumerate(batch.excluded):
            proposed = np.unique(np.concatenate([hits.ids[row] for hits in proposals]))
            ids = np.setdiff1d(proposed, [NO_ID, *excluded], assume_unique=True)
            table = self._scores(batch.rows(slice(row, row + 1)), ids)[:, 0]
            order = np.lexsort((ids, -table[-1]))[:k]
            ranked.append((ids[order], table[:, order]))
        is_exact = len(proposals) == 1 and proposals[0].is_exact
        return self._hits(batch, ranked, k, proposals, is_exact=is_exact)

    def _walk(self, queries: Sequence[Query], batch: "_Batch", k: int, allowed: Ids | None) -> Hits:
        """Answer in the order `list`: clusters as they come, of one descriptor."""
        if any(query.order != "list" for query in queries):
            raise UsageError("queries in the order 'list' and ranked ones cannot be asked together")
        if len(batch.names) != 1:
            raise UsageError(
                "the order 'list' walks the clusters of one descriptor, and the query weighs "
                f"{', '.join(batch.names)}; give one of them a weight"
            )
        if len(batch.parts) != 1:
            raise UsageError(
                "the order 'list' walks the clusters from one point, and the query has words and "
                "images; give one of them alone"
            )
        [part] = batch.parts
        n_wanted = k + max((len(ids) for ids in batch.excluded), default=0)
        index = self._indexes[part.descriptor]
        hits = index.search(part.points, n_wanted, allowed=allowed, order="list")
        ranked: list[_Ranked] = []
        for row, excluded in enumerate(batch.excluded):
            ids = hits.ids[row][~np.isin(hits.ids[row], [NO_ID, *excluded])][:k]
            ranked.append((ids, self._scores(batch.rows(slice(row, row + 1)), ids)[:, 0]))
        return self._hits(batch, ranked, k, [hits], is_exact=False, is_ranked=False)

    def _scores(self, batch: "_Batch", ids: Ids | None) -> Float64[ndarray, "parts queries items"]:
        """Return the score of each image in each descriptor and, last, the weighted mean.

        An image that lacks a descriptor has no evidence in it: a score of 0.
        """
        n_items = len(self._ids) if ids is None else len(ids)
        table = np.zeros((len(batch.names) + 1, len(batch), n_items))
        for part in batch.parts:
            wanted = ids
            if ids is None and not self._is_stored_order[part.descriptor]:
                wanted = self._ids
            similarities = self._indexes[part.descriptor].similarities(part.points, wanted)
            scores = np.nan_to_num(part.calibration.scores(similarities), nan=0.0)
            table[batch.names.index(part.descriptor)] += part.shares[:, None] * scores
        for at in range(len(batch.names)):
            table[-1] += batch.weights[:, at, None] * table[at]
        return table

    def _hits(
        self,
        batch: "_Batch",
        ranked: Sequence["_Ranked"],
        k: int,
        proposals: Sequence[Hits] = (),
        *,
        is_exact: bool = True,
        is_ranked: bool = True,
    ) -> Hits:
        width = min(k, len(self._ids))
        ids, scores = pad_rows([(found, table[-1]) for found, table in ranked], width)
        parts = {
            name: pad_rows([(found, table[at]) for found, table in ranked], width)[1]
            for at, name in enumerate(batch.names)
        }
        probed = np.zeros(len(ranked), np.int64)
        for hits in proposals:
            if hits.probed_clusters is not None:
                probed += hits.probed_clusters
        return Hits(ids, scores, parts, probed, is_exact, is_ranked)


_Ranked: TypeAlias = tuple[Int64[ndarray, "_"], Float64[ndarray, "parts _"]]
"""Ids of the hits of one query, and their scores in each descriptor and in all."""


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One kind of example, pictures or words, of all queries in one descriptor.

    Attributes:
        descriptor: Its name.
        calibration: Turns similarities to these examples into scores.
        points: One row per query.
        shares: Share of this kind in the descriptor's score, for each query from 0 to 1.
        is_text: Whether the examples are words.
    """

    descriptor: str
    calibration: Calibration
    points: Float32[ndarray, "queries _"]
    shares: Float64[ndarray, " queries"]
    is_text: bool = False

    def rows(self, rows: slice) -> "_Part":
        return replace(self, points=self.points[rows], shares=self.shares[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Queries in numbers.

    Attributes:
        names: The descriptors that any query weighs.
        parts: What is compared in them.
        weights: Weights of these descriptors, one row per query, each with sum 1.
        excluded: For each query the ids that are not to be found.
    """

    names: list[str]
    parts: Sequence[_Part]
    weights: Float64[ndarray, "queries descriptors"]
    excluded: Sequence[Int64[ndarray, "_"]]

    def __len__(self) -> int:
        return len(self.excluded)

    def rows(self, rows: slice) -> "_Batch":
        parts = [part.rows(rows) for part in self.parts]
        return _Batch(self.names, parts, self.weights[rows], self.excluded[rows])


def _check_text_weights(query: Query, weights: Mapping[str, int | float]) -> None:
    weighed = [name for name, weight in weights.items() if weight]
    if query.text_share > 0 and TEXT_DESCRIPTOR not in weighed:
        raise UsageError(
            f"words are compared with {TEXT_DESCRIPTOR!r} alone, which has no weight here; "
            f"give it one: --weight {TEXT_DESCRIPTOR}=1"
        )
    silent = sorted(set(weighed) - set(query.compared_in(weighed)))
    if silent:
        raise UsageError(
            f"words say nothing of {silent[0]!r}, which has a weight; leave it out or add an image"
        )


_NO_IDS: Final = np.empty(0, np.int64)


def _union(ids: Int64[ndarray, "_"], others: Int64[ndarray, "_"]) -> Int64[ndarray, "_"]:
    """Return all ids, ascending; fast where both are the same, as they mostly are."""
    return ids if np.array_equal(ids, others) else np.union1d(ids, others)
