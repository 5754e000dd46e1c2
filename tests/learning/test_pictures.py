import json
import os

import numpy as np
import pytest
import torch
from toy_pictures import ToyDataset, boxes, draw_boxes, labeled, paint, single_boxes

from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.splits import split_positions
from lookalike.errors import DatasetError
from lookalike.learning.pictures import (
    Pictures,
    blocks,
    fingerprint,
    load_pictures,
)
from lookalike.progress import SILENT


def load(dataset, folder, positions=None, side=32, map_side=16):
    positions = list(range(len(dataset))) if positions is None else positions
    return load_pictures(
        dataset, positions, folder / "part", side=side, map_side=map_side, progress=SILENT
    )


def test_pictures_labels_and_label_maps_keep_their_order(tmp_path):
    dataset = boxes(40)  # more than are decoded ahead
    pictures = load(dataset, tmp_path, side=48, map_side=48)
    assert len(pictures) == 40
    positions = torch.tensor([39, 0, 17])
    maps = pictures.take_label_maps(positions).numpy()
    for row, position in enumerate(positions.tolist()):
        image = dataset[position]
        np.testing.assert_array_equal(maps[row], image.read_label_map())
        np.testing.assert_array_equal(pictures.take_pixels(positions)[row], paint(maps[row]))
        labels = np.flatnonzero(pictures.take_labels(positions)[row])
        assert tuple(labels) == image.labels


def test_label_maps_are_shrunken_as_everywhere(tmp_path):
    dataset = boxes(3)
    pictures = load(dataset, tmp_path)
    whole = np.stack([dataset[i].read_label_map() for i in range(3)])
    np.testing.assert_array_equal(pictures.label_maps, shrink_label_maps(whole, 16))


def test_only_the_positions_asked_for_are_loaded(tmp_path):
    dataset = boxes(6)
    pictures = load(dataset, tmp_path, positions=[4, 1])
    np.testing.assert_array_equal(pictures.labels.nonzero()[1][:1], dataset[4].labels[:1])
    assert len(pictures) == 2


def test_pictures_are_decoded_once(tmp_path):
    dataset = boxes(5)
    first = load(dataset, tmp_path)
    stamp = (tmp_path / "part.pixels").stat().st_mtime_ns
    again = load(dataset, tmp_path)
    assert (tmp_path / "part.pixels").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.pixels, again.pixels)


@pytest.mark.parametrize("change", ["side", "map_side", "names"])
def test_other_sizes_or_pictures_are_decoded_anew(tmp_path, change):
    load(boxes(5), tmp_path)
    sizes = {"side": 32, "map_side": 16} | ({change: 64} if change != "names" else {})
    pictures = load(boxes(6 if change == "names" else 5), tmp_path, **sizes)
    assert pictures.pixels.shape[1] == sizes["side"]
    assert len(pictures) == (6 if change == "names" else 5)


def test_pictures_left_half_written_by_a_kill_are_decoded_anew(tmp_path):
    load(boxes(5), tmp_path)
    (tmp_path / "part.json").unlink()
    os.truncate(tmp_path / "part.pixels", 100)
    assert load(boxes(5), tmp_path).pixels.shape == (5, 32, 32, 3)


def test_unreadable_pictures_are_left_out_and_named(tmp_path):
    rng = np.random.default_rng(0)
    images = [labeled(f"{i}.png", draw_boxes(rng)) for i in range(4)]
    images[2] = labeled("broken.png", draw_boxes(rng), data=b"no picture")
    dataset = ToyDataset(images)
    pictures = load(dataset, tmp_path)
    assert len(pictures) == 3
    assert [name.partition(":")[0] for name in pictures.unreadable] == ["broken.png"]
    for row, image in enumerate([images[0], images[1], images[3]]):
        assert tuple(np.flatnonzero(pictures.labels[row])) == image.labels
    assert load(dataset, tmp_path).unreadable == pictures.unreadable


def test_a_set_of_nothing_readable_is_refused(tmp_path):
    dataset = ToyDataset([labeled("a.png", np.zeros((8, 8), np.uint8), data=b"")])
    with pytest.raises(DatasetError, match=r"none of the 1 pictures of toy boxes can be read; .*a"):
        load(dataset, tmp_path)


def test_label_map_values_beyond_the_classes_are_refused(tmp_path):
    label_map = np.full((48, 48), 4, np.uint8)
    label_map[:8] = 255
    dataset = ToyDataset([labeled("a.png", np.minimum(label_map, 3))])
    dataset.images[0].read_label_map.args[0][:] = label_map
    with pytest.raises(DatasetError, match=r"a\.png has the value 4, but there are only 3 classes"):
        load(dataset, tmp_path)


def test_a_missing_label_map_is_refused(tmp_path):
    dataset = ToyDataset([labeled("a.png", np.ones((8, 8), np.uint8), has_label_map=False)])
    with pytest.raises(DatasetError, match="has no label map, but its data set says"):
        load(dataset, tmp_path)


def test_sets_without_label_maps_have_none(tmp_path):
    pictures = load(single_boxes(3), tmp_path)
    assert pictures.label_maps is None
    with pytest.raises(DatasetError, match="no label maps"):
        pictures.take_label_maps(torch.tensor([0]))


def test_no_pictures_are_no_error(tmp_path):
    pictures = load(boxes(3), tmp_path, positions=[])
    assert isinstance(pictures, Pictures)
    assert len(pictures) == 0


def test_pictures_are_mapped_not_read(tmp_path):
    pictures = load(boxes(4), tmp_path)
    base = pictures.pixels
    while base.base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_the_split_is_a_tenth_and_stays_when_pictures_are_added():
    learned, measured = split_positions(boxes(600))
    assert sorted(learned + measured) == list(range(600))
    assert 35 < len(measured) < 85
    _, before = split_positions(boxes(300))
    assert before == [position for position in measured if position < 300]


def test_fingerprints_change_with_names_and_labels():
    dataset = boxes(5)
    whole = fingerprint(dataset, range(5))
    assert whole == fingerprint(boxes(5), range(5))
    assert whole != fingerprint(dataset, range(4))
    assert whole != fingerprint(boxes(5, seed=1), range(5))
    assert whole != fingerprint(boxes(5, classes=("a", "b", "c")), range(5))


def test_the_listing_is_plain_json(tmp_path):
    load(boxes(2), tmp_path)
    assert json.loads((tmp_path / "part.json").read_text())["kept"] == [0, 1]


def test_blocks_cover_all_positions_in_order():
    assert torch.cat(list(blocks(10, 4))).tolist() == list(range(10))
    assert [len(block) for block in blocks(10, 4)] == [4, 4, 2]
    assert list(blocks(0)) == []
