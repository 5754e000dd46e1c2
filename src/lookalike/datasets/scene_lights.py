"""Times of day: the colors of the sky, the tint of everything under it, the shine of the sun."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from lookalike.datasets.scene_textures import Canvas, Color, lit, mix, plane, value_noise, vary


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


@dataclass(frozen=True, slots=True)
class _Palette:
    """How often a light is chosen, and the colors between which it varies."""

    chance: float
    tops: tuple[Color, Color]
    bottoms: tuple[Color, Color]
    tint: Color


_PALETTES: Final[Mapping[str, _Palette]] = {
    "clear": _Palette(
        0.38,
        tops=((70, 140, 225), (95, 165, 230)),
        bottoms=((185, 220, 245), (215, 232, 240)),
        tint=(1.0, 1.0, 0.97),
    ),
    "cloudy": _Palette(
        0.18,
        tops=((140, 152, 170), (165, 172, 182)),
        bottoms=((200, 206, 212), (220, 218, 214)),
        tint=(0.84, 0.87, 0.91),
    ),
    "dawn": _Palette(
        0.13,
        tops=((130, 160, 215), (165, 175, 215)),
        bottoms=((255, 208, 180), (250, 222, 190)),
        tint=(1.0, 0.9, 0.84),
    ),
    "dusk": _Palette(
        0.16,
        tops=((70, 62, 120), (95, 80, 140)),
        bottoms=((250, 160, 95), (240, 130, 115)),
        tint=(0.9, 0.72, 0.66),
    ),
    "night": _Palette(
        0.15,
        tops=((10, 14, 42), (18, 26, 58)),
        bottoms=((38, 50, 98), (55, 60, 105)),
        tint=(0.54, 0.59, 0.77),
    ),
}


def choose_light(rng: np.random.Generator) -> Light:
    """Draw a time of day and its colors."""
    names = list(_PALETTES)
    name = names[rng.choice(len(names), p=[entry.chance for entry in _PALETTES.values()])]
    entry = _PALETTES[name]
    return Light(
        name,
        top=vary(rng, mix(*entry.tops, share=rng.random()), 12),
        bottom=vary(rng, mix(*entry.bottoms, share=rng.random()), 12),
        tint=lit(entry.tint, (rng.uniform(0.9, 1.06),) * 3),
        haze=rng.uniform(0.15, 0.6),
    )


def add_shine(
    rng: np.random.Generator,
    canvas: Canvas,
    is_water: Bool[ndarray, "height width"],
    center: tuple[float, float],
    radius: float,
    light: Light,
) -> None:
    """Paint the glow around the sun or the moon, and its glitter on the water below.

    Args:
        rng: Decides where the water glitters.
        canvas: Picture to paint on.
        is_water: Where water is seen.
        center: Of the shining disk, right and down, in pixels.
        radius: Of the disk, in pixels.
        light: The light of the scene.
    """
    px = canvas.shape[-1]
    color = (200, 210, 235) if light.name == "night" else mix((255, 235, 190), light.bottom, 0.3)
    positions = np.arange(px, dtype=np.float32) + 0.5
    across, down = positions[None, :] - center[0], positions[:, None] - center[1]
    glow = 0.5 * np.exp(-(across**2 + down**2) / (2 * (1.7 * radius) ** 2))
    canvas += glow * (plane(color) - canvas)
    sparkle = value_noise(rng, (px, px), (px / 2, 14)).clip(0, 1)
    path = sparkle * np.exp(-((across / (0.7 * radius + 0.15 * abs(down))) ** 2)) * is_water
    canvas += 0.6 * path * (plane(color) - canvas)
