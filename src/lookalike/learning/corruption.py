"""What a denoising self-encoder gets to see: label maps with parts missing, wrong or moved.

The kinds of fault are those of a segmentation that was predicted: nothing known of a place, single
cells wrong, an object overlooked, an object beside its place. Cells become void where nothing is
known of them. Everything is drawn from the generator given.
"""

from typing import Final

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Generator, Tensor
from torch.nn import functional

from lookalike.arrays import BACKGROUND, VOID

_BLOCKS: Final = 8
"""Blocks along each side of a label map; masking takes whole blocks."""

_PEPPER: Final = 0.2
"""Salt and pepper for each share of masking: a wrong cell costs more than a missing one."""


def corrupt(
    label_maps: UInt8[Tensor, "batch grid grid"], share: float, n_values: int, generator: Generator
) -> UInt8[Tensor, "batch grid grid"]:
    """Corrupt label maps in all four ways.

    An object is dropped with probability `share`, another shifted with probability `share`, a
    share of `share / 5` of single cells is replaced, and a share of `share` is masked (P. Vincent,
    H. Larochelle, Y. Bengio, P.-A. Manzagol, *Extracting and Composing Robust Features with
    Denoising Autoencoders*, ICML 2008, for masking and salt and pepper).

    Args:
        label_maps: True maps; they are not changed.
        share: 0, which changes nothing, to 1.
        n_values: Number of label map values: background and the classes.
        generator: Where chance comes from.
    """
    dropped = drop_objects(label_maps, share, generator)
    shifted = shift_objects(dropped, share, generator)
    peppered = salt_and_pepper(shifted, _PEPPER * share, n_values, generator)
    return mask_blocks(peppered, share, generator)


def mask_blocks(
    label_maps: UInt8[Tensor, "batch grid grid"], share: float, generator: Generator
) -> UInt8[Tensor, "batch grid grid"]:
    """Make each of 8 × 8 blocks void with probability `share`."""
    batch, grid = label_maps.shape[:2]
    is_masked = torch.rand(batch, _BLOCKS, _BLOCKS, generator=generator) < share
    size = grid // _BLOCKS
    cells = is_masked.repeat_interleave(size, dim=1).repeat_interleave(size, dim=2)
    return label_maps.masked_fill(cells, VOID)


def salt_and_pepper(
    label_maps: UInt8[Tensor, "batch grid grid"], share: float, n_values: int, generator: Generator
) -> UInt8[Tensor, "batch grid grid"]:
    """Give each cell, with probability `share`, any value at random, the background included."""
    shape = label_maps.shape
    is_hit = torch.rand(shape, generator=generator) < share
    values = torch.randint(n_values, shape, generator=generator, dtype=torch.uint8)
    return torch.where(is_hit, values, label_maps)


def drop_objects(
    label_maps: UInt8[Tensor, "batch grid grid"], share: float, generator: Generator
) -> UInt8[Tensor, "batch grid grid"]:
    """Turn, with probability `share`, one object of a map into background."""
    objects = random_objects(label_maps, generator) & _chosen(label_maps, share, generator)
    return label_maps.masked_fill(objects, BACKGROUND)


def shift_objects(
    label_maps: UInt8[Tensor, "batch grid grid"], share: float, generator: Generator
) -> UInt8[Tensor, "batch grid grid"]:
    """Move, with probability `share`, one object of a map by up to an eighth of its side.

    It covers what lies there, background is left behind, and what leaves the map is lost.
    """
    grid = label_maps.shape[1]
    objects = random_objects(label_maps, generator) & _chosen(label_maps, share, generator)
    most = grid // _BLOCKS
    steps = torch.randint(-most, most + 1, (len(label_maps), 2), generator=generator)
    value = torch.where(objects, label_maps, BACKGROUND).amax(dim=(1, 2)).view(-1, 1, 1)
    moved = _moved(objects, steps)
    return torch.where(moved, value, label_maps.masked_fill(objects, BACKGROUND))


def random_objects(
    label_maps: UInt8[Tensor, "batch grid grid"], generator: Generator
) -> Bool[Tensor, "batch grid grid"]:
    """Choose an object of each map, in proportion to its size.

    It is a cell that is neither background nor void, and all that hangs together with it in its
    class, diagonals included. Maps without such a cell have none.
    """
    is_thing = (label_maps != BACKGROUND) & (label_maps != VOID)
    draws = torch.rand(label_maps.shape, generator=generator) * is_thing
    first = draws.flatten(1).argmax(dim=1)
    cells = functional.one_hot(first, draws[0].numel()).view_as(draws).bool() & is_thing
    value = torch.where(cells, label_maps, BACKGROUND).amax(dim=(1, 2)).view(-1, 1, 1)
    return _grown(cells, (label_maps == value) & is_thing)


def _grown(
    cells: Bool[Tensor, "batch grid grid"], within: Bool[Tensor, "batch grid grid"]
) -> Bool[Tensor, "batch grid grid"]:
    """Let cells spread to their eight neighbors until nothing changes."""
    while True:
        spread = functional.max_pool2d(cells.float(), 3, stride=1, padding=1).bool() & within
        if torch.equal(spread, cells):
            return cells
        cells = spread


def _moved(cells: Bool[Tensor, "batch grid grid"], steps: Tensor) -> Tensor:
    """Move the cells of each map by its own steps down and to the right."""
    grid = cells.shape[1]
    rows = torch.arange(grid).view(1, grid, 1) - steps[:, 0].view(-1, 1, 1)
    columns = torch.arange(grid).view(1, 1, grid) - steps[:, 1].view(-1, 1, 1)
    is_inside = (rows >= 0) & (rows < grid) & (columns >= 0) & (columns < grid)
    rows, columns = rows.clamp(0, grid - 1), columns.clamp(0, grid - 1)
    pictures = torch.arange(len(cells)).view(-1, 1, 1)
    return cells[pictures, rows, columns] & is_inside


def _chosen(label_maps: Tensor, share: float, generator: Generator) -> Bool[Tensor, "batch 1 1"]:
    return torch.rand(len(label_maps), 1, 1, generator=generator) < share


def drop_units(
    values: Float[Tensor, "batch units"], share: float, generator: Generator
) -> Float[Tensor, "batch units"]:
    """Set each unit to 0 with probability `share`: masking, for the layers above the map."""
    is_kept = torch.rand(values.shape, generator=generator) >= share
    return values * is_kept.to(values.device)
