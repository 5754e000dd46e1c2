"""From ranked candidates to the hits that are shown: cut off, thinned out, put in order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids
from lookalike.errors import UsageError
from lookalike.index.base import Hits, VectorIndex
from lookalike.search.copies import are_first
from lookalike.search.knee import WINDOW, knee
from lookalike.search.parts import Context
from lookalike.search.queries import Query, Sort

_PER_HIT: Final = 4
"""Candidates for each hit asked for, where nearly equal ones are hidden."""


def is_plainly_by_date(query: Query) -> bool:
    """Whether a query shows the newest of what a filter lets pass, and leaves none of them out."""
    is_filter_alone = not query.positives and not query.has_parts and not query.is_liked
    is_whole = query.cut == "none" and query.min_score is None and not query.hide_duplicates
    return query.sort == "date" and bool(query.filter) and is_filter_alone and is_whole


def window(query: Query, k: int, n_images: int) -> int:
    """Return how many candidates are needed to find out which `k` are shown."""
    if query.sort != "score" and not query.positives and not query.has_parts:
        return max(k, n_images)  # what a filter lets pass is ordered as a whole
    wanted = k if query.cut == "none" else max(k, WINDOW)
    return _PER_HIT * wanted if query.hide_duplicates else wanted


def shape(
    hits: Hits,
    query: Query,
    k: int,
    n_images: int,
    indexes: Mapping[str, VectorIndex],
    context: Context | None,
) -> Hits:
    """Choose and order the hits of one query from its candidates.

    First nearly equal images go, all but the best of each; then of the `k` best those below
    `min_score` and behind the knee, which are counted in `Hits.beyond`; those left are sorted.

    Args:
        hits: One row of candidates, best first; see `window`.
        query: What decides.
        k: Hits wanted.
        n_images: Images among which the candidates are the best.
        indexes: By descriptor.
        context: Where names, dates and fingerprints are; needed to sort by the former.

    Raises:
        UsageError: If equal images are to be hidden and there is no `content`, or hits are to be
            sorted by what is not known.
    """
    found = np.flatnonzero(hits.ids[0] != NO_ID)
    n_head = _head(hits, query, n_images)
    if query.hide_duplicates:
        found = found[_first_of_each(indexes, context, hits.ids[0, found])]
    if query.sort != "score" and not query.positives and not query.has_parts:
        found = found[_order(context, hits.ids[0, found], query.sort)]
    best = found[:k]
    shown = best[best < n_head] if query.cut != "none" else best
    if query.min_score is not None:
        shown = shown[hits.scores[0, shown] >= query.min_score]
    n_beyond = len(best) - len(shown)
    if query.sort != "score":
        shown = shown[_order(context, hits.ids[0, shown], query.sort)]
    taken = take(hits, shown, min(k, hits.ids.shape[1]), is_ranked=query.sort == "score")
    return replace(taken, beyond=np.array([n_beyond], np.int64))


def take(
    hits: Hits, columns: Int64[ndarray, " columns"], width: int, *, is_ranked: bool = True
) -> Hits:
    """Return some columns of hits, padded to `width`."""

    def taken(values: ndarray, padding: int | float) -> ndarray:
        chosen = values[:, columns]
        table = np.full((len(values), width, *values.shape[2:]), padding, values.dtype)
        table[:, : chosen.shape[1]] = chosen
        return table

    return Hits(
        taken(hits.ids, NO_ID),
        taken(hits.scores, -np.inf),
        {name: taken(part, -np.inf) for name, part in hits.parts.items()},
        hits.probed_clusters,
        hits.is_exact,
        hits.is_ranked and is_ranked,
        None if hits.boxes is None else taken(hits.boxes, np.nan),
    )


def row_of(hits: Hits, row: int) -> Hits:
    """Return the hits of one of the queries."""
    one = slice(row, row + 1)
    return Hits(
        hits.ids[one],
        hits.scores[one],
        {name: part[one] for name, part in hits.parts.items()},
        None if hits.probed_clusters is None else hits.probed_clusters[one],
        hits.is_exact,
        hits.is_ranked,
        None if hits.boxes is None else hits.boxes[one],
        None if hits.beyond is None else hits.beyond[one],
    )


def stack(rows: Sequence[Hits]) -> Hits:
    """Put rows of hits of equal width together.

    A part that not all queries have is 0, no evidence, in the hits of the others.
    """
    names = dict.fromkeys(name for hits in rows for name in hits.parts)
    parts = {name: np.concatenate([_part(hits, name) for hits in rows]) for name in names}
    places = None
    if any(hits.boxes is not None for hits in rows):
        places = np.concatenate([_places(hits) for hits in rows])
    probed = [hits.probed_clusters for hits in rows if hits.probed_clusters is not None]
    beyond = [hits.beyond for hits in rows if hits.beyond is not None]
    return Hits(
        np.concatenate([hits.ids for hits in rows]),
        np.concatenate([hits.scores for hits in rows]),
        parts,
        np.concatenate(probed) if len(probed) == len(rows) else None,
        all(hits.is_exact for hits in rows),
        all(hits.is_ranked for hits in rows),
        places,
        np.concatenate(beyond) if len(beyond) == len(rows) else None,
    )


def _part(hits: Hits, name: str) -> ndarray:
    if name in hits.parts:
        return hits.parts[name]
    return np.where(hits.ids == NO_ID, -np.inf, 0.0)


def _places(hits: Hits) -> ndarray:
    return np.full((*hits.ids.shape, 4), np.nan) if hits.boxes is None else hits.boxes


def _head(hits: Hits, query: Query, n_images: int) -> int:
    """Return the number of candidates before the knee; all of them without one."""
    n_found = int((hits.ids[0] != NO_ID).sum())
    if query.cut == "none":
        return n_found
    ends = knee(hits.scores[0, : min(n_found, WINDOW, n_images // 2)])
    return n_found if ends is None else ends


def _first_of_each(
    indexes: Mapping[str, VectorIndex], context: Context | None, ids: Ids
) -> Bool[ndarray, " items"]:
    """Return which images are not nearly equal to one before them."""
    if "content" not in indexes:
        raise UsageError("nearly equal images are known by 'content', and the collection has none")
    return are_first(indexes["content"], context, ids)


def _order(context: Context | None, ids: Ids, sort: Sort) -> Int64[ndarray, " items"]:
    """Return the order of images by name, or by date, newest first; equal ones by rank."""
    if context is None or sort == "score":
        raise UsageError(f"hits cannot be sorted by {sort} here: there is no collection around")
    return np.argsort(context.catalog.filters.sort_keys(ids, sort), kind="stable").astype(np.int64)
