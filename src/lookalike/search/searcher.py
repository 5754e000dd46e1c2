"""A search: candidates, exact scores in every descriptor, one ranking.

Each weighted descriptor, and each further part of a query, proposes candidates. Their union is
compared exactly in all of them, the similarities become scores by the collection's own
calibration, and the weighted mean of these ranks the images. Words are compared with `content`, by
a calibration of their own; in a query of words and pictures each kind counts by its share of the
positive examples. Where all indexes are exact, or nearly everything is asked for, all images are
candidates. Either way an image has the same score for a query, to the last bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids, top_k
from lookalike.errors import UsageError
from lookalike.index.base import Hits, VectorIndex, pad_rows
from lookalike.index.rows import common
from lookalike.search.batches import Batch, Points, weight_table, weights_of
from lookalike.search.calibration import Calibration, fit_text_calibration
from lookalike.search.makers import make_parts, passing
from lookalike.search.multipoint import NearestPoint, nearest_points
from lookalike.search.parts import Context, Part, Proposal, RankingPart
from lookalike.search.queries import TEXT_DESCRIPTOR, Query
from lookalike.search.query_embeddings import (
    ExampleEncoder,
    TextEncoder,
    embed_queries,
    embed_texts,
)
from lookalike.search.shaping import is_plainly_by_date, shape, stack, window
from lookalike.search.steered_search import SteeredSearch, table_of

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
        context: What further parts of queries are made from; without, queries can have none.

    Raises:
        UsageError: If there is no descriptor, or one lacks its calibration.
    """

    def __init__(
        self,
        indexes: Mapping[str, VectorIndex],
        calibrations: Mapping[str, Calibration],
        encoder: ExampleEncoder,
        texts: Callable[[], TextEncoder] | None = None,
        context: Context | None = None,
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
        self._context = context
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
        if not any(query.is_shaped for query in queries):
            return self._find(queries, k, allowed)
        return stack([self._find_shaped(query, k, allowed) for query in queries])

    def _find_shaped(self, query: Query, k: int, allowed: Ids | None) -> Hits:
        """Find what a query asks for, and cut, thin and sort it as it says."""
        if query.order == "list":
            raise UsageError(
                "the order 'list' is shown as it comes; leave out filter, lowest score, cut, sort "
                "and hidden duplicates"
            )
        if query.filter:
            passed = passing(query, self._collection)
            allowed = _both(passed, allowed)
        if is_plainly_by_date(query):
            # What is not shown need not be looked at.
            among = self._ids if allowed is None else common(self._ids, allowed)
            allowed = np.sort(self._collection.catalog.filters.newest(among, k))
        n_images = len(self._ids) if allowed is None else len(allowed)
        hits = self._find([query], window(query, k, n_images), allowed)
        return shape(hits, query, k, n_images, self._indexes, self._context)

    def _find(self, queries: Sequence[Query], k: int, allowed: Ids | None) -> Hits:
        if any(query.is_steered for query in queries):
            return self._steer(queries, k, allowed)
        batch = self._batch(queries)
        if any(query.order == "list" for query in queries):
            return self._walk(queries, batch, k, allowed)
        if allowed is not None:
            allowed = common(self._ids, allowed)
        if self._compares_all(batch, k, allowed):
            return self._rank_all(batch, k, allowed)
        return self._rank_candidates(batch, k, allowed)

    def _steer(self, queries: Sequence[Query], k: int, allowed: Ids | None) -> Hits:
        """Answer queries with marks, expansion or re-ranking, one by one."""
        if any(query.order == "list" for query in queries):
            raise UsageError("steered queries and the order 'list' cannot be asked together")
        width, rows = min(k, len(self._ids)), []
        for query in queries:
            batch = self._batch([query])
            ranked = self._steered_search.search(query, batch, k, allowed)
            hits = table_of(ranked, width)
            rows.append(replace(hits, boxes=_boxes(batch, [ranked.ids], width)))
        return stack(rows)

    @cached_property
    def _steered_search(self) -> SteeredSearch:
        return SteeredSearch(self._indexes, self._calibrations)

    @property
    def _collection(self) -> Context:
        if self._context is None:
            raise UsageError("only examples can be searched here: there is no collection around")
        return self._context

    def _batch(self, queries: Sequence[Query]) -> Batch:
        parts = [self._parts(query) for query in queries]
        named = [
            weights_of(query, list(self._indexes), made)
            for query, made in zip(queries, parts, strict=True)
        ]
        names, weights = weight_table(named, list(self._indexes))
        weighed: list[list[Part]] = [
            [part for part in made if weights.get(part.name)]
            for made, weights in zip(parts, named, strict=True)
        ]
        excluded = [np.array(sorted(query.excluded_ids), np.int64) for query in queries]
        for row, query in enumerate(queries):
            if query.is_multipoint:
                weighed[row] += self._nearest_points(query, named[row])
        return Batch(names, self._points(queries, names), weights, excluded, weighed)

    def _nearest_points(self, query: Query, weights: Mapping[str, float]) -> list[NearestPoint]:
        weighed = {name: index for name, index in self._indexes.items() if weights.get(name)}
        share = query.picture_share
        return nearest_points(query, weighed, self._calibrations, self._encoder, share)

    def parts_of(self, query: Query) -> list[Part]:
        """Return what a query is made of beside its examples, to ask more of it than scores."""
        return self._parts(query)

    def _parts(self, query: Query) -> list[Part]:
        """Return what a query is made of beside its examples."""
        if not query.has_parts and (query.positives or query.is_liked):
            return []
        return make_parts(query, self._collection, self._ids)

    def _points(self, queries: Sequence[Query], names: Sequence[str]) -> list[Points]:
        """Return what is compared: pictures in each descriptor, and words in theirs."""
        text = np.array([query.text_share for query in queries])
        pictures = np.array([0 if q.is_multipoint else q.picture_share for q in queries])
        indexes = {name: self._indexes[name] for name in names if name in self._indexes}
        points = []
        if (pictures > 0).any():
            for name, rows in embed_queries(queries, indexes, self._encoder).items():
                shares = pictures if name == TEXT_DESCRIPTOR else (pictures > 0).astype(np.float64)
                points.append(Points(name, indexes[name], self._calibrations[name], rows, shares))
        if (text > 0).any():
            index, calibration = indexes[TEXT_DESCRIPTOR], self._text_calibration
            rows = embed_texts(queries, index, self._text_encoder)
            points.append(Points(TEXT_DESCRIPTOR, index, calibration, rows, text, is_text=True))
        return points

    @property
    def _text_encoder(self) -> TextEncoder:
        if self._texts is None:
            raise UsageError("words cannot be searched here: there is nothing that encodes them")
        return self._texts()

    @cached_property
    def _text_calibration(self) -> Calibration:
        references = self._text_encoder.reference_texts()
        return fit_text_calibration(self._indexes[TEXT_DESCRIPTOR], references)

    def _compares_all(self, batch: Batch, k: int, allowed: Ids | None) -> bool:
        if any(batch.parts):
            return False
        is_exact = all(self._indexes[name].is_exact for name in batch.names)
        n_passing = len(self._ids) if allowed is None else len(allowed)
        return is_exact or 4 * k >= n_passing or (allowed is not None and n_passing <= _FEW)

    def _rank_all(self, batch: Batch, k: int, allowed: Ids | None) -> Hits:
        ids = self._ids if allowed is None else allowed
        stored_order = self._is_stored_order if allowed is None else None
        columns = np.arange(len(ids))
        n_rows = max(1, _TABLE_SIZE // max(1, len(ids)))
        ranked: list[_Ranked] = []
        for start in range(0, len(batch), n_rows):
            part = batch.rows(slice(start, start + n_rows))
            table = part.scores(ids, stored_order)
            for row, excluded in enumerate(part.excluded):
                table[-1, row, np.isin(ids, excluded)] = -np.inf
            best, _ = top_k(table[-1], columns, k)
            ranked.extend((ids[chosen], table[:, row, chosen]) for row, chosen in enumerate(best))
        kept = [(found[s[-1] > -np.inf], s[:, s[-1] > -np.inf]) for found, s in ranked]
        return self._hits(batch, kept, k)

    def _rank_candidates(self, batch: Batch, k: int, allowed: Ids | None) -> Hits:
        ranked: list[_Ranked] = []
        proposals = self._proposals(batch, k, allowed)
        for row, (proposed, excluded) in enumerate(zip(proposals, batch.excluded, strict=True)):
            ids = np.setdiff1d(proposed.ids, [NO_ID, *excluded])
            table = batch.rows(slice(row, row + 1)).scores(ids)[:, 0]
            order = np.lexsort((ids, -table[-1]))[:k]
            ranked.append((ids[order], table[:, order]))
        probed = np.array([each.probed_clusters for each in proposals], np.int64)
        is_exact = all(each.is_exact for each in proposals)
        return self._hits(batch, ranked, k, probed, is_exact=is_exact)

    def _proposals(self, batch: Batch, k: int, allowed: Ids | None) -> list[Proposal]:
        """Return for each query what its descriptors and parts propose together."""
        # Indexes are tuned on pictures; words lie elsewhere, and need more candidates.
        is_simple = len(batch.points) == 1 and not batch.points[0].is_text and not any(batch.parts)
        n_wanted = k if is_simple else max(_CANDIDATES, _CANDIDATES_PER_HIT * k)
        n_excluded = max((len(ids) for ids in batch.excluded), default=0)
        n_wanted += n_excluded
        found = [
            (points, points.index.search(points.points, n_wanted, allowed=allowed))
            for points in batch.points
        ]
        rows = []
        for row, parts in enumerate(batch.parts):
            # Without examples of the kind a row of points is empty and says nothing.
            of_row = [_row(hits, row) for points, hits in found if points.shares[row] or not parts]
            match [*of_row, *parts]:
                case [RankingPart() as part]:
                    of_row = [part.propose(part.alone(k) + n_excluded, allowed)]
                case _:
                    of_row += [part.propose(n_wanted, allowed) for part in parts]
            n_passing = len(self._ids) if allowed is None else len(allowed)
            rows.append(_joined(of_row, n_passing))
        return rows

    def _walk(self, queries: Sequence[Query], batch: Batch, k: int, allowed: Ids | None) -> Hits:
        """Answer in the order `list`: clusters as they come, of one descriptor."""
        if any(query.order != "list" for query in queries):
            raise UsageError("queries in the order 'list' and ranked ones cannot be asked together")
        if len(batch.names) != 1:
            raise UsageError(
                "the order 'list' walks the clusters of one descriptor, and the query weighs "
                f"{', '.join(batch.names)}; give one of them a weight"
            )
        if len(batch.points) != 1 or any(batch.parts):
            raise UsageError(
                "the order 'list' walks the clusters from one point, and the query has words and "
                "images, or more than examples; give one of them alone"
            )
        [points] = batch.points
        n_wanted = k + max((len(ids) for ids in batch.excluded), default=0)
        hits = points.index.search(points.points, n_wanted, allowed=allowed, order="list")
        ranked: list[_Ranked] = []
        for row, excluded in enumerate(batch.excluded):
            ids = hits.ids[row][~np.isin(hits.ids[row], [NO_ID, *excluded])][:k]
            ranked.append((ids, batch.rows(slice(row, row + 1)).scores(ids)[:, 0]))
        probed = hits.probed_clusters
        return self._hits(batch, ranked, k, probed, is_exact=False, is_ranked=False)

    def _hits(
        self,
        batch: Batch,
        ranked: Sequence["_Ranked"],
        k: int,
        probed: Int64[ndarray, " queries"] | None = None,
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
        if probed is None:
            probed = np.zeros(len(ranked), np.int64)
        boxes = _boxes(batch, [found for found, _ in ranked], width)
        return Hits(ids, scores, parts, probed, is_exact, is_ranked, boxes)


_Ranked: TypeAlias = tuple[Int64[ndarray, "_"], Float64[ndarray, "parts _"]]
"""Ids of the hits of one query, and their scores in each descriptor and in all."""


_NO_IDS: Final = np.empty(0, np.int64)


def _union(ids: Int64[ndarray, "_"], others: Int64[ndarray, "_"]) -> Int64[ndarray, "_"]:
    """Return all ids, ascending; fast where both are the same, as they mostly are."""
    return ids if np.array_equal(ids, others) else np.union1d(ids, others)


def _both(ids: Ids | None, others: Int64[ndarray, "_"] | None) -> Int64[ndarray, "_"] | None:
    """Return the ids that pass both filters; `None` where there is none."""
    if ids is None or others is None:
        return others if ids is None else ids
    return common(ids, others)


def _row(hits: Hits, row: int) -> Proposal:
    probed = 0 if hits.probed_clusters is None else int(hits.probed_clusters[row])
    return Proposal(hits.ids[row], probed, hits.is_exact)


def _joined(proposals: Sequence[Proposal], n_passing: int) -> Proposal:
    ids = reduce(np.union1d, [each.ids for each in proposals], _NO_IDS)
    is_exact = len(proposals) == 1 and proposals[0].is_exact
    is_whole = int((ids != NO_ID).sum()) >= n_passing
    probed = sum(each.probed_clusters for each in proposals)
    return Proposal(ids, probed, is_exact or is_whole)


def _boxes(
    batch: Batch, found: Sequence[Int64[ndarray, "_"]], width: int
) -> Float64[ndarray, "queries k 4"] | None:
    """Return where each hit matches; `None` where no query asks for a place."""
    located = [batch.boxes(row, ids) for row, ids in enumerate(found)]
    if all(boxes is None for boxes in located):
        return None
    table = np.full((len(found), width, 4), np.nan)
    for row, boxes in enumerate(located):
        if boxes is not None:
            table[row, : len(boxes)] = boxes
    return table
