"""The stuff of a generated scene: sky, hills, ground, water and roads under some light.

Coordinates are shares of the picture: x to the right, y down. Each stretch of stuff is given as
a field of signed distances in pixels, positive inside, from which both its soft outline in the
picture and its exact region in the label map follow.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray

from lookalike.datasets.scene_textures import (
    Canvas,
    Color,
    Field,
    fractal_noise,
    gradient,
    lit,
    mix,
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


@dataclass(frozen=True, slots=True)
class Light:
    """Time of day and weather.

    Attributes:
        name: `clear`, `cloudy`, `dawn`, `dusk` or `night`.
        top: Color of the sky overhead.
        bottom: Color of the sky at the horizon, and of haze.
        tint: Share of red, green and blue that surfaces reflect; 1 at full light.
        haze: How much of the distance is lost in haze, in `[0, 1]`.
    """

    name: str
    top: Color
    bottom: Color
    tint: Color
    haze: float

    @property
    def is_dark(self) -> bool:
        """Whether lamps and windows are lit."""
        return self.name in ("dusk", "night")


_LIGHTS: Final[dict[str, tuple[float, tuple[Color, ...], tuple[Color, ...], Color]]] = {
    "clear": (0.4, ((70, 140, 225), (95, 165, 230)), ((185, 220, 245), (215, 232, 240)),
              (1.0, 1.0, 0.97)),
    "cloudy": (0.18, ((140, 152, 170), (165, 172, 182)), ((200, 206, 212), (220, 218, 214)),
               (0.84, 0.87, 0.91)),
    "dawn": (0.12, ((130, 160, 215), (165, 175, 215)), ((255, 208, 180), (250, 222, 190)),
             (1.0, 0.9, 0.84)),
    "dusk": (0.16, ((70, 62, 120), (95, 80, 140)), ((250, 160, 95), (240, 130, 115)),
             (0.86, 0.66, 0.6)),
    "night": (0.14, ((10, 14, 42), (18, 26, 58)), ((38, 50, 98), (55, 60, 105)),
              (0.36, 0.41, 0.58)),
}  # fmt: skip


def choose_light(rng: np.random.Generator) -> Light:
    """Draw a time of day and its colors."""
    names = list(_LIGHTS)
    chances = [_LIGHTS[name][0] for name in names]
    name = names[rng.choice(len(names), p=chances)]
    _, tops, bottoms, tint = _LIGHTS[name]
    share = rng.random()
    return Light(
        name,
        top=vary(rng, mix(*tops, share), 12),
        bottom=vary(rng, mix(*bottoms, rng.random()), 12),
        tint=lit(tint, (rng.uniform(0.9, 1.06),) * 3),
        haze=rng.uniform(0.15, 0.6),
    )


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
    """Paints one stretch of stuff over another."""

    def __init__(self, rng: np.random.Generator, px: int, horizon: float, light: Light) -> None:
        self.rng, self.px, self.horizon, self.light = rng, px, horizon, light
        centers = ((np.arange(px) + 0.5) / px).astype(np.float32)
        self.x, self.y = centers[None, :], centers[:, None]
        self.nearness = np.clip((self.y - horizon) / (1 - horizon), 0, 1).astype(np.float32)
        self.canvas = np.empty((px, px, 3), np.float32)
        self.label_map = np.empty((px, px), np.uint8)

    def cover(self, stuff: str, inside: Field, surface: Canvas) -> None:
        """Paint `surface` where `inside`, a signed distance in pixels, is positive."""
        alpha = np.clip(inside + 0.5, 0, 1)[..., None]
        self.canvas += alpha * (surface - self.canvas)
        self.label_map[inside >= 0] = STUFF_VALUE[stuff]

    def texture(self, cells: tuple[float, float], amount: float) -> Canvas:
        noise = fractal_noise(self.rng, (self.px, self.px), cells)
        return (1 + amount * noise)[..., None]

    def surface(self, far: Color, near: Color, cells: tuple[float, float], amount: float) -> Canvas:
        """Ground between a far and a near color, hazy in the distance and lit by the light."""
        far, near = lit(far, self.light.tint), lit(near, self.light.tint)
        far = mix(far, self.light.bottom, self.light.haze * 0.6)
        share = np.broadcast_to(np.sqrt(self.nearness), (self.px, self.px))
        return gradient(far, near, share) * self.texture(cells, amount)

    def wave(self, amount: float, cycles: float) -> Float32[ndarray, "1 width"]:
        """A gentle curve across the picture, in shares of its height."""
        rng, total = self.rng, np.zeros_like(self.x)
        for octave in (1.0, 2.3):
            phase, strength = rng.uniform(0, 6.2832), rng.uniform(0.4, 1.0) * amount / octave
            total = total + strength * np.sin(6.2832 * cycles * octave * self.x + phase)
        return total.astype(np.float32)


def paint_backdrop(rng: np.random.Generator, px: int) -> Backdrop:
    """Draw a composition of sky and ground at random and paint it on `px` by `px` pixels."""
    light = choose_light(rng)
    ground = _Ground(rng, px, float(rng.uniform(0.28, 0.66)), light)
    _paint_sky(ground)
    if rng.random() < 0.5:
        _paint_hills(ground)
    composition = ("land", "lake", "beach", "sea", "river", "road", "crossing")
    chances = (0.14, 0.16, 0.16, 0.1, 0.1, 0.18, 0.16)
    _PAINTERS[composition[rng.choice(len(composition), p=chances)]](ground)
    return Backdrop(ground.canvas, ground.label_map, ground.horizon, light)


def _paint_sky(ground: _Ground) -> None:
    rng, px, light = ground.rng, ground.px, ground.light
    share = np.broadcast_to(np.clip(ground.y / ground.horizon, 0, 1), (px, px))
    soft = value_noise(rng, (px, px), (5, 2)) * (0.16 if light.name == "cloudy" else 0.06)
    ground.canvas[:] = gradient(light.top, light.bottom, np.clip(share + soft, 0, 1))
    if light.name == "cloudy":
        ground.canvas *= ground.texture((6, 3), 0.06)
    ground.label_map[:] = STUFF_VALUE["sky"]
    if light.name == "night":
        n_stars = int(rng.integers(10, 40))
        rows, columns = rng.integers(0, px, n_stars), rng.integers(0, px, n_stars)
        ground.canvas[rows, columns] += rng.uniform(40, 170, (n_stars, 1)).astype(np.float32)


def _paint_hills(ground: _Ground) -> None:
    rng, light = ground.rng, ground.light
    base = [(95, 120, 110), (120, 115, 130), (110, 130, 90), (135, 120, 105)][rng.integers(4)]
    height = rng.uniform(0.07, 0.2)
    for layer in range(int(rng.integers(1, 3))):
        top = ground.horizon - height * (1 - 0.45 * layer) + ground.wave(height * 0.4, 0.9 + layer)
        color = mix(lit(vary(rng, base), light.tint), light.bottom, 0.55 - 0.3 * layer)
        slope = np.clip((ground.y - top) * 4, 0, 1)
        surface = gradient(color, mix(color, light.bottom, 0.3), slope) * ground.texture(
            (14, 8), 0.07
        )
        ground.cover("hills", (ground.y - top) * ground.px, surface)


def _grass(ground: _Ground) -> Canvas:
    rng = ground.rng
    near = vary(
        rng, [(95, 150, 65), (125, 160, 75), (80, 130, 70), (160, 155, 85)][rng.integers(4)]
    )
    return ground.surface(mix(near, (190, 195, 130), 0.35), near, (24, 12), 0.13)


def _sand(ground: _Ground) -> Canvas:
    near = vary(ground.rng, (222, 198, 150))
    return ground.surface(mix(near, (240, 230, 205), 0.4), near, (28, 14), 0.06)


def _water(ground: _Ground) -> Canvas:
    rng, light = ground.rng, ground.light
    deep = vary(rng, [(45, 105, 160), (40, 125, 140), (70, 115, 140)][rng.integers(3)])
    surface = ground.surface(deep, mix(deep, (20, 60, 90), 0.3), (22, 3), 0.08)
    reflected = np.asarray(mix(light.bottom, light.top, 0.4), np.float32)
    return surface + 0.3 * (reflected - surface)


def _below_horizon(ground: _Ground, rolling: float) -> Field:
    top = ground.horizon + (ground.wave(rolling, 0.8) if rolling else 0 * ground.x)
    return ((ground.y - top) * ground.px).astype(np.float32)


def _paint_land(ground: _Ground) -> None:
    is_desert = ground.rng.random() < 0.15
    stuff, surface = ("sand", _sand(ground)) if is_desert else ("grass", _grass(ground))
    ground.cover(stuff, _below_horizon(ground, 0.02), surface)


def _paint_sea(ground: _Ground) -> None:
    ground.cover("water", _below_horizon(ground, 0.0), _water(ground))


def _paint_beach(ground: _Ground) -> None:
    """Water to the horizon, a slanted shore before it."""
    _paint_sea(ground)
    rng = ground.rng
    middle = ground.horizon + (1 - ground.horizon) * rng.uniform(0.35, 0.75)
    slope = rng.uniform(-0.35, 0.35)
    shore = middle + slope * (ground.x - 0.5) + ground.wave(0.025, 1.2)
    distance = ((ground.y - np.maximum(shore, ground.horizon + 0.04)) * ground.px).astype(
        np.float32
    )
    stuff, surface = ("sand", _sand(ground)) if rng.random() < 0.65 else ("grass", _grass(ground))
    foam = gradient(*(lit((235, 240, 240), ground.light.tint),) * 2, np.zeros_like(distance))
    if stuff == "sand":
        ground.cover("water", distance + 0.012 * ground.px, foam)
    ground.cover(stuff, distance, surface)


def _paint_lake(ground: _Ground) -> None:
    """Land with water on the left or on the right."""
    rng = ground.rng
    _paint_land(ground)
    side = rng.choice((-1.0, 1.0))
    far, near = rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.75)
    bend = rng.uniform(-0.3, 0.3)
    t = np.clip((ground.y - ground.horizon) / (1 - ground.horizon), 0, 1)
    edge = far + (near - far) * t + bend * t * (1 - t) + 0.03 * np.sin(9 * t + rng.uniform(0, 6))
    inland = side * (ground.x - edge) * ground.px
    water = np.minimum(inland, _below_horizon(ground, 0.0) - 1).astype(np.float32)
    if rng.random() < 0.5:
        width = rng.uniform(0.06, 0.14) * (0.3 + t) * ground.px
        below = _below_horizon(ground, 0.0) - 1
        ground.cover("sand", np.minimum(inland + width, below).astype(np.float32), _sand(ground))
    ground.cover("water", water, _water(ground))


def _paint_river(ground: _Ground) -> None:
    """A band of water between far and near land."""
    _paint_land(ground)
    _paint_band(ground, "water", _water(ground), thickness=(0.3, 0.55))


def _paint_crossing(ground: _Ground) -> None:
    """A road that crosses the picture from side to side."""
    _paint_land(ground)
    _paint_band(ground, "road", _asphalt(ground), thickness=(0.3, 0.5))


def _paint_band(
    ground: _Ground, stuff: str, surface: Canvas, thickness: tuple[float, float]
) -> None:
    rng, depth = ground.rng, 1 - ground.horizon
    half = depth * rng.uniform(*thickness) / 2
    middle = ground.horizon + depth * rng.uniform(0.4, 0.72)
    center = middle + rng.uniform(-0.2, 0.2) * (ground.x - 0.5) + ground.wave(0.015, 0.7)
    inside = np.minimum((half - abs(ground.y - center)) * ground.px, _below_horizon(ground, 0) - 2)
    ground.cover(stuff, inside.astype(np.float32), surface)
    if stuff == "road":
        is_dash = (np.sin(ground.x * 6.2832 * 6 + rng.uniform(0, 6)) > -0.2) * 1.0
        line = (0.012 * is_dash - abs(ground.y - center)) * ground.px
        _paint_marking(ground, np.minimum(line, inside).astype(np.float32))


def _paint_road(ground: _Ground) -> None:
    """A road that runs from the viewer to the horizon."""
    rng = ground.rng
    _paint_land(ground)
    end, start, bend = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.9), rng.uniform(-0.4, 0.4)
    t = np.clip((ground.y - ground.horizon) / (1 - ground.horizon), 0, 1)
    center = end + (start - end) * t + bend * t * (1 - t)
    half = 0.03 + rng.uniform(0.2, 0.34) * t
    below = _below_horizon(ground, 0.0) - 2
    inside = np.minimum((half - abs(ground.x - center)) * ground.px, below).astype(np.float32)
    ground.cover("road", inside, _asphalt(ground))
    is_dash = (np.sin(14 * np.sqrt(t) + rng.uniform(0, 6)) > -0.3) * 1.0
    line = (is_dash * (0.002 + 0.022 * t) - abs(ground.x - center)) * ground.px
    _paint_marking(ground, np.minimum(line, inside).astype(np.float32))


def _asphalt(ground: _Ground) -> Canvas:
    gray = vary(ground.rng, (112, 110, 112), 16)
    return ground.surface(mix(gray, (150, 150, 155), 0.4), gray, (30, 20), 0.07)


def _paint_marking(ground: _Ground, inside: Field) -> None:
    white = lit((232, 228, 215), ground.light.tint)
    ground.cover("road", inside - 0.5, gradient(white, white, np.zeros_like(inside)))


_PAINTERS: Final = {
    "land": _paint_land,
    "lake": _paint_lake,
    "beach": _paint_beach,
    "sea": _paint_sea,
    "river": _paint_river,
    "road": _paint_road,
    "crossing": _paint_crossing,
}
