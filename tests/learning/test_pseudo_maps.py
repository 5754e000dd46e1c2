import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign_files import NAMES, SIDE, write_names, write_segmenter
from killing import kill_at
from toy_pictures import ToyDataset, labeled, paint

from lookalike.arrays import VOID
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.learning.devices import Device
from lookalike.learning.foreign import open_network
from lookalike.learning.guides import Segmenter
from lookalike.learning.pseudo_maps import (
    MapCache,
    MapMaker,
    match_classes,
    most_probable,
    open_map_maker,
    read_label_names,
    void_if_empty,
    with_pseudo_maps,
)

CPU = Device("cpu", has_bfloat16=False)


@pytest.fixture
def segmenter(tmp_path):
    return Segmenter(
        network=write_segmenter(tmp_path / "net.onnx"),
        labels=write_names(tmp_path / "names.txt"),
    )


def halves(value, other, side=SIDE):
    label_map = np.full((side, side), value, np.uint8)
    label_map[:, side // 2 :] = other
    return label_map


def unmapped(*maps):
    images = [labeled(f"{i}.png", m, has_label_map=False) for i, m in enumerate(maps)]
    return ToyDataset(images, has_label_maps=False)


def test_names_end_at_the_first_empty_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("background\n aeroplane \n\nfrom somewhere\n", encoding="utf-8-sig")
    assert read_label_names(path) == ("background", "aeroplane")
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"names.txt names no class; write one a line"):
        read_label_names(path)
    with pytest.raises(UsageError, match=r"gone.txt cannot be read as a list of class names"):
        read_label_names(tmp_path / "gone.txt")


def test_classes_are_matched_by_name_and_synonym():
    names = ("background", "aeroplane", "cat", "tvmonitor", "zebu")
    table = match_classes(names, ("tv", "airplane", "cat"))
    assert table[:6].tolist() == [0, 2, 3, 1, 0, 0]
    table = match_classes(names, ("tv", "airplane", "cat"), without=("tvmonitor",))
    assert table[:5].tolist() == [0, 2, 3, 0, 0]


def test_classes_that_fit_nothing_are_refused():
    with pytest.raises(UsageError, match="no class 'tv' to leave out; it has background, cat"):
        match_classes(("background", "cat"), ("cat",), without=("tv",))
    with pytest.raises(UsageError, match="knows none of the classes to be learned; it has"):
        match_classes(("background", "cat"), ("dog",))


@pytest.mark.parametrize("output", ["numbers", "scores", "scores last"])
def test_maps_are_drawn_whatever_form_the_network_answers_in(tmp_path, segmenter, output):
    network = write_segmenter(tmp_path / "other.onnx", output=output)
    maker = open_map_maker(replace(segmenter, network=network), ("blue", "red"), CPU)
    # Green is no class to be learned, so it is background.
    image = labeled("a.png", np.vstack([halves(1, 3), halves(2, 0)]))
    drawn = maker.draw(image.read_bytes())
    assert drawn[0, [0, -1]].tolist() == [2, 1]
    assert not drawn[-1].any()


def test_unsure_pixels_are_void_where_there_are_scores():
    shares = torch.tensor([[[0.4, 0.3, 0.3], [0.1, 0.8, 0.1]]])
    assert most_probable(shares[None], 3).tolist() == [[VOID, 1]]
    # Scores that are no probabilities go through a softmax.
    scores = torch.tensor([[[0.2, 0.1, 0.0], [-9.0, 9.0, 0.0]]])
    assert most_probable(scores[None], 3).tolist() == [[VOID, 1]]
    numbers = torch.tensor([[[0.0, 2.0]]])
    assert most_probable(numbers, 3).tolist() == [[0, 2]]
    assert most_probable(numbers[None], 3).tolist() == [[0, 2]]


@pytest.mark.parametrize(
    "output", [torch.full((1, 4, 4), 21.0), torch.zeros(1, 1000), torch.zeros(1, 5, 4, 4)]
)
def test_what_is_no_map_of_the_named_classes_is_refused(output):
    with pytest.raises(UsageError, match="is no map of the 21 classes that were named"):
        most_probable(output, 21)


def test_a_map_with_next_to_nothing_in_it_is_void():
    almost_empty = np.zeros((20, 20), np.uint8)
    almost_empty[0, :3] = 1
    assert (void_if_empty(almost_empty) == VOID).all()
    almost_empty[0, 3] = 1
    assert void_if_empty(almost_empty) is almost_empty
    assert (void_if_empty(np.full((4, 4), VOID, np.uint8)) == VOID).all()


def test_true_maps_stay_and_missing_ones_are_drawn_once(tmp_path, segmenter):
    true = labeled("true.png", halves(3, 3))
    plain = unmapped(halves(1, 2))
    dataset = ToyDataset([true, plain[0]], has_label_maps=False)
    mapped = with_pseudo_maps(dataset, segmenter, tmp_path / "maps", 8, CPU, "digest")
    assert mapped.has_label_maps
    assert (mapped[0].read_label_map() == 3).all()
    first = mapped[1].read_label_map()
    assert first.shape == (8, 8)
    assert (first[:, 0].tolist(), first[:, -1].tolist()) == ([1] * 8, [2] * 8)
    # The second time it comes from the file, not from the network.
    unread = replace(plain[0], read_bytes=lambda: b"no picture")
    again = ToyDataset([true, unread], has_label_maps=False)
    mapped = with_pseudo_maps(again, segmenter, tmp_path / "maps", 8, CPU, "digest")
    np.testing.assert_array_equal(mapped[1].read_label_map(), first)


def test_other_pictures_networks_or_names_need_other_maps(tmp_path, segmenter):
    dataset = unmapped(halves(1, 2))

    def is_kept(changed, digest="digest"):
        with_pseudo_maps(dataset, segmenter, tmp_path / "m", 8, CPU, "digest")[0].read_label_map()
        with_pseudo_maps(dataset, changed, tmp_path / "m", 8, CPU, digest)
        return bool(np.fromfile(tmp_path / "m.done", np.uint8)[0])

    other = write_segmenter(tmp_path / "other.onnx", steepness=3.0)
    assert is_kept(segmenter)
    assert not is_kept(segmenter, "other pictures")
    assert not is_kept(replace(segmenter, network=other))
    assert not is_kept(replace(segmenter, without=("red",)))


def test_an_unknown_part_is_refused_and_the_others_are_named(tmp_path, segmenter):
    with pytest.raises(UsageError, match="no data set 'photos' to draw label maps for; there are"):
        with_pseudo_maps(
            unmapped(halves(1, 2)),
            replace(segmenter, parts=("photos",)),
            tmp_path / "m",
            8,
            CPU,
            "digest",
        )


def test_maps_drawn_before_a_kill_are_kept_and_the_others_follow(tmp_path, rng):
    maps = rng.integers(0, 4, (5, 8, 8)).astype(np.uint8)
    key = {"pictures": "a"}

    def draw():
        cache = MapCache(tmp_path / "maps", len(maps), 8, key)
        for position in range(len(maps)):
            if cache.read(position) is None:
                cache.write(position, maps[position])
                failpoint("test.drawn")

    kill_at("test.drawn:3", draw)
    cache = MapCache(tmp_path / "maps", len(maps), 8, key)
    found = [cache.read(position) for position in range(len(maps))]
    np.testing.assert_array_equal(found[:3], maps[:3])
    assert found[3:] == [None, None]
    draw()
    np.testing.assert_array_equal([cache.read(i) for i in range(5)], maps)


def test_a_cache_begun_for_something_else_is_not_taken_for_it_after_a_kill(tmp_path):
    old = MapCache(tmp_path / "maps", 2, 8, {"pictures": "a"})
    old.write(0, np.ones((8, 8), np.uint8))
    kill_at("atomic.begin:1", lambda: MapCache(tmp_path / "maps", 2, 8, {"pictures": "b"}))
    assert not (tmp_path / "maps.json").exists()
    assert MapCache(tmp_path / "maps", 2, 8, {"pictures": "b"}).read(0) is None
    assert json.loads((tmp_path / "maps.json").read_text())["pictures"] == "b"


def test_a_maker_stretches_pictures_to_what_its_network_reads(tmp_path):
    network = open_network(write_segmenter(tmp_path / "net.onnx"), "imagenet", CPU)
    maker = MapMaker(network, match_classes(NAMES, NAMES[1:]), len(NAMES))
    label_map = halves(1, 3, side=48)
    drawn = maker.draw(labeled("a.png", label_map).read_bytes())
    assert drawn.shape == (SIDE, SIDE)
    assert paint(label_map).shape == (48, 48, 3)
    assert (drawn[:, :7] == 1).all()
    assert (drawn[:, 9:] == 3).all()
