"""From a score for each label to one score, and from scores to the dimensions that are kept."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.features.selection.names import AGGREGATES, Aggregate

Features: TypeAlias = Float[ndarray, "items dims"]
Labels: TypeAlias = Bool[ndarray, "items labels"]
LabelScores: TypeAlias = Float64[ndarray, "labels dims"]


def aggregate(
    scores: Float64[ndarray, "labels *dims"], labels: Labels, how: Aggregate
) -> Float64[ndarray, "*dims"]:
    """Join the scores that each label gives.

    `mean` counts every label alike, `max` takes the label for which a dimension tells most, and
    `prevalence` is the mean weighted by the number of items that have the label.

    Raises:
        UsageError: If there is no such way.

    Example:
        >>> labels = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], bool)
        >>> aggregate(np.array([[0.8], [0.4]]), labels, "prevalence")
        array([0.7])
    """
    if how == "mean":
        joined: ndarray = scores.mean(axis=0)
    elif how == "max":
        joined = scores.max(axis=0)
    elif how == "prevalence":
        joined = np.average(scores, axis=0, weights=labels.sum(axis=0))
    else:
        raise UsageError(f"there is no aggregate {how!r}; choose {', '.join(AGGREGATES)}")
    return joined


def best_dimensions(scores: Float64[ndarray, " dims"], n: int) -> Int64[ndarray, " n"]:
    """Return the `n` dimensions of highest score, ascending; equal scores favor the lower one.

    Example:
        >>> best_dimensions(np.array([0.1, 0.7, 0.1, 0.9]), 3)
        array([0, 1, 3])
    """
    order = np.argsort(-scores, kind="stable")[:n]
    return np.sort(order).astype(np.int64)


def telling_labels(labels: Labels) -> Int64[ndarray, " telling"]:
    """Return the labels that at least two items have and at least two lack; others tell nothing."""
    counts = labels.sum(axis=0)
    return np.flatnonzero((counts >= 2) & (counts <= len(labels) - 2)).astype(np.int64)


def standardized(features: Features) -> Float64[ndarray, "items dims"]:
    """Return the features with mean 0 and deviation 1; those that never vary become 0."""
    centered = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    deviation = centered.std(axis=0)
    varies = deviation > 1e-12 * np.abs(features).max(axis=0, initial=0)
    scaled: ndarray = np.where(varies, centered / np.where(varies, deviation, 1.0), 0.0)
    return scaled
