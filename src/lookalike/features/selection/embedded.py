"""Embedded selection: models whose penalty makes them leave dimensions out.

With `p = sigmoid(w·x + b)` the logistic loss of a label is
`J(w, b) = -(1/N) sum_n [y_n ln p_n + (1 - y_n) ln(1 - p_n)]`. The L1 penalty `lambda sum_i |w_i|`,
called lasso, makes weights zero. The L2 penalty `lambda sum_i w_i^2`, called ridge, only shrinks
them and selects nothing. `b` is never penalized, and dimensions are standardized first, or the
penalty would act on them unevenly.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from sklearn.linear_model import LogisticRegression
from sklearn.svm import l1_min_c

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import (
    Features,
    Labels,
    aggregate,
    best_dimensions,
    standardized,
)
from lookalike.features.selection.group_lasso import first_to_enter
from lookalike.features.selection.names import Aggregate

N_HALVES = 50
"""Random halves of the items that stability selection looks at."""

_C_STEPS = 10
_C_SPAN = 1000.0


def l1_logistic(
    features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Int64[ndarray, " n"]:
    """Dimensions that logistic regressions with an L1 penalty use, one for each label.

    The penalty is the strongest, to a few percent, at which the labels together use `n` dimensions
    or more; of these the `n` of largest aggregated absolute weight are kept. Should even a weak
    penalty leave too few, those without weight follow by number.

    scikit-learn's `C` is `1 / (N lambda)`, and its solver `saga` leaves the intercept unpenalized,
    which `liblinear` does not.

    References:
        R. Tibshirani, *Regression Shrinkage and Selection via the Lasso*, JRSS B 58, 1996.
    """
    scaled = standardized(features)
    lowest = min(float(l1_min_c(scaled, label, loss="log")) for label in labels.T)
    low, high = 0.0, np.log(_C_SPAN)
    weights = np.abs(_l1_weights(scaled, labels, lowest * _C_SPAN, seed))
    for _ in range(_C_STEPS):
        middle = (low + high) / 2
        found = np.abs(_l1_weights(scaled, labels, lowest * float(np.exp(middle)), seed))
        if int(found.any(axis=0).sum()) >= n:
            high, weights = middle, found
        else:
            low = middle
    return best_dimensions(aggregate(weights, labels, how), n)


def _l1_weights(
    features: Float64[ndarray, "items dims"], labels: Labels, c: float, seed: int
) -> Float64[ndarray, "labels dims"]:
    rows = []
    for label in labels.T:
        model = LogisticRegression(
            l1_ratio=1.0, C=c, solver="saga", tol=1e-2, max_iter=5000, random_state=seed
        )
        rows.append(model.fit(features, label).coef_[0])
    return np.stack(rows).astype(np.float64)


def group_lasso(
    features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Int64[ndarray, " n"]:
    """The `n` dimensions that a model of all labels together, with one penalty, uses first.

    See `group_lasso.path`. How the labels are weighed follows from `how`: alike for `mean`, by the
    number of items for `prevalence`; `max` has no place in a sum of losses.

    Raises:
        UsageError: If `how` is `max`.
    """
    return first_to_enter(standardized(features), labels, label_weights(labels, how), n)


def label_weights(labels: Labels, how: Aggregate) -> Float64[ndarray, " labels"]:
    """Weight of the loss of each label, 1 in the mean.

    Raises:
        UsageError: If `how` is `max`.
    """
    if how == "max":
        raise UsageError(
            "this method joins all labels in one loss, which knows no 'max'; "
            "choose the aggregate mean or prevalence"
        )
    counts = labels.sum(axis=0).astype(np.float64)
    return counts / counts.mean() if how == "prevalence" else np.ones(labels.shape[1])


def stability_selection(
    features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Int64[ndarray, " n"]:
    """The dimensions that the group lasso chooses most often on random halves of the items.

    Each of 50 halves chooses `n`; those chosen most often are kept, ties to the lower number. A
    dimension that owes its place to a few items is chosen by some halves only.

    References:
        N. Meinshausen, P. Bühlmann, *Stability Selection*, JRSS B 72, 2010.
    """
    return best_dimensions(selection_frequency(features, labels, n, how, seed), n)


def selection_frequency(
    features: Features, labels: Labels, n: int, how: Aggregate, seed: int
) -> Float64[ndarray, " dims"]:
    """Share of random halves of the items on which the group lasso chooses each dimension."""
    rng = np.random.default_rng(seed)
    scaled, weights = standardized(features), label_weights(labels, how)
    frequency = np.zeros(features.shape[1])
    for _ in range(N_HALVES):
        half: Bool[ndarray, " items"] = rng.permutation(len(scaled)) < len(scaled) // 2
        frequency[first_to_enter(scaled[half], labels[half], weights, n)] += 1 / N_HALVES
    return frequency
