"""Puts things into a generated scene and says what is to be seen in it."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import LabelMap, Pixels
from lookalike.datasets.scene_backdrops import STUFF, STUFF_VALUE, Backdrop, paint_backdrop
from lookalike.datasets.scene_captions import describe
from lookalike.datasets.scene_objects import KINDS, Kind, Tile, draw_kind
from lookalike.datasets.scene_textures import mix

CLASSES: Final = tuple(name for name, _, _ in STUFF) + tuple(kind.name for kind in KINDS)
"""Class names, stuff first."""

SUPERCATEGORIES: Final = tuple(s for _, s, _ in STUFF) + tuple(k.supercategory for k in KINDS)
"""Supercategory of each class."""

PALETTE: Final = ((0, 0, 0), *(color for _, _, color in STUFF), *(kind.color for kind in KINDS))
"""Color of background and of each class in drawn label maps."""

THINGS: Final = frozenset(range(len(STUFF), len(CLASSES)))
"""Indices of the classes that are things; the others are stuff."""

MIN_VISIBLE: Final = 0.003
"""Smallest visible share of a picture that still counts as a label."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One visible thing of a scene.

    Attributes:
        label: Its class index.
        box: Left, top, right and bottom of what is visible of it, in pixels; ends excluded.
    """

    label: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A generated picture with everything that is known of it.

    Attributes:
        pixels: The picture.
        label_map: Class of each pixel: `i + 1` for class `i` of `CLASSES`; `BACKGROUND` only
            where a kind of stuff is seen on less than `MIN_VISIBLE` of the picture.
        instance_map: Position in `things` plus 1 for pixels of things, 0 for stuff.
        things: What stands in the scene and is visible, far to near.
        labels: Indices of all classes in `label_map`, ascending.
        caption: A sentence that names the main things, where they are and the light.
        light: `clear`, `cloudy`, `dawn`, `dusk` or `night`.
    """

    pixels: Pixels
    label_map: LabelMap
    instance_map: UInt8[ndarray, "height width"]
    things: tuple[Thing, ...]
    labels: tuple[int, ...]
    caption: str
    light: str


def render_scene(rng: np.random.Generator, px: int = 128) -> Scene:
    """Draw a scene at random.

    The composition (horizon, shore, road, places of things) is drawn independently of the kinds
    of things as far as boats need water and cars do not float, so that pictures of the same
    content differ in layout.

    Args:
        rng: Decides everything; equal generators give equal scenes.
        px: Side of the square picture, in pixels; at least 32.

    Returns:
        A scene with one to five things.
    """
    backdrop = paint_backdrop(rng, px)
    placed = _place_things(rng, backdrop, px)
    instance_map, visible = _visible_parts(placed, px)
    canvas = backdrop.canvas
    for piece in visible:
        _paste(canvas, piece)
    grain = rng.standard_normal((px, px, 1), dtype=np.float32) * 2.2
    pixels = np.clip(canvas + grain, 0, 255).astype(np.uint8)
    label_map = backdrop.label_map.copy()
    for number, piece in enumerate(visible, start=1):
        label_map[instance_map == number] = piece.label + 1
    _clear_traces(label_map)
    return _scene(pixels, label_map, instance_map, [p.label for p in visible], backdrop.light.name)


def mirror(scene: Scene) -> Scene:
    """The same scene with left and right exchanged, in the caption too."""
    return _scene(
        np.ascontiguousarray(scene.pixels[:, ::-1]),
        np.ascontiguousarray(scene.label_map[:, ::-1]),
        np.ascontiguousarray(scene.instance_map[:, ::-1]),
        [thing.label for thing in scene.things],
        scene.light,
    )


def render_mirror_pair(rng: np.random.Generator, px: int = 128) -> tuple[Scene, Scene]:
    """Draw a scene whose layout differs from its mirror image; return both.

    Scenes that are nearly symmetric (label maps that agree with their mirror image on more than
    85 % of the pixels) are drawn again.
    """
    while True:
        scene = render_scene(rng, px)
        agreement = (scene.label_map == scene.label_map[:, ::-1]).mean()
        if agreement <= 0.85:
            return scene, mirror(scene)


def _scene(
    pixels: Pixels,
    label_map: LabelMap,
    instance_map: UInt8[ndarray, "height width"],
    labels_of_things: list[int],
    light: str,
) -> Scene:
    things = tuple(
        Thing(label, _box(instance_map == number))
        for number, label in enumerate(labels_of_things, start=1)
    )
    labels = tuple(int(value) - 1 for value in np.unique(label_map) if value > 0)
    names = [(CLASSES[thing.label], thing.box) for thing in things]
    stuff = {CLASSES[label] for label in labels if label not in THINGS}
    return Scene(
        pixels, label_map, instance_map, things, labels, describe(names, stuff, light), light
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    label: int
    tile: Tile
    left: int
    top: int
    is_far: bool = False

    @property
    def size(self) -> tuple[int, int]:
        return self.tile.shape[0], self.tile.shape[1]


def _place_things(rng: np.random.Generator, backdrop: Backdrop, px: int) -> list[_Piece]:
    """Choose kinds, find each a place, draw them, far to near."""
    kinds = _choose_kinds(rng, backdrop)
    taken = np.zeros((px, px), bool)
    places = []
    for kind in kinds:
        place = _find_place(rng, kind, backdrop, taken, px)
        if place is not None:
            places.append((kind, *place))
            left, top, width, height = place
            taken[max(0, top) : top + height, max(0, left) : left + width] = True
    places.sort(key=lambda place: (not place[0].flies, place[2] + place[4]))
    return [_draw_piece(rng, backdrop, *place) for place in places]


_COUNT_CHANCES: Final = (0.2, 0.32, 0.26, 0.14, 0.08)


def _choose_kinds(rng: np.random.Generator, backdrop: Backdrop) -> list[Kind]:
    present = {
        name
        for name, value in STUFF_VALUE.items()
        if np.count_nonzero(backdrop.label_map == value) > 0.04 * backdrop.label_map.size
    }
    possible = [
        kind
        for kind in KINDS
        if present.intersection(kind.surfaces)
        and (not kind.times or backdrop.light.name in kind.times)
    ]
    count = 1 + int(rng.choice(5, p=_COUNT_CHANCES))
    weights = np.array([kind.weight for kind in possible])
    chosen = rng.choice(len(possible), size=count, p=weights / weights.sum())
    kinds = [possible[i] for i in chosen]
    # There is one sun and one moon.
    return [k for i, k in enumerate(kinds) if k.supercategory != "sky body" or k not in kinds[:i]]


def _find_place(
    rng: np.random.Generator,
    kind: Kind,
    backdrop: Backdrop,
    taken: np.ndarray,
    px: int,
) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of a free place that suits the kind, or `None`."""
    horizon = backdrop.horizon
    allowed = np.zeros(256, bool)
    allowed[[STUFF_VALUE[name] for name in kind.surfaces]] = True
    share, aspect = rng.uniform(*kind.width), rng.uniform(*kind.aspect)
    for _ in range(16):
        x, y = rng.uniform(0.06, 0.94), rng.random()
        if kind.flies:
            scale, foot = 1.0, 0.04 + (horizon - 0.06) * y
        else:
            foot = horizon + (1 - horizon) * (0.06 + 0.92 * y)
            scale = 0.6 + 0.65 * y
        width = max(6, round(share * scale * px))
        height = max(6, round(width * aspect))
        left = round(x * px - width / 2)
        top = round(foot * px - (height / 2 if kind.flies else height))
        if _is_good_place(backdrop.label_map, allowed, taken, (left, top, width, height), kind):
            return left, top, width, height
    return None


def _is_good_place(
    label_map: LabelMap,
    allowed: np.ndarray,
    taken: np.ndarray,
    place: tuple[int, int, int, int],
    kind: Kind,
) -> bool:
    left, top, width, height = place
    px = len(label_map)
    x0, x1 = max(0, left), min(px, left + width)
    y0, y1 = max(0, top), min(px, top + height)
    if (x1 - x0) * (y1 - y0) < 0.75 * width * height or taken[y0:y1, x0:x1].mean() > 0.3:
        return False
    if kind.flies:
        return bool(allowed[label_map[y0:y1, x0:x1]].mean() > 0.9)
    # The feet: the middle of the lower edge.
    foot = min(px - 1, top + height - 1)
    return bool(
        allowed[label_map[foot, max(0, left + width // 5) : left + width - width // 5]].all()
    )


def _draw_piece(
    rng: np.random.Generator,
    backdrop: Backdrop,
    kind: Kind,
    left: int,
    top: int,
    width: int,
    height: int,
) -> _Piece:
    light = backdrop.light
    tile = draw_kind(kind, rng, (height, width), light.tint, is_dark=light.is_dark)
    if not kind.flies:
        # Haze grows with distance: what stands near the horizon pales.
        depth = 1 - ((top + height) / len(backdrop.label_map) - backdrop.horizon) / (
            1 - backdrop.horizon
        )
        _add_haze(tile, light.bottom, light.haze * 0.45 * max(0.0, depth))
    return _Piece(CLASSES.index(kind.name), tile, left, top)


def _add_haze(tile: Tile, color: tuple[float, float, float], share: float) -> None:
    alpha = tile[..., 3:]
    tile[..., :3] += share * (np.asarray(color, np.float32) * alpha - tile[..., :3])


def _visible_parts(
    pieces: list[_Piece], px: int
) -> tuple[UInt8[ndarray, "height width"], list[_Piece]]:
    """Leave out what is hidden, and say which pixel shows which of the remaining pieces."""
    visible: list[_Piece] = []
    covered = np.zeros((px, px), bool)
    for piece in reversed(pieces):
        window, inside = _window(piece, px)
        solid = piece.tile[inside][..., 3] >= 0.5
        shown = solid & ~covered[window]
        # A thing of which little is seen would be a label that nobody can find.
        if shown.sum() >= max(1.5 * MIN_VISIBLE * px * px, 0.4 * (piece.tile[..., 3] >= 0.5).sum()):
            visible.append(piece)
            covered[window] |= solid
    visible.reverse()
    instance_map = np.zeros((px, px), np.uint8)
    for number, piece in enumerate(visible, start=1):
        window, inside = _window(piece, px)
        instance_map[window][piece.tile[inside][..., 3] >= 0.5] = number
    return instance_map, visible


def _window(piece: _Piece, px: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of the picture that a piece covers, and that part of its tile."""
    height, width = piece.size
    y0, y1 = max(0, piece.top), min(px, piece.top + height)
    x0, x1 = max(0, piece.left), min(px, piece.left + width)
    inside = (slice(y0 - piece.top, y1 - piece.top), slice(x0 - piece.left, x1 - piece.left))
    return (slice(y0, y1), slice(x0, x1)), inside


def _paste(canvas: np.ndarray, piece: _Piece) -> None:
    window, inside = _window(piece, len(canvas))
    tile = piece.tile[inside]
    canvas[window] = canvas[window] * (1 - tile[..., 3:]) + tile[..., :3]


def _clear_traces(label_map: LabelMap) -> None:
    """Unlabel stuff of which next to nothing is seen."""
    counts = np.bincount(label_map.ravel(), minlength=256)
    for value in np.flatnonzero((counts > 0) & (counts < MIN_VISIBLE * label_map.size)):
        label_map[label_map == value] = 0


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
