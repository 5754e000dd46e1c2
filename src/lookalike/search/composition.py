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

import difflib
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids, normalize
from lookalike.errors import UsageError
from lookalike.features.regions import LOOK_SIDE, MASK_SIDE, box_looks
from lookalike.search.calibration import fit_similarities
from lookalike.search.clauses import (
    CELLS,
    Clause,
    ClauseExample,
    Composition,
    Number,
    Position,
)
from lookalike.search.examples import IdExample, RegionExample
from lookalike.search.parts import Context, Part, Proposal
from lookalike.search.queries import Query
from lookalike.search.region_gallery import RegionGallery, greatest, ranges

COMPOSITION: Final = "composition"
"""Name of the part, in weights and in scores."""

_SAMPLE: Final = 2_000
_CHUNK: Final = 256

Fit: TypeAlias = Callable[[Int64[ndarray, "_"]], Float64[ndarray, "_"]]
"""Gives for regions, by their positions, how well they fit, from 0 to 1."""


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
        images = gallery.image_ids
        drawn = np.random.default_rng(0).permutation(images)[:_SAMPLE]
        self._calibration = fit_similarities(self._similarities(np.sort(drawn)))

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return at least the `n` best images.

        No image is better than if every clause had its best region; images are taken in the order
        of that bound, until the bound is below what the `n` best have reached.
        """
        images = self._gallery.image_ids
        if allowed is not None:
            images = np.intersect1d(images, allowed)
        bounds = self._bounds(images)
        order = np.argsort(-bounds, kind="stable")
        reached = np.empty(0)
        for start in range(0, len(order), _CHUNK):
            best = np.partition(reached, -n)[-n] if len(reached) >= n else -1.0
            if bounds[order[start]] <= best:
                return Proposal(images[order[:start]])
            chunk = images[order[start : start + _CHUNK]]
            reached = np.append(reached, self._similarities(chunk))
        return Proposal(images)

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
        starts, ends = self._gallery.spans(ids)
        lengths = ends - starts
        fits = self._fits(ranges(starts, ends))
        if len(self._clauses) == 1:
            return greatest(fits[0], lengths, without=0.0)
        stops = np.cumsum(lengths)
        found = np.array(
            [_best_sum(fits[:, stop - length : stop]) for stop, length in zip(stops, lengths)]  # noqa: B905
        )
        similarities: ndarray = found.astype(np.float64) / len(self._clauses)
        return similarities

    def _bounds(self, ids: Ids) -> Float64[ndarray, " items"]:
        starts, ends = self._gallery.spans(ids)
        fits = self._fits(ranges(starts, ends))
        best = [greatest(row, ends - starts, without=0.0) for row in fits]
        bounds: ndarray = np.mean(best, axis=0)
        return bounds

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
    return [CompositionPart(gallery, _compiled(query.composition, gallery, context))]


def _compiled(
    composition: Composition, gallery: RegionGallery, context: Context
) -> list[list[Fit]]:
    return [_fits_of_clause(clause, gallery, context) for clause in composition.clauses]


def _fits_of_clause(clause: Clause, gallery: RegionGallery, context: Context) -> list[Fit]:
    fits: list[Fit] = []
    if clause.label is not None:
        fits.append(_of_label(clause.label, gallery, context.model().card.classes))
    if clause.size is not None:
        fits.append(_of_size(clause.size, gallery))
    if clause.position is not None:
        fits.append(_of_position(clause.position, gallery))
    if clause.color_of is not None:
        fits.append(_of_look("color", clause.color_of, gallery, context))
    if clause.texture_of is not None:
        fits.append(_of_look("texture", clause.texture_of, gallery, context))
    if clause.content_of is not None:
        fits.append(_of_content(clause.content_of, gallery, context))
    return fits


def _fit_of(
    said: Sequence[Fit], positions: Int64[ndarray, " regions"]
) -> Float64[ndarray, " regions"]:
    """Return the geometric mean of what is said of each region."""
    logarithms = np.zeros(len(positions))
    alive = np.arange(len(positions))
    result = np.zeros(len(positions))
    for fit in said:
        values = fit(positions[alive])
        alive, values = alive[values > 0], values[values > 0]
        logarithms[alive] += np.log(values)
    result[alive] = np.exp(logarithms[alive] / len(said))
    return result


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


def _of_label(label: str, gallery: RegionGallery, classes: Sequence[str]) -> Fit:
    if label not in classes:
        near = difflib.get_close_matches(label, classes, n=3) or list(classes[:3])
        known = f"such as {', '.join(near)}" if near else "none at all"
        raise UsageError(f"the model knows no label {label!r}; it knows others, {known}")
    wanted = gallery.names.index(label) if label in gallery.names else -2
    return lambda positions: (gallery.labels[positions] == wanted).astype(np.float64)


def _of_size(size: tuple[Number, Number], gallery: RegionGallery) -> Fit:
    """Within the range 1; outside, the ratio of the area to the nearer end."""
    low, high = size

    def fit(positions: Int64[ndarray, "_"]) -> Float64[ndarray, "_"]:
        areas = gallery.areas[positions].astype(np.float64)
        below = areas / low if low else np.ones(len(areas))
        values: ndarray = np.minimum(np.minimum(below, 1.0), high / areas)
        return values

    return fit


def _of_position(position: Position, gallery: RegionGallery) -> Fit:
    """Share of the region in a half or a cell; of a box, the overlap with the region's own."""
    if not isinstance(position, str):
        return lambda positions: _overlap(gallery.edges(positions), position)
    left, top, width, height = _place(position)

    def fit(positions: Int64[ndarray, "_"]) -> Float64[ndarray, "_"]:
        covered = _unpacked(gallery, positions)
        boxes = gallery.boxes[positions].astype(np.float64)
        across = _within(boxes[:, 0], boxes[:, 2], left, left + width)
        down = _within(boxes[:, 1], boxes[:, 3], top, top + height)
        inside = np.einsum("ryx,ry,rx->r", covered, down, across)
        values: ndarray = inside / covered.sum(axis=(1, 2))
        return values

    return fit


def _place(position: str) -> tuple[float, float, float, float]:
    halves = {
        "left": (0.0, 0.0, 0.5, 1.0),
        "right": (0.5, 0.0, 0.5, 1.0),
        "upper": (0.0, 0.0, 1.0, 0.5),
        "lower": (0.0, 0.5, 1.0, 0.5),
    }
    if position in halves:
        return halves[position]
    row, column = divmod(CELLS.index(position), 3)
    return column / 3, row / 3, 1 / 3, 1 / 3


def _unpacked(
    gallery: RegionGallery, positions: Int64[ndarray, " regions"]
) -> Float64[ndarray, "regions 8 8"]:
    words = np.ascontiguousarray(gallery.masks[positions].astype("<u8")).view(np.uint8)
    bits = np.unpackbits(words.reshape(-1, 8), axis=1, bitorder="little")
    return bits.reshape(-1, MASK_SIDE, MASK_SIDE).astype(np.float64)


def _within(
    starts: Float64[ndarray, " regions"],
    lengths: Float64[ndarray, " regions"],
    low: float,
    high: float,
) -> Float64[ndarray, "regions 8"]:
    """Share of each of the eight stripes of a box between two lines."""
    steps = lengths[:, None] / MASK_SIDE
    begins = starts[:, None] + steps * np.arange(MASK_SIDE)
    inside = np.minimum(begins + steps, high) - np.maximum(begins, low)
    shares: ndarray = np.maximum(inside, 0.0) / steps
    return shares


def _overlap(
    edges: Float64[ndarray, "regions 4"], box: tuple[Number, Number, Number, Number]
) -> Float64[ndarray, " regions"]:
    """Intersection over union."""
    x, y, width, height = box
    across = np.minimum(edges[:, 2], x + width) - np.maximum(edges[:, 0], x)
    down = np.minimum(edges[:, 3], y + height) - np.maximum(edges[:, 1], y)
    common = np.maximum(across, 0) * np.maximum(down, 0)
    areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])
    overlaps: ndarray = common / (areas + width * height - common)
    return overlaps


def _of_look(name: str, example: ClauseExample, gallery: RegionGallery, context: Context) -> Fit:
    whole = example.example if isinstance(example, RegionExample) else example
    picture = context.pictures.decoded(whole, LOOK_SIDE)
    box = example.box if isinstance(example, RegionExample) else None
    color, texture = box_looks(picture, box)
    return _of_point(name, color if name == "color" else texture, gallery)


def _of_content(example: ClauseExample, gallery: RegionGallery, context: Context) -> Fit:
    if isinstance(example, IdExample):
        [row] = context.index("content").vectors(np.array([example.id]))
    else:
        [row] = normalize(context.pictures.encode([example], ["content"])["content"])
    return _of_point("content", row, gallery)


def _of_point(name: str, point: ndarray, gallery: RegionGallery) -> Fit:
    index, calibration = gallery.indexes[name], gallery.pairs[name]

    def fit(positions: Int64[ndarray, "_"]) -> Float64[ndarray, "_"]:
        similarities = index.similarities(point[None], gallery.ids[positions])[0]
        rarities = calibration.scores(np.nan_to_num(similarities, nan=-1.0))
        values: ndarray = rarities / (1 + rarities)
        return values

    return fit
