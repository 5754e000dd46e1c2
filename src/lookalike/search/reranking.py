"""The hits of a search weighed anew, without extraction and without any index."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID
from lookalike.errors import UsageError
from lookalike.index.base import Hits, pad_rows
from lookalike.search.shaping import row_of, stack, take


def rerank(hits: Hits, weights: Mapping[str, int | float], k: int | None = None) -> Hits:
    """Rank the hits of an earlier search by other weights of its descriptors and parts.

    Ask for many hits once, and try weights on them as often as you like: a hit has the very score
    that a search with these weights would give it. Images that were not among the hits are not
    found, so that the answer does not claim to be exact.

    Args:
        hits: Of a search that weighed, at least a little, whatever is to be weighed now.
        weights: Weight of each part of `hits.parts`, 0 or more; those not named have none.
        k: Hits wanted; all of them by default.

    Raises:
        UsageError: If a weight names no part of the hits, is negative or not finite, or all are 0;
            or if `k` is below 1.

    Example:
        >>> parts = {"content": np.array([[3.0, 1.0]]), "layout": np.array([[0.0, 2.0]])}
        >>> hits = Hits(np.array([[7, 9]]), np.array([[1.5, 1.5]]), parts)
        >>> rerank(hits, {"content": 1, "layout": 3}).ids
        array([[9, 7]])
    """
    names = _weighed(hits, weights)
    if k is not None and k < 1:
        raise UsageError(f"the number of hits must be 1 or more, not {k}")
    table = np.array([weights[name] for name in names], np.float64)
    shares = table / table.sum()
    width = hits.ids.shape[1] if k is None else min(k, hits.ids.shape[1])
    rows = [_weighed_row(hits, row, names, shares, width) for row in range(len(hits.ids))]
    return _stacked(hits, rows, width)


def _weighed_row(
    hits: Hits, row: int, names: Sequence[str], shares: Float64[ndarray, " names"], k: int
) -> tuple[Int64[ndarray, " kept"], Float64[ndarray, " kept"]]:
    """Return the columns of the `k` best hits of a row, and their new scores."""
    found = np.flatnonzero(hits.ids[row] != NO_ID)
    total = np.zeros(len(found))
    for share, name in zip(shares, names, strict=True):
        total += share * hits.parts[name][row, found]
    order = np.lexsort((hits.ids[row, found], -total))[:k]
    return found[order], total[order]


def _stacked(
    hits: Hits, rows: Sequence[tuple[Int64[ndarray, "_"], Float64[ndarray, "_"]]], width: int
) -> Hits:
    taken = [
        take(row_of(hits, at), columns, width, is_ranked=False)
        for at, (columns, _) in enumerate(rows)
    ]
    scores = pad_rows([(columns, total) for columns, total in rows], width)[1]
    return replace(stack(taken), scores=scores, is_ranked=True, is_exact=False)


def _weighed(hits: Hits, weights: Mapping[str, int | float]) -> list[str]:
    unknown = sorted(set(weights) - set(hits.parts))
    if unknown:
        raise UsageError(
            f"the hits have no scores of {unknown[0]!r}; they have: {', '.join(hits.parts)}; "
            "search again with a weight for it"
        )
    for name, weight in weights.items():
        if not 0 <= weight < np.inf:
            raise UsageError(f"the weight of {name!r} must be a number from 0 on, not {weight!r}")
    names = [name for name in hits.parts if weights.get(name)]
    if not names:
        raise UsageError("all weights are 0; give at least one part of the hits a weight")
    return names
