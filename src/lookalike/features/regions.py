"""Which parts of a picture are indexed as regions, and what is stored of each.

Two kinds: cells of a grid of three levels, the whole picture among them, and connected parts of
the label map that the layout code stands for. Cells miss nothing, components fit what was seen.
How large the cells are was chosen on photographs, see `docs/regions.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Bool, Float32
from numpy import ndarray
from PIL import Image
from scipy import ndimage

from lookalike.arrays import BACKGROUND, Pixels
from lookalike.features.extraction import ImageEncoder
from lookalike.features.region_features import color_vector, texture_vector

REGIONS_VERSION: Final = 1
"""Grows whenever the same picture would get other regions; older ones are made again then."""

CELLS: Final = ((1, 1.0), (2, 0.6), (3, 0.4))
"""Cells along each side, and the length of one as a share of the picture's side: they overlap."""

LEAST_AREA: Final = 0.01
MOST_COMPONENTS: Final = 8
MASK_SIDE: Final = 8
_FEATURE_SIDE: Final = 256

Shares: TypeAlias = tuple[float, float, float, float]
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
    small = image.resize((_FEATURE_SIDE, _FEATURE_SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(small)
    return [
        DescribedRegion(outline, row, *_looks(pixels, outline))
        for outline, row in zip(outlines, rows, strict=True)
    ]


def _looks(
    pixels: Pixels, outline: Outline
) -> tuple[Float32[ndarray, " color_dim"], Float32[ndarray, " texture_dim"]]:
    left, top, right, bottom = _edges(outline.box, pixels.shape[1], pixels.shape[0])
    part = pixels[round(top) : max(round(bottom), round(top) + 1)]
    part = part[:, round(left) : max(round(right), round(left) + 1)]
    mask = _spread(outline.mask, part.shape[0], part.shape[1])
    return color_vector(part, mask), texture_vector(part, mask)


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
