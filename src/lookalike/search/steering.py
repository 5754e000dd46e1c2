"""From marks to what is searched: the four levels of MARS and a linear classifier.

- `average`: the mean of the query and of all relevant images; for comparison.
- `rocchio`: the query moves to relevant images and away from others, in every descriptor.
- `within`: moreover, components in which relevant images agree weigh more.
- `between`: the query moves, and descriptors whose own ranking shows relevant images weigh more.
- `mars`: both.
- `multipoint`: relevant images that are unlike each other stay several points.
- `mindreader`: relevant images tell a whole distance matrix.
- `classifier`: a plane between relevant images and others.
- `auto`: the classifier, which was measured to be the best from the first mark on
  (`docs/steering.md`); without any mark the query stays where it is.

Formulas and sources are in `lookalike.search.targets`. The weight of descriptor i (Rui et al. 1998,
equation 12 there) is the sum of the marks of those images that are among the first of the
descriptor's own ranking, 0 if negative; every round adds to it. It multiplies the query's own
weight of the descriptor; together descriptors weigh what they did.

A point of unit length is scored by the descriptor's calibration, like any query. For other targets
the rarity is taken among random images of the collection: 3 says that one image in a thousand fits
as well.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids
from lookalike.errors import UsageError
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.feedback import Feedback
from lookalike.search.names import Method
from lookalike.search.parts import Proposal
from lookalike.search.targets import (
    Evidence,
    Points,
    Target,
    averaged,
    mindreader,
    moved,
    separating,
    several,
    weighted,
)

_SAMPLE: Final = 2_000
"""Random images that targets are calibrated against."""

_OWN_RANKING: Final = 100
"""Marks count for a descriptor if the image is among so many first of its own ranking."""

_SAME_CLUSTER: Final = 2.0
"""Relevant images that are as alike as one random pair in a hundred are one point."""

_CHUNK: Final = 4_096
_FEW: Final = 5_000
"""So few images that pass a filter are all compared."""


@final
class SteeredPart:
    """A target in one descriptor's space as a part of a query.

    Args:
        name: The descriptor.
        index: Its index.
        target: What is sought.
        calibration: Turns the target's similarities into scores.
    """

    def __init__(
        self, name: str, index: VectorIndex, target: Target, calibration: Calibration
    ) -> None:
        self.name: Final = name
        self._index = index
        self._target = target
        self._calibration = calibration

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return all images where all are compared anyway, else the best of each direction."""
        if self._index.is_exact or (allowed is not None and len(allowed) <= _FEW):
            ids = self._index.ids
            return Proposal(ids if allowed is None else np.intersect1d(ids, allowed))
        hits = self._index.search(self._target.directions, n, allowed=allowed)
        probed = hits.probed_clusters
        n_probed = 0 if probed is None else int(probed.sum())
        return Proposal(np.setdiff1d(hits.ids, [NO_ID]), n_probed, is_exact=False)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of each image; 0 where it lacks the descriptor."""
        scores = np.zeros(len(ids))
        for start in range(0, len(ids), _CHUNK):
            similarities = self._similarities(ids[start : start + _CHUNK])
            rarities = self._calibration.scores(similarities)
            scores[start : start + _CHUNK] = np.nan_to_num(rarities, nan=0.0)
        return scores

    def _similarities(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the similarity of each image; `nan` where it lacks the descriptor."""
        if isinstance(self._target, Points):
            nearest = self._index.similarities(self._target.directions, ids).max(axis=0)
            found: Float64[ndarray, " items"] = nearest.astype(np.float64)
            return found
        is_stored = _is_stored(self._index, ids)
        similar = np.full(len(ids), np.nan)
        similar[is_stored] = self._target.similarities(self._index.vectors(ids[is_stored]))
        return similar


@dataclass(frozen=True, slots=True, eq=False)
class Steered:
    """What marks have made of a query.

    Attributes:
        parts: One for each descriptor that has a weight.
        weights: Their weights.
    """

    parts: Sequence[SteeredPart]
    weights: Sequence[float]


@final
class Steering:
    """Turns marks into parts, for one state of a collection.

    Args:
        indexes: One index for each descriptor.
        calibrations: One calibration for each descriptor.
    """

    def __init__(
        self, indexes: Mapping[str, VectorIndex], calibrations: Mapping[str, Calibration]
    ) -> None:
        self._spaces = {
            name: Space(name, index, calibrations[name]) for name, index in indexes.items()
        }

    def steer(
        self,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
        feedback: Feedback,
    ) -> Steered:
        """Return the parts of a query after feedback.

        Marks of images that are not in the collection (any more) are ignored.

        Args:
            points: The query's own unit row in each descriptor; `None` if it has none.
            weights: Its weights; descriptors with weight 0 are left out.
            feedback: The marks. There is a query of its own, or a relevant mark.

        Raises:
            UsageError: If nothing is left of what was liked.
        """
        names = [name for name, weight in weights.items() if weight > 0]
        method = chosen(feedback)
        if method in ("between", "mars"):
            weights = self._between(points, {name: weights[name] for name in names}, feedback)
        parts = []
        for name in names:
            space = self._spaces[name]
            target = _target(method, space.known(points[name], feedback), space)
            calibration = space.calibration_of(target, of_pairs=method in _POINT_METHODS)
            parts.append(SteeredPart(name, space.index, target, calibration))
        return Steered(parts, [weights[name] for name in names])

    def _between(
        self,
        points: Mapping[str, Float32[ndarray, " dim"] | None],
        weights: Mapping[str, float],
        feedback: Feedback,
    ) -> Mapping[str, float]:
        """Weigh descriptors by the marks of the images that they rank first themselves."""
        sums = {
            name: max(0.0, self._spaces[name].sum_of_marks(points[name], feedback))
            for name in weights
        }
        if not any(sums.values()):
            return weights
        raw = {name: weight * sums[name] for name, weight in weights.items()}
        total = sum(weights.values()) / sum(raw.values())
        return {name: total * weight for name, weight in raw.items()}


@final
class Space:
    """One descriptor of a collection, with random images of it."""

    def __init__(self, name: str, index: VectorIndex, calibration: Calibration) -> None:
        self.name: Final = name
        self.index: Final = index
        self.calibration: Final = calibration

    @cached_property
    def sample(self) -> Embeddings:
        """Unit rows of random images, the same ones each time."""
        ids = np.sort(self.index.ids)
        if len(ids) > _SAMPLE:
            ids = np.sort(np.random.default_rng(0).choice(ids, _SAMPLE, replace=False))
        return self.index.vectors(ids)

    @cached_property
    def least_similarity(self) -> float:
        """Similarity of images that are one point."""
        known = self.calibration
        return float(np.interp(_SAME_CLUSTER, known.rarities, known.similarities))

    def evidence(self, point: Float32[ndarray, " dim"] | None, feedback: Feedback) -> Evidence:
        """Collect the rows of what was marked."""
        relevant, levels = self._marked(feedback.relevant)
        others, other_levels = self._marked(feedback.non_relevant)
        return Evidence(point, relevant, levels, others, other_levels, self.sample)

    def known(self, point: Float32[ndarray, " dim"] | None, feedback: Feedback) -> Evidence:
        """Return the evidence, of which something is liked.

        Raises:
            UsageError: If nothing is.
        """
        evidence = self.evidence(point, feedback)
        if not len(evidence.liked):
            raise UsageError(
                "none of the liked images is in the collection any more, or none has a "
                f"{self.name!r} embedding; like another one"
            )
        return evidence

    def sum_of_marks(self, point: Float32[ndarray, " dim"] | None, feedback: Feedback) -> float:
        """Sum the marks of each round that the descriptor's own ranking before it would show."""
        total = 0.0
        for at, marks in enumerate(feedback.rounds):
            known = self.evidence(point, feedback.before(at))
            if not len(known.liked):
                continue
            hits = self.index.search(moved(known).directions, _OWN_RANKING)
            total += sum(marks.get(int(image), 0) for image in hits.ids[0])
        return total

    def calibration_of(self, target: Target, *, of_pairs: bool) -> Calibration:
        """Return the calibration of the descriptor's pairs, or one of the target's own."""
        if of_pairs:
            return self.calibration
        return fit_similarities(target.similarities(self.sample))

    def _marked(self, marks: Mapping[int, int]) -> tuple[Embeddings, Float64[ndarray, " items"]]:
        ids = np.array(list(marks), np.int64)
        found = _is_stored(self.index, ids)
        levels = np.abs(np.array(list(marks.values()), np.float64))
        return self.index.vectors(ids[found]), levels[found]


def chosen(feedback: Feedback) -> Method:
    """Return the method of feedback; what `auto` stands for."""
    if feedback.method != "auto":
        return feedback.method
    return "classifier" if feedback.relevant or feedback.non_relevant else "rocchio"


_POINT_METHODS: Final = ("average", "rocchio", "between")
"""Methods that end in one point, which is scored like any query."""

_TARGETS: Final[Mapping[Method, Callable[[Evidence], Target]]] = {
    "average": averaged,
    "rocchio": moved,
    "within": weighted,
    "between": moved,
    "mars": weighted,
    "mindreader": mindreader,
    "classifier": separating,
}


def _target(method: Method, known: Evidence, space: Space) -> Target:
    if method == "multipoint":
        return several(known, space.least_similarity)
    return _TARGETS[method](known)


def rows_of(index: VectorIndex, ids: Ids) -> Embeddings:
    """Return the unit rows of images; zeros where they lack the descriptor."""
    found = _is_stored(index, ids)
    rows: Embeddings = np.zeros((len(ids), index.dim), np.float32)
    rows[found] = index.vectors(ids[found])
    return rows


def _is_stored(index: VectorIndex, ids: Ids) -> Bool[ndarray, " items"]:
    zero = np.zeros((1, index.dim), np.float32)
    found: Bool[ndarray, " items"] = ~np.isnan(index.similarities(zero, ids)[0])
    return found
