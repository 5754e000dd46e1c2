"""What the wrappers maximize: how well ridge regression on some dimensions predicts the labels.

`J(S)` is the share of the variance of a label that is explained on items that the model has not
seen, `R^2 = 1 - SSE / SST`, pooled over the folds of a cross-validation and aggregated over the
labels. Ridge regression has a closed form: whatever `S`, only the Gram matrices of each fold are
needed, so a set is judged in a fraction of a millisecond however many items there are, and adding
or removing one dimension is judged for all dimensions at once.

References:
    A. E. Hoerl, R. W. Kennard, *Ridge Regression*, Technometrics 12, 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from sklearn.model_selection import KFold

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import Features, Labels, aggregate, standardized
from lookalike.features.selection.names import Aggregate

RIDGE = 0.01
"""Penalty per item of the squared weights of standardized dimensions."""


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One part of the items to learn from and another to be judged on.

    Features and labels of both are centered by the means of the part that is learned from, which
    stands for an intercept that is not penalized.

    Attributes:
        gram: `X'X` with the ridge on its diagonal.
        target: `X'Y`.
        features: `V`, of the items judged on.
        labels: `U`, of the items judged on.
        held_gram: `V'V`.
        held_target: `V'U`.
    """

    gram: Float64[ndarray, "dims dims"]
    target: Float64[ndarray, "dims labels"]
    features: Float64[ndarray, "held_out dims"]
    labels: Float64[ndarray, "held_out labels"]
    held_gram: Float64[ndarray, "dims dims"]
    held_target: Float64[ndarray, "dims labels"]

    def errors(self, sets: Int64[ndarray, "sets chosen"]) -> Float64[ndarray, "labels sets"]:
        """Squared errors of each label with each set of dimensions, `|U - V W|^2`."""
        rows, columns = sets[:, :, None], sets[:, None, :]
        weights = np.linalg.solve(self.gram[rows, columns], self.target[sets])
        explained = 2 * self.held_target[sets] - self.held_gram[rows, columns] @ weights
        errors: ndarray = (self.labels**2).sum(axis=0) - (weights * explained).sum(axis=1)
        return errors.T


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """`J(S)` over fixed folds.

    Attributes:
        folds: Each item is judged on in one of them.
        variance: Sum of squares of each label around its mean.
        labels: Which labels each item has.
        how: How the labels' shares become one number.
    """

    folds: tuple[Fold, ...]
    variance: Float64[ndarray, " labels"]
    labels: Labels
    how: Aggregate

    @property
    def n_dims(self) -> int:
        """Dimensions that there are to choose from."""
        return len(self.folds[0].gram)

    def scores(self, sets: Int64[ndarray, "sets chosen"]) -> Float64[ndarray, " sets"]:
        """Return `J` of sets of equally many dimensions: 1 at best, 0 for knowing only the mean."""
        return self.explained(np.sum([fold.errors(sets) for fold in self.folds], axis=0))

    def explained(
        self, errors: Float64[ndarray, "labels candidates"]
    ) -> Float64[ndarray, " candidates"]:
        """Turn sums of squared errors into `J`, for any number of sets at once."""
        return aggregate(explained_share(errors, self.variance), self.labels, self.how)


def objective(
    features: Features, labels: Labels, how: Aggregate, *, n_folds: int = 3, seed: int = 0
) -> Objective:
    """Set up the cross-validation.

    Args:
        features: Standardized here, over all items and without looking at labels.
        labels: Each held by some items and not by others.
        how: Aggregate over labels.
        n_folds: Parts of about equal size.
        seed: Which parts.

    Raises:
        UsageError: If there are fewer items than folds.
    """
    if len(features) < n_folds:
        raise UsageError(f"{len(features)} items cannot be parted into {n_folds} folds; give more")
    scaled, truth = standardized(features), labels.astype(np.float64)
    folds = tuple(
        make_fold(scaled, truth, learn, judge) for learn, judge in parts(len(scaled), n_folds, seed)
    )
    variance = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    return Objective(folds, variance, labels, how)


def explained_share(
    errors: Float64[ndarray, "labels candidates"], variance: Float64[ndarray, " labels"]
) -> Float64[ndarray, "labels candidates"]:
    """Return `1 - SSE / SST`; 0 for a label that all items or none have."""
    ratio = np.divide(
        errors, variance[:, None], out=np.ones(errors.shape), where=variance[:, None] > 0
    )
    share: ndarray = 1 - ratio
    return share


def parts(
    n: int, n_folds: int, seed: int
) -> Iterator[tuple[Int64[ndarray, " learned"], Int64[ndarray, " judged"]]]:
    """Part `n` items at random, the same for the same seed: items to learn from, and to judge."""
    folds = KFold(n_folds, shuffle=True, random_state=seed)
    for learn, judge in folds.split(np.empty((n, 0))):
        yield learn.astype(np.int64), judge.astype(np.int64)


def make_fold(
    features: Float64[ndarray, "items dims"],
    labels: Float64[ndarray, "items labels"],
    learn: Int64[ndarray, " learned"],
    judge: Int64[ndarray, " judged"],
) -> Fold:
    """Prepare all that ridge regression on any dimensions needs of the items."""
    mean, mean_label = features[learn].mean(axis=0), labels[learn].mean(axis=0)
    own, truth = features[learn] - mean, labels[learn] - mean_label
    held, held_truth = features[judge] - mean, labels[judge] - mean_label
    return Fold(
        own.T @ own + RIDGE * len(learn) * np.eye(own.shape[1]),
        own.T @ truth,
        held,
        held_truth,
        held.T @ held,
        held.T @ held_truth,
    )
