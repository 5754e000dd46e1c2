"""Filters: how much each dimension tells of each label by itself, without any model.

All take features and labels and return one score for each label and dimension, higher is better.
A dimension that never varies scores 0.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray
from sklearn.feature_selection import chi2, f_classif, mutual_info_classif

from lookalike.errors import UsageError
from lookalike.features.selection import information
from lookalike.features.selection.aggregation import Features, Labels, LabelScores, standardized
from lookalike.features.selection.discretization import equal_frequency, mdl_codes
from lookalike.features.selection.information import contingency_tables

Filter = Callable[[Features, Labels, int], LabelScores]
"""Features, labels and a seed to scores."""


def _binned(measure: Callable[[ndarray], LabelScores]) -> Filter:
    """Make a filter of a measure of discrete features: ten bins of equal frequency."""

    def scores(features: Features, labels: Labels, seed: int) -> LabelScores:
        return measure(contingency_tables(equal_frequency(features), labels))

    return scores


def information_gain_mdl(features: Features, labels: Labels, seed: int) -> LabelScores:
    """Information gain in bits, each feature cut anew for each label; see `mdl_cuts`."""
    rows = []
    for column in range(labels.shape[1]):
        codes = mdl_codes(features, labels[:, column])
        tables = contingency_tables(codes, labels[:, [column]])
        rows.append(information.information_gain(tables)[0])
    return np.stack(rows)


def mutual_information_knn(features: Features, labels: Labels, seed: int) -> LabelScores:
    """Mutual information in nats, estimated from the three nearest neighbors, without bins.

    The estimator of scikit-learn, `mutual_info_classif`. It adds a little noise to the features,
    which the seed decides; estimates below 0 are 0.

    References:
        B. C. Ross, *Mutual Information between Discrete and Continuous Data Sets*, PLoS ONE 9,
        2014. A. Kraskov, H. Stögbauer, P. Grassberger, *Estimating Mutual Information*, Physical
        Review E 69, 2004.
    """
    rows = [mutual_info_classif(features, label, random_state=seed) for label in labels.T]
    return np.stack(rows).astype(np.float64)


def chi2_counts(features: Features, labels: Labels, seed: int) -> LabelScores:
    """What scikit-learn calls `chi2`: feature values are taken for counts of a word in a text.

    `sum_k (O_k - E_k)^2 / E_k` with `O_k` the sum of the feature over the items of class `k` and
    `E_k` the share of the class times the sum over all. Scaling a feature scales its score, so it
    is no test of independence of anything but counts; for that see `information.chi_square`.

    Raises:
        UsageError: If a value is negative, since counts are not.
    """
    if features.min(initial=0.0) < 0:
        raise UsageError(
            "chi2-counts takes features for counts and these have negative values; "
            "use chi-square, which bins them"
        )
    rows = [np.nan_to_num(chi2(features, label)[0], nan=0.0) for label in labels.T]
    return np.stack(rows).astype(np.float64)


def correlation(features: Features, labels: Labels, seed: int) -> LabelScores:
    """Absolute value of Pearson's r with the label as 0 or 1 (point-biserial), 0 to 1.

    Strong negative correlation tells as much as positive.
    """
    products = standardized(labels.astype(np.float64)).T @ standardized(features)
    r: ndarray = np.abs(products) / len(labels)
    return r


def anova(features: Features, labels: Labels, seed: int) -> LabelScores:
    """F of the analysis of variance: variance between items with and without, over that within.

    For two groups it grows with the absolute value of the correlation, `F = (N-2) r^2 / (1-r^2)`,
    and is `N-2` times the Fisher score, so for one label all three choose the same dimensions.
    Infinite where a dimension is constant within both groups.

    References:
        R. A. Fisher, *Statistical Methods for Research Workers*, 1925.
    """
    varies = np.ptp(features, axis=0) > 0
    scores = np.zeros((labels.shape[1], features.shape[1]))
    for row, label in zip(scores, labels.T, strict=True):
        with np.errstate(divide="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # constant within groups
            row[varies] = f_classif(features[:, varies], label)[0]
    return scores


FILTERS: Final[Mapping[str, Filter]] = {
    "information-gain": _binned(information.information_gain),
    "information-gain-mdl": information_gain_mdl,
    "mutual-information-knn": mutual_information_knn,
    "gain-ratio": _binned(information.gain_ratio),
    "symmetrical-uncertainty": _binned(information.symmetrical_uncertainty),
    "chi-square": _binned(information.chi_square),
    "chi2-counts": chi2_counts,
    "correlation": correlation,
    "anova": anova,
}


_NEVER: Final = -1e9
MRMR_BINS: Final = 3
"""Few, as in the paper: of two features with many bins each even noise seems to share a lot."""


def mrmr(
    codes: Int64[ndarray, "items dims"], relevance: Float64[ndarray, " dims"], n: int
) -> Int64[ndarray, " n"]:
    """Choose dimensions that tell much of the labels and little of one another, best first.

    Minimal redundancy, maximal relevance in the form of a difference: each step takes the dimension
    of highest `relevance - mean over the chosen of I(A; chosen)`, ties to the lower dimension.
    Those that never vary repeat nothing and tell nothing; they come last.

    Args:
        codes: Discrete features, values from 0 up.
        relevance: Mutual information of each with the labels, in bits.
        n: How many to choose.

    References:
        H. Peng, F. Long, C. Ding, *Feature Selection Based on Mutual Information: Criteria of
        Max-Dependency, Max-Relevance, and Min-Redundancy*, IEEE TPAMI 27(8), 2005.
    """
    relevance = np.where(np.ptp(codes, axis=0) > 0, relevance, _NEVER)
    chosen = [int(np.argmax(relevance))]
    redundancy = np.zeros(len(relevance))
    is_open = np.ones(len(relevance), bool)
    while len(chosen) < n:
        is_open[chosen[-1]] = False
        redundancy += mutual_information(codes, codes[:, chosen[-1]])
        worth = np.where(is_open, relevance - redundancy / len(chosen), -np.inf)
        chosen.append(int(np.argmax(worth)))
    return np.array(chosen, np.int64)


def mutual_information(
    codes: Int64[ndarray, "items dims"], other: Int64[ndarray, " items"]
) -> Float64[ndarray, " dims"]:
    """Mutual information of discrete features with another one, in bits."""
    is_value: Bool[ndarray, "items values"] = other[:, None] == np.arange(other.max() + 1)
    with_value = contingency_tables(codes, is_value)[..., 1]  # (values of other, dims, values)
    tables: ndarray = np.moveaxis(with_value, 0, -1)
    gain: ndarray = information.information_gain(tables[None])[0]
    return gain
