"""Near-duplicates as a search needs them: which hits copy others, and which images have copies."""

from typing import Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import VectorIndex
from lookalike.search.duplicates import DuplicateFinder
from lookalike.search.parts import Context
from lookalike.storage.duplicates import Decisions

SAME: Final = 0.98
"""Images without a fingerprint whose `content` is at least so similar are taken for the same
picture. Among 400 generated scenes no two were so similar, of pictures saved anew as a poor JPEG
more than half were."""


def are_first(content: VectorIndex, context: Context | None, ids: Ids) -> Bool[ndarray, " items"]:
    """Return which images, best first, are no copy of one before them.

    Near-duplicates are those of `lookalike.search.duplicates`, and what a person has decided about
    them holds. Images without a fingerprint, in collections that an earlier version made, are
    compared by `content` alone; see `SAME`.
    """
    told = np.empty(0, np.int64) if context is None else context.catalog.duplicates.told(ids)
    is_first = np.ones(len(ids), bool)
    if context is not None and len(told):
        is_first = _finder(context).representatives(ids) == ids
    is_untold = ~np.isin(ids, told)
    if is_untold.any():
        return _are_unlike(content, ids, is_first, is_untold)
    return is_first


def have_copies(context: Context) -> Ids:
    """Return the ids, ascending, of all images that have near-duplicates; mirrored ones are none.

    Kept until the collection changes or a person decides something: all hashes are compared.
    """
    if "content" not in context.indexes:
        return np.empty(0, np.int64)
    decisions = context.catalog.duplicates.decisions()
    kept: tuple[Decisions, Ids] | None = context.kept.get("copies")
    if kept is None or kept[0] != decisions:
        groups = _finder(context).groups()
        ids = sorted({id_ for group in groups if group.kind == "copies" for id_ in group.ids})
        kept = context.kept["copies"] = (decisions, np.array(ids, np.int64))
    return kept[1]


def _finder(context: Context) -> DuplicateFinder:
    if "duplicates" not in context.kept:
        store = context.catalog.duplicates
        context.kept["duplicates"] = DuplicateFinder(store, context.index("content"))
    finder: DuplicateFinder = context.kept["duplicates"]
    return finder


def _are_unlike(
    content: VectorIndex,
    ids: Ids,
    is_first: Bool[ndarray, " items"],
    is_untold: Bool[ndarray, " items"],
) -> Bool[ndarray, " items"]:
    """Return which of those that are first stay so if images without fingerprint are compared."""
    rows, stays = content.vectors(ids), is_first.copy()
    for at in range(len(ids)):
        if stays[at]:
            is_like = np.vecdot(rows[at + 1 :], rows[at]) >= SAME
            stays[at + 1 :] &= ~(is_like & (is_untold[at + 1 :] | is_untold[at]))
    return stays
