"""Scenes tiled of four pictures with label maps: many things, and small ones.

Where few pictures show more than one thing there are as many such scenes as one likes, each with a
label map (Bochkovskiy, Wang, Liao, *YOLOv4*, 2020, call it mosaic).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Num, UInt8
from torch import Generator, Tensor

from lookalike.learning.augmentation import random_views, shrink_images, view_label_maps
from lookalike.learning.stages import Material, view_images


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Which pictures make scenes, four each, and the part of each that is shown.

    Attributes:
        positions: Of the pictures; the first four make the first scene.
        views: One of each.
    """

    positions: Int64[Tensor, " four_times_n"]
    views: Float[Tensor, "four_times_n 2 3"]

    def images(
        self, material: Material, generator: Generator, *, size: int
    ) -> Float[Tensor, "n 3 size size"]:
        """Return the scenes, each part with colors changed by itself, values from 0 to 255."""
        parts = view_images(
            material,
            self.positions,
            self.views,
            generator,
            jitter=material.recipe.color_jitter,
            size=-(-size // 2),
        )
        return shrink_images(tile(parts), size)

    def label_maps(self, material: Material) -> UInt8[Tensor, "n grid grid"]:
        """Return the label maps of the scenes."""
        device = material.device.name
        label_maps = material.pictures.take_label_maps(self.positions).to(device)
        return tile(view_label_maps(label_maps, self.views.to(device), material.recipe.grid // 2))


def draw_tiles(material: Material, n_pictures: int, generator: Generator) -> Tiles:
    """Draw the scenes that go with a batch: its size times the recipe's `tiled_share`.

    Pictures with a label map are drawn as often as a pass shows them; there has to be one.
    """
    n = 4 * int(material.recipe.tiled_share * n_pictures)
    mapped = material.mapped_positions()
    drawn = torch.randint(len(mapped), (n,), generator=generator)
    return Tiles(mapped[drawn], random_views(n, material.recipe.smallest_crop, generator))


def tile(parts: Num[Tensor, "four_times_n *channels half half"]) -> Num[Tensor, "n *channels _ _"]:
    """Put every four squares together to one of twice the side: two above, two below.

    Example:
        >>> tile(torch.arange(4, dtype=torch.uint8).reshape(4, 1, 1))
        tensor([[[0, 1],
                 [2, 3]]], dtype=torch.uint8)
    """
    above, below = (torch.cat([parts[first::4], parts[first + 1 :: 4]], dim=-1) for first in (0, 2))
    return torch.cat([above, below], dim=-2)
