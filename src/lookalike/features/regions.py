"""Which parts of a picture are indexed as regions, and what is stored of each.

Two kinds: cells of a grid of three levels, the whole picture among them, and connected parts of
the label map that the layout code stands for. Cells miss nothing, components fit what was seen.
How large the cells are was chosen on photographs, see `docs/regions.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray
from PIL import Image

from lookalike.arrays import BACKGROUND, Pixels
from lookalike.features.extraction import ImageEncoder
from lookalike.features.region_features import (
    color_codes,
    color_vector,
    texture_codes,
    texture_vector,
)
from lookalike.images.decoding import Box, Decoded, check_box

REGIONS_VERSION: Final = 1
"""Grows whenever the same picture would get other regions; older ones are made again then."""

CELLS: Final = ((1, 1.0), (2, 0.6), (3, 0.4))
"""Cells along each side, and the length of one as a share of the picture's side: they overlap."""

LEAST_AREA: Final = 0.01
MOST_COMPONENTS: Final = 8
MASK_SIDE: Final = 8
LOOK_SIDE: Final = 256
"""Pictures are brought to this side before colors and texture are taken."""

Shares: TypeAlias = tuple[int | float, int | float, int | float, int | float]
"""Left, top, width and height as shares of the picture's width and height."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Where a region is.

    Attributes:
        box: Its box.
        area: Share of the picture that it covers.
        mask: Which of 8 × 8 cells of the box it covers at least by half, none never.
        label: Class that was seen there; `None` for cells of the grid.
    """

    box: Shares
    area: float
    mask: Bool[ndarray, "8 8"]
    label: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class DescribedRegion:
    """A region and what it looks like.

    Attributes:
        outline: Where it is.
        content: Embedding of its box, as the model gave it.
        color: See `region_features`.
        texture: See `region_features`.
    """

    outline: Outline
    content: Float32[ndarray, " content_dim"]
    color: Float32[ndarray, " color_dim"]
    texture: Float32[ndarray, " texture_dim"]


def grid_outlines() -> list[Outline]:
    """Return the cells of the grid, the whole picture first."""
    outlines = []
    for n, side in CELLS:
        step = (1 - side) / max(1, n - 1)
        for row in range(n):
            for column in range(n):
                box = (column * step, row * step, side, side)
                outlines.append(Outline(box, side * side, np.ones((MASK_SIDE, MASK_SIDE), bool)))
    return outlines


def component_outlines(
    probabilities: Float32[ndarray, "values grid_height grid_width"],
) -> list[Outline]:
    """Return the connected parts of a decoded label map, largest first.

    Parts meet along edges, background is left out, and so are parts below a hundredth of the
    picture; at most eight are kept.

    Args:
        probabilities: Of each class in each cell, background first, as `Model.decode_codes` gives
            them.
    """
    from scipy import ndimage  # noqa: PLC0415 - only where regions are made

    seen = probabilities.argmax(axis=0)
    found = []
    for value in np.setdiff1d(seen, [BACKGROUND]).tolist():
        parts, _ = ndimage.label(seen == value)
        for number, place in enumerate(ndimage.find_objects(parts), start=1):
            mask = parts[place] == number
            if mask.sum() >= LEAST_AREA * seen.size:
                found.append(_component(mask, place, seen.shape, value - 1))
    return sorted(found, key=lambda outline: -outline.area)[:MOST_COMPONENTS]


def _component(
    mask: Bool[ndarray, "height width"],
    place: tuple[slice, slice],
    shape: tuple[int, ...],
    label: int,
) -> Outline:
    rows, columns = place
    box = (
        columns.start / shape[1],
        rows.start / shape[0],
        (columns.stop - columns.start) / shape[1],
        (rows.stop - rows.start) / shape[0],
    )
    return Outline(box, float(mask.sum() / (shape[0] * shape[1])), _summary(mask), label)


def _summary(mask: Bool[ndarray, "height width"]) -> Bool[ndarray, "8 8"]:
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    shares = np.asarray(image.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX))
    # The fullest cells at least: a thin part may cover no cell by half.
    summary: ndarray = shares >= min(128, int(shares.max()))
    return summary


def describe_regions(
    picture: Pixels, outlines: Sequence[Outline], encoder: ImageEncoder, side: int
) -> list[DescribedRegion]:
    """Embed the box of each region and take its colors and its texture.

    Args:
        picture: The whole picture, larger than the model's input, so that crops are sharp; its
            proportions do not matter.
        outlines: The regions.
        encoder: Embeds the crops.
        side: Side of the squares that it takes.
    """
    image = Image.fromarray(picture)
    crops = np.stack([_crop(image, outline.box, side) for outline in outlines])
    rows = encoder.encode(crops).descriptors["content"]
    small = image.resize((LOOK_SIDE, LOOK_SIDE), Image.Resampling.BILINEAR)
    looks = PictureLooks(np.asarray(small))
    return [
        DescribedRegion(outline, row, *looks.of(outline.box, outline.mask))
        for outline, row in zip(outlines, rows, strict=True)
    ]


@final
class PictureLooks:
    """Colors and texture of a picture, from which those of its parts are taken.

    Args:
        pixels: The whole picture at 256 × 256 pixels, so that textures of all pictures are seen at
            one scale.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._colors = color_codes(pixels)
        self._textures = texture_codes(pixels)

    def of(
        self, box: Shares, mask: Bool[ndarray, "8 8"] | None = None
    ) -> tuple[Float32[ndarray, " color_dim"], Float32[ndarray, " texture_dim"]]:
        """Return the color and the texture of a part, or of what `mask` covers of it."""
        height, width = self._colors.shape
        left, top, right, bottom = (round(edge) for edge in _edges(box, width, height))
        top, left = min(top, height - 1), min(left, width - 1)
        rows, columns = slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
        colors = self._colors[rows, columns]
        covered = _spread(np.ones((8, 8), bool) if mask is None else mask, *colors.shape)
        return color_vector(colors, covered), texture_vector(
            self._textures[:, rows, columns], covered
        )


def box_looks(
    picture: Decoded, box: Box | None
) -> tuple[Float32[ndarray, " color_dim"], Float32[ndarray, " texture_dim"]]:
    """Return the color and the texture of a part of a picture, to be compared with regions.

    Args:
        picture: The whole picture at 256 × 256 pixels.
        box: The part, in pixels of the file's picture; `None` for all of it.

    Raises:
        UsageError: If the box does not lie in the picture.
    """
    width, height = picture.width, picture.height
    x, y, w, h = box or (0, 0, width, height)
    check_box((x, y, w, h), width, height)
    return PictureLooks(picture.pixels).of((x / width, y / height, w / width, h / height))


def _spread(
    mask: Bool[ndarray, "8 8"], height: int, width: int
) -> Bool[ndarray, "{height} {width}"]:
    rows = np.arange(height) * MASK_SIDE // height
    columns = np.arange(width) * MASK_SIDE // width
    spread: ndarray = mask[rows[:, None], columns]
    return spread


def _crop(image: Image.Image, box: Shares, side: int) -> Pixels:
    edges = _edges(box, image.width, image.height)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=edges))


def _edges(box: Shares, width: int, height: int) -> Shares:
    x, y, w, h = box
    # Rounding must not lead out of the picture.
    return x * width, y * height, min(x + w, 1.0) * width, min(y + h, 1.0) * height
