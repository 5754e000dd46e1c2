"""The kinds of things in generated scenes: how large they are and where they may be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.datasets.scene_pens import Pen, Tile
from lookalike.datasets.scene_sketches import (
    draw_balloon,
    draw_bird,
    draw_boat,
    draw_car,
    draw_cloud,
    draw_cow,
    draw_dog,
    draw_flower,
    draw_house,
    draw_moon,
    draw_person,
    draw_sun,
    draw_tree,
)
from lookalike.datasets.scene_textures import Color, Range, value_noise


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing.

    Attributes:
        name: Class name.
        supercategory: Class name one level up.
        surfaces: Classes of stuff it may stand on or fly before.
        width: Smallest and largest width, as a share of the picture's, in the middle distance.
        aspect: Smallest and largest height divided by width.
        sketch: Draws it.
        color: Color in label maps.
        weight: How often it is chosen, relative to the others.
        height_in_sky: Order of what hangs in the air, farthest first; `None` for what stands.
        times: Times of day at which it is seen; empty for all.
    """

    name: str
    supercategory: str
    surfaces: tuple[str, ...]
    width: Range
    aspect: Range
    sketch: Callable[[Pen, np.random.Generator, bool], None]
    color: tuple[int, int, int]
    weight: float = 1.0
    height_in_sky: int | None = None
    times: tuple[str, ...] = ()

    @property
    def flies(self) -> bool:
        """Whether it hangs in the air rather than standing on the ground."""
        return self.height_in_sky is not None


def draw_kind(
    kind: Kind, rng: np.random.Generator, size: tuple[int, int], tint: Color, *, is_dark: bool
) -> Tile:
    """Draw one thing of a kind on a tile of `size` (height, width), shaded and textured."""
    height, width = size
    pen = Pen(width, height, tint, mirrored=bool(rng.random() < 0.5))
    kind.sketch(pen, rng, is_dark)
    tile = pen.tile()
    slope = np.linspace(-1, 1, width, dtype=np.float32) * np.float32(rng.uniform(-0.12, 0.12))
    tile[:3] *= 1 + slope + value_noise(rng, size, (height / 3, width / 3)) * 0.07
    return tile


_DAYTIME: Final = ("clear", "dusk", "dawn", "cloudy")
_SUNNY: Final = ("clear", "dusk", "dawn")
_NIGHT: Final = ("night",)
_SKY: Final = ("sky",)
_SHORE: Final = ("grass", "sand")
_ANYWHERE: Final = ("grass", "sand", "road")

KINDS: Final[tuple[Kind, ...]] = (
    Kind("sun", "sky body", _SKY, (0.16, 0.26), (1, 1), draw_sun, (255, 200, 40), 1.0, 0, _SUNNY),
    Kind("moon", "sky body", _SKY, (0.15, 0.24), (1, 1), draw_moon, (225, 225, 190), 2.5, 0,
         _NIGHT),
    Kind("cloud", "sky body", _SKY, (0.3, 0.5), (0.44, 0.6), draw_cloud, (245, 245, 250), 1.0, 1,
         _DAYTIME),
    Kind("bird", "animal", _SKY, (0.21, 0.34), (0.75, 0.95), draw_bird, (120, 60, 150), 1.0, 3),
    Kind("balloon", "vehicle", _SKY, (0.19, 0.32), (1.3, 1.45), draw_balloon, (230, 60, 140),
         0.9, 2),
    Kind("tree", "plant", _SHORE, (0.24, 0.4), (1.2, 1.6), draw_tree, (20, 95, 35), 1.2),
    Kind("house", "building", _SHORE, (0.3, 0.5), (0.75, 1.0), draw_house, (165, 60, 40)),
    Kind("car", "vehicle", ("road", "grass"), (0.29, 0.45), (0.48, 0.58), draw_car, (220, 30, 30),
         1.2),
    Kind("boat", "vehicle", ("water",), (0.26, 0.44), (0.85, 1.1), draw_boat, (150, 85, 30), 1.6),
    Kind("person", "person", _ANYWHERE, (0.15, 0.23), (1.9, 2.25), draw_person, (250, 140, 60)),
    Kind("dog", "animal", _ANYWHERE, (0.26, 0.4), (0.72, 0.85), draw_dog, (130, 95, 60)),
    Kind("cow", "animal", ("grass",), (0.29, 0.43), (0.62, 0.74), draw_cow, (90, 90, 100), 1.1),
    Kind("flower", "plant", ("grass",), (0.2, 0.33), (1.4, 1.65), draw_flower, (245, 90, 220),
         1.1),
)  # fmt: skip
"""All kinds of things, in class order."""
