"""Measures of a ranking whose items are relevant to different degrees.

The grade of an item is how relevant it is, from 0 up; for pictures usually the number of labels it
shares with the query. Ranks that are missing count as grade 0.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64, Real
from numpy import ndarray

from lookalike.errors import UsageError

PerQuery: TypeAlias = Float64[ndarray, " queries"]
Gain: TypeAlias = Callable[[Real[ndarray, "queries ranks"]], Float64[ndarray, "queries ranks"]]


def linear_gain(grades: Real[ndarray, "queries ranks"]) -> Float64[ndarray, "queries ranks"]:
    """Gain of a graded item: the grade itself (Järvelin and Kekäläinen 2002)."""
    return grades.astype(np.float64)


def exponential_gain(grades: Real[ndarray, "queries ranks"]) -> Float64[ndarray, "queries ranks"]:
    """Gain of a graded item: `2^grade - 1`, which favors the best (Burges et al. 2005)."""
    return np.exp2(grades.astype(np.float64)) - 1


def dcg_at_k(grades: Real[ndarray, "queries ranks"], k: int, gain: Gain = linear_gain) -> PerQuery:
    """Discounted cumulative gain of the first `k`: `sum_(i<=k) gain(grade_i) / log2(i + 1)`.

    Args:
        grades: How relevant the item at each rank is, from 0 up; here usually the number of
            labels it shares with the query.
        k: Number of ranks that count.
        gain: `linear_gain` or `exponential_gain`.

    Raises:
        UsageError: If `k` is below 1.

    Example:
        >>> dcg_at_k(np.array([[3, 0, 1]]), k=3)
        array([3.5])
    """
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 rank")
    first = grades[:, :k]
    discount = np.log2(np.arange(2, first.shape[1] + 2))
    total: ndarray = (gain(first) / discount).sum(axis=1)
    return total


def ndcg_at_k(
    grades: Real[ndarray, "queries ranks"],
    best_grades: Real[ndarray, "queries best"],
    k: int,
    gain: Gain = linear_gain,
) -> PerQuery:
    """Discounted cumulative gain of the first `k`, divided by that of the best ranking possible.

    Args:
        grades: How relevant the item at each rank is, from 0 up.
        best_grades: The highest grades of the gallery for each query, in any order: at least `k`,
            or all of them.
        k: Number of ranks that count.
        gain: `linear_gain` or `exponential_gain`; papers use both, so say which.

    Returns:
        One value in `[0, 1]` per query; `nan` where no item has a grade above 0.

    Raises:
        UsageError: If `k` is below 1 or a ranking is better than the best.

    Example:
        >>> grades = np.array([[0, 2]])
        >>> ndcg_at_k(grades, grades, k=2).round(3)
        array([0.631])

    References:
        K. Järvelin, J. Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, ACM
        Transactions on Information Systems 20(4), 2002.
    """
    ideal = dcg_at_k(-np.sort(-best_grades.astype(np.float64), axis=1), k, gain)
    reached = dcg_at_k(grades, k, gain)
    if (reached > ideal * (1 + 1e-9)).any():
        query = int(np.argmax(reached > ideal * (1 + 1e-9)))
        raise UsageError(
            f"query {query} gains {reached[query]:.4g}, above the {ideal[query]:.4g} of its "
            f"best_grades; give the {k} highest grades of the whole gallery"
        )
    values: ndarray = np.full(len(reached), np.nan)
    np.divide(reached, ideal, out=values, where=ideal > 0)
    return values
