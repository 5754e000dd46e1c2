"""What a clause says of a region, as values from 0 to 1, and bounds that are found faster."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids, normalize
from lookalike.errors import UsageError
from lookalike.features.regions import LOOK_SIDE, MASK_SIDE, box_looks
from lookalike.index.base import DenseIndex, VectorIndex, nearest_roughly
from lookalike.search.calibration import Calibration
from lookalike.search.clauses import CELLS, Clause, ClauseExample, Composition, Number
from lookalike.search.examples import IdExample, RegionExample
from lookalike.search.parts import Context
from lookalike.search.region_gallery import RegionGallery

NEAREST: Final = 16_384
"""Regions whose similarity is looked up where not all are compared; the others have at most that of
the last of these."""

_ROUNDING: Final = 1e-6
_STEPS: Final = 8_192
_UP: Final = 1e-5
"""More than a similarity in single precision is wrong by."""

Box: TypeAlias = tuple[Number, Number, Number, Number]


@runtime_checkable
class Fit(Protocol):
    """One thing that is said of a region."""

    @property
    def is_exact(self) -> bool:
        """Whether `bounds` surely are bounds."""
        ...

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return how well the regions at some positions fit, from 0 to 1."""
        ...

    def bounds(self, positions: Int64[ndarray, " _"]) -> Float[ndarray, " _"]:
        """Return values, at most 1, that no region exceeds; ascending positions."""
        ...


def fits_of(composition: Composition, gallery: RegionGallery, context: Context) -> list[list[Fit]]:
    """Return for each clause what it says, cheapest first.

    Raises:
        UsageError: If a label or an id is unknown, or a box does not lie in its picture.
        ImageError: If a picture cannot be read.
    """
    return [_fits_of_clause(clause, gallery, context) for clause in composition.clauses]


def _fits_of_clause(clause: Clause, gallery: RegionGallery, context: Context) -> list[Fit]:
    fits: list[Fit] = []
    if clause.label is not None:
        fits.append(_of_label(clause.label, gallery, context.model().card.classes))
    if clause.size is not None:
        fits.append(OfSize(gallery, *clause.size))
    if isinstance(clause.position, str):
        fits.append(OfPlace(gallery, _place(clause.position)))
    elif clause.position is not None:
        fits.append(OfBox(gallery, clause.position))
    if clause.color_of is not None:
        fits.append(_of_look("color", clause.color_of, gallery, context))
    if clause.texture_of is not None:
        fits.append(_of_look("texture", clause.texture_of, gallery, context))
    if clause.content_of is not None:
        fits.append(_of_content(clause.content_of, gallery, context))
    return fits


@dataclass(frozen=True, slots=True, eq=False)
class OfLabel:
    """Whether it is the same."""

    gallery: RegionGallery
    wanted: int
    is_exact: bool = True

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return 1 or 0."""
        is_same: ndarray = self.gallery.labels[positions] == self.wanted
        return is_same.astype(np.float64)

    bounds = values


@dataclass(frozen=True, slots=True, eq=False)
class OfSize:
    """Within the range 1; outside, the ratio of the area to the nearer end."""

    gallery: RegionGallery
    low: Number
    high: Number
    is_exact: bool = True

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return the ratio."""
        areas = self.gallery.areas[positions].astype(np.float64)
        below = areas / self.low if self.low else np.ones(len(areas))
        values: ndarray = np.minimum(np.minimum(below, 1.0), self.high / areas)
        return values

    bounds = values


@dataclass(frozen=True, slots=True, eq=False)
class OfBox:
    """Intersection over union of the region's box with another."""

    gallery: RegionGallery
    box: Box
    is_exact: bool = True

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return the overlap."""
        x, y, width, height = self.box
        edges = self.gallery.edges(positions)
        common = _common(edges, (x, y, x + width, y + height))
        areas = (edges[:, 2] - edges[:, 0]) * (edges[:, 3] - edges[:, 1])
        overlaps: ndarray = common / (areas + width * height - common)
        return overlaps

    bounds = values


@dataclass(frozen=True, slots=True, eq=False)
class OfPlace:
    """Share of the region in a half or a cell of the picture.

    Attributes:
        gallery: The regions.
        place: Left, top, width and height.
        is_exact: Whether the bounds are sure.
    """

    gallery: RegionGallery
    place: Box
    is_exact: bool = True

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return the share of the cells of its mask that are covered."""
        left, top, width, height = self.place
        covered = _unpacked(self.gallery, positions)
        boxes = self.gallery.boxes[positions].astype(np.float64)
        across = _within(boxes[:, 0], boxes[:, 2], left, left + width)
        down = _within(boxes[:, 1], boxes[:, 3], top, top + height)
        inside = np.einsum("ryx,ry,rx->r", covered, down, across)
        values: ndarray = inside / covered.sum(axis=(1, 2))
        return values

    def bounds(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Return what the share were if all that the mask covers lay where the boxes overlap."""
        left, top, width, height = self.place
        boxes = self.gallery.boxes[positions].astype(np.float64)
        edges = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        common = _common(edges, (left, top, left + width, top + height))
        n_covered = np.bitwise_count(self.gallery.masks[positions])
        areas = boxes[:, 2] * boxes[:, 3] * (n_covered / MASK_SIDE**2)
        bounds: ndarray = np.minimum(common / areas * (1 + _ROUNDING), 1.0)
        return bounds


@dataclass(frozen=True, eq=False)
class OfPoint:
    """`r / (1 + r)` of the rarity `r` of a similarity among pairs of regions.

    Attributes:
        gallery: The regions.
        index: Of one of their vectors.
        calibration: Turns similarities into rarities.
        point: A unit row.
    """

    gallery: RegionGallery
    index: VectorIndex
    calibration: Calibration
    point: Float32[ndarray, " dim"]
    is_exact: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_exact", self.index.is_exact)

    def values(self, positions: Int64[ndarray, " _"]) -> Float64[ndarray, " _"]:
        """Compare the regions."""
        similarities = self.index.similarities(self.point[None], self.gallery.ids[positions])[0]
        return self._fit(np.nan_to_num(similarities, nan=-1.0))

    def bounds(self, positions: Int64[ndarray, " _"]) -> Float[ndarray, " _"]:
        """Return what no region exceeds, from tables of all regions.

        Where the index is exact, similarities by a matrix product are rounded up to the next of
        some thousand steps; where it is not, the nearest regions have their own values, and the
        others that of the last of these.
        """
        bounds: ndarray = self._bounds[positions]
        return bounds

    @cached_property
    def _bounds(self) -> Float32[ndarray, " regions"]:
        bounds = np.zeros(len(self.gallery.ids), np.float32)
        if self.is_exact and isinstance(self.index, DenseIndex):
            for ids, similarities in self.index.products(self.point):
                bounds[self._places(ids)] = self._rounded_up(similarities)
            return bounds
        ids, similarities = nearest_roughly(self.index, self.point, NEAREST)
        values = self._fit(similarities).astype(np.float32)
        bounds[:] = values.min(initial=1.0)
        bounds[self._places(ids)] = values
        return bounds

    def _places(self, ids: Ids) -> Int64[ndarray, " found"] | slice:
        """Return where regions are in the gallery; at once if they stand there in a row."""
        all_ids = self.gallery.ids
        start = int(np.searchsorted(all_ids, ids[0])) if len(ids) else 0
        if np.array_equal(all_ids[start : start + len(ids)], ids):
            return slice(start, start + len(ids))
        return np.searchsorted(all_ids, ids)

    def _rounded_up(self, similarities: Float32[ndarray, " _"]) -> Float32[ndarray, " _"]:
        steps = (similarities * (_STEPS / 2) + _STEPS / 2).clip(0, _STEPS)
        return self._table[steps.astype(np.int16)]

    @cached_property
    def _table(self) -> Float32[ndarray, " steps"]:
        """How well a similarity within each step fits at most."""
        edges = np.linspace(-1, 1, _STEPS + 1) + _UP
        return self._fit(np.append(edges[1:], edges[-1])).astype(np.float32)

    def _fit(self, similarities: Float[ndarray, " _"]) -> Float64[ndarray, " _"]:
        rarities = self.calibration.scores(similarities)
        values: ndarray = rarities / (1 + rarities)
        return values


def _of_label(label: str, gallery: RegionGallery, classes: Sequence[str]) -> Fit:
    if label not in classes:
        near = difflib.get_close_matches(label, classes, n=3) or list(classes[:3])
        known = f"such as {', '.join(near)}" if near else "none at all"
        raise UsageError(f"the model knows no label {label!r}; it knows others, {known}")
    return OfLabel(gallery, gallery.names.index(label) if label in gallery.names else -2)


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
    return OfPoint(gallery, gallery.indexes[name], gallery.pairs[name], point)


def _place(position: str) -> Box:
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


def _common(edges: Float64[ndarray, "regions 4"], box: Box) -> Float64[ndarray, " regions"]:
    """Return the area that boxes have in common with another, all by left, top, right, bottom."""
    left, top, right, bottom = box
    across = np.minimum(edges[:, 2], right) - np.maximum(edges[:, 0], left)
    down = np.minimum(edges[:, 3], bottom) - np.maximum(edges[:, 1], top)
    common: ndarray = np.maximum(across, 0) * np.maximum(down, 0)
    return common


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
    """Share of each of the eight stripes of a box between two lines; 1 where nothing is cut off."""
    steps = lengths[:, None] / MASK_SIDE
    begins = starts[:, None] + steps * np.arange(MASK_SIDE)
    ends = begins + steps
    inside = np.minimum(ends, high) - np.maximum(begins, low)
    is_whole = (begins >= low) & (ends <= high)
    shares: ndarray = np.where(is_whole, 1.0, np.maximum(inside, 0.0) / steps)
    return shares
