"""The regions of a collection as they are searched: outlines, vectors, and what is ordinary."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration, fit_similarities

PER_IMAGE: Final = 64
"""A region's id divided by this is the id of its image."""

_SAMPLE: Final = 400


@dataclass(frozen=True, eq=False)
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
    masks: UInt64[ndarray, " regions"]
    labels: Int64[ndarray, " regions"]
    names: tuple[str, ...]
    indexes: Mapping[str, VectorIndex]
    pairs: Mapping[str, Calibration]
    best: Calibration

    @cached_property
    def image_ids(self) -> Ids:
        """Images that have regions, ascending."""
        images: Ids = self.ids[self.starts[:-1]] // PER_IMAGE
        return images

    @cached_property
    def starts(self) -> Int64[ndarray, " images_and_one"]:
        """Where the regions of each image begin, and at last how many regions there are."""
        images = self.ids // PER_IMAGE
        is_first = np.append(np.diff(images, prepend=-1) != 0, True)
        return np.flatnonzero(is_first)

    def spans(self, image_ids: Ids) -> tuple[Int64[ndarray, " items"], Int64[ndarray, " items"]]:
        """Return where the regions of each image begin and end."""
        return (
            np.searchsorted(self.ids, image_ids * PER_IMAGE),
            np.searchsorted(self.ids, (image_ids + 1) * PER_IMAGE),
        )

    def edges(self, positions: Int64[ndarray, " items"]) -> Float64[ndarray, "items 4"]:
        """Return left, top, right and bottom of regions as shares of their pictures."""
        boxes = self.boxes[positions].astype(np.float64)
        # What was stored in single precision must not lead out of the picture.
        edges: ndarray = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]).clip(0.0, 1.0)
        return edges

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
