from collections import Counter

import numpy as np
import pytest

from lookalike.arrays import BACKGROUND, VOID
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.errors import UsageError


def slow_shrink(label_map: np.ndarray, grid: int) -> np.ndarray:
    """Majority of each cell, pixel by pixel."""
    height, width = label_map.shape
    rows = (
        range(height)
        if height >= grid
        else [(2 * i + 1) * height // (2 * grid) for i in range(grid)]
    )
    columns = (
        range(width) if width >= grid else [(2 * i + 1) * width // (2 * grid) for i in range(grid)]
    )
    pixels = label_map[np.ix_(list(rows), list(columns))]
    shrunk = np.zeros((grid, grid), np.uint8)
    for cell_row in range(grid):
        for cell_column in range(grid):
            votes: Counter[int] = Counter()
            for row in range(pixels.shape[0]):
                for column in range(pixels.shape[1]):
                    at = (row * grid // pixels.shape[0], column * grid // pixels.shape[1])
                    if at == (cell_row, cell_column):
                        votes[int(pixels[row, column])] += 1
            known = {value: n for value, n in votes.items() if value != VOID}
            shrunk[cell_row, cell_column] = (
                min(known, key=lambda v: (-known[v], v == BACKGROUND, v)) if known else VOID
            )
    return shrunk  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 8), (9, 5), (16, 13)])
@pytest.mark.parametrize("grid", [1, 4, 5])
def test_each_cell_gets_its_most_frequent_value(
    rng: np.random.Generator, size: tuple[int, int], grid: int
) -> None:
    label_maps = rng.choice([0, 1, 2, 255], size=(3, *size)).astype(np.uint8)
    shrunk = shrink_label_maps(label_maps, grid)
    for label_map, found in zip(label_maps, shrunk, strict=True):
        assert np.array_equal(found, slow_shrink(label_map, grid))


def test_void_has_no_vote_unless_it_is_alone() -> None:
    label_maps = np.array([[[255, 255, 255, 255], [255, 3, 255, 255]]], np.uint8)
    assert shrink_label_maps(label_maps, 1).tolist() == [[[3]]]
    assert shrink_label_maps(label_maps[..., 2:], 1).tolist() == [[[VOID]]]


def test_no_maps_give_no_maps() -> None:
    assert shrink_label_maps(np.zeros((0, 5, 5), np.uint8), 4).shape == (0, 4, 4)


def test_rejects_maps_without_pixels_and_grids_without_cells() -> None:
    with pytest.raises(UsageError, match=r"cannot shrink label maps of \(0, 3\) to a grid of 2"):
        shrink_label_maps(np.zeros((1, 0, 3), np.uint8), 2)
    with pytest.raises(UsageError, match="to a grid of 0; both need at least one cell"):
        shrink_label_maps(np.zeros((1, 3, 3), np.uint8), 0)
