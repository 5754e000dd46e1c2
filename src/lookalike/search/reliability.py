"""Whether probabilities can be trusted: calibration, its error, and the reliability diagram."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

N_BINS: Final = 10

_LEAST: Final = 1e-6
_FOLDS: Final = 5

Table = Float64[ndarray, "items words"]


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """`p' = 1 / (1 + exp(-(slope · logit(p) + offset)))`; slope 1 and offset 0 change nothing.

    J. Platt, *Probabilistic Outputs for Support Vector Machines*, Advances in Large Margin
    Classifiers, 1999, on log-odds in place of margins.

    Attributes:
        slope: Above 0, so that the order of probabilities stays.
        offset: In log-odds.
    """

    slope: float
    offset: float

    def __call__(self, probabilities: Table) -> Table:
        """Return the calibrated probabilities."""
        found: ndarray = 1 / (1 + np.exp(-(self.slope * _logit(probabilities) + self.offset)))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How often what was said with some probability came true.

    Attributes:
        error: Expected calibration error, `Σ_b n_b / n |mean p - share true|` over ten bins of
            equal width of those probabilities that are at least `least`.
        predicted: Mean probability in each bin; `nan` where it is empty.
        observed: Share that came true in each bin; `nan` where it is empty.
        counts: Probabilities in each bin.
        least: Lower probabilities are left out: nearly all of a large table are near 0, and these
            alone would make any error small.
    """

    error: float
    predicted: Float64[ndarray, " bins"]
    observed: Float64[ndarray, " bins"]
    counts: Int64[ndarray, " bins"]
    least: float


def reliability(
    probabilities: Table, truth: Bool[ndarray, "items words"], *, least: float = 0.05
) -> Reliability:
    """Compare probabilities with what is true; see `Reliability`.

    M. P. Naeini, G. F. Cooper, M. Hauskrecht, *Obtaining Well Calibrated Probabilities Using
    Bayesian Binning*, AAAI 2015, and C. Guo et al., *On Calibration of Modern Neural Networks*,
    ICML 2017. Without any probability of `least` the error is 0.

    Example:
        >>> reliability(np.array([[0.9], [0.9]]), np.array([[True], [False]])).error
        0.4
    """
    kept = probabilities >= least
    values, true = probabilities[kept], truth[kept].astype(np.float64)
    bins = np.minimum((values * N_BINS).astype(np.int64), N_BINS - 1)
    counts = np.bincount(bins, minlength=N_BINS)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(bins, values, N_BINS) / counts
        observed = np.bincount(bins, true, N_BINS) / counts
    gaps = np.nan_to_num(np.abs(predicted - observed))
    error = float((counts * gaps).sum() / max(1, counts.sum()))
    return Reliability(round(error, 12), predicted, observed, counts.astype(np.int64), least)


def fit_sigmoid(probabilities: Table, truth: Bool[ndarray, "items words"]) -> Sigmoid:
    """Return the sigmoid that makes the log loss on these probabilities smallest.

    What is true counts as `(n₊ + 1) / (n₊ + 2)` and what is not as `1 / (n₋ + 2)`, as Platt does,
    so that a few labels never make anything certain. Where only one of true and false occurs, it
    changes nothing.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - takes a second to load

    target = truth.ravel()
    if target.all() or not target.any():
        return Sigmoid(1.0, 0.0)
    n_true, n_false = int(target.sum()), int((~target).sum())
    soft = np.where(target, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    logits = _logit(probabilities).reshape(-1, 1)
    fitted = LogisticRegression(C=1e4).fit(
        np.concatenate([logits, logits]),
        np.repeat([True, False], len(logits)),
        sample_weight=np.concatenate([soft, 1 - soft]),
    )
    slope = float(fitted.coef_[0, 0])
    return Sigmoid(slope, float(fitted.intercept_[0])) if slope > 0 else Sigmoid(1.0, 0.0)


def cross_fitted(probabilities: Table, truth: Bool[ndarray, "items words"]) -> Table:
    """Calibrate each fifth of the items by a sigmoid fitted to the other four."""
    found = np.empty_like(probabilities)
    fold = np.arange(len(probabilities)) % _FOLDS
    for number in range(_FOLDS):
        held_out = fold == number
        fitted = fit_sigmoid(probabilities[~held_out], truth[~held_out])
        found[held_out] = fitted(probabilities[held_out])
    return found


def log_loss(probabilities: Table, truth: Bool[ndarray, "items words"]) -> float:
    """Mean of `-log p` of what is true and `-log(1 - p)` of what is not; 0 without items."""
    if probabilities.size == 0:
        return 0.0
    safe = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return float(-np.where(truth, np.log(safe), np.log1p(-safe)).mean())


def _logit(probabilities: Table) -> Table:
    safe = np.clip(probabilities, _LEAST, 1 - _LEAST)
    found: ndarray = np.log(safe) - np.log1p(-safe)
    return found
