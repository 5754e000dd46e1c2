"""Logistic regression of all labels at once with a penalty that drops a dimension for all of them.

    minimize  sum_l c_l J(w_l, b_l) + lambda sum_i ||W_i||_2

`J` is the logistic loss of label `l` (see `embedded`), `c_l` its weight and `W_i` the weights that
dimension `i` has for the labels; the penalty is the L2,1 norm. Solved by proximal gradient steps,
`W_i <- W_i max(0, 1 - step lambda / ||W_i||)`, with momentum, dropped where it points uphill.

References:
    M. Yuan, Y. Lin, *Model Selection and Estimation in Regression with Grouped Variables*, JRSS B
    68, 2006. G. Obozinski, B. Taskar, M. Jordan, *Joint Covariate Selection and Joint Subspace
    Selection for Multiple Classification Problems*, Statistics and Computing 20, 2010. A. Beck, M.
    Teboulle, *A Fast Iterative Shrinkage-Thresholding Algorithm*, SIAM J. Imaging Sciences 2, 2009.
    B. O'Donoghue, E. Candès, *Adaptive Restart for Accelerated Gradient Schemes*, Foundations of
    Computational Mathematics 15, 2015.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from scipy.special import expit

TOLERANCE = 3e-5
"""Steps end when the weights change by less than this share of the largest of them."""

MAX_STEPS = 2000

_PATH_RATIO = 0.85
_PATH_STEPS = 60


@dataclass(frozen=True, slots=True, eq=False)
class GroupLasso:
    """A solution.

    Attributes:
        weights: Rows are dimensions; those that are left out are exactly 0.
        intercepts: Of each label.
    """

    weights: Float64[ndarray, "dims labels"]
    intercepts: Float64[ndarray, " labels"]

    @property
    def size(self) -> Float64[ndarray, " dims"]:
        """Length of each dimension's weights."""
        length: ndarray = np.linalg.norm(self.weights, axis=1)
        return length


def first_to_enter(
    features: Float64[ndarray, "items dims"],
    labels: Bool[ndarray, "items labels"],
    label_weights: Float64[ndarray, " labels"],
    n: int,
) -> Int64[ndarray, " n"]:
    """Lower the penalty step by step until `n` dimensions are used; return the `n` used most.

    Each penalty is 0.85 times the one before and starts from its solution. Where even the last
    leaves too few, as with fewer items than `n`, dimensions without weight follow in the order of
    their gradients.

    Args:
        features: Standardized.
        labels: Which labels each item has.
        label_weights: Weight `c_l` of each label's loss.
        n: Dimensions to choose.

    Returns:
        The dimensions, ascending.
    """
    strength = strongest_penalty(features, labels, label_weights)
    found = solve(features, labels, label_weights, strength)
    for _ in range(_PATH_STEPS):
        if int((found.size > 0).sum()) >= n:
            break
        strength *= _PATH_RATIO
        found = solve(features, labels, label_weights, strength, start=found)
    slope = np.linalg.norm(gradient(features, labels, label_weights, found)[0], axis=1)
    order = np.lexsort((np.arange(len(slope)), -slope, -found.size))
    return np.sort(order[:n]).astype(np.int64)


def strongest_penalty(
    features: Float64[ndarray, "items dims"],
    labels: Bool[ndarray, "items labels"],
    label_weights: Float64[ndarray, " labels"],
) -> float:
    """Return the smallest `lambda` at which no dimension is used."""
    nothing = _nothing(features, labels)
    slope, _ = gradient(features, labels, label_weights, nothing)
    return float(np.linalg.norm(slope, axis=1).max())


def solve(
    features: Float64[ndarray, "items dims"],
    labels: Bool[ndarray, "items labels"],
    label_weights: Float64[ndarray, " labels"],
    strength: float,
    *,
    start: GroupLasso | None = None,
    tolerance: float = TOLERANCE,
) -> GroupLasso:
    """Minimize the penalized loss for one `lambda`.

    Args:
        features: Standardized.
        labels: Which labels each item has.
        label_weights: Weight `c_l` of each label's loss.
        strength: The `lambda`.
        start: A solution for a similar penalty.
        tolerance: Relative change at which steps end.
    """
    start = start or _nothing(features, labels)
    step = _step(features, label_weights)
    scale = label_weights / len(features)
    # One matrix for weights and, as its last row, intercepts; one for features and a constant.
    columns = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    now = ahead = np.concatenate([start.weights, start.intercepts[None]])
    momentum = 1.0
    for _ in range(MAX_STEPS):
        excess = (expit(columns @ ahead) - labels) * scale
        after = ahead - step * (columns.T @ excess)
        length = np.linalg.norm(after[:-1], axis=1, keepdims=True)
        after[:-1] *= np.maximum(0, 1 - step * strength / np.where(length > 0, length, np.inf))
        change = after - now
        is_done = np.abs(change).max() <= tolerance * np.abs(after).max()
        is_uphill = ((ahead - after) * change).sum() > 0
        grown = 1.0 if is_uphill else (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = after + (0.0 if is_uphill else (momentum - 1) / grown) * change
        now, momentum = after, grown
        if is_done:
            break
    return GroupLasso(now[:-1], now[-1])


def gradient(
    features: Float64[ndarray, "items dims"],
    labels: Bool[ndarray, "items labels"],
    label_weights: Float64[ndarray, " labels"],
    at: GroupLasso,
) -> tuple[Float64[ndarray, "dims labels"], Float64[ndarray, " labels"]]:
    """Gradient of the losses, without the penalty, by weights and by intercepts."""
    probability = expit(features @ at.weights + at.intercepts)
    excess = (probability - labels) * label_weights / len(features)
    return features.T @ excess, excess.sum(axis=0)


def _nothing(
    features: Float64[ndarray, "items dims"], labels: Bool[ndarray, "items labels"]
) -> GroupLasso:
    """The best model that looks at no dimension: it knows how frequent labels are."""
    share = np.clip(labels.mean(axis=0), 0.5 / len(labels), 1 - 0.5 / len(labels))
    return GroupLasso(np.zeros((features.shape[1], labels.shape[1])), np.log(share / (1 - share)))


def _step(
    features: Float64[ndarray, "items dims"], label_weights: Float64[ndarray, " labels"]
) -> float:
    """One over the largest curvature of the losses; that of the logistic function is a quarter."""
    largest = float(np.linalg.norm(features, ord=2)) ** 2 / len(features) + 1
    return 4 / (largest * float(label_weights.max()))
