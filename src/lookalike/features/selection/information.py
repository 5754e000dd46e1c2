"""Entropy, information gain and chi-square of discrete features, from their contingency tables.

Logarithms are binary, so everything that is information is in bits, and `0 · log 0 = 0`.
"""

import numpy as np
from jaxtyping import Float, Float64, Int
from numpy import ndarray

from lookalike.features.selection.aggregation import Labels, LabelScores


def contingency_tables(
    codes: Int[ndarray, "items dims"], labels: Labels
) -> Float64[ndarray, "labels dims values 2"]:
    """Count how often each value of a feature meets each label.

    Args:
        codes: Values from 0 up.
        labels: Which labels each item has.

    Returns:
        For each label and feature one row per value: items without the label, and with it.
    """
    n_values = int(codes.max(initial=0)) + 1
    counts = np.empty((labels.shape[1], codes.shape[1], n_values, 2))
    has_label = labels.astype(np.float64)
    for value in range(n_values):
        has_value = (codes == value).astype(np.float64)
        counts[:, :, value, 1] = has_label.T @ has_value
        counts[:, :, value, 0] = has_value.sum(axis=0) - counts[:, :, value, 1]
    return counts


def entropy(counts: Float[ndarray, "*groups items values"]) -> Float64[ndarray, "*groups items"]:
    """Entropy `H = - sum_k p_k log2 p_k` of the shares that counts stand for, in bits.

    Nothing counted has the entropy 0.

    Example:
        >>> entropy(np.array([[3.0, 5.0], [4.0, 4.0]])).round(6)
        array([0.954434, 1.      ])

    References:
        C. E. Shannon, *A Mathematical Theory of Communication*, Bell System Technical Journal 27,
        1948.
    """
    total = counts.sum(axis=-1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    logarithms = np.log2(shares, out=np.zeros(counts.shape), where=shares > 0)
    bits: ndarray = np.abs((shares * logarithms).sum(axis=-1))  # abs: never -0.0
    return bits


def conditional_entropy(tables: Float64[ndarray, "*groups values classes"]) -> ndarray:
    """Entropy of the class once the value is known, `H(y|A) = sum_v share_v H(y | A=v)`, in bits.

    Returns:
        One number for each group.
    """
    of_value = tables.sum(axis=-1)
    total = of_value.sum(axis=-1)
    weighted: ndarray = (of_value * entropy(tables)).sum(axis=-1)
    mean: ndarray = np.divide(weighted, total, out=np.zeros(total.shape), where=total > 0)
    return mean


def information_gain(tables: Float64[ndarray, "labels dims values classes"]) -> LabelScores:
    """Information gain `IG(A) = H(y) - H(y|A) = I(A; y)`, in bits, 0 and up.

    It favors features of many values; `gain_ratio` and `symmetrical_uncertainty` make up for that.

    References:
        J. R. Quinlan, *Induction of Decision Trees*, Machine Learning 1, 1986.
    """
    gain: ndarray = entropy(tables.sum(axis=-2)) - conditional_entropy(tables)
    gain[gain < 0] = 0.0  # rounding
    return gain


def gain_ratio(tables: Float64[ndarray, "labels dims values classes"]) -> LabelScores:
    """Information gain over the entropy of the feature itself, `IG / SplitInfo`; 0 to 1.

    0 for a feature that has only one value.

    References:
        J. R. Quinlan, *C4.5: Programs for Machine Learning*, Morgan Kaufmann, 1993, section 2.2.
    """
    return _share(information_gain(tables), entropy(tables.sum(axis=-1)))


def symmetrical_uncertainty(
    tables: Float64[ndarray, "labels dims values classes"],
) -> LabelScores:
    """Information gain over the mean of both entropies, `2 IG / (H(y) + H(A))`; 0 to 1.

    References:
        W. H. Press and others, *Numerical Recipes in C*, Cambridge University Press, 1988,
        section 14.4.
    """
    both = entropy(tables.sum(axis=-2)) + entropy(tables.sum(axis=-1))
    return _share(2 * information_gain(tables), both)


def chi_square(tables: Float64[ndarray, "labels dims values classes"]) -> LabelScores:
    """Pearson's chi-square of contingency tables, `sum_vk (O_vk - E_vk)^2 / E_vk`.

    `E_vk` is the product of the sums of row and column over the number of items; cells whose row
    or column is empty add nothing. It is not what scikit-learn calls `chi2`, which takes the values
    for counts: see `filters.chi2_counts`.

    References:
        K. Pearson, *On the Criterion …*, Philosophical Magazine 50, 1900. Y. Yang, J. O. Pedersen,
        *A Comparative Study on Feature Selection in Text Categorization*, ICML 1997.
    """
    rows, columns = tables.sum(axis=-1), tables.sum(axis=-2)
    expected = rows[..., :, None] * columns[..., None, :] / rows.sum(axis=-1)[..., None, None]
    cells = np.divide(
        (tables - expected) ** 2, expected, out=np.zeros(tables.shape), where=expected > 0
    )
    total: ndarray = cells.sum(axis=(-2, -1))
    return total


def _share(part: LabelScores, whole: LabelScores) -> LabelScores:
    share: ndarray = np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
    return share
