"""Slow, obvious versions of what index and search compute."""

import math
from collections.abc import Mapping, Sequence


def inner_product(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def flat_search(
    gallery: Mapping[int, Sequence[float]], query: Sequence[float], k: int
) -> list[tuple[int, float]]:
    """Ids and scores of the `k` best, equal scores by ascending id."""
    scores = {image: inner_product(row, query) for image, row in gallery.items()}
    return sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:k]


def unit(row: Sequence[float]) -> list[float]:
    length = math.sqrt(math.fsum(x * x for x in row))
    return [x / length for x in row]


def query_point(
    positives: Sequence[Sequence[float]], negatives: Sequence[Sequence[float]]
) -> list[float]:
    """Mean of the positive examples, away from that of the negative ones by half its length."""
    axes = range(len(positives[0]))
    point = unit([math.fsum(row[axis] for row in positives) for axis in axes])
    if negatives:
        away = [math.fsum(row[axis] for row in negatives) / len(negatives) for axis in axes]
        point = unit([x - 0.5 * y for x, y in zip(point, away, strict=True)])
    return point


def rarity(pairs: Sequence[float], similarity: float) -> float:
    """Decades of the share of random pairs that are at least as similar."""
    return -math.log10(sum(pair >= similarity for pair in pairs) / len(pairs))


def hamming_search(
    gallery: Mapping[int, Sequence[int]], query: Sequence[int], k: int
) -> list[tuple[int, int]]:
    """Ids and numbers of differing bits of the `k` nearest, equal numbers by ascending id."""
    differing = {
        image: sum(a != b for a, b in zip(bits, query, strict=True))
        for image, bits in gallery.items()
    }
    return sorted(differing.items(), key=lambda pair: (pair[1], pair[0]))[:k]
