"""Numbers to bins, for measures that are defined on discrete values."""

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.features.selection.aggregation import Features
from lookalike.features.selection.information import entropy

N_BINS = 10
"""Bins of equal frequency where nothing else is said."""


def equal_frequency(features: Features, n_bins: int = N_BINS) -> Int64[ndarray, "items dims"]:
    """Divide each feature at its quantiles into bins that hold about as many items.

    A value belongs to the first bin whose upper edge, the quantile `i / n_bins`, it does not
    exceed. Equal values stay together, so a feature that is 0 for most items has fewer bins.

    Raises:
        UsageError: If there are fewer than two bins.

    Example:
        >>> equal_frequency(np.array([[0.0], [0.0], [0.0], [7.0], [8.0], [9.0]]), 3).T
        array([[0, 0, 0, 1, 2, 2]])
    """
    if n_bins < 2:
        raise UsageError(f"n_bins is {n_bins}; at least 2 are needed to tell anything")
    edges = np.quantile(features, np.arange(1, n_bins) / n_bins, axis=0)
    codes = np.zeros(features.shape, np.int64)
    for edge in edges:
        codes += features > edge
    return codes


def mdl_codes(features: Features, label: Bool[ndarray, " items"]) -> Int64[ndarray, "items dims"]:
    """Divide each feature where that tells most of one label, see `mdl_cuts`."""
    columns = [
        np.searchsorted(mdl_cuts(column, label), column, side="left")
        for column in features.astype(np.float64).T
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def mdl_cuts(
    values: Float[ndarray, " items"], label: Bool[ndarray, " items"]
) -> Float64[ndarray, " cuts"]:
    """Cut points that the minimum description length principle accepts, ascending.

    The cut of lowest class entropy is accepted if its gain exceeds
    `(log2(N - 1) + log2(3^k - 2) - k H + k1 H1 + k2 H2) / N`, with `k`, `k1`, `k2` classes present
    in the items, below and above the cut; then both sides are cut again. A value belongs below a
    cut that it equals. Noise is not cut at all, so it tells nothing rather than a little.

    References:
        U. M. Fayyad, K. B. Irani, *Multi-interval Discretization of Continuous-valued Attributes
        for Classification Learning*, IJCAI 1993.

    Example:
        >>> mdl_cuts(np.arange(12.0), np.arange(12) > 5)
        array([5.5])
    """
    order = np.argsort(values, kind="stable")
    cuts = _cut(values[order].astype(np.float64), label[order].astype(np.float64))
    return np.array(cuts, np.float64)


def _cut(values: Float64[ndarray, " items"], label: Float64[ndarray, " items"]) -> list[float]:
    changes = np.flatnonzero(values[1:] > values[:-1]) + 1
    if len(changes) == 0:
        return []
    counts = _class_counts(label, changes)
    bits = entropy(counts)
    n = len(values)
    after = (changes * bits[0] + (n - changes) * bits[1]) / n
    best = int(np.argmin(after))
    if bits[2, best] - after[best] <= _price(counts[:, best], bits[:, best]):
        return []
    place = int(changes[best])
    cut = float((values[place - 1] + values[place]) / 2)
    if not values[place - 1] <= cut < values[place]:  # neighbors with no number between them
        cut = float(values[place - 1])
    return [*_cut(values[:place], label[:place]), cut, *_cut(values[place:], label[place:])]


def _class_counts(
    label: Float64[ndarray, " items"], places: Int64[ndarray, " places"]
) -> Float64[ndarray, "3 places 2"]:
    """Items of each class below each place, above it, and in all."""
    positive = np.cumsum(label)[places - 1]
    below = np.stack([places - positive, positive], axis=1)
    whole = np.array([len(label) - label.sum(), label.sum()])
    return np.stack([below, whole - below, np.broadcast_to(whole, below.shape)])


def _price(counts: Float64[ndarray, "3 2"], bits: Float64[ndarray, " 3"]) -> float:
    """What a cut must gain to be worth telling, in bits."""
    k1, k2, k = (counts > 0).sum(axis=1)
    delta = np.log2(3.0**k - 2) - (k * bits[2] - k1 * bits[0] - k2 * bits[1])
    return float((np.log2(counts[2].sum() - 1) + delta) / counts[2].sum())
