"""Scenes tiled of four pictures."""

from dataclasses import replace

import pytest
import torch
from toy_pictures import boxes, single_boxes

from lookalike.arrays import VOID
from lookalike.errors import DatasetError, UsageError
from lookalike.learning.devices import Device
from lookalike.learning.pictures import load_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.stages import Material
from lookalike.learning.tiles import draw_tiles, tile
from lookalike.progress import SILENT

CPU = Device("cpu", has_bfloat16=False)
TILED = Recipe(
    image_size=32, grid=16, code_dim=8, content_dim=16, epochs=1, self_encoder_epochs=1,
    joint_share=0.0, batch_size=8, tiled_share=0.5, color_jitter=0.0, device="cpu",
    precision="float32",
)  # fmt: skip


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def material(tmp_path):
    toys = boxes(10)
    loaded = load_pictures(toys, range(10), tmp_path / "a", side=48, map_side=32, progress=SILENT)
    return Material.of(loaded, False, TILED, CPU)


def test_four_squares_lie_in_reading_order():
    parts = torch.arange(8).reshape(8, 1, 1, 1).expand(8, 3, 2, 2)
    scenes = tile(parts)
    assert scenes.shape == (2, 3, 4, 4)
    assert scenes[1, 0].tolist() == [[4, 4, 5, 5]] * 2 + [[6, 6, 7, 7]] * 2


def test_pictures_and_label_maps_of_a_scene_show_the_same(material, generator):
    tiles = draw_tiles(material, 8, generator)
    assert len(tiles.positions) == 4 * 4
    images = tiles.images(material, generator, size=32)
    maps = tiles.label_maps(material)
    assert (images.shape, maps.shape) == ((4, 3, 32, 32), (4, 16, 16))
    # Class 1 is red and class 2 green: where the map says so the picture has that color.
    colors = images.reshape(4, 3, 16, 2, 16, 2).mean(dim=(3, 5)).movedim(1, -1)
    red, green = (colors[maps == value].mean(dim=0) for value in (1, 2))
    assert red[0] > red[1] + 60
    assert green[1] > green[0] + 60


def test_odd_sides_are_tiled_too(material, generator):
    tiles = draw_tiles(material, 2, generator)
    assert tiles.images(material, generator, size=33).shape == (1, 3, 33, 33)


def test_only_pictures_with_a_label_map_make_scenes(material, generator):
    chosen = replace(material, mapped=torch.tensor([2, 5]))
    tiles = draw_tiles(chosen, 16, generator)
    assert set(tiles.positions.tolist()) == {2, 5}
    assert not (tiles.label_maps(chosen) == VOID).any()


@pytest.mark.parametrize("name", ["tiled_share", "similar_codes_weight", "shares_weight"])
def test_what_is_learned_from_label_maps_needs_some(tmp_path, name):
    recipe = replace(TILED, self_encoder="linear", **{"tiled_share": 0.0, name: 0.5})
    with pytest.raises(DatasetError, match=f"{name} is 0.5, but fewer than two pictures have"):
        learn(single_boxes(12), tmp_path / "a", recipe)


def test_an_external_encoder_sees_no_scenes():
    with pytest.raises(UsageError, match="has seen every picture by itself"):
        replace(TILED, backbone="a.onnx")


def test_small_sets_are_seen_as_often_as_the_balance_says(material):
    source = torch.tensor([0] * 8 + [1] * 2)
    joined = replace(material, pictures=replace(material.pictures, source=source))
    for balance, times in ((0.0, 1), (0.5, 2), (1.0, 4)):
        balanced = replace(joined, recipe=replace(TILED, set_balance=balance)).repeated()
        assert balanced.positions.bincount().tolist() == [1] * 8 + [times] * 2
