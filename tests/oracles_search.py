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
