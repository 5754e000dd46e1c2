"""Scores that mean the same for every descriptor and every query: how rare a similarity is.

Two descriptors' inner products cannot be added: 0.8 may be ordinary for one and remarkable for the
other. What can be added is evidence. Among random pairs of the same collection, let `P(s)` be the
share that is at least as similar as `s`; the score is its rarity in decades,

    r(s) = -log10 P(s).

A score of 3 says that one random pair in a thousand is as similar. A sum of `-log P` over
independent tests is Fisher's way of combining their evidence (R. A. Fisher, *Statistical Methods
for Research Workers*, 1925, section 21.1), so the weighted mean over descriptors keeps the unit.

`P` is the empirical distribution up to its 99th percentile. Beyond, where the best hits lie and
pairs are few, it is an exponential tail fitted to the mean excess (the simplest case of
J. Pickands, *Statistical inference using extreme order statistics*, 1975), so that the score
keeps rising, strictly, up to the identical picture.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import DamagedCollectionError
from lookalike.index.base import VectorIndex

_N_PAIRS: Final = 20_000
_TEXTS_PER_IMAGE: Final = 10
_TAIL_FROM: Final = 2.0
"""Rarity at which the exponential tail begins: the 99th percentile."""

_STEP: Final = 1 / 32
"""Distance of the points of the empirical distribution, in decades."""

_LEAST_IN_TAIL: Final = 20
"""Fewer pairs beyond the 99th percentile do not tell their mean excess."""

_EXCESS_OF_NORMAL: Final = 0.34
"""Mean excess over the 99th percentile of a normal distribution, in standard deviations."""

_UNKNOWN_SPREAD: Final = 0.5
_LEAST_EXCESS: Final = 1e-4

_BOTTOM: Final = -1.001
"""Just below the least similarity there is, rounding included."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Turns similarities of one descriptor into scores.

    Attributes:
        similarities: Points of the empirical distribution, strictly ascending.
        rarities: `-log10 P` at these points, strictly ascending, from 0.
        decades: Rise of the rarity per unit of similarity beyond the last point.
        n_pairs: Number of random pairs it was fitted to.
    """

    similarities: tuple[float, ...]
    rarities: tuple[float, ...]
    decades: float
    n_pairs: int

    def scores(self, similarities: Float[ndarray, "*items"]) -> Float64[ndarray, "*items"]:
        """Return the rarity of each similarity in decades, 0 or more; `nan` stays `nan`.

        Strictly ascending for similarities from -1 to 1. Each value is computed by itself, so the
        result does not depend on what else is asked for.
        """
        last = self.similarities[-1]
        values = similarities.astype(np.float64)
        body = np.interp(values, self.similarities, self.rarities)
        result: ndarray = body + self.decades * np.maximum(values - last, 0.0)
        return result

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON knows it."""
        return {
            "similarities": list(self.similarities),
            "rarities": list(self.rarities),
            "decades": self.decades,
            "n_pairs": self.n_pairs,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` gave.

        Raises:
            DamagedCollectionError: If it is something else.
        """
        try:
            similarities = tuple(float(s) for s in content["similarities"])
            rarities = tuple(float(r) for r in content["rarities"])
            decades, n_pairs = float(content["decades"]), int(content["n_pairs"])
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedCollectionError(f"a calibration cannot be read: {error!r}") from error
        ascends = (np.diff(similarities) > 0).all() and (np.diff(rarities) > 0).all()
        if len(similarities) != len(rarities) or not similarities or not ascends or decades <= 0:
            raise DamagedCollectionError("a calibration does not ascend; build the index again")
        return cls(similarities, rarities, decades, n_pairs)


def fit_calibration(index: VectorIndex, *, n_pairs: int = _N_PAIRS, seed: int = 0) -> Calibration:
    """Fit a calibration to random pairs of different images of an index.

    All pairs are taken where there are no more than `n_pairs`. With fewer than two images every
    similarity is given a small, finite, rising score.
    """
    ids = index.ids
    first, second = _draw_pairs(len(ids), n_pairs, seed)
    pairs = np.vecdot(index.vectors(ids[first]), index.vectors(ids[second]))
    return fit_similarities(pairs.astype(np.float64))


def fit_compared(index: VectorIndex, *, n_images: int = 200, seed: int = 0) -> Calibration:
    """Fit a calibration to an index whose images are compared in a way of their own.

    Args:
        index: Its `similarities` are asked.
        n_images: Drawn at random; all pairs of them are compared.
        seed: Fixes which.
    """
    ids = np.random.default_rng(seed).permutation(index.ids)[:n_images]
    table = index.similarities(index.vectors(ids), ids)
    first, second = np.triu_indices(len(ids), k=1)
    return fit_similarities(table[first, second].astype(np.float64))


def fit_text_calibration(
    index: VectorIndex, texts: Embeddings, *, n_pairs: int = _N_PAIRS, seed: int = 0
) -> Calibration:
    """Fit a calibration of words to pairs of an ordinary text and a random image of an index.

    Words and pictures are less alike than two pictures are (Liang et al., *Mind the Gap:
    Understanding the Modality Gap in Multi-modal Contrastive Representation Learning*, NeurIPS
    2022), so that among pairs of pictures even the best similarity of words would be common.
    A score of 3 says here that one pair of an ordinary text and an image in a thousand is as
    similar.

    Args:
        index: Of the descriptor that words are compared with.
        texts: Unit rows of ordinary texts.
        n_pairs: Pairs to draw; all are taken where there are no more.
        seed: Fixes which.
    """
    rng = np.random.default_rng(seed)
    if len(index.ids) * len(texts) <= n_pairs:
        similarities = index.vectors(index.ids) @ texts.T
        return fit_similarities(similarities.ravel().astype(np.float64))
    # Several texts for each image, so that fewer images have to be read.
    chosen = rng.permutation(index.ids)[: n_pairs // _TEXTS_PER_IMAGE]
    drawn = rng.integers(len(texts), size=(len(chosen), n_pairs // len(chosen)))
    similarities = np.vecdot(index.vectors(chosen)[:, None], texts[drawn])
    return fit_similarities(similarities.ravel().astype(np.float64))


def fit_similarities(pairs: Float64[ndarray, " pairs"]) -> Calibration:
    """Fit a calibration to the similarities of random pairs."""
    ascending = np.sort(pairs)
    n = len(ascending)
    levels = np.arange(_STEP, _TAIL_FROM + _STEP / 2, _STEP)
    # Of the pairs, a share of 10 ** -level is at least as similar as the one at this position.
    positions = np.minimum((n * (1 - 10**-levels)).astype(np.int64), n - 1)
    points = np.unique(ascending[positions]) if n else np.empty(0)
    at_least = n - np.searchsorted(ascending, points)
    # One pair more, as rare as can be, keeps the share of few pairs below 1 and above 0.
    rarities = -np.log10(at_least / (n + 1))
    points, rarities = np.append(_BOTTOM, points), np.append(0.0, rarities)
    decades = 1 / (_mean_excess(ascending, float(points[-1])) * math.log(10))
    return Calibration(tuple(points.tolist()), tuple(rarities.tolist()), decades, n)


def _mean_excess(pairs: Float64[ndarray, " pairs"], threshold: float) -> float:
    """Estimate by how much a similarity beyond `threshold` goes beyond it on average."""
    excess = pairs[pairs > threshold] - threshold
    if len(excess) >= _LEAST_IN_TAIL:
        return max(float(excess.mean()), _LEAST_EXCESS)
    spread = float(pairs.std()) if len(pairs) > 1 else _UNKNOWN_SPREAD
    return max(_EXCESS_OF_NORMAL * spread, _LEAST_EXCESS)


def _draw_pairs(
    n: int, n_pairs: int, seed: int
) -> tuple[Int64[ndarray, " pairs"], Int64[ndarray, " pairs"]]:
    if n * (n - 1) // 2 <= n_pairs:
        first, second = np.triu_indices(n, k=1)
        return first, second
    rng = np.random.default_rng(seed)
    first = rng.integers(n, size=n_pairs)
    # Any of the others, so that no image is paired with itself.
    return first, (first + rng.integers(1, n, size=n_pairs)) % n
