"""Greedy wrappers: add the best dimension again and again, or remove the least missed.

Both judge every candidate of a step at once by updating the inverse of the Gram matrix for one
dimension more or less (block inversion), which gives the very values of `Objective.scores`.
scikit-learn's `SequentialFeatureSelector` fits a model for each candidate and fold instead.

References:
    A. W. Whitney, *A Direct Method of Nonparametric Measurement Selection*, IEEE Transactions on
    Computers C-20, 1971. T. Marill, D. M. Green, *On the Effectiveness of Receptors in Recognition
    Systems*, IEEE Transactions on Information Theory 9, 1963.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.features.selection.objective import Fold, Objective


def forward(judge: Objective, n: int, seed: int = 0) -> Int64[ndarray, " n"]:
    """Start from nothing and add the dimension that lifts `J` most, `n` times; best first.

    Equal gains go to the lower dimension. The seed has no part in it.
    """
    states = [_Growing.empty(fold) for fold in judge.folds]
    chosen: list[int] = []
    for _ in range(n):
        left = np.setdiff1d(np.arange(judge.n_dims), chosen)
        errors = sum((state.errors_with(left) for state in states), np.zeros(()))
        best = int(left[np.argmax(judge.explained(errors))])
        states = [state.with_dimension(best) for state in states]
        chosen.append(best)
    return np.array(chosen, np.int64)


def backward(judge: Objective, n: int, seed: int = 0) -> Int64[ndarray, " n"]:
    """Start from all and remove the dimension whose loss costs `J` least, until `n` are left.

    Equal losses take the lower dimension away. The seed has no part in it.
    """
    states = [_Shrinking.full(fold) for fold in judge.folds]
    left = np.arange(judge.n_dims)
    while len(left) > n:
        errors = sum((state.errors_without() for state in states), np.zeros(()))
        place = int(np.argmax(judge.explained(errors)))
        states = [state.without(place) for state in states]
        left = np.delete(left, place)
    return left.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Growing:
    """Ridge regression of one fold on the dimensions chosen so far."""

    fold: Fold
    chosen: Int64[ndarray, " chosen"]
    inverse: Float64[ndarray, "chosen chosen"]
    residual: Float64[ndarray, "held_out labels"]

    @classmethod
    def empty(cls, fold: Fold) -> "_Growing":
        return cls(fold, np.empty(0, np.int64), np.empty((0, 0)), fold.labels)

    def errors_with(
        self, candidates: Int64[ndarray, " candidates"]
    ) -> Float64[ndarray, "labels candidates"]:
        """Squared errors of each label with each one more dimension."""
        directions, weights, _ = self._steps(candidates)
        return _errors_after(self.residual, -directions, weights)

    def with_dimension(self, dimension: int) -> "_Growing":
        [directions, weights, (slope, pivot)] = self._steps(np.array([dimension]))
        corner = slope[:, 0] / pivot[0]
        inverse = np.block(
            [
                [self.inverse + np.outer(corner, slope[:, 0]), -corner[:, None]],
                [-corner[None, :], np.array([[1 / pivot[0]]])],
            ]
        )
        residual = self.residual - directions @ weights
        return _Growing(self.fold, np.append(self.chosen, dimension), inverse, residual)

    def _steps(
        self, candidates: Int64[ndarray, " candidates"]
    ) -> tuple[
        Float64[ndarray, "held_out candidates"],
        Float64[ndarray, "candidates labels"],
        tuple[Float64[ndarray, "chosen candidates"], Float64[ndarray, " candidates"]],
    ]:
        """What of each candidate is new on the items judged, and the weight it would get."""
        fold, gram = self.fold, self.fold.gram
        across = gram[np.ix_(self.chosen, candidates)]
        slope = self.inverse @ across
        pivot = gram[candidates, candidates] - (across * slope).sum(axis=0)
        target = fold.target[candidates] - slope.T @ fold.target[self.chosen]
        directions = fold.features[:, candidates] - fold.features[:, self.chosen] @ slope
        return directions, target / pivot[:, None], (slope, pivot)


@dataclass(frozen=True, slots=True, eq=False)
class _Shrinking:
    """Ridge regression of one fold on the dimensions that are left."""

    features: Float64[ndarray, "held_out left"]
    inverse: Float64[ndarray, "left left"]
    weights: Float64[ndarray, "left labels"]
    residual: Float64[ndarray, "held_out labels"]

    @classmethod
    def full(cls, fold: Fold) -> "_Shrinking":
        inverse = np.linalg.inv(fold.gram)
        weights = inverse @ fold.target
        return cls(fold.features, inverse, weights, fold.labels - fold.features @ weights)

    def errors_without(self) -> Float64[ndarray, "labels left"]:
        """Squared errors of each label with each one dimension less."""
        return _errors_after(self.residual, self.features @ self.inverse, self._change())

    def without(self, place: int) -> "_Shrinking":
        change = self._change()[place]
        column = self.inverse[:, place]
        inverse = self.inverse - np.outer(column, column / column[place])
        rest = np.delete(np.arange(len(column)), place)
        return _Shrinking(
            self.features[:, rest],
            inverse[np.ix_(rest, rest)],
            (self.weights - np.outer(column, change))[rest],
            self.residual + np.outer(self.features @ column, change),
        )

    def _change(self) -> Float64[ndarray, "left labels"]:
        return self.weights / np.diag(self.inverse)[:, None]


def _errors_after(
    residual: Float64[ndarray, "held_out labels"],
    directions: Float64[ndarray, "held_out candidates"],
    weights: Float64[ndarray, "candidates labels"],
) -> Float64[ndarray, "labels candidates"]:
    """Sums of squares of `residual + direction * weight`, for each candidate and label."""
    across = residual.T @ directions
    length = (directions**2).sum(axis=0)
    before = (residual**2).sum(axis=0)[:, None]
    errors: ndarray = before + 2 * across * weights.T + length * weights.T**2
    return errors
