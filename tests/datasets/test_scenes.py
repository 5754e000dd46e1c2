from collections import Counter

import numpy as np
import pytest

from lookalike.datasets.scene_captions import describe
from lookalike.datasets.scene_objects import KINDS
from lookalike.datasets.scene_painting import clear_traces
from lookalike.datasets.scene_placement import MIN_VISIBLE, Piece, Place, visible_parts
from lookalike.datasets.scenes import (
    CLASSES,
    THINGS,
    Scene,
    mirror,
    render_mirror_pair,
    render_scene,
    scene_generator,
)

N = 300
WATER = CLASSES.index("water") + 1


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(scene_generator(5, number), px=64) for number in range(N)]


def test_equal_generators_give_equal_scenes_and_others_give_others() -> None:
    first, again, other = (render_scene(scene_generator(3, n)) for n in (8, 8, 9))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.label_map, again.label_map)
    assert first.caption == again.caption
    assert not np.array_equal(first.pixels, other.pixels)


def test_every_pixel_of_a_thing_is_labeled_as_the_thing(scenes: list[Scene]) -> None:
    for scene in scenes:
        values = np.array([0] + [thing.label + 1 for thing in scene.things])
        shows_thing = scene.instance_map > 0
        assert np.array_equal(scene.label_map[shows_thing], values[scene.instance_map[shows_thing]])
        assert not np.isin(scene.label_map[~shows_thing] - 1, sorted(THINGS)).any()


def test_labels_are_the_classes_that_are_visible(scenes: list[Scene]) -> None:
    for scene in scenes:
        values, counts = np.unique(scene.label_map[scene.label_map > 0], return_counts=True)
        assert scene.labels == tuple((values - 1).tolist())
        assert counts.min() >= MIN_VISIBLE * scene.label_map.size
        assert (scene.label_map == 0).mean() < 2 * MIN_VISIBLE


def test_stuff_of_which_next_to_nothing_is_seen_is_no_label() -> None:
    label_map = np.full((100, 100), 4, np.uint8)
    label_map[0, :29] = 1
    label_map[1, :30] = 2
    clear_traces(label_map)
    assert label_map[0, :29].tolist() == [0] * 29
    assert label_map[1, :30].tolist() == [2] * 30
    assert np.count_nonzero(label_map == 4) == 10_000 - 29 - 30


def test_boxes_enclose_what_is_visible(scenes: list[Scene]) -> None:
    for scene in scenes:
        for number, thing in enumerate(scene.things, start=1):
            left, top, right, bottom = thing.box
            mask = scene.instance_map == number
            assert mask[top:bottom, left:right].sum() == mask.sum() > 0
            assert mask[top].any()
            assert mask[bottom - 1].any()
            assert mask[:, left].any()
            assert mask[:, right - 1].any()


def test_scenes_have_one_to_five_things_of_every_kind_in_every_light(scenes: list[Scene]) -> None:
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4, 5}
    seen = Counter(label for scene in scenes for label in scene.labels)
    assert set(seen) == set(range(len(CLASSES)))
    assert min(seen.values()) > 0.03 * N
    assert {scene.light for scene in scenes} == {"clear", "cloudy", "dawn", "dusk", "night"}


def test_a_third_of_all_pairs_of_scenes_share_a_thing(scenes: list[Scene]) -> None:
    has = np.zeros((N, len(CLASSES)), np.int64)
    for row, scene in enumerate(scenes):
        has[row, list(scene.labels)] = 1
    things = has[:, sorted(THINGS)]
    share = (things @ things.T > 0)[np.triu_indices(N, 1)].mean()
    assert 0.30 <= share <= 0.40


def test_what_a_thing_is_does_not_tell_whether_it_is_left_or_right(scenes: list[Scene]) -> None:
    for label in THINGS:
        centers = [
            (thing.box[0] + thing.box[2]) / 2 / scene.label_map.shape[1]
            for scene in scenes
            for thing in scene.things
            if thing.label == label
        ]
        assert abs(np.mean(centers) - 0.5) < 4 * 0.3 / np.sqrt(len(centers))
        assert np.std(centers) > 0.15


def test_color_alone_does_not_tell_what_a_thing_is(scenes: list[Scene]) -> None:
    colors, labels = [], []
    for scene in scenes:
        for number, thing in enumerate(scene.things, start=1):
            colors.append(scene.pixels[scene.instance_map == number].mean(axis=0))
            labels.append(thing.label)
    rows, truth = np.array(colors), np.array(labels)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = truth[distances.argmin(axis=1)]
    assert (nearest == truth).mean() < 0.5


def test_boats_float_and_the_sun_does_not_drown(scenes: list[Scene]) -> None:
    for scene in scenes:
        height = len(scene.label_map)
        for number, thing in enumerate(scene.things, start=1):
            left, _, right, bottom = thing.box
            below = scene.label_map[min(bottom, height - 1), (left + right) // 2]
            if CLASSES[thing.label] == "boat" and bottom < height:
                assert below == WATER or below - 1 in THINGS
            if CLASSES[thing.label] in ("sun", "moon"):
                ring = scene.label_map[max(0, thing.box[1] - 1) : bottom + 1, left:right]
                around = ring[scene.instance_map[max(0, thing.box[1] - 1) : bottom + 1, left:right]
                              != number]  # fmt: skip
                assert not np.isin(around, [WATER]).mean() > 0.5


def test_the_sun_shines_where_the_label_map_says(scenes: list[Scene]) -> None:
    sun = CLASSES.index("sun")
    suns = [
        scene.pixels[scene.instance_map == number].mean(axis=0)
        for scene in scenes
        for number, thing in enumerate(scene.things, start=1)
        if thing.label == sun
    ]
    assert len(suns) > 20
    red, green, blue = np.array(suns).T
    assert (red > 200).all()
    assert (green > blue + 20).all()


def test_near_things_hide_far_ones_and_what_is_hidden_is_left_out() -> None:
    far, near = _block(4, 4, 10, 10), _block(6, 6, 6, 6)
    instance_map, visible = visible_parts([far, near], px=16)
    assert visible == [far, near]
    assert instance_map[5, 5] == 1
    assert instance_map[8, 8] == 2
    assert np.count_nonzero(instance_map == 1) == 100 - 36
    hidden = _block(7, 7, 4, 4)
    instance_map, visible = visible_parts([hidden, far, near], px=16)
    assert visible == [far, near]
    assert instance_map.max() == 2


def test_things_may_leave_the_picture() -> None:
    instance_map, visible = visible_parts([_block(-2, 8, 10, 10)], px=16)
    assert len(visible) == 1
    expected = np.zeros((16, 16), np.uint8)
    expected[8:, :8] = 1
    assert np.array_equal(instance_map, expected)


def _block(left: int, top: int, width: int, height: int) -> Piece:
    place = Place(KINDS[0], left, top, width, height)
    return Piece(place, np.ones((4, height, width), np.float32))


def test_a_mirrored_scene_is_the_same_scene_the_other_way_round() -> None:
    scene, mirrored = render_mirror_pair(scene_generator(6, 0), px=64)
    assert np.array_equal(mirrored.pixels, scene.pixels[:, ::-1])
    assert np.array_equal(mirrored.label_map, scene.label_map[:, ::-1])
    assert mirrored.labels == scene.labels
    left, top, right, bottom = scene.things[0].box
    assert mirrored.things[0].box == (64 - right, top, 64 - left, bottom)
    assert mirror(mirrored).caption == scene.caption
    assert np.array_equal(mirror(mirrored).pixels, scene.pixels)


def test_mirror_pairs_are_not_symmetric() -> None:
    for number in range(20):
        scene, mirrored = render_mirror_pair(scene_generator(7, number), px=64)
        assert (scene.label_map == mirrored.label_map).mean() <= 0.85


def test_captions_name_the_largest_things_and_swap_sides_when_mirrored() -> None:
    stuff = {"sky", "grass"}
    boxes = [("dog", (10, 50, 20, 60)), ("tree", (40, 20, 60, 60)), ("house", (0, 20, 30, 60))]
    assert describe(boxes, stuff, "clear") == (
        "A house left of a tree in the meadow on a clear day."
    )
    flipped = [(name, (64 - x1, y0, 64 - x0, y1)) for name, (x0, y0, x1, y1) in boxes]
    assert describe(flipped, stuff, "clear") == (
        "A house right of a tree in the meadow on a clear day."
    )


@pytest.mark.parametrize(
    ("things", "sentence"),
    [
        ([("sun", (0, 0, 9, 9))], "The sun by the water at night."),
        ([("cow", (0, 0, 9, 9)), ("cow", (0, 30, 6, 34))],
         "A cow above another cow by the water at night."),
        ([], "An empty scene by the water at night."),
    ],
)  # fmt: skip
def test_captions_of_one_thing_two_alike_and_none(things: list, sentence: str) -> None:
    assert describe(things, {"water", "hills"}, "night") == sentence


def test_pictures_of_any_size_can_be_drawn() -> None:
    for px in (32, 33, 200):
        scene = render_scene(scene_generator(1, 0), px)
        assert scene.pixels.shape == (px, px, 3)
        assert scene.label_map.shape == (px, px)
        assert scene.things
