"""Paints generated scenes and says what is to be seen in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, LabelMap, Pixels
from lookalike.datasets.scene_backdrops import STUFF, STUFF_VALUE, Backdrop, paint_backdrop
from lookalike.datasets.scene_captions import describe
from lookalike.datasets.scene_lights import Light, add_shine
from lookalike.datasets.scene_objects import KINDS
from lookalike.datasets.scene_placement import (
    MIN_VISIBLE,
    Piece,
    Place,
    place_things,
    visible_parts,
)
from lookalike.datasets.scene_textures import Canvas

CLASSES: Final = tuple(name for name, _, _ in STUFF) + tuple(kind.name for kind in KINDS)
"""Class names, stuff first."""

SUPERCATEGORIES: Final = tuple(s for _, s, _ in STUFF) + tuple(k.supercategory for k in KINDS)
"""Supercategory of each class."""

PALETTE: Final = ((0, 0, 0), *(color for _, _, color in STUFF), *(kind.color for kind in KINDS))
"""Color of background and of each class in drawn label maps."""

THINGS: Final = frozenset(range(len(STUFF), len(CLASSES)))
"""Indices of the classes that are things; the others are stuff."""

_SYMMETRIC: Final = 0.85
"""Share of pixels on which a label map and its mirror image agree when they are nearly the same."""


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
    visible: list[Piece] = []
    while not visible:
        backdrop = paint_backdrop(rng, px)
        instance_map, visible = visible_parts(place_things(rng, backdrop), px)
    pixels = _paint(rng, backdrop, visible)
    label_map = backdrop.label_map
    labels = [CLASSES.index(piece.place.kind.name) for piece in visible]
    for number, label in enumerate(labels, start=1):
        label_map[instance_map == number] = label + 1
    clear_traces(label_map)
    return _scene(pixels, label_map, instance_map, labels, backdrop.light.name)


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

    Scenes that are nearly symmetric are drawn again.
    """
    while True:
        scene = render_scene(rng, px)
        if (scene.label_map == scene.label_map[:, ::-1]).mean() <= _SYMMETRIC:
            return scene, mirror(scene)


def _scene(
    pixels: Pixels,
    label_map: LabelMap,
    instance_map: UInt8[ndarray, "height width"],
    labels_of_things: Sequence[int],
    light: str,
) -> Scene:
    things = tuple(
        Thing(label, _box(instance_map == number))
        for number, label in enumerate(labels_of_things, start=1)
    )
    present = np.flatnonzero(np.bincount(label_map.ravel(), minlength=256))
    labels = tuple(int(value) - 1 for value in present if value != BACKGROUND)
    named = [(CLASSES[thing.label], thing.box) for thing in things]
    stuff = {CLASSES[label] for label in labels if label not in THINGS}
    caption = describe(named, stuff, light)
    return Scene(pixels, label_map, instance_map, things, labels, caption, light)


def _paint(rng: np.random.Generator, backdrop: Backdrop, pieces: Sequence[Piece]) -> Pixels:
    canvas, px = backdrop.canvas, len(backdrop.label_map)
    for place in (piece.place for piece in pieces):
        if place.kind.height_in_sky == 0:
            center = (place.left + place.width / 2, place.top + place.height / 2)
            is_water = backdrop.label_map == STUFF_VALUE["water"]
            add_shine(rng, canvas, is_water, center, place.width / 2, backdrop.light)
    for piece in pieces:
        if not piece.place.kind.flies:
            _cast_shadow(canvas, piece.place, backdrop.light)
        window, inside = piece.place.windows(px)
        tile = piece.tile[:, *inside]
        canvas[:, *window] += tile[:3] - tile[3] * canvas[:, *window]
    canvas += (rng.random((px, px), dtype=np.float32) - 0.5) * 8
    return np.ascontiguousarray(canvas.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def _cast_shadow(canvas: Canvas, place: Place, light: Light) -> None:
    """Darken the ground around the foot of a thing, so that it does not seem to float."""
    px = canvas.shape[-1]
    across, down = 0.55 * place.width, max(2.0, 0.11 * place.width)
    x, y = place.left + place.width / 2, place.foot - 0.3 * down
    window = (
        slice(max(0, int(y - down)), min(px, int(y + down) + 2)),
        slice(max(0, int(x - across)), min(px, int(x + across) + 2)),
    )
    rows, columns = np.ogrid[window]
    distance = ((columns + 0.5 - x) / across) ** 2 + ((rows + 0.5 - y) / down) ** 2
    strength = 0.25 if light.name in ("cloudy", "night") else 0.42
    canvas[:, *window] *= 1 - strength * (1 - distance).clip(0, 1).astype(np.float32)


def clear_traces(label_map: LabelMap) -> None:
    """Unlabel stuff of which next to nothing is seen."""
    counts = np.bincount(label_map.ravel(), minlength=256)
    for value in np.flatnonzero((counts > 0) & (counts < MIN_VISIBLE * label_map.size)):
        label_map[label_map == value] = BACKGROUND


def _box(mask: ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
