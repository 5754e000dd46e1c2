"""Slow, obvious versions of feature selection: loops over items, values, sets."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold


def entropy(values: Sequence[int]) -> float:
    shares = [count / len(values) for count in Counter(values).values()]
    return -sum(share * math.log2(share) for share in shares)


def conditional_entropy(target: Sequence[int], given: Sequence[int]) -> float:
    total = 0.0
    for value in set(given):
        part = [y for y, a in zip(target, given, strict=True) if a == value]
        total += len(part) / len(target) * entropy(part)
    return total


def information_gain(target: Sequence[int], given: Sequence[int]) -> float:
    return entropy(target) - conditional_entropy(target, given)


def chi_square(target: Sequence[int], given: Sequence[int]) -> float:
    total = 0.0
    for value, klass in itertools.product(set(given), set(target)):
        observed = sum(y == klass and a == value for y, a in zip(target, given, strict=True))
        row = sum(a == value for a in given)
        column = sum(y == klass for y in target)
        expected = row * column / len(target)
        total += (observed - expected) ** 2 / expected
    return total


def mdl_cuts(values: Sequence[float], target: Sequence[int]) -> list[float]:
    """Fayyad and Irani, word for word: try every cut between different neighbors."""
    pairs = sorted(zip(values, target, strict=True))
    n = len(pairs)
    best = None
    for place in range(1, n):
        if pairs[place - 1][0] == pairs[place][0]:
            continue
        below, above = [y for _, y in pairs[:place]], [y for _, y in pairs[place:]]
        after = (len(below) * entropy(below) + len(above) * entropy(above)) / n
        if best is None or after < best[0] - 1e-12:
            best = (after, place, below, above)
    if best is None:
        return []
    after, place, below, above = best
    whole = [y for _, y in pairs]
    k, k1, k2 = len(set(whole)), len(set(below)), len(set(above))
    delta = math.log2(3**k - 2) - (k * entropy(whole) - k1 * entropy(below) - k2 * entropy(above))
    if entropy(whole) - after <= (math.log2(n - 1) + delta) / n:
        return []
    cut = (pairs[place - 1][0] + pairs[place][0]) / 2
    left = mdl_cuts([v for v, _ in pairs[:place]], below)
    right = mdl_cuts([v for v, _ in pairs[place:]], above)
    return [*left, cut, *right]


def mrmr(columns: Sequence[Sequence[int]], relevance: Sequence[float], n: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < n:
        worth = {}
        for column in range(len(columns)):
            if column in chosen:
                continue
            overlap = [information_gain(columns[column], columns[other]) for other in chosen]
            worth[column] = relevance[column] - (sum(overlap) / len(overlap) if overlap else 0)
        chosen.append(max(worth, key=lambda column: (round(worth[column], 12), -column)))
    return chosen


def explained(
    features: np.ndarray, labels: np.ndarray, dims: Sequence[int], ridge: float, seed: int
) -> np.ndarray:
    """Share of each label's variance that scikit-learn's ridge explains on items left out."""
    x = (features - features.mean(axis=0)) / features.std(axis=0)
    y = labels.astype(float)
    predicted = np.empty(y.shape)
    for learn, judged in KFold(3, shuffle=True, random_state=seed).split(x):
        model = Ridge(alpha=ridge * len(learn)).fit(x[np.ix_(learn, dims)], y[learn])
        predicted[judged] = model.predict(x[np.ix_(judged, dims)]).reshape(len(judged), -1)
    return 1 - ((y - predicted) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
