"""The stuff of a generated scene: sky, hills, ground, water and roads under some light.

Coordinates are shares of the picture: x to the right, y down. Each stretch of stuff is given as
a field of signed distances in pixels, positive inside, from which both its soft outline in the
picture and its exact region in the label map follow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from lookalike.datasets.scene_lights import Light, choose_light
from lookalike.datasets.scene_textures import (
    Canvas,
    Color,
    Field,
    Range,
    fractal_noise,
    gradient,
    lit,
    mix,
    plane,
    value_noise,
    vary,
)

STUFF: Final[tuple[tuple[str, str, tuple[int, int, int]], ...]] = (
    ("sky", "sky", (130, 185, 235)),
    ("hills", "ground", (120, 130, 175)),
    ("water", "water", (25, 80, 190)),
    ("grass", "ground", (135, 205, 85)),
    ("sand", "ground", (235, 215, 150)),
    ("road", "ground", (95, 95, 95)),
)
"""Name, supercategory and color in label maps of each kind of stuff, in class order."""

STUFF_VALUE: Final = {name: i + 1 for i, (name, _, _) in enumerate(STUFF)}
"""Value of each kind of stuff in label maps."""

_COMPOSITIONS: Final = {
    "land": 0.13,
    "lake": 0.16,
    "beach": 0.16,
    "sea": 0.11,
    "river": 0.1,
    "road": 0.18,
    "crossing": 0.16,
}
"""How often each composition is chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """A scene before things stand in it.

    Attributes:
        canvas: The picture so far.
        label_map: Region of each kind of stuff.
        horizon: Where the ground ends, as a share of the height from the top.
        light: The light that everything is seen in.
    """

    canvas: Canvas
    label_map: UInt8[ndarray, "height width"]
    horizon: float
    light: Light


class _Ground:
    """Paints one stretch of stuff over another.

    `x` and `y` are the pixel centers, `depth` goes from 0 at the horizon to 1 at the lower edge.
    """

    def __init__(self, rng: np.random.Generator, px: int, horizon: float, light: Light) -> None:
        self.rng, self.px, self.horizon, self.light = rng, px, horizon, light
        centers = ((np.arange(px) + 0.5) / px).astype(np.float32)
        self.x, self.y = centers[None, :], centers[:, None]
        self.depth = ((self.y - horizon) / (1 - horizon)).clip(0, 1)
        self.canvas = np.empty((3, px, px), np.float32)
        self.label_map = np.empty((px, px), np.uint8)

    def cover(self, stuff: str, inside: Field, surface: Float32[ndarray, "3 _ _"]) -> None:
        """Paint `surface` where `inside`, a signed distance in pixels, is positive."""
        self.canvas += (inside + 0.5).clip(0, 1) * (surface - self.canvas)
        self.label_map[inside >= 0] = STUFF_VALUE[stuff]

    def texture(self, cells: Range, amount: float) -> Field:
        """Factors around 1 that make a surface uneven."""
        noise: ndarray = 1 + amount * fractal_noise(self.rng, (self.px, self.px), cells)
        return noise

    def surface(self, far: Color, near: Color, cells: Range, amount: float) -> Canvas:
        """Ground between a far and a near color, hazy in the distance and lit by the light."""
        far, near = lit(far, self.light.tint), lit(near, self.light.tint)
        far = mix(far, self.light.bottom, self.light.haze * 0.6)
        surface: ndarray = gradient(far, near, np.sqrt(self.depth)) * self.texture(cells, amount)
        return surface

    def wave(self, amount: float, cycles: float) -> Float32[ndarray, "1 width"]:
        """A gentle curve across the picture, in shares of its height."""
        rng, total = self.rng, np.zeros_like(self.x)
        for octave in (1.0, 2.3):
            phase, strength = rng.uniform(0, 6.2832), rng.uniform(0.4, 1.0) * amount / octave
            total += strength * np.sin(6.2832 * cycles * octave * self.x + phase)
        return total

    def below_horizon(self, rolling: float = 0.0) -> Field:
        """Signed distance below the horizon, which may roll by a share of the height."""
        top = self.horizon + self.wave(rolling, 0.8)
        distance: ndarray = (self.y - top) * self.px
        return distance


def paint_backdrop(rng: np.random.Generator, px: int) -> Backdrop:
    """Draw a composition of sky and ground at random and paint it on `px` by `px` pixels."""
    light = choose_light(rng)
    ground = _Ground(rng, px, float(rng.uniform(0.28, 0.66)), light)
    _paint_sky(ground)
    if rng.random() < 0.5:
        _paint_hills(ground)
    names, chances = list(_COMPOSITIONS), list(_COMPOSITIONS.values())
    _PAINTERS[names[rng.choice(len(names), p=chances)]](ground)
    return Backdrop(ground.canvas, ground.label_map, ground.horizon, light)


def _paint_sky(ground: _Ground) -> None:
    rng, px, light = ground.rng, ground.px, ground.light
    unevenness = 0.16 if light.name == "cloudy" else 0.06
    share = ground.y / ground.horizon + value_noise(rng, (px, px), (5, 2)) * unevenness
    ground.canvas[:] = gradient(light.top, light.bottom, share.clip(0, 1))
    if light.name == "cloudy":
        ground.canvas *= ground.texture((6, 3), 0.06)
    ground.label_map[:] = STUFF_VALUE["sky"]
    if light.name == "night":
        n_stars = int(rng.integers(10, 40))
        rows, columns = rng.integers(0, px, n_stars), rng.integers(0, px, n_stars)
        ground.canvas[:, rows, columns] += rng.uniform(40, 170, n_stars).astype(np.float32)


def _paint_hills(ground: _Ground) -> None:
    rng, light = ground.rng, ground.light
    base = [(95, 120, 110), (120, 115, 130), (110, 130, 90), (135, 120, 105)][rng.integers(4)]
    height = rng.uniform(0.07, 0.2)
    for layer in range(int(rng.integers(1, 3))):
        top = ground.horizon - height * (1 - 0.45 * layer) + ground.wave(height * 0.4, 0.9 + layer)
        color = mix(lit(vary(rng, base), light.tint), light.bottom, 0.55 - 0.3 * layer)
        below = ground.y - top
        surface = gradient(color, mix(color, light.bottom, 0.3), (below * 4).clip(0, 1))
        ground.cover("hills", below * ground.px, surface * ground.texture((14, 8), 0.07))


def _grass(ground: _Ground) -> Canvas:
    rng = ground.rng
    near = vary(
        rng, [(95, 150, 65), (125, 160, 75), (80, 130, 70), (160, 155, 85)][rng.integers(4)]
    )
    return ground.surface(mix(near, (190, 195, 130), 0.35), near, (24, 12), 0.13)


def _sand(ground: _Ground) -> Canvas:
    near = vary(ground.rng, (222, 198, 150))
    return ground.surface(mix(near, (240, 230, 205), 0.4), near, (28, 14), 0.06)


def _asphalt(ground: _Ground) -> Canvas:
    gray = vary(ground.rng, (112, 110, 112), 16)
    return ground.surface(mix(gray, (150, 150, 155), 0.4), gray, (30, 20), 0.07)


def _water(ground: _Ground) -> Canvas:
    rng, light = ground.rng, ground.light
    deep = vary(rng, [(45, 105, 160), (40, 125, 140), (70, 115, 140)][rng.integers(3)])
    surface = ground.surface(deep, mix(deep, (20, 60, 90), 0.3), (22, 3), 0.08)
    reflected: ndarray = surface + 0.3 * (plane(mix(light.bottom, light.top, 0.4)) - surface)
    return reflected


def _paint_land(ground: _Ground) -> None:
    is_desert = ground.rng.random() < 0.15
    stuff, surface = ("sand", _sand(ground)) if is_desert else ("grass", _grass(ground))
    ground.cover(stuff, ground.below_horizon(rolling=0.02), surface)


def _paint_sea(ground: _Ground) -> None:
    ground.cover("water", ground.below_horizon(), _water(ground))


def _paint_beach(ground: _Ground) -> None:
    """Water to the horizon, a slanted shore before it."""
    _paint_sea(ground)
    rng = ground.rng
    middle = ground.horizon + (1 - ground.horizon) * rng.uniform(0.35, 0.75)
    shore = middle + rng.uniform(-0.35, 0.35) * (ground.x - 0.5) + ground.wave(0.025, 1.2)
    land = (ground.y - np.maximum(shore, ground.horizon + 0.04)) * ground.px
    if rng.random() < 0.65:
        foam = plane(lit((235, 240, 240), ground.light.tint))
        ground.cover("water", land + 0.012 * ground.px, foam)
        ground.cover("sand", land, _sand(ground))
    else:
        ground.cover("grass", land, _grass(ground))


def _paint_lake(ground: _Ground) -> None:
    """Land with water on the left or on the right."""
    rng, depth = ground.rng, ground.depth
    _paint_land(ground)
    side = float(rng.choice((-1.0, 1.0)))
    far, near, bend = rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.75), rng.uniform(-0.3, 0.3)
    edge = far + (near - far) * depth + bend * depth * (1 - depth)
    edge += 0.03 * np.sin(9 * depth + rng.uniform(0, 6))
    inland = side * (ground.x - edge) * ground.px
    below = ground.below_horizon() - 1
    if rng.random() < 0.5:
        width = rng.uniform(0.06, 0.14) * (0.3 + depth) * ground.px
        ground.cover("sand", np.minimum(inland + width, below), _sand(ground))
    ground.cover("water", np.minimum(inland, below), _water(ground))


def _paint_river(ground: _Ground) -> None:
    """A band of water between far and near land."""
    _paint_land(ground)
    inside, _ = _band(ground, thickness=(0.3, 0.55))
    ground.cover("water", inside, _water(ground))


def _paint_crossing(ground: _Ground) -> None:
    """A road that crosses the picture from side to side."""
    _paint_land(ground)
    inside, off_center = _band(ground, thickness=(0.3, 0.5))
    ground.cover("road", inside, _asphalt(ground))
    is_dash = np.sin(ground.x * 6.2832 * 6 + ground.rng.uniform(0, 6)) > -0.2
    half = is_dash.astype(np.float32) * (0.012 * ground.px)
    _paint_marking(ground, np.minimum(half - off_center, inside))


def _band(ground: _Ground, thickness: Range) -> tuple[Field, Field]:
    """A band across the ground: signed distance inside it, and distance from its middle line."""
    rng, height = ground.rng, 1 - ground.horizon
    half = height * rng.uniform(*thickness) / 2
    middle = ground.horizon + height * rng.uniform(0.4, 0.72)
    center = middle + rng.uniform(-0.2, 0.2) * (ground.x - 0.5) + ground.wave(0.015, 0.7)
    off_center = abs(ground.y - center) * ground.px
    return np.minimum(half * ground.px - off_center, ground.below_horizon() - 2), off_center


def _paint_road(ground: _Ground) -> None:
    """A road that runs from the viewer to the horizon."""
    rng, depth = ground.rng, ground.depth
    _paint_land(ground)
    end, start, bend = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.9), rng.uniform(-0.4, 0.4)
    center = end + (start - end) * depth + bend * depth * (1 - depth)
    half = 0.03 + rng.uniform(0.2, 0.34) * depth
    off_center = abs(ground.x - center)
    inside = np.minimum((half - off_center) * ground.px, ground.below_horizon() - 2)
    ground.cover("road", inside, _asphalt(ground))
    is_dash = np.sin(14 * np.sqrt(depth) + rng.uniform(0, 6)) > -0.3
    line = np.where(is_dash, 0.002 + 0.022 * depth, 0) - off_center
    _paint_marking(ground, np.minimum(line * ground.px, inside))


def _paint_marking(ground: _Ground, inside: Field) -> None:
    white = lit((232, 228, 215), ground.light.tint)
    ground.cover("road", inside - 0.5, plane(white))


_PAINTERS: Final[Mapping[str, Callable[[_Ground], None]]] = {
    "land": _paint_land,
    "lake": _paint_lake,
    "beach": _paint_beach,
    "sea": _paint_sea,
    "river": _paint_river,
    "road": _paint_road,
    "crossing": _paint_crossing,
}
