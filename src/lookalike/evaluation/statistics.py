"""How sure a mean over queries is, and whether two systems differ.

Everything works on values per query. `nan` marks a query for which a measure is not defined; it is
left out and counted.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from lookalike.errors import UsageError

_CHUNK_CELLS = 1 << 22
_EXACT_QUERIES = 12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries with its interval.

    Attributes:
        mean: Over the queries with a defined value; `nan` if there is none.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Queries with a defined value.
        n_undefined: Queries without.
    """

    mean: float
    low: float
    high: float
    n: int
    n_undefined: int


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Difference of two systems over the same queries, first minus second.

    Attributes:
        difference: Mean over the queries for which both are defined, with its interval.
        p_value: Two-sided: how often chance alone would give a difference at least this large.
        effect_size: Mean difference over its standard deviation between queries (Cohen's d of
            paired values); 0 where all differences are 0, `nan` where it is not defined: all
            differences equal, or fewer than two.
    """

    difference: Estimate
    p_value: float
    effect_size: float


def estimate_means(
    values: Float[ndarray, "queries measures"],
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> list[Estimate]:
    """Mean of each column with its percentile bootstrap interval over the rows.

    Rows (queries) are drawn with replacement, `n_resamples` times; the interval runs between the
    percentiles `(1 - confidence) / 2` and `(1 + confidence) / 2` of the means. All measures share
    the same draws. With one query the interval is a point; without any all is `nan`.

    Args:
        values: One row per query, one column per measure.
        confidence: Share of intervals that hold the true mean.
        n_resamples: Number of draws.
        seed: Same seed, same interval.

    Raises:
        UsageError: If `confidence` is not between 0 and 1 or `n_resamples` below 1.

    References:
        B. Efron, R. J. Tibshirani, *An Introduction to the Bootstrap*, Chapman & Hall, 1993,
        chapter 13.
    """
    if not 0 < confidence < 1 or n_resamples < 1:
        raise UsageError(
            f"confidence {confidence} and n_resamples {n_resamples} make no interval; "
            "give a confidence between 0 and 1 and at least one resample"
        )
    defined = ~np.isnan(values)
    means = _resampled_means(np.where(defined, values, 0.0), defined * 1.0, n_resamples, seed)
    tail = (1 - confidence) / 2
    return [
        _estimate(
            values[defined[:, column], column],
            means[:, column],
            tail,
            int((~defined[:, column]).sum()),
        )
        for column in range(values.shape[1])
    ]


def estimate_mean(
    values: Float[ndarray, " queries"],
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean with its percentile bootstrap interval over queries; see `estimate_means`.

    Example:
        >>> estimate_mean(np.array([0.5, 0.5, np.nan]))
        Estimate(mean=0.5, low=0.5, high=0.5, n=2, n_undefined=1)
    """
    return estimate_means(
        values[:, None], confidence=confidence, n_resamples=n_resamples, seed=seed
    )[0]


def paired_differences(
    a: Float[ndarray, "queries measures"],
    b: Float[ndarray, "queries_b measures_b"],
    *,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> list[PairedDifference]:
    """Test each measure for a difference between two systems on the same queries.

    Paired randomization test: if the systems were alike, the sign of each query's difference would
    be a coin toss. The p-value is the share of random sign patterns whose mean is at least as far
    from 0 as the one observed, the observed pattern included, so it is never 0. Up to 12 queries
    all patterns are tried and the p-value is exact. The interval is that of `estimate_means`.

    Args:
        a: Values of the first system: one row per query, one column per measure.
        b: Values of the second, of the same shape and for the same queries in the same order.
        n_permutations: Number of random sign patterns.
        seed: Same seed, same p-value.

    Raises:
        UsageError: If the shapes differ or `n_permutations` is below 1.

    References:
        M. D. Smucker, J. Allan, B. Carterette, *A Comparison of Statistical Significance Tests for
        Information Retrieval Evaluation*, CIKM 2007. B. Phipson, G. K. Smyth, *Permutation
        P-values Should Never Be Zero*, 2010.
    """
    if a.shape != b.shape or n_permutations < 1:
        raise UsageError(
            f"cannot pair values of shape {a.shape} with {b.shape} over {n_permutations} "
            "permutations; evaluate both systems on the same queries"
        )
    differences = a.astype(np.float64) - b
    estimates = estimate_means(differences, seed=seed)
    p_values = _sign_flip_p_values(np.nan_to_num(differences, nan=0.0), n_permutations, seed)
    return [
        PairedDifference(estimate, float(p), _effect_size(column[~np.isnan(column)]))
        for estimate, p, column in zip(estimates, p_values, differences.T, strict=True)
    ]


def paired_difference(
    a: Float[ndarray, " queries"],
    b: Float[ndarray, " queries"],
    *,
    n_permutations: int = 10_000,
    seed: int = 0,
) -> PairedDifference:
    """Test one measure for a difference between two systems; see `paired_differences`.

    Example:
        >>> paired_difference(np.array([0.9, 0.8, 0.7]), np.array([0.5, 0.5, 0.5])).p_value
        0.25
    """
    return paired_differences(a[:, None], b[:, None], n_permutations=n_permutations, seed=seed)[0]


def holm(p_values: Float[ndarray, " tests"]) -> Float64[ndarray, " tests"]:
    """Adjust p-values for the number of tests made, by Holm's step-down procedure.

    The i-th smallest of `m` is multiplied by `m - i + 1`; none falls below a smaller one's; at
    most 1. Comparing adjusted values with a level keeps the chance of any false alarm below it.

    Example:
        >>> holm(np.array([0.04, 0.01, 0.03]))
        array([0.06, 0.03, 0.06])

    References:
        S. Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, Scandinavian Journal of
        Statistics 6, 1979.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    restored = np.empty(len(p_values))
    restored[order] = adjusted
    return restored


def _resampled_means(
    values: Float64[ndarray, "queries measures"],
    weights: Float64[ndarray, "queries measures"],
    n_resamples: int,
    seed: int,
) -> Float64[ndarray, "resamples measures"]:
    n = len(values)
    if n == 0:
        return np.full((n_resamples, values.shape[1]), np.nan)
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_CELLS // n)
    means: list[ndarray] = []
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        drawn = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        total = times @ weights
        mean = np.full(total.shape, np.nan)
        means.append(np.divide(times @ values, total, out=mean, where=total > 0))
    return np.concatenate(means)


def _estimate(
    defined: Float[ndarray, " queries"],
    means: Float64[ndarray, " resamples"],
    tail: float,
    n_undefined: int,
) -> Estimate:
    if len(defined) == 0:
        nan = float("nan")
        return Estimate(nan, nan, nan, 0, n_undefined)
    low, high = np.quantile(means[~np.isnan(means)], [tail, 1 - tail])
    return Estimate(float(defined.mean()), float(low), float(high), len(defined), n_undefined)


def _sign_flip_p_values(
    differences: Float64[ndarray, "queries measures"], n_permutations: int, seed: int
) -> Float64[ndarray, " measures"]:
    n = len(differences)
    # Rounding must not make a pattern as extreme as the observed one look less extreme.
    threshold = np.abs(differences.sum(axis=0)) * (1 - 1e-12) - 1e-15
    if n <= _EXACT_QUERIES:
        patterns = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
        extreme = np.abs((1.0 - 2.0 * patterns) @ differences) >= threshold
        share: ndarray = extreme.mean(axis=0)
        return share
    rng = np.random.default_rng(seed)
    count = np.ones(differences.shape[1])  # the observed pattern itself
    rows = max(1, _CHUNK_CELLS // n)
    for start in range(0, n_permutations, rows):
        size = min(rows, n_permutations - start)
        bytes_needed = -(-size * n // 8)
        bits = np.unpackbits(np.frombuffer(rng.bytes(bytes_needed), np.uint8), count=size * n)
        signs = 1.0 - 2.0 * bits.reshape(size, n)
        count += (np.abs(signs @ differences) >= threshold).sum(axis=0)
    return count / (n_permutations + 1)


def _effect_size(differences: Float64[ndarray, " queries"]) -> float:
    if len(differences) < 2:
        return float("nan")
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation <= 1e-12 * abs(mean):
        return float("nan") if mean else 0.0
    return mean / deviation
