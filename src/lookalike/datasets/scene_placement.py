"""Finds places for the things of a generated scene and leaves out what would be hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, UInt8
from numpy import ndarray

from lookalike.arrays import LabelMap
from lookalike.datasets.scene_backdrops import STUFF_VALUE, Backdrop
from lookalike.datasets.scene_objects import KINDS, Kind, draw_kind
from lookalike.datasets.scene_pens import Tile
from lookalike.datasets.scene_textures import plane

MIN_VISIBLE: Final = 0.003
"""Smallest visible share of a picture that still counts as a label."""

_COUNT_CHANCES: Final = (0.22, 0.33, 0.26, 0.13, 0.06)
"""How often a scene is meant to have one, two, … five things."""

_MIN_STUFF: Final = 0.04
"""Things are only put on stuff that covers this share of the picture."""

_TRIALS: Final = 16
"""Places tried for a thing before it is left out."""

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thing goes: the rectangle it is drawn in, which may leave the picture, in pixels."""

    kind: Kind
    left: int
    top: int
    width: int
    height: int

    @property
    def foot(self) -> int:
        """Row below the lowest one."""
        return self.top + self.height

    def clipped(self, px: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the part inside a picture of `px` by `px` pixels."""
        right, bottom = min(px, self.left + self.width), min(px, self.foot)
        return max(0, self.left), max(0, self.top), right, bottom

    def windows(self, px: int) -> tuple[Window, Window]:
        """The part of the picture that it covers, and that part of its tile."""
        left, top, right, bottom = self.clipped(px)
        inside = (
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )
        return (slice(top, bottom), slice(left, right)), inside


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A thing drawn for its place."""

    place: Place
    tile: Tile


def place_things(rng: np.random.Generator, backdrop: Backdrop) -> list[Piece]:
    """Choose kinds, find each a place and draw them, far to near."""
    px = len(backdrop.label_map)
    taken = np.zeros((px, px), bool)
    places: list[Place] = []
    for kind in _choose_kinds(rng, backdrop):
        place = _find_place(rng, kind, backdrop, taken)
        if place is not None:
            places.append(place)
            taken[place.windows(px)[0]] = True
    return [_draw(rng, backdrop, place) for place in sorted(places, key=_nearness)]


def visible_parts(pieces: Sequence[Piece], px: int) -> tuple[UInt8[ndarray, "px px"], list[Piece]]:
    """Leave out pieces of which too little is seen; say which pixel shows which of the others.

    Returns:
        The position plus 1 among the remaining pieces for each pixel, 0 where there is none, and
        the remaining pieces. Of each of them at least `MIN_VISIBLE` of the picture and two fifths
        of its own area are seen.
    """
    remaining: list[Piece] = []
    covered = np.zeros((px, px), bool)
    for piece in reversed(pieces):
        window, inside = piece.place.windows(px)
        solid = piece.tile[3] >= 0.5
        n_shown = np.count_nonzero(solid[inside] & ~covered[window])
        # With a margin, as a label that nobody can find helps nobody.
        if n_shown >= max(1.5 * MIN_VISIBLE * px * px, 0.4 * np.count_nonzero(solid)):
            remaining.append(piece)
            covered[window] |= solid[inside]
    remaining.reverse()
    instance_map = np.zeros((px, px), np.uint8)
    for number, piece in enumerate(remaining, start=1):
        window, inside = piece.place.windows(px)
        instance_map[window][piece.tile[3][inside] >= 0.5] = number
    return instance_map, remaining


def _nearness(place: Place) -> tuple[int, int]:
    """What hangs in the sky lies behind what stands on the ground, which is sorted by its foot."""
    height_in_sky = place.kind.height_in_sky
    return (1, place.foot) if height_in_sky is None else (0, height_in_sky)


def _choose_kinds(rng: np.random.Generator, backdrop: Backdrop) -> list[Kind]:
    counts = np.bincount(backdrop.label_map.ravel(), minlength=256) / backdrop.label_map.size
    present = {name for name, value in STUFF_VALUE.items() if counts[value] > _MIN_STUFF}
    possible = [
        kind
        for kind in KINDS
        if present.intersection(kind.surfaces)
        and (not kind.times or backdrop.light.name in kind.times)
    ]
    n_things = 1 + int(rng.choice(len(_COUNT_CHANCES), p=_COUNT_CHANCES))
    weights = np.array([kind.weight for kind in possible])
    chosen = rng.choice(len(possible), size=n_things, p=weights / weights.sum())
    kinds = [possible[i] for i in chosen]
    # There is one sun and one moon.
    return [
        kind for i, kind in enumerate(kinds) if kind.height_in_sky != 0 or kind not in kinds[:i]
    ]


def _find_place(
    rng: np.random.Generator, kind: Kind, backdrop: Backdrop, taken: Bool[ndarray, "px px"]
) -> Place | None:
    """Draw places at random until one suits the kind; `None` if none does."""
    px, horizon = len(taken), backdrop.horizon
    share, aspect = rng.uniform(*kind.width), rng.uniform(*kind.aspect)
    for _ in range(_TRIALS):
        x, y = rng.uniform(0.06, 0.94), rng.random()
        # What is nearer stands lower and is larger.
        scale = 1.0 if kind.flies else 0.75 + 0.5 * y
        width = max(6, round(share * scale * px))
        height = max(6, round(width * aspect))
        left = round(x * px - width / 2)
        if kind.flies:
            top = round((0.04 + (horizon - 0.06) * y) * px - height / 2)
        else:
            top = round((horizon + (1 - horizon) * (0.06 + 0.92 * y)) * px - height)
        place = Place(kind, left, top, width, height)
        if _suits(place, backdrop.label_map, taken):
            return place
    return None


def _suits(place: Place, label_map: LabelMap, taken: Bool[ndarray, "px px"]) -> bool:
    """Whether a place is on the right ground, mostly in the picture, and mostly free."""
    px = len(label_map)
    left, top, right, bottom = place.clipped(px)
    if (right - left) * (bottom - top) < 0.75 * place.width * place.height:
        return False
    if taken[top:bottom, left:right].mean() > 0.3:
        return False
    allowed = np.zeros(256, bool)
    allowed[[STUFF_VALUE[name] for name in place.kind.surfaces]] = True
    if place.kind.flies:
        return bool(allowed[label_map[top:bottom, left:right]].mean() > 0.9)
    margin = place.width // 5
    feet = slice(max(0, place.left + margin), place.left + place.width - margin)
    return bool(allowed[label_map[min(px, place.foot) - 1, feet]].all())


def _draw(rng: np.random.Generator, backdrop: Backdrop, place: Place) -> Piece:
    light = backdrop.light
    size = (place.height, place.width)
    tile = draw_kind(place.kind, rng, size, light.tint, is_dark=light.is_dark)
    if not place.kind.flies:
        # What stands near the horizon pales in the haze.
        depth = (place.foot / len(backdrop.label_map) - backdrop.horizon) / (1 - backdrop.horizon)
        share = light.haze * 0.45 * max(0.0, 1 - depth)
        tile[:3] += share * (plane(light.bottom) * tile[3] - tile[:3])
    return Piece(place, tile)
