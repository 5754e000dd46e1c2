"""Searching for a part of a picture among the parts of others.

An image is as similar to a query as its most similar region. A maximum over twenty regions makes
every similarity likelier, so scores are rarities of the same maximum: 3 says that one random image
in a thousand has a region that is as similar to a random region of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final, get_args

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.search.examples import PictureExample, RegionExample, TextExample
from lookalike.search.parts import Context, Part, Proposal
from lookalike.search.queries import Query
from lookalike.search.query_embeddings import embed_queries
from lookalike.search.region_gallery import PER_IMAGE, RegionGallery, greatest, ranges

REGION: Final = "region"
"""Name of the part, in weights and in scores."""

_PER_IMAGE_AMONG_BEST: Final = 4


@final
class RegionPart:
    """Images by their region most similar to a point; implements `Part`.

    Args:
        gallery: The regions.
        point: A unit row of `content`.
    """

    def __init__(self, gallery: RegionGallery, point: Float32[ndarray, " dim"]) -> None:
        self.name = REGION
        self._gallery = gallery
        self._index = gallery.indexes["content"]
        self._point = point[None]

    def alone(self, k: int) -> int:
        """Return `k`; see `RankingPart`."""
        return k

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the images of the best regions until there are `n` or all."""
        gallery = self._gallery
        of_allowed = None if allowed is None else gallery.ids[gallery.positions(allowed)]
        n_wanted = _PER_IMAGE_AMONG_BEST * n
        while True:
            hits = self._index.search(self._point, n_wanted, allowed=of_allowed)
            found = np.unique(hits.ids[0][hits.ids[0] >= 0] // PER_IMAGE)
            if len(found) >= n or n_wanted >= len(self._index.ids):
                break
            n_wanted *= _PER_IMAGE_AMONG_BEST
        probed = 0 if hits.probed_clusters is None else int(hits.probed_clusters[0])
        return Proposal(found, probed, self._index.is_exact)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return how rare the similarity of each image's best region is; 0 without regions."""
        starts, ends = self._gallery.spans(ids)
        similarities = self._similarities(ranges(starts, ends))
        best = greatest(similarities, ends - starts, without=-1.0)
        scores = self._gallery.best.scores(best)
        found: ndarray = np.where(ends > starts, scores, 0.0)
        return found

    def boxes(self, ids: Ids) -> Float64[ndarray, "items 4"]:
        """Return x0, y0, x1, y1 of the best region of each image; `nan` without regions."""
        edges = np.full((len(ids), 4), np.nan)
        starts, ends = self._gallery.spans(ids)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            if end > start:
                positions = np.arange(start, end)
                best = positions[np.argmax(self._similarities(positions))]
                edges[row] = self._gallery.edges(best[None])[0]
        return edges

    def _similarities(self, positions: Int64[ndarray, " regions"]) -> Float64[ndarray, " regions"]:
        found = self._index.similarities(self._point, self._gallery.ids[positions])[0]
        similarities: ndarray = np.nan_to_num(found.astype(np.float64), nan=-1.0)
        return similarities


@dataclass(frozen=True, slots=True)
class Unasked:
    """A part that weighs nothing: it is known by its name, and nothing is opened for it."""

    name: str

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return nothing."""
        return Proposal(np.empty(0, np.int64))

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return 0 for each."""
        return np.zeros(len(ids))


def make_region_parts(query: Query, context: Context) -> Sequence[Part]:
    """Make the part that compares boxes of the query with the regions of the collection.

    It is there if the query has a box, or gives the part a weight: then whole pictures are looked
    for among regions. A box in a collection without regions is only compared with whole images.

    Raises:
        UsageError: If the part has a weight and the collection has no regions.
    """
    has_weight = REGION in (query.weights or {})
    boxes = _pictures(query, (RegionExample,))
    if not has_weight and (boxes is None or not context.has_regions):
        return []
    asked = boxes or _pictures(query, get_args(PictureExample))
    if asked is None:
        raise UsageError(
            f"{REGION!r} has a weight, but no picture is given that regions could be like; "
            "add one, with --box if a part of it is meant"
        )
    if has_weight and not (query.weights or {})[REGION]:
        return [Unasked(REGION)]
    gallery = context.open_regions()
    rows = embed_queries([asked], {"content": context.index("content")}, context.pictures)
    return [RegionPart(gallery, rows["content"][0])]


def _pictures(query: Query, kinds: tuple[type, ...]) -> Query | None:
    """Return a query of the positive examples of some kinds and the pictures it should not be."""
    weights = query.positive_weights or (1.0,) * len(query.positives)
    kept = [(e, w) for e, w in zip(query.positives, weights, strict=True) if isinstance(e, kinds)]
    if not kept:
        return None
    return Query(
        positives=tuple(example for example, _ in kept),
        positive_weights=tuple(weight for _, weight in kept),
        negatives=tuple(e for e in query.negatives if not isinstance(e, TextExample)),
    )
