"""From similarities to scores that mean the same for every descriptor and every query.

A score says how rare a similarity is: `-log10 P`, where `P` is the share of random pairs of the
same collection that are at least as similar. Weighted means of such scores add up evidence from
several descriptors as R. A. Fisher combined independent tests (*Statistical Methods for Research
Workers*, 1925, section 21.1).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.base import VectorIndex

N_PAIRS: Final = 20_000
"""Random pairs that are drawn; fewer where the collection has fewer."""

_TAIL: Final = 0.01
_MOST_KNOTS: Final = 256
_LEAST_SPREAD: Final = 1e-3
_BELOW: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How similarities of one descriptor become scores.

    Between knots the score is linear in the similarity; above the last it goes on rising by
    `slope`, the exponential tail of the distribution; below the first it falls slowly, so that the
    order is kept everywhere.

    Attributes:
        similarities: Strictly ascending.
        scores: Strictly ascending, from 0 for the least similar pairs on.
        slope: Rise of the score beyond the last knot, per unit of similarity.
    """

    similarities: Float64[ndarray, " knots"]
    scores: Float64[ndarray, " knots"]
    slope: float

    @classmethod
    def fit(cls, index: VectorIndex, *, n_pairs: int = N_PAIRS, seed: int = 0) -> "Calibration":
        """Learn from random pairs of different images of an index.

        Collections of fewer than three images, or of equal ones, have no distribution to speak
        of; the calibration is then a straight line that keeps the order.
        """
        return cls.from_similarities(_random_similarities(index, n_pairs, seed))

    @classmethod
    def from_similarities(cls, drawn: Float[ndarray, " pairs"]) -> "Calibration":
        """Learn from similarities of random pairs.

        The body of the distribution is empirical, with a knot at each of up to 256 quantiles;
        above the 99th percentile an exponential with the same mean excess takes over.
        """
        ordered = np.sort(drawn.astype(np.float64))
        if len(ordered) < 2 or ordered[-1] - ordered[0] < _LEAST_SPREAD:
            center = float(ordered.mean()) if len(ordered) else 0.0
            return cls(np.array([center - 1, center]), np.array([0.0, 1.0]), 1.0)
        threshold = float(np.quantile(ordered, 1 - _TAIL))
        levels = np.linspace(0, 1 - _TAIL, min(_MOST_KNOTS, len(ordered)))
        knots, first = np.unique(np.quantile(ordered, levels), return_index=True)
        # The lowest level of equal quantiles counts: `P` is the share *at least* as similar.
        rarity = -np.log10(1 - levels[first])
        excess = ordered[ordered > threshold] - threshold
        spread = max(float(excess.mean()) if len(excess) else 0.0, _LEAST_SPREAD)
        return cls(knots, rarity, 1 / (spread * math.log(10)))

    def __call__(self, similarities: Float[ndarray, "*shape"]) -> Float64[ndarray, "*shape"]:
        """Turn similarities into scores; higher stays higher, `nan` stays `nan`."""
        values = similarities.astype(np.float64)
        scores = np.interp(values, self.similarities, self.scores)
        above = np.maximum(values - self.similarities[-1], 0) * self.slope
        below = np.minimum(values - self.similarities[0], 0) * _BELOW
        total: Float64[ndarray, "*shape"] = scores + above + below
        return total

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "similarities": self.similarities.tolist(),
            "scores": self.scores.tolist(),
            "slope": self.slope,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` gave."""
        return cls(
            np.array(content["similarities"], np.float64),
            np.array(content["scores"], np.float64),
            float(content["slope"]),
        )


def _random_similarities(index: VectorIndex, n_pairs: int, seed: int) -> Float64[ndarray, " pairs"]:
    ids: Ids = index.ids
    n = len(ids)
    if n < 2:
        return np.empty(0)
    if n * (n - 1) // 2 <= n_pairs:
        first, second = np.triu_indices(n, k=1)
    else:
        rng = np.random.default_rng(seed)
        first = rng.integers(0, n, n_pairs)
        second = (first + rng.integers(1, n, n_pairs)) % n
    used, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    rows = index.vectors(ids[used])
    left, right = place[: len(first)], place[len(first) :]
    drawn: Float64[ndarray, " pairs"] = np.vecdot(rows[left], rows[right]).astype(np.float64)
    return drawn
