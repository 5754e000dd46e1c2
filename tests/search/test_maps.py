import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import UsageError
from lookalike.search.maps import (
    embed_together,
    grid_of,
    make_map,
    place,
    place_new,
    snap_to_grid,
    trustworthiness,
)
from lookalike.storage.maps import MapPoints
from tests.search.stocked import add, planted, stock


def test_groups_lie_apart_and_the_same_pictures_give_the_same_map(tmp_path):
    rows, groups = planted(90)
    first, again = embed_together(rows), embed_together(rows)
    np.testing.assert_array_equal(first, again)
    assert first.min() >= 0
    assert first.max() <= 1
    distances = np.linalg.norm(first[:, None] - first[None], axis=2)
    same = groups[:, None] == groups[None]
    np.fill_diagonal(distances, np.inf)
    assert same[np.arange(90), distances.argmin(axis=1)].mean() > 0.97
    assert trustworthiness(rows, first) > 0.8


def test_later_pictures_are_placed_and_nobody_moves(tmp_path):
    rows, groups = planted(60)
    with stock(tmp_path / "c.sqlite", rows) as catalog:
        facts = make_map(catalog, most_together=40)
        kept = catalog.knowledge.maps
        before = kept.points("content")
        assert (facts["n"], facts["together"]) == (60, 40)
        assert before.is_fixed.sum() == 40
        assert facts["trustworthiness"]["all"] > 0.8
        new, _ = planted(9, seed=9)
        add(catalog, new, prefix="new")
        assert place_new(catalog, "content") == 9
        assert place_new(catalog, "content") == 0
        after = kept.points("content")
        np.testing.assert_array_equal(after.points[:60], before.points)
        assert not after.is_fixed[60:].any()
        middles = np.stack([before.points[groups == group].mean(axis=0) for group in range(3)])
        away = np.linalg.norm(after.points[60:, None] - middles[None], axis=2)
        assert away.argmin(axis=1).tolist() == [0, 1, 2] * 3


def test_placing_by_hand():
    guides = normalize(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    placed = place(guides[:1], guides, points)
    s = guides[0] @ guides.T
    weights = np.exp((s - s.max()) / (s.max() - s.min()))
    np.testing.assert_allclose(placed, (weights / weights.sum()) @ points[None], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 9, 12])
def test_few_pictures_have_a_map_too(tmp_path, n):
    rows, _ = planted(n)
    with stock(tmp_path / "c.sqlite", rows) as catalog:
        facts = make_map(catalog)
        points = catalog.knowledge.maps.points("content").points
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()
    assert 0 <= points.min() <= points.max() <= 1
    assert facts["trustworthiness"] == {"together": None, "all": None}


def test_equal_pictures_lie_in_one_place():
    points = embed_together(np.ones((5, 4), np.float32) / 2)
    np.testing.assert_allclose(points, 0.5)


def test_each_cell_shows_the_picture_nearest_its_middle():
    points = MapPoints(
        np.array([4, 5, 6, 7]),
        np.array([[0.2, 0.3], [0.25, 0.25], [0.25, 0.25], [1.0, 1.0]]),
        np.ones(4, bool),
    )
    shown, counts = snap_to_grid(points, 2, 2)
    assert shown.tolist() == [[5, -1], [-1, 7]]
    assert counts.tolist() == [[3, 0], [0, 1]]


def test_grids_grow_with_the_collection():
    assert [grid_of(n) for n in (1, 150, 1_000_000)] == [2, 10, 40]


def test_no_map_and_no_picture_are_told_so(tmp_path):
    with stock(tmp_path / "c.sqlite", np.empty((0, 8), np.float32)) as catalog:
        with pytest.raises(UsageError, match="holds no picture"):
            make_map(catalog)
        with pytest.raises(UsageError, match="no map 'content'; make one"):
            place_new(catalog, "content")
