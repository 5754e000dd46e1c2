"""One door to all methods: features and labels to a `Selection`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from lookalike.dimensions import Selection
from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import (
    Features,
    Labels,
    aggregate,
    best_dimensions,
    telling_labels,
)
from lookalike.features.selection.discretization import equal_frequency
from lookalike.features.selection.embedded import group_lasso, l1_logistic, stability_selection
from lookalike.features.selection.filters import FILTERS, MRMR_BINS, mrmr
from lookalike.features.selection.information import contingency_tables, information_gain
from lookalike.features.selection.names import METHODS, UNLABELED, Aggregate
from lookalike.features.selection.projections import itq, pca
from lookalike.features.selection.wrappers import SEARCHES, Wrapped, wrap

Embedded = Callable[[Features, Labels, int, Aggregate, int], Int64[ndarray, " n"]]

_EMBEDDED: Final[Mapping[str, Embedded]] = {
    "l1-logistic": l1_logistic,
    "group-lasso": group_lasso,
    "stability": stability_selection,
}


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What a method chose.

    Attributes:
        selection: To be applied to embeddings.
        wrapped: What a wrapper says of its search; `None` for other methods.
    """

    selection: Selection
    wrapped: Wrapped | None = None


def choose(
    method: str,
    features: Features,
    labels: Labels | None,
    n: int,
    *,
    how: Aggregate | None = None,
    seed: int = 0,
) -> Choice:
    """Choose `n` dimensions of embeddings.

    Labels that fewer than two items have, or fewer than two lack, are left out.

    Args:
        method: One of `METHODS`.
        features: Embeddings, one row for each item.
        labels: Which labels each item has; methods of `UNLABELED` do not look at them.
        n: Dimensions wanted, fewer than there are.
        how: What becomes of the scores that a dimension has for each label, see `aggregate`; `mean`
            if not given. Methods that do not look at labels take none.
        seed: Of everything that is drawn at random.

    Raises:
        UsageError: If the method is unknown, `n` or `how` makes no sense, or labels are needed and
            there are none that tell anything.
    """
    check_request(method, features.shape[1], n)
    if method in UNLABELED:
        if how is not None:
            raise UsageError(
                f"{method} looks at no labels, so the aggregate {how!r} says nothing; leave it out"
            )
        return Choice(_without_labels(method, features, n, seed))
    telling, how = _telling(method, labels), how or "mean"
    if method in SEARCHES:
        wrapped = wrap(SEARCHES[method], features, telling, n, how, seed)
        return Choice(Selection(features.shape[1], wrapped.dims), wrapped)
    return Choice(Selection(features.shape[1], _chosen(method, features, telling, n, how, seed)))


def _chosen(
    method: str, features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Int64[ndarray, " n"]:
    if method in _EMBEDDED:
        return _EMBEDDED[method](features, labels, n, how, seed)
    if method == "mrmr":
        codes = equal_frequency(features, MRMR_BINS)
        gain = information_gain(contingency_tables(codes, labels))
        return np.sort(mrmr(codes, aggregate(gain, labels, how), n))
    return best_dimensions(aggregate(FILTERS[method](features, labels, seed), labels, how), n)


def _without_labels(method: str, features: Features, n: int, seed: int) -> Selection:
    of = features.shape[1]
    if method == "random":
        drawn = np.random.default_rng(seed).choice(of, n, replace=False)
        return Selection(of, np.sort(drawn).astype(np.int64))
    return Selection(of, pca(features, n) if method == "pca" else itq(features, n, seed))


def check_request(method: str, n_dims: int, n: int) -> None:
    """Raise UsageError if there is no such method or `n` of `n_dims` cannot be chosen."""
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; choose {', '.join(METHODS)}")
    if not 1 <= n < n_dims:
        raise UsageError(f"{n} of {n_dims} dimensions cannot be chosen; ask for 1 to {n_dims - 1}")


def _telling(method: str, labels: Labels | None) -> Bool[ndarray, "items telling"]:
    telling = None if labels is None else labels[:, telling_labels(labels)]
    if telling is None or telling.shape[1] == 0:
        raise UsageError(
            f"{method} learns from labels, and no label is held by at least two of the pictures "
            f"and lacked by two; give a data set with labels, or choose {', '.join(UNLABELED)}"
        )
    return telling
