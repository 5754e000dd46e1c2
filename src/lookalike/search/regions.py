"""Searching for a part of a picture among the parts of others.

An image is as similar to a query as its most similar region. A maximum over twenty regions makes
every similarity likelier, so scores are rarities of the same maximum: 3 says that one random image
in a thousand has a region that is as similar to a random region of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.images.decoding import Box
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.parts import Proposal

REGION: Final = "region"
"""Name of the part, in weights and in scores."""

PER_IMAGE: Final = 64
"""A region's id divided by this is the id of its image."""

MARGIN: Final = 0.35
MOST_MARGIN: Final = 0.09
"""A box is seen with its surroundings: on each side this share of its own length, but not more than
this share of the picture's. Both were chosen on photographs, see `docs/regions.md`."""

_SAMPLE: Final = 400
_PER_IMAGE_AMONG_BEST: Final = 4


@dataclass(frozen=True, slots=True, eq=False)
class RegionGallery:
    """The regions of a collection at one state of it.

    Attributes:
        ids: Their ids, ascending.
        boxes: Left, top, width and height as shares of the picture.
        areas: Share of the picture that each covers.
        masks: Bits of 8 × 8 cells of the box, row by row, the lowest first.
        labels: Position of each one's label in `names`; -1 without.
        names: The labels there are.
        indexes: By `content`, `color` and `texture`, over ids of regions.
        pairs: How rare similarities of two random regions are, by the same names.
        best: How rare the best similarity of a region to those of an image is, by `content`.
    """

    ids: Ids
    boxes: Float32[ndarray, "regions 4"]
    areas: Float32[ndarray, " regions"]
    masks: ndarray
    labels: Int64[ndarray, " regions"]
    names: tuple[str, ...]
    indexes: Mapping[str, VectorIndex]
    pairs: Mapping[str, Calibration]
    best: Calibration

    @property
    def image_ids(self) -> Ids:
        """Images that have regions, ascending."""
        images: Ids = np.unique(self.ids // PER_IMAGE)
        return images

    def spans(self, image_ids: Ids) -> tuple[Int64[ndarray, " items"], Int64[ndarray, " items"]]:
        """Return where the regions of each image begin and end."""
        return (
            np.searchsorted(self.ids, image_ids * PER_IMAGE),
            np.searchsorted(self.ids, (image_ids + 1) * PER_IMAGE),
        )

    def positions(self, image_ids: Ids) -> Int64[ndarray, " regions"]:
        """Return the positions of all regions of some images, image by image."""
        return ranges(*self.spans(image_ids))


def ranges(
    starts: Int64[ndarray, " items"], ends: Int64[ndarray, " items"]
) -> Int64[ndarray, " all"]:
    """Join the numbers from each start up to its end.

    Example:
        >>> ranges(np.array([5, 0, 2]), np.array([8, 0, 4]))
        array([5, 6, 7, 2, 3])
    """
    lengths = ends - starts
    before = np.cumsum(lengths) - lengths
    joined: ndarray = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
    return joined


def greatest(
    values: Float64[ndarray, " all"], lengths: Int64[ndarray, " items"], without: float
) -> Float64[ndarray, " items"]:
    """Return the greatest of each run of values; `without` for empty runs.

    Example:
        >>> greatest(np.array([0.1, 0.7, 0.2]), np.array([2, 0, 1]), without=-1.0)
        array([ 0.7, -1. ,  0.2])
    """
    result = np.full(len(lengths), without)
    is_filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[is_filled]
    if len(starts):
        result[is_filled] = np.maximum.reduceat(values, starts)
    return result


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
        return np.where(ends > starts, scores, 0.0)

    def matched(self, image_id: int) -> int | None:
        """Return the position of the best region of an image; `None` if it has none."""
        positions = self._gallery.positions(np.array([image_id]))
        if len(positions) == 0:
            return None
        return int(positions[np.argmax(self._similarities(positions))])

    def _similarities(self, positions: Int64[ndarray, " regions"]) -> Float64[ndarray, " regions"]:
        found = self._index.similarities(self._point, self._gallery.ids[positions])[0]
        return np.nan_to_num(found.astype(np.float64), nan=-1.0)


def fit_best(ids: Ids, index: VectorIndex, *, seed: int = 0) -> Calibration:
    """Fit a calibration to the best similarity of random regions to those of random images.

    Args:
        ids: Ids of all regions, ascending.
        index: Their `content`.
        seed: Fixes which; of 400 images each gives one region and is compared with all others.
    """
    rng = np.random.default_rng(seed)
    images = np.unique(ids // PER_IMAGE)
    chosen = np.sort(rng.permutation(images)[:_SAMPLE])
    starts = np.searchsorted(ids, chosen * PER_IMAGE)
    lengths = np.searchsorted(ids, (chosen + 1) * PER_IMAGE) - starts
    rows: Embeddings = index.vectors(ids[ranges(starts, starts + lengths)])
    places = np.cumsum(lengths) - lengths + rng.integers(0, np.maximum(1, lengths))
    best = np.array(
        [greatest((rows @ rows[at]).astype(np.float64), lengths, -1.0) for at in places]
    ).reshape(len(chosen), len(chosen))
    return fit_similarities(best[~np.eye(len(chosen), dtype=bool)])


def with_surroundings(box: Box, width: int, height: int) -> Box:
    """Widen a box by what lies around it, within a picture of this width and height.

    Example:
        >>> with_surroundings((0, 40, 20, 20), width=200, height=100)
        (0.0, 33.0, 27.0, 34.0)
    """
    left, end = _widened(box[0], box[2], width)
    top, bottom = _widened(box[1], box[3], height)
    return left, top, end - left, bottom - top


def _widened(start: float, length: float, whole: int) -> tuple[float, float]:
    margin = min(MARGIN * length, MOST_MARGIN * whole)
    return max(0.0, start - margin), min(float(whole), start + length + margin)


def in_pixels(box: Float32[ndarray, " 4"], width: int, height: int) -> tuple[int, int, int, int]:
    """Return a box given in shares of a picture in its pixels, whole ones, at least one."""
    x, y = round(float(box[0]) * width), round(float(box[1]) * height)
    end = round(float(box[0] + box[2]) * width), round(float(box[1] + box[3]) * height)
    return x, y, max(1, min(end[0], width) - x), max(1, min(end[1], height) - y)
