"""Images whose regions fit several clauses, each clause by a region of its own.

What a clause says of a region gives values from 0 to 1: of a size and a position, how well they
fit; of a label, whether it is the same; of colors, texture and content, `r / (1 + r)` of the rarity
`r` of the similarity among random pairs of regions. The fit of a region to a clause is their
geometric mean, so that what fails one of them fails the clause. An image's similarity is the mean
fit under the best assignment of clauses to its regions, one region for one clause; its score is how
rare that is among the images of the collection.

W. Y. Ma, B. S. Manjunath, *NeTra: A Toolbox for Navigating Large Image Databases*, Multimedia
Systems 7(3), 1999, asked for regions by color, texture, shape and place; the assignment is that of
H. W. Kuhn, *The Hungarian Method for the Assignment Problem*, 1955.
"""

from collections.abc import Sequence
from typing import Final, final

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.index.rows import common, contains
from lookalike.search.calibration import fit_similarities
from lookalike.search.clause_fits import Fit, fits_of
from lookalike.search.parts import Context, Part, Proposal
from lookalike.search.queries import Query
from lookalike.search.region_gallery import RegionGallery, greatest, ranges

COMPOSITION: Final = "composition"
"""Name of the part, in weights and in scores."""

_SAMPLE: Final = 2_000
_CHUNK: Final = 256
"""Images that are compared together."""

_BOUNDED_CHUNK: Final = 4_096
"""Images whose bounds are found together."""

_MOST: Final = 2_048
"""Images that are compared where bounds are not sure: the best are nearly always among the
first."""

_HEAD: Final = 4_096
"""So many images are put in order at first."""

_ROUNDING: Final = 1e-6
_NOWHERE: Final = np.iinfo(np.int64).max


@final
class CompositionPart:
    """Images by the best assignment of clauses to regions; implements `Part`.

    Args:
        gallery: The regions.
        clauses: For each clause what it says, cheapest first.
    """

    def __init__(self, gallery: RegionGallery, clauses: Sequence[Sequence[Fit]]) -> None:
        self.name = COMPOSITION
        self._gallery = gallery
        self._clauses = clauses
        self._is_sure = all(fit.is_exact for said in clauses for fit in said)
        # What has been compared is not compared again; by the position of the image.
        self._known = np.full(len(gallery.image_ids), np.nan)
        drawn = np.random.default_rng(0).permutation(gallery.image_ids)[:_SAMPLE]
        self._calibration = fit_similarities(self._similarities(np.sort(drawn)))

    def alone(self, k: int) -> int:
        """Return `k`; see `RankingPart`."""
        return k

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return at least the `n` best images, or nearly so where regions are found by codes.

        No image is better than if every clause had its best region; images are taken in the order
        of that bound, until the bound is below what the `n` best have reached. By codes only the
        nearest regions are known, the others are no nearer than the last of these; what the codes
        miss makes that bound unsure, and it spares little, so that no more images are compared
        than are worth it.
        """
        images = self._gallery.image_ids
        if allowed is not None:
            images = common(images, allowed)
        if len(images) <= n:
            return Proposal(images)
        bounds = self._bounds()[np.searchsorted(self._gallery.image_ids, images)]
        most = len(images) if self._is_sure else min(len(images), max(_MOST, 2 * n))
        reached = np.empty(0)
        order = _best_first(bounds, _HEAD + n)
        for start in range(0, most, _CHUNK):
            if start + _CHUNK > len(order):
                order = _best_first(bounds, len(bounds))
            best = np.partition(reached, -n)[-n] if len(reached) >= n else -1.0
            if bounds[order[start]] <= best:
                return Proposal(images[order[:start]], is_exact=self._is_sure)
            chunk = images[order[start : start + _CHUNK]]
            reached = np.append(reached, self._similarities(chunk))
        return Proposal(images[order[: len(reached)]], is_exact=self._is_sure)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return how rare each image's similarity is; 0 where it is 0, or without regions."""
        similarities = self._similarities(ids)
        scores = self._calibration.scores(similarities)
        return np.where(similarities > 0, scores, 0.0)

    def boxes(self, ids: Ids) -> Float64[ndarray, "items 4"]:
        """Return x0, y0, x1, y1 around all matched regions of each image; `nan` without any."""
        edges = np.full((len(ids), 4), np.nan)
        for row, image_id in enumerate(ids):
            matched = [box for box in self.matched(int(image_id)) if box is not None]
            if matched:
                of_all = np.array(matched)
                edges[row] = *of_all[:, :2].min(axis=0), *of_all[:, 2:].max(axis=0)
        return edges

    def matched(self, image_id: int) -> list[tuple[float, float, float, float] | None]:
        """Return x0, y0, x1, y1 of the region that each clause was given; `None` without fit."""
        positions = self._gallery.positions(np.array([image_id]))
        fits = self._fits(positions)
        found: list[tuple[float, float, float, float] | None] = [None] * len(self._clauses)
        for clause, region in zip(*_assigned(fits), strict=True):
            if fits[clause, region] > 0:
                x0, y0, x1, y1 = self._gallery.edges(positions[[region]])[0].tolist()
                found[clause] = (x0, y0, x1, y1)
        return found

    def _similarities(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the mean fit of each image under the best assignment; 0 without regions."""
        is_known = contains(self._gallery.image_ids, ids)
        at = np.searchsorted(self._gallery.image_ids, ids[is_known])
        lacking = np.unique(at[np.isnan(self._known[at])])
        for start in range(0, len(lacking), _CHUNK):
            part = lacking[start : start + _CHUNK]
            self._known[part] = self._compared(self._gallery.image_ids[part])
        similarities = np.zeros(len(ids))
        similarities[is_known] = self._known[at]
        return similarities

    def _compared(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Compare images that have regions."""
        starts, ends = self._gallery.spans(ids)
        lengths = ends - starts
        fits = self._fits(ranges(starts, ends))
        if len(fits) == 1:
            return greatest(fits[0], lengths, without=0.0)
        best, is_shared = best_of_each(fits, lengths)
        sums = best.sum(axis=0)
        stops = np.cumsum(lengths)
        for image in np.flatnonzero(is_shared):
            stop = stops[image]
            sums[image] = _best_sum(fits[:, stop - lengths[image] : stop])
        similarities: ndarray = sums / len(fits)
        return similarities

    def _bounds(self) -> Float64[ndarray, " images"]:
        """Return what no image of the collection exceeds, some thousand at a time."""
        starts = self._gallery.starts
        bounds = np.empty(len(starts) - 1)
        for first in range(0, len(bounds), _BOUNDED_CHUNK):
            edges = starts[first : first + _BOUNDED_CHUNK + 1]
            positions = np.arange(edges[0], edges[-1])
            best = [
                np.maximum.reduceat(_bound_of(said, positions), edges[:-1] - edges[0])
                ** (1 / len(said))
                for said in self._clauses
            ]
            bounds[first : first + len(edges) - 1] = np.mean(best, axis=0)
        rounded: ndarray = np.minimum(bounds * (1 + _ROUNDING), 1.0)
        return rounded

    def _fits(self, positions: Int64[ndarray, " regions"]) -> Float64[ndarray, "clauses regions"]:
        return np.stack([_fit_of(said, positions) for said in self._clauses])


def make_composition_parts(query: Query, context: Context) -> Sequence[Part]:
    """Make the part of the clauses of a query, if it has any.

    Raises:
        UsageError: If the collection has no regions, or a label or an id is unknown, or a box does
            not lie in its picture.
        ImageError: If a picture cannot be read.
    """
    if query.composition is None:
        return []
    gallery = context.open_regions()
    return [CompositionPart(gallery, fits_of(query.composition, gallery, context))]


def _fit_of(
    said: Sequence[Fit], positions: Int64[ndarray, " regions"]
) -> Float64[ndarray, " regions"]:
    """Return the geometric mean of what is said of each region."""
    logarithms = np.zeros(len(positions))
    alive = np.arange(len(positions))
    result = np.zeros(len(positions))
    for fit in said:
        values = fit.values(positions[alive])
        alive, values = alive[values > 0], values[values > 0]
        logarithms[alive] += np.log(values)
    result[alive] = np.exp(logarithms[alive] / len(said))
    return result


def _bound_of(
    said: Sequence[Fit], positions: Int64[ndarray, " regions"]
) -> Float[ndarray, " regions"]:
    """Return bounds of the product of what is said of each region."""
    first, *others = said
    product = first.bounds(positions)
    for fit in others:
        is_alive = product > 0
        if 2 * np.count_nonzero(is_alive) > len(product):
            product = product * fit.bounds(positions)
        else:
            alive = np.flatnonzero(is_alive)
            product[alive] *= fit.bounds(positions[alive])
    return product


def _best_first(bounds: Float64[ndarray, " items"], n: int) -> Int64[ndarray, " best"]:
    """Return the order of at least the `n` greatest, equal ones as they stand."""
    if n >= len(bounds):
        return np.argsort(-bounds, kind="stable").astype(np.int64)
    head = np.flatnonzero(bounds >= np.partition(bounds, -n)[-n])
    best: ndarray = head[np.argsort(-bounds[head], kind="stable")]
    return best


def best_of_each(
    fits: Float64[ndarray, "clauses regions"], lengths: Int64[ndarray, " images"]
) -> tuple[Float64[ndarray, "clauses images"], Bool[ndarray, " images"]]:
    """Return the best fit to each clause in each image, and where two clauses want one region.

    Elsewhere the best of each is the best assignment. What fits nothing wants no region.

    Args:
        fits: Of all regions, image by image.
        lengths: How many regions each image has, 1 or more.

    Example:
        >>> best, is_shared = best_of_each(
        ...     np.array([[0.9, 0.2, 0.7], [0.8, 0.3, 0.0]]), np.array([2, 1])
        ... )
        >>> best.tolist(), is_shared.tolist()
        ([[0.9, 0.7], [0.8, 0.0]], [True, False])
    """
    starts = np.cumsum(lengths) - lengths
    best = np.maximum.reduceat(fits, starts, axis=1)
    places = np.where(fits == np.repeat(best, lengths, axis=1), np.arange(fits.shape[1]), _NOWHERE)
    wanted = np.minimum.reduceat(places, starts, axis=1)
    # Each clause without any fit has a place of its own.
    wanted = np.where(best > 0, wanted, -1 - np.arange(len(fits))[:, None])
    wanted = np.sort(wanted, axis=0)
    return best, (wanted[1:] == wanted[:-1]).any(axis=0)


def _assigned(
    fits: Float64[ndarray, "clauses regions"],
) -> tuple[Int64[ndarray, " pairs"], Int64[ndarray, " pairs"]]:
    """Give each clause a region of its own so that the sum of the fits is highest."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - a third of the time to start

    clauses, regions = linear_sum_assignment(fits, maximize=True)
    return clauses, regions


def _best_sum(fits: Float64[ndarray, "clauses regions"]) -> float:
    if not fits.any():
        return 0.0
    return float(fits[_assigned(fits)].sum())
