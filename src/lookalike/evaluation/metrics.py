"""Measures of a ranking, per query, from which items are relevant.

Every function takes `relevant`, one row per query: whether the item at each rank is relevant, best
rank first, junk and the query itself already removed. The columns need not cover the gallery;
ranks that are missing count as not relevant, as in trec_eval, so `k` may exceed the gallery.
`n_relevant` counts the relevant items of the whole gallery, retrieved or not. A query without any
relevant item has no defined value: it gets `nan` and is left out of means, which report how many
were left out.

References:
    C. D. Manning, P. Raghavan, H. Schütze, *Introduction to Information Retrieval*, Cambridge
    University Press, 2008, chapter 8.
"""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Real
from numpy import ndarray

from lookalike.errors import UsageError

Relevant: TypeAlias = Bool[ndarray, "queries ranks"]
Counts: TypeAlias = Int[ndarray, " queries"]
PerQuery: TypeAlias = Float64[ndarray, " queries"]


def precision_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """Share of the first `k` items that are relevant: `P@k = hits / k`.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> precision_at_k(np.array([[True, False, True]]), np.array([4]), k=2)
        array([0.5])
    """
    hits = _hits_at(relevant, n_relevant, k)
    return _where_defined(hits / k, n_relevant)


def recall_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """Share of the relevant items that are among the first `k`: `R@k = hits / R`.

    Not the "recall@k" of metric learning, which asks for one hit only: see `hit_rate_at_k`. With
    `R` relevant items it cannot exceed `k / R`.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> recall_at_k(np.array([[True, False, True]]), np.array([4]), k=2)
        array([0.25])
    """
    return _ratio(_hits_at(relevant, n_relevant, k), n_relevant)


def f_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """Harmonic mean of `precision_at_k` and `recall_at_k`: `F@k = 2 hits / (k + R)`.

    Returns:
        One value in `[0, 1]` per query; 0 without a hit, `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> f_at_k(np.array([[True, False, True]]), np.array([4]), k=2).round(3)
        array([0.333])
    """
    hits = _hits_at(relevant, n_relevant, k)
    return _where_defined(2 * hits / (k + n_relevant), n_relevant)


def hit_rate_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """1 if any of the first `k` items is relevant, else 0; "recall@k" in metric learning.

    Returns:
        0 or 1 per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> hit_rate_at_k(np.array([[False, True], [False, False]]), np.array([4, 4]), k=2)
        array([1., 0.])
    """
    return _where_defined((_hits_at(relevant, n_relevant, k) > 0) * 1.0, n_relevant)


def average_precision(relevant: Relevant, n_relevant: Counts) -> PerQuery:
    """Average precision over the whole ranking: `AP = sum_i rel_i precision@i / R`.

    Ranks `i` count from 1. The finite sum of the information-retrieval literature, not the
    trapezoid of the Oxford and Paris protocols. Relevant items missing from the ranking add 0.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If a query has more hits than relevant items.

    Example:
        >>> average_precision(np.array([[True, False, True]]), np.array([2])).round(3)
        array([0.833])

    References:
        Manning, Raghavan, Schütze (2008), section 8.4.
    """
    _check_counts(relevant, n_relevant)
    return _ratio(_sum_of_precisions(relevant), n_relevant)


def average_precision_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """Average precision of the first `k`: `sum_(i<=k) rel_i precision@i / min(k, R)`.

    `min` lets a perfect list score 1. The scripts of the hashing literature divide by the hits
    among the first `k` instead, which never punishes items that were not found: see
    `average_precision_over_hits_at_k`.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> average_precision_at_k(np.array([[True, False, False]]), np.array([2]), k=3)
        array([0.5])
    """
    _hits_at(relevant, n_relevant, k)
    return _ratio(_sum_of_precisions(relevant[:, :k]), np.minimum(n_relevant, k))


def average_precision_over_hits_at_k(relevant: Relevant, n_relevant: Counts, k: int) -> PerQuery:
    """Average precision as in hashing scripts: `sum_(i<=k) rel_i precision@i / hits@k`.

    The "mAP@5000" of most papers on hashing with COCO. Never below `average_precision_at_k`, which
    divides by `min(k, R)`; do not compare the two.

    Returns:
        One value in `[0, 1]` per query; 0 without a hit, `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `k` is below 1 or a query has more hits than relevant items.

    Example:
        >>> average_precision_over_hits_at_k(np.array([[True, False, False]]), np.array([2]), k=3)
        array([1.])

    References:
        Z. Cao, M. Long, J. Wang, P. S. Yu, *HashNet: Deep Learning to Hash by Continuation*, ICCV
        2017, and its published evaluation script.
    """
    hits = _hits_at(relevant, n_relevant, k)
    total = _sum_of_precisions(relevant[:, :k])
    return _where_defined(total / np.maximum(hits, 1), n_relevant)


def mean_average_precision(relevant: Relevant, n_relevant: Counts) -> float:
    """Mean of `average_precision` over the queries that have a relevant item; `nan` if none has.

    Example:
        >>> two = np.array([[True, False], [False, True]])
        >>> mean_average_precision(two, np.array([1, 1]))
        0.75
    """
    return mean_of_defined(average_precision(relevant, n_relevant))


def map_at_r(relevant: Relevant, n_relevant: Counts) -> PerQuery:
    """Average precision of the first `R` items: `sum_(i<=R) rel_i precision@i / R`.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If a query has more hits than relevant items.

    Example:
        >>> map_at_r(np.array([[True, False, True]]), np.array([2]))
        array([0.5])

    References:
        K. Musgrave, S. Belongie, S.-N. Lim, *A Metric Learning Reality Check*, ECCV 2020.
    """
    _check_counts(relevant, n_relevant)
    return _ratio(_sum_of_precisions(relevant & _within(relevant, n_relevant)), n_relevant)


def r_precision(relevant: Relevant, n_relevant: Counts) -> PerQuery:
    """Precision of the first `R` items, which is also their recall.

    Returns:
        One value in `[0, 1]` per query; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If a query has more hits than relevant items.

    Example:
        >>> r_precision(np.array([[True, False, True]]), np.array([2]))
        array([0.5])
    """
    _check_counts(relevant, n_relevant)
    return _ratio((relevant & _within(relevant, n_relevant)).sum(axis=1), n_relevant)


def reciprocal_rank(relevant: Relevant, n_relevant: Counts) -> PerQuery:
    """One over the rank of the first relevant item.

    Returns:
        One value in `[0, 1]` per query; 0 without a hit, `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If a query has more hits than relevant items.

    Example:
        >>> reciprocal_rank(np.array([[False, True, True]]), np.array([2]))
        array([0.5])
    """
    _check_counts(relevant, n_relevant)
    ranks = np.arange(1, relevant.shape[1] + 1)
    first = np.where(relevant, ranks, np.inf).min(axis=1, initial=np.inf)
    return _where_defined(1 / first, n_relevant)


def interpolated_precision(
    relevant: Relevant, n_relevant: Counts, n_levels: int = 11
) -> Float64[ndarray, "queries levels"]:
    """Precision-recall curve: at each recall level the best precision from there on.

    `P(r) = max over ranks with recall >= r of precision`, at `n_levels` levels evenly spaced from
    0 to 1. Eleven levels are the classic of the field. A level the ranking never reaches gives 0.

    Returns:
        Values in `[0, 1]`, falling along each row; a row of `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If `n_levels` is below 2 or a query has more hits than relevant items.

    Example:
        >>> interpolated_precision(np.array([[True, False, True]]), np.array([2]), 3).round(3)
        array([[1.   , 1.   , 0.667]])

    References:
        Manning, Raghavan, Schütze (2008), section 8.4.
    """
    if n_levels < 2:
        raise UsageError(f"n_levels is {n_levels}; a curve has at least 2 levels")
    _check_counts(relevant, n_relevant)
    hits = relevant.cumsum(axis=1)
    precision = hits / np.arange(1, relevant.shape[1] + 1)
    best_from = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # A column of zeros answers for levels that are never reached.
    best_from = np.pad(best_from, ((0, 0), (0, 1)))
    steps = np.arange(n_levels)
    # Whole numbers throughout: hits needed = ceil(R * step / (n_levels - 1)).
    needed = -(-np.multiply.outer(n_relevant.astype(np.int64), steps) // (n_levels - 1))
    first = np.stack([(hits < needed[:, [step]]).sum(axis=1) for step in steps], axis=1)
    curve: ndarray = np.take_along_axis(best_from, first, axis=1)
    curve[n_relevant == 0] = np.nan
    return curve


def nmrr(relevant: Relevant, n_relevant: Counts, largest: int | None = None) -> PerQuery:
    """Normalized modified retrieval rank of MPEG-7; 0 is best, 1 is worst.

    With `K = min(4 R, 2 max R)` an item ranked beyond `K`, or not at all, counts as rank `1.25 K`;
    then `NMRR = (mean rank - 0.5 - R / 2) / (1.25 K - 0.5 - R / 2)`.

    Args:
        relevant: Whether the item at each rank is relevant.
        n_relevant: Number of relevant items.
        largest: `max R` over all queries of the experiment; that of these queries if not given.

    Returns:
        One value in `[0, 1]` per query, lower is better; `nan` where `n_relevant` is 0.

    Raises:
        UsageError: If a query has more hits than relevant items, or more than `largest`.

    Example:
        >>> nmrr(np.array([[True, True, False]]), np.array([2]))
        array([0.])

    References:
        B. S. Manjunath, J.-R. Ohm, V. V. Vasudevan, A. Yamada, *Color and Texture Descriptors*,
        IEEE Transactions on Circuits and Systems for Video Technology 11(6), 2001.
    """
    _check_counts(relevant, n_relevant)
    most = int(n_relevant.max(initial=0)) if largest is None else largest
    if (n_relevant > most).any():
        raise UsageError(f"largest is {most}, but a query has {n_relevant.max()} relevant items")
    limit = np.minimum(4 * n_relevant, 2 * most)
    ranks = np.arange(1, relevant.shape[1] + 1)
    counted = relevant & (ranks <= limit[:, None])
    missed = n_relevant - counted.sum(axis=1)
    mean_rank = _ratio((counted * ranks).sum(axis=1) + missed * 1.25 * limit, n_relevant)
    least = 0.5 + n_relevant / 2
    return _ratio(mean_rank - least, 1.25 * limit - least)


def anmrr(relevant: Relevant, n_relevant: Counts) -> float:
    """Mean of `nmrr` over the queries that have a relevant item; `nan` if none has."""
    return mean_of_defined(nmrr(relevant, n_relevant))


def mean_of_defined(values: Float[ndarray, " queries"]) -> float:
    """Mean over the values that are not `nan`; `nan` if there is none.

    Example:
        >>> mean_of_defined(np.array([1.0, np.nan, 0.0]))
        0.5
    """
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _hits_at(relevant: Relevant, n_relevant: Counts, k: int) -> Counts:
    _check_k(k)
    _check_counts(relevant, n_relevant)
    hits: ndarray = relevant[:, :k].sum(axis=1)
    return hits


def _check_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 rank")


def _check_counts(relevant: Relevant, n_relevant: Counts) -> None:
    hits = relevant.sum(axis=1)
    if (hits > n_relevant).any():
        query = int(np.argmax(hits > n_relevant))
        raise UsageError(
            f"query {query} has {hits[query]} hits but n_relevant={n_relevant[query]}; "
            "count relevant items over the whole gallery, without junk and the query itself"
        )


def _sum_of_precisions(relevant: Relevant) -> PerQuery:
    precision = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    total: ndarray = np.where(relevant, precision, 0.0).sum(axis=1)
    return total


def _within(relevant: Relevant, n: Counts) -> Relevant:
    inside: ndarray = np.arange(relevant.shape[1]) < n[:, None]
    return inside


def _ratio(
    numerator: Real[ndarray, " queries"], denominator: Real[ndarray, " queries"]
) -> PerQuery:
    values: ndarray = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=values, where=denominator > 0)
    return values


def _where_defined(values: Float[ndarray, " queries"], n_relevant: Counts) -> PerQuery:
    defined: ndarray = np.where(n_relevant > 0, values, np.nan)
    return defined
