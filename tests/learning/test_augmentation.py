import itertools

import numpy as np
import torch
from toy_pictures import draw_boxes, paint

from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.learning.augmentation import (
    jitter_colors,
    mix_images,
    random_views,
    view_label_maps,
    view_pixels,
)
from lookalike.learning.stages import whole_views


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_picture_and_label_map_stay_together():
    rng = np.random.default_rng(1)
    maps = np.stack([draw_boxes(rng, 64) for _ in range(32)])
    pictures = torch.from_numpy(np.stack([paint(m) for m in maps]))
    views = random_views(32, 0.6, generator())
    shown = view_pixels(pictures, views, 32).permute(0, 2, 3, 1).round().numpy()
    cells = view_label_maps(torch.from_numpy(maps), views, 32).numpy()
    distance = np.abs(shown - np.stack([paint(m) for m in cells])).max(axis=-1)
    # Along the borders of boxes colors mix; everywhere else they must be those of the classes.
    assert (distance < 2).mean() > 0.85
    mirrored = np.abs(shown - np.stack([paint(m[:, ::-1]) for m in cells])).max(axis=-1)
    assert (mirrored < 2).mean() < 0.7


def test_views_are_crops_inside_the_picture_and_half_of_them_mirrored():
    views = random_views(2000, 0.5, generator()).numpy()
    sides, centers = np.abs(views[:, [0, 1], [0, 1]]), views[:, :, 2]
    assert sides.min() >= 0.5
    assert sides.max() <= 1
    assert (np.abs(centers) + sides).max() <= 1 + 1e-6
    assert 0.45 < (views[:, 0, 0] < 0).mean() < 0.55
    assert (views[:, 1, 1] > 0).all()


def test_a_whole_view_changes_nothing():
    rng = np.random.default_rng(2)
    pixels = torch.from_numpy(rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    shown = view_pixels(pixels, whole_views(2), 32)
    torch.testing.assert_close(shown, pixels.permute(0, 3, 1, 2).float(), atol=1e-3, rtol=0)
    mirrored = view_pixels(pixels, whole_views(2, is_mirrored=True), 32)
    torch.testing.assert_close(mirrored, shown.flip(3), atol=1e-3, rtol=0)


def test_a_whole_view_of_a_label_map_is_the_shrunken_map():
    rng = np.random.default_rng(3)
    maps = np.stack([draw_boxes(rng, 64) for _ in range(8)])
    maps[0, :5, :9] = 255
    shown = view_label_maps(torch.from_numpy(maps), whole_views(8), 32).numpy()
    np.testing.assert_array_equal(shown, shrink_label_maps(maps, 32))
    mirrored = view_label_maps(torch.from_numpy(maps), whole_views(8, is_mirrored=True), 32)
    np.testing.assert_array_equal(mirrored.numpy(), shown[:, :, ::-1])


def test_cells_vote_as_in_shrunken_maps_for_all_sets_of_four_values():
    squares = np.array(list(itertools.product((0, 1, 2, 3, 255), repeat=4)), np.uint8)
    maps = squares.reshape(-1, 2, 2)
    shown = view_label_maps(torch.from_numpy(maps), whole_views(len(maps)), 1)
    np.testing.assert_array_equal(shown.numpy(), shrink_label_maps(maps, 1))


def test_classes_are_never_mixed():
    maps = torch.zeros(16, 64, 64, dtype=torch.uint8)
    maps[:, :, 32:] = 200
    shown = view_label_maps(maps, random_views(16, 0.3, generator()), 32)
    assert set(shown.unique().tolist()) == {0, 200}


def test_colors_change_in_bounds_and_not_at_all_without_strength():
    images = torch.full((8, 3, 4, 4), 100.0)
    torch.testing.assert_close(jitter_colors(images, 0.0, generator()), images)
    changed = jitter_colors(images, 0.3, generator())
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert len(changed.mean(dim=(1, 2, 3)).unique()) == 8


def test_augmentation_is_fixed_by_its_generator():
    assert torch.equal(random_views(5, 0.5, generator(7)), random_views(5, 0.5, generator(7)))
    assert not torch.equal(random_views(5, 0.5, generator(7)), random_views(5, 0.5, generator(8)))


def test_only_the_first_images_are_mixed_each_with_its_neighbor():
    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2)
    mixed = mix_images(images, 2, generator())
    assert torch.equal(mixed[2:], images[2:])
    assert (mixed[0] == mixed[0, 0, 0, 0]).all()
    assert 0.9 <= float(mixed[0, 0, 0, 0]) <= 2.1  # of 0 and 3
    assert 0.3 <= float(mixed[1, 0, 0, 0]) <= 0.7  # of 1 and 0
    assert mix_images(images, 0, generator()) is images
