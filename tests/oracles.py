"""Slow, obvious versions of what the library computes fast: plain loops, one item at a time."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

VOID = 255


def precision(relevant: Sequence[bool], k: int) -> float:
    return sum(relevant[:k]) / k


def recall(relevant: Sequence[bool], n_relevant: int, k: int) -> float:
    return sum(relevant[:k]) / n_relevant if n_relevant else math.nan


def f(relevant: Sequence[bool], n_relevant: int, k: int) -> float:
    if n_relevant == 0:
        return math.nan
    p, r = precision(relevant, k), recall(relevant, n_relevant, k)
    return 2 * p * r / (p + r) if p + r else 0.0


def hit_rate(relevant: Sequence[bool], n_relevant: int, k: int) -> float:
    if n_relevant == 0:
        return math.nan
    return 1.0 if any(relevant[:k]) else 0.0


def sum_of_precisions(relevant: Sequence[bool], k: int) -> float:
    total = 0.0
    for rank in range(1, min(k, len(relevant)) + 1):
        if relevant[rank - 1]:
            total += precision(relevant, rank)
    return total


def average_precision(relevant: Sequence[bool], n_relevant: int, k: int, over: str) -> float:
    """`over` is what the sum is divided by: "all", "min(k, all)" or "hits"."""
    if n_relevant == 0:
        return math.nan
    divisor = {"all": n_relevant, "min(k, all)": min(k, n_relevant), "hits": sum(relevant[:k])}
    return sum_of_precisions(relevant, k) / divisor[over] if divisor[over] else 0.0


def reciprocal_rank(relevant: Sequence[bool], n_relevant: int) -> float:
    if n_relevant == 0:
        return math.nan
    for rank, is_relevant in enumerate(relevant, start=1):
        if is_relevant:
            return 1 / rank
    return 0.0


def dcg(grades: Sequence[float], k: int, gain: Callable[[float], float]) -> float:
    return sum(gain(grade) / math.log2(rank + 1) for rank, grade in enumerate(grades[:k], start=1))


def ndcg(
    grades: Sequence[float], gallery: Sequence[float], k: int, gain: Callable[[float], float]
) -> float:
    ideal = dcg(sorted(gallery, reverse=True), k, gain)
    return dcg(grades, k, gain) / ideal if ideal else math.nan


def interpolated_precision(relevant: Sequence[bool], n_relevant: int, n_levels: int) -> list[float]:
    if n_relevant == 0:
        return [math.nan] * n_levels
    curve = []
    for step in range(n_levels):
        level = Fraction(step, n_levels - 1)
        reached = [
            precision(relevant, rank)
            for rank in range(1, len(relevant) + 1)
            if Fraction(sum(relevant[:rank]), n_relevant) >= level
        ]
        curve.append(max(reached, default=0.0))
    return curve


def nmrr(relevant: Sequence[bool], n_relevant: int, largest: int) -> float:
    if n_relevant == 0:
        return math.nan
    limit = min(4 * n_relevant, 2 * largest)
    ranks = [rank for rank, is_relevant in enumerate(relevant, start=1) if is_relevant]
    ranks = [rank if rank <= limit else 1.25 * limit for rank in ranks]
    ranks += [1.25 * limit] * (n_relevant - len(ranks))
    modified = sum(ranks) / n_relevant - 0.5 - n_relevant / 2
    return modified / (1.25 * limit - 0.5 - n_relevant / 2)


def pair_counts(
    label_sets: Sequence[frozenset[int]], clusters: Sequence[int], min_jaccard: float = 0.0
) -> tuple[int, int, int, int]:
    """TP, FP, FN, TN over all unordered pairs of images that have a label."""
    counts: Counter[tuple[bool, bool]] = Counter()
    labeled = [(y, a) for y, a in zip(label_sets, clusters, strict=True) if y]
    for (y_i, a_i), (y_j, a_j) in itertools.combinations(labeled, 2):
        related = bool(y_i & y_j) and len(y_i & y_j) / len(y_i | y_j) >= min_jaccard
        counts[related, a_i == a_j] += 1
    return counts[True, True], counts[False, True], counts[True, False], counts[False, False]


def extended_bcubed(
    label_sets: Sequence[frozenset[int]], clusters: Sequence[int]
) -> tuple[float, float]:
    """Precision and recall as Amigó and others write them, one pair at a time."""
    labeled = [(y, {a}) for y, a in zip(label_sets, clusters, strict=True) if y]
    if not labeled:
        return 0.0, 0.0
    precisions, recalls = [], []
    for y, c in labeled:
        common = [(len(y & y2), len(c & c2)) for y2, c2 in labeled]
        of_cluster = [min(n_c, n_y) / n_c for n_y, n_c in common if n_c]
        of_labels = [min(n_c, n_y) / n_y for n_y, n_c in common if n_y]
        precisions.append(sum(of_cluster) / len(of_cluster))
        recalls.append(sum(of_labels) / len(of_labels))
    return sum(precisions) / len(labeled), sum(recalls) / len(labeled)


def walked_lists(
    query: int,
    vectors: Sequence[Sequence[float]],
    clusters: Sequence[int],
    n: int,
    order: str,
) -> list[int]:
    """The first `n` images met, going from cluster to cluster by the nearness of their centers."""

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    def center(cluster: int) -> list[float]:
        own = [v for v, c in zip(vectors, clusters, strict=True) if c == cluster]
        total = [sum(column) for column in zip(*own, strict=True)]
        length = math.sqrt(dot(total, total))
        return [x / length for x in total]

    asked = vectors[query]
    nearest = sorted(set(clusters), key=lambda cluster: -dot(center(cluster), asked))
    met: list[int] = []
    for cluster in nearest:
        members = [i for i, c in enumerate(clusters) if c == cluster and i != query]
        if order == "ranked":
            members.sort(key=lambda i: -dot(vectors[i], asked))
        met += members
    return met[:n]


def layout_miou(
    a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], with_background: bool = False
) -> float:
    cells = [pair for rows in zip(a, b, strict=True) for pair in zip(*rows, strict=True)]
    cells = [pair for pair in cells if VOID not in pair]
    present = {value for pair in cells for value in pair} - (set() if with_background else {0})
    ious = [
        sum(x == c and y == c for x, y in cells) / sum(c in (x, y) for x, y in cells)
        for c in present
    ]
    return sum(ious) / len(ious) if ious else math.nan


def shrunken_label_map(label_map: Sequence[Sequence[int]], grid: int) -> list[list[int]]:
    """Majority vote per cell, for maps at least as large as the grid."""
    height, width = len(label_map), len(label_map[0])
    votes = [[Counter[int]() for _ in range(grid)] for _ in range(grid)]
    for row, column in itertools.product(range(height), range(width)):
        votes[row * grid // height][column * grid // width][label_map[row][column]] += 1

    def winner(cell: Counter[int]) -> int:
        return min(cell, key=lambda value: (value == VOID, -cell[value], value == 0, value))

    return [[winner(cell) for cell in row] for row in votes]


def sign_flip_p_value(differences: Sequence[float]) -> float:
    """Exact two-sided p-value over all sign patterns."""
    observed = abs(sum(differences))
    extreme = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) >= observed - 1e-12
        for signs in _sign_patterns(len(differences))
    ]
    return sum(extreme) / len(extreme)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of a test: the largest `(m - rank + 1) p` among tests with no larger p."""
    ordered = sorted(p_values)
    m = len(ordered)
    return [min(1.0, max((m - i) * q for i, q in enumerate(ordered) if q <= p)) for p in p_values]


def _sign_patterns(n: int) -> Iterator[tuple[int, ...]]:
    return itertools.product((1, -1), repeat=n)
