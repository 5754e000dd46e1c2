"""Queries in numbers: what is compared, with which weights, and the scores of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration
from lookalike.search.parts import LocatedPart, Part
from lookalike.search.queries import TEXT_DESCRIPTOR, Query


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """One kind of example, pictures or words, of all queries in one descriptor.

    Attributes:
        descriptor: Its name.
        index: Its index.
        calibration: Turns similarities to these examples into scores.
        points: One row per query.
        shares: Share of this kind in the descriptor's score, for each query from 0 to 1.
        is_text: Whether the examples are words.
    """

    descriptor: str
    index: VectorIndex
    calibration: Calibration
    points: Float32[ndarray, "queries _"]
    shares: Float64[ndarray, " queries"]
    is_text: bool = False

    def rows(self, rows: slice) -> "Points":
        """Return the same of some queries."""
        return replace(self, points=self.points[rows], shares=self.shares[rows])

    def scores(self, ids: Ids | None) -> Float64[ndarray, "queries items"]:
        """Return the share that each image has in its score; 0 for images without descriptor."""
        similarities = self.index.similarities(self.points, ids)
        scores = np.nan_to_num(self.calibration.scores(similarities), nan=0.0)
        shared: ndarray = self.shares[:, None] * scores
        return shared


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Queries in numbers.

    Attributes:
        names: The descriptors and further parts that any query weighs.
        points: What is compared in descriptors, for all queries at once.
        weights: Weights of `names`, one row per query, each with sum 1.
        excluded: For each query the ids that are not to be found.
        parts: For each query what else it is made of.
    """

    names: list[str]
    points: Sequence[Points]
    weights: Float64[ndarray, "queries names"]
    excluded: Sequence[Int64[ndarray, "_"]]
    parts: Sequence[Sequence[Part]]

    def __len__(self) -> int:
        return len(self.excluded)

    def rows(self, rows: slice) -> "Batch":
        """Return some of the queries."""
        points = [each.rows(rows) for each in self.points]
        return Batch(self.names, points, self.weights[rows], self.excluded[rows], self.parts[rows])

    def scores(
        self, ids: Ids, stored_order: Mapping[str, bool] | None = None
    ) -> Float64[ndarray, "names_and_mean queries items"]:
        """Return the score of each image under each name and, last, the weighted mean.

        An image that lacks a descriptor has no evidence in it: a score of 0.

        Args:
            ids: Of the images.
            stored_order: Descriptors whose index holds just these ids in this order, which is
                faster than looking them up.
        """
        table = np.zeros((len(self.names) + 1, len(self), len(ids)))
        for points in self.points:
            is_stored = stored_order is not None and stored_order[points.descriptor]
            at = self.names.index(points.descriptor)
            table[at] += points.scores(None if is_stored else ids)
        for row, parts in enumerate(self.parts):
            for part in parts:
                table[self.names.index(part.name), row] += part.scores(ids)
        for at in range(len(self.names)):
            table[-1] += self.weights[:, at, None] * table[at]
        return table

    def boxes(self, row: int, ids: Ids) -> Float64[ndarray, "items 4"] | None:
        """Return where the images match one query; `None` where no part of it knows."""
        located = [part for part in self.parts[row] if isinstance(part, LocatedPart)]
        return located[0].boxes(ids) if located else None


def weights_of(
    query: Query, descriptors: Sequence[str], parts: Sequence[Part]
) -> Mapping[str, float]:
    """Return the weight of each descriptor and further part of a query; parts count 1 at first.

    Raises:
        UsageError: If a weight names nothing that is there, or says nothing to the query.
    """
    given = query.weights
    if given is None:
        given = dict.fromkeys(query.compared_in(descriptors), 1.0)
    known = dict.fromkeys([*descriptors, *(part.name for part in parts)])
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UsageError(
            f"there is no descriptor {unknown[0]!r} in this collection; it has: {', '.join(known)}"
        )
    weights = {part.name: 1.0 for part in parts} | {name: float(w) for name, w in given.items()}
    _check_examples_weighed(query, descriptors, weights, {part.name for part in parts})
    if not any(weights.values()):
        raise UsageError(
            "the query has nothing to compare images with, or all of it weighs 0; add an example"
        )
    return weights


def _check_examples_weighed(
    query: Query, descriptors: Sequence[str], weights: Mapping[str, float], further: set[str]
) -> None:
    weighed = [name for name, weight in weights.items() if weight and name in descriptors]
    if query.text_share > 0 and TEXT_DESCRIPTOR not in weighed:
        raise UsageError(
            f"words are compared with {TEXT_DESCRIPTOR!r} alone, which has no weight here; "
            f"give it one: --weight {TEXT_DESCRIPTOR}=1"
        )
    silent = sorted(set(weighed) - set(query.compared_in(weighed)) - further)
    if silent and query.positives:
        raise UsageError(
            f"words say nothing of {silent[0]!r}, which has a weight; leave it out or add an image"
        )
    if silent:
        raise UsageError(
            f"nothing is asked of {silent[0]!r}, which has a weight; leave it out or add an image"
        )


def weight_table(
    named: Sequence[Mapping[str, float]], descriptors: Sequence[str]
) -> tuple[list[str], Float64[ndarray, "queries names"]]:
    """Return all names with a weight, descriptors first, and the weights, each row with sum 1."""
    further = [name for weights in named for name in weights if name not in descriptors]
    known = [*descriptors, *dict.fromkeys(further)]
    names = [name for name in known if any(weights.get(name) for weights in named)]
    table = np.array([[weights.get(name, 0.0) for name in names] for weights in named])
    weights = table.reshape(len(named), len(names))
    return names, weights / weights.sum(axis=1, keepdims=True)
