import numpy as np
import pytest

from lookalike.arrays import NO_ID, VOID
from lookalike.errors import UsageError
from lookalike.evaluation import layout
from lookalike.evaluation.layout import (
    layout_overlap,
    layout_overlap_of_hits,
    mean_overlap_at_k,
    shrink_label_map,
)
from tests import oracles


def random_maps(rng: np.random.Generator, n: int, size: int, n_values: int = 4) -> np.ndarray:
    values = np.append(np.arange(n_values), VOID)
    share_of_void = rng.random() * 0.3
    shares = np.append(np.full(n_values, (1 - share_of_void) / n_values), share_of_void)
    return rng.choice(values, (n, size, size), p=shares).astype(np.uint8)


def test_overlap_is_counted_by_hand():
    a = np.array([[[1, 1, 2], [0, 0, 2], [0, VOID, 2]]], np.uint8)
    b = np.array([[[1, 0, 2], [1, 0, 2], [0, 3, VOID]]], np.uint8)
    overlap = layout_overlap(a, b)
    # Class 1: 1 of 3 cells, class 2: 2 of 2, class 3 only under void; background: 2 of 4.
    assert overlap.labeled == pytest.approx([(1 / 3 + 1) / 2])
    assert overlap.with_background == pytest.approx([(1 / 3 + 1 + 2 / 4) / 3])


@pytest.mark.parametrize("chunk_cells", [1, 1 << 22])
def test_overlap_agrees_with_a_loop_over_cells(chunk_cells: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layout, "_CHUNK_CELLS", chunk_cells)
    rng = np.random.default_rng(1)
    for _ in range(30):
        size, n_values = int(rng.integers(1, 7)), int(rng.integers(1, 6))
        a, b = random_maps(rng, 4, size, n_values), random_maps(rng, 4, size, n_values)
        overlap = layout_overlap(a, b)
        pairs = list(zip(a.tolist(), b.tolist(), strict=True))
        np.testing.assert_allclose(
            overlap.labeled, [oracles.layout_miou(x, y) for x, y in pairs], rtol=1e-12
        )
        np.testing.assert_allclose(
            overlap.with_background,
            [oracles.layout_miou(x, y, with_background=True) for x, y in pairs],
            rtol=1e-12,
        )


def test_a_map_overlaps_fully_with_itself_and_less_with_its_mirror_image():
    left = np.zeros((1, 8, 8), np.uint8)
    left[:, 2:6, :4] = 7
    assert layout_overlap(left, left).labeled == 1
    assert layout_overlap(left, left[:, :, ::-1]).labeled == 0


def test_is_undefined_where_nothing_is_labeled():
    blank = np.zeros((1, 4, 4), np.uint8)
    assert np.isnan(layout_overlap(blank, blank).labeled).all()
    assert layout_overlap(blank, blank).with_background == 1
    void = np.full((1, 4, 4), VOID, np.uint8)
    assert np.isnan(layout_overlap(blank, void).with_background).all()


def test_rejects_maps_of_different_size():
    with pytest.raises(UsageError, match="shrink both to one grid"):
        layout_overlap(np.zeros((1, 4, 4), np.uint8), np.zeros((1, 5, 5), np.uint8))


@pytest.mark.parametrize("chunk_cells", [1, 100, 1 << 22])
def test_overlap_of_hits_compares_each_query_with_each_of_its_hits(
    chunk_cells: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(layout, "_CHUNK_CELLS", chunk_cells)
    rng = np.random.default_rng(2)
    maps = random_maps(rng, 10, 5)
    queries = np.array([3, 0, 9])
    hits = rng.integers(0, 10, (3, 4))
    hits[1, 2:] = NO_ID
    overlap = layout_overlap_of_hits(maps, queries, hits)
    for row, column in np.ndindex(hits.shape):
        expected = 0.0
        if hits[row, column] != NO_ID:
            a, b = maps[queries[row]], maps[hits[row, column]]
            expected = oracles.layout_miou(a.tolist(), b.tolist())
        assert overlap.labeled[row, column] == pytest.approx(expected)


def test_no_hits_overlap_with_nothing():
    maps = np.zeros((2, 3, 3), np.uint8)
    overlap = layout_overlap_of_hits(maps, np.array([0, 1]), np.zeros((2, 0), np.int64))
    assert overlap.labeled.shape == (2, 0)


def test_mean_over_hits_leaves_out_undefined_pairs_and_counts_missing_ranks_as_zero():
    overlap = np.array([[1.0, np.nan, 0.5], [np.nan, np.nan, 1.0]])
    np.testing.assert_allclose(mean_overlap_at_k(overlap, 2), [1.0, np.nan])
    np.testing.assert_allclose(mean_overlap_at_k(overlap, 3), [0.75, 1.0])
    np.testing.assert_allclose(mean_overlap_at_k(overlap, 4), [0.5, 0.5])
    with pytest.raises(UsageError, match="k is 0"):
        mean_overlap_at_k(overlap, 0)


def test_shrinking_agrees_with_a_loop_over_pixels():
    rng = np.random.default_rng(3)
    for _ in range(40):
        grid = int(rng.integers(1, 6))
        height, width = rng.integers(grid, 20, 2)
        label_map = random_maps(rng, 1, 20, n_values=3)[0, :height, :width]
        shrunken = shrink_label_map(label_map, grid)
        assert shrunken.tolist() == oracles.shrunken_label_map(label_map.tolist(), grid)


def test_shrinking_to_its_own_size_changes_nothing():
    label_map = random_maps(np.random.default_rng(4), 1, 6)[0]
    np.testing.assert_array_equal(shrink_label_map(label_map, 6), label_map)


def test_a_map_smaller_than_the_grid_is_enlarged_by_nearest_pixel():
    small = np.array([[1, 2]], np.uint8)
    assert shrink_label_map(small, 4).tolist() == [[1, 1, 2, 2]] * 4


def test_rejects_an_empty_map():
    with pytest.raises(UsageError, match="at least one cell"):
        shrink_label_map(np.zeros((0, 4), np.uint8), 8)
