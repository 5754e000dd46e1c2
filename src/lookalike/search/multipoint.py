"""Several positive examples as several points, to the best of which an image is compared.

The mean of examples that have little in common lies between them, where there may be nothing like
any of them. A multipoint query keeps them apart and takes the best (K. Porkaew, K. Chakrabarti and
S. Mehrotra, *Query refinement for multimedia similarity retrieval in MARS*, ACM Multimedia 1999).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration
from lookalike.search.parts import Proposal
from lookalike.search.queries import Example, Query, TextExample
from lookalike.search.query_embeddings import ExampleEncoder, combine, embed_queries

TOGETHER: Final = 1.0
"""Two examples whose similarity is so rare, one random pair in ten, belong to one point."""


@dataclass(frozen=True, slots=True, eq=False)
class NearestPoint:
    """The positive pictures of a query in one descriptor, as several points.

    The score is that of the best point. Of `m` points the best is at least so similar by chance up
    to `m` times as often as one, so that `log10 m` is taken off: a score means the same as ever.

    Attributes:
        name: The descriptor.
        index: Its index.
        calibration: Turns similarities into scores.
        points: One unit row for each point.
        share: Share of these examples in the descriptor's score; the rest are words.
    """

    name: str
    index: VectorIndex
    calibration: Calibration
    points: Float32[ndarray, "points dim"]
    share: int | float = 1.0

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the `n` best of every point."""
        hits = self.index.search(self.points, n, allowed=allowed)
        ids = np.unique(hits.ids)
        probed = 0 if hits.probed_clusters is None else int(hits.probed_clusters.sum())
        return Proposal(ids[ids != NO_ID], probed, hits.is_exact)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the score of the best point for each image; 0 for images without descriptor."""
        rarities = self.calibration.scores(self.index.similarities(self.points, ids))
        best = np.nan_to_num(rarities, nan=0.0).max(axis=0) - math.log10(len(self.points))
        shared: ndarray = self.share * np.maximum(best, 0.0)
        return shared


def nearest_points(
    query: Query,
    indexes: Mapping[str, VectorIndex],
    calibrations: Mapping[str, Calibration],
    encoder: ExampleEncoder,
    share: int | float,
) -> list[NearestPoint]:
    """Return the pictures of a multipoint query in each descriptor.

    With `multipoint="yes"` each positive picture is a point. With `"auto"` those that resemble
    each other in a descriptor, as at most one random pair in ten does, are one point there, their
    mean; so are those linked by others. Each point moves away from all negative pictures.

    Args:
        query: With several positive pictures.
        indexes: By descriptor; those that are weighed.
        calibrations: By descriptor.
        encoder: Encodes examples that come as files or pixels.
        share: Share of pictures where words are compared too.
    """
    positives, weights = _pictures(query.positives, query.positive_weights)
    negatives, against = _pictures(query.negatives, query.negative_weights)
    single = [Query((example,)) for example in (*positives, *negatives)]
    parts = []
    for name, rows in embed_queries(single, indexes, encoder).items():
        liked, disliked = rows[: len(positives)], rows[len(positives) :]
        groups = _groups(liked, calibrations[name], query)
        points = [
            combine(liked[group], disliked, [weights[at] for at in group], against)
            for group in groups
        ]
        share_here = share if name == "content" else 1.0
        parts.append(
            NearestPoint(name, indexes[name], calibrations[name], np.stack(points), share_here)
        )
    return parts


def _pictures(
    examples: Sequence[Example], weights: Sequence[int | float]
) -> tuple[list[Example], list[int | float]]:
    known = weights or [1.0] * len(examples)
    kept = [(e, w) for e, w in zip(examples, known, strict=True) if not isinstance(e, TextExample)]
    return [example for example, _ in kept], [weight for _, weight in kept]


def _groups(
    rows: Embeddings, calibration: Calibration, query: Query
) -> list[Int64[ndarray, " group"]]:
    if query.multipoint == "yes":
        return [np.array([at]) for at in range(len(rows))]
    is_linked = calibration.scores(rows @ rows.T) >= TOGETHER
    group_of = np.arange(len(rows))
    for at, other in np.argwhere(np.triu(is_linked, k=1)):
        group_of[group_of == group_of[other]] = group_of[at]
    return [np.flatnonzero(group_of == group) for group in np.unique(group_of)]
