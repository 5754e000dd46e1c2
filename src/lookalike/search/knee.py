"""Where the relevant head of a ranking ends, if it ends anywhere."""

import math
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

WINDOW: Final = 200
"""Ranks that are looked at."""

_LARGEST_CHANCE: Final = 0.01
"""A gap that chance would give more often is none."""

_LEAST: Final = 8
"""Fewer ranks tell nothing of what is usual."""


def knee(scores: Float[ndarray, " ranks"]) -> int | None:
    """Return how many of the hits stand out; `None` where they pass into the others unnoticed.

    The scores of images that have nothing to do with a query end in an exponential tail: a score
    is a rarity, and of `n` such images the rarest is as rare as one in `n`. Sorted, best first,
    their normalized spacings

        d_i = i (s_i - s_{i+1})

    are then independent and all exponential with the same mean (P. V. Sukhatme, *Tests of
    significance for samples of the chi-squared population with two degrees of freedom*, Annals of
    Eugenics, 1937; A. Rényi, *On the theory of order statistics*, Acta Mathematica Academiae
    Scientiarum Hungaricae, 1953). The mean is taken from their median, which a short head does not
    move. The largest `d_i` is the knee if, with so many spacings, chance alone gives such a large
    one at most once in a hundred times. The factor `i` lets the gap behind many hits that belong
    together count more than one among them.

    Args:
        scores: Of the best images, best first, more than are to be shown: up to `WINDOW`, and no
            more than the better half of all images, since the worse half has no tail.

    Returns:
        The number of hits before the gap; `None` for fewer than eight scores.

    Example:
        >>> tail = np.log10(100 / np.arange(1, 41))
        >>> knee(np.concatenate([[5.2, 5.0, 4.9], tail]))
        3
        >>> knee(tail) is None
        True
    """
    if len(scores) < _LEAST:
        return None
    ranks = np.arange(1, len(scores))
    spacings = ranks * -np.diff(scores.astype(np.float64))
    best = int(spacings.argmax())
    mean = float(np.median(spacings)) / math.log(2)
    if spacings[best] <= 0:
        return None
    # log of the chance that none of so many exponential spacings is as large, taken from 0
    chance = len(spacings) * math.exp(-spacings[best] / mean) if mean > 0 else 0.0
    return best + 1 if chance <= _LARGEST_CHANCE else None
