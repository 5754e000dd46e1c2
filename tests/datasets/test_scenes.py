import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.datasets import open_dataset, scene_files
from lookalike.datasets.coco import open_coco
from lookalike.datasets.scene_captions import describe
from lookalike.datasets.scene_objects import KINDS
from lookalike.datasets.scene_painting import clear_traces
from lookalike.datasets.scene_placement import MIN_VISIBLE, Piece, Place, visible_parts
from lookalike.datasets.scenes import (
    CLASSES,
    GENERATOR_VERSION,
    PALETTE,
    SUPERCATEGORIES,
    THINGS,
    Scene,
    colorize,
    mirror,
    open_scenes,
    render_mirror_pair,
    render_scene,
    scene_generator,
    write_mirror_pairs,
    write_scenes,
)
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.progress import SILENT

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


def test_written_scenes_are_a_coco_folder_with_the_exact_label_maps(tmp_path: Path) -> None:
    write_scenes(tmp_path / "set", 12, 4, pictures_px=64)
    dataset = open_coco(tmp_path / "set")
    assert dataset.classes == CLASSES
    assert dataset.relevant_classes == THINGS
    assert len(dataset) == 12
    for number in range(12):
        scene, picture = render_scene(scene_generator(4, number), px=64), dataset[number]
        assert picture.name == f"{number:06d}.jpg"
        assert picture.labels == scene.labels
        assert picture.captions == (scene.caption,)
        assert np.array_equal(picture.read_label_map(), scene.label_map)
        with Image.open(picture.path) as stored:
            difference = np.abs(np.asarray(stored, np.float32) - scene.pixels)
        assert difference.mean() < 8


def test_annotations_are_complete_and_agree_with_the_masks(tmp_path: Path) -> None:
    write_scenes(tmp_path / "set", 3, 4, pictures_px=64)
    content = json.loads((tmp_path / "set/annotations/instances.json").read_text())
    assert [entry["name"] for entry in content["categories"]] == list(CLASSES)
    assert [entry["supercategory"] for entry in content["categories"]] == list(SUPERCATEGORIES)
    assert [entry["isthing"] for entry in content["categories"]] == [
        int(label in THINGS) for label in range(len(CLASSES))
    ]
    first = [entry for entry in content["annotations"] if entry["image_id"] == 1]
    scene = render_scene(scene_generator(4, 0), px=64)
    areas = Counter()
    for entry in first:
        areas[entry["category_id"]] += entry["area"]
        assert entry["iscrowd"] == 0
    values, counts = np.unique(scene.label_map[scene.label_map > 0], return_counts=True)
    assert dict(areas) == dict(zip(values.tolist(), counts.tolist(), strict=True))
    thing = next(entry for entry in first if entry["category_id"] - 1 in THINGS)
    left, top, right, bottom = scene.things[0].box
    assert thing["bbox"] == [left, top, right - left, bottom - top]


def test_bytes_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_files, "_SCENES_PER_WORKER", 2)
    write_scenes(tmp_path / "one", 7, 3, pictures_px=32, workers=1)
    write_scenes(tmp_path / "three", 7, 3, pictures_px=32, workers=3)
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "three")
    assert len(_bytes(tmp_path / "one")) == 7 + 2


def test_a_small_set_is_the_beginning_of_a_large_one(tmp_path: Path) -> None:
    write_scenes(tmp_path / "small", 3, 3, pictures_px=32)
    write_scenes(tmp_path / "large", 5, 3, pictures_px=32)
    pictures = {name: b for name, b in _bytes(tmp_path / "large").items() if name[0] == "i"}
    small = {name: b for name, b in _bytes(tmp_path / "small").items() if name[0] == "i"}
    assert small.items() < pictures.items()


def test_written_mirror_pairs_lie_side_by_side(tmp_path: Path) -> None:
    write_mirror_pairs(tmp_path / "pairs", 4, 2, pictures_px=64)
    dataset = open_coco(tmp_path / "pairs")
    assert len(dataset) == 8
    for number in range(4):
        scene, mirrored = dataset[2 * number], dataset[2 * number + 1]
        assert (scene.name, mirrored.name) == (
            f"{number:06d}-scene.jpg",
            f"{number:06d}-mirror.jpg",
        )
        assert np.array_equal(scene.read_label_map()[:, ::-1], mirrored.read_label_map())


def test_scenes_are_drawn_once_and_kept_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    dataset = open_scenes(3, 9)
    assert dataset.name == "scenes:3:9"
    assert dataset.palette == PALETTE
    folder = tmp_path / "cache" / f"scenes-{GENERATOR_VERSION}-3-9"
    assert _names(tmp_path / "cache") == [folder.name]
    made = (folder / "annotations/instances.json").stat().st_mtime_ns
    again = open_dataset("scenes:3:9")
    assert (folder / "annotations/instances.json").stat().st_mtime_ns == made
    assert again[2].labels == dataset[2].labels
    assert again[2].read_bytes() == dataset[2].read_bytes()
    by_group = open_scenes(3, 9, level="supercategories")
    assert set(by_group.classes) == set(SUPERCATEGORIES)


def test_two_may_open_the_same_scenes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path))
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: len(open_scenes(20, 1)), range(4)))
    assert opened == [20] * 4
    assert _names(tmp_path) == [f"scenes-{GENERATOR_VERSION}-20-1"]


def test_leftovers_of_killed_processes_are_removed_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path))
    name = f"scenes-{GENERATOR_VERSION}-1-0"
    old, young = tmp_path / f".{name}.0123abcd", tmp_path / f".{name}.4567abcd"
    old.mkdir()
    young.mkdir()
    os.utime(old, (0, 0))
    open_scenes(1)
    assert _names(tmp_path) == [young.name, name]


class _Stopped(Exception):
    pass


class _StopsAfterThree:
    """A progress whose listener gives up after three pictures."""

    done = 0

    @contextmanager
    def task(self, description: str, total: int | None = None, unit: str = "images"):
        yield self

    def advance(self, n: int = 1) -> None:
        self.done += n
        if self.done == 3:
            raise _Stopped

    def expect(self, total: int) -> None: ...

    def note(self, text: str) -> None: ...


def test_an_interrupted_set_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(_Stopped):
        write_scenes(tmp_path / "set", 9, pictures_px=32, progress=_StopsAfterThree())
    assert _names(tmp_path) == []


@pytest.mark.parametrize("n", [0, -5, 100_001])
def test_rejects_a_number_of_scenes_that_cannot_be_meant(n: int) -> None:
    with pytest.raises(UsageError, match=rf"a set of {n} scenes cannot be made; ask for 1 to"):
        open_scenes(n)


def test_rejects_seeds_and_sizes_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the seed of the scenes is -1; give a number from 0"):
        write_scenes(tmp_path / "set", 1, -1)
    with pytest.raises(UsageError, match="pictures of 16 pixels cannot be drawn; choose 32"):
        write_scenes(tmp_path / "set", 1, pictures_px=16)


def test_rejects_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(UsageError, match="exists already; choose a new folder"):
        write_scenes(tmp_path, 1)
    assert _names(tmp_path) == ["diary.txt"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    write_scenes(tmp_path, 1, pictures_px=32)
    assert len(open_coco(tmp_path)) == 1


def test_says_so_when_the_folder_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "file"))
    with pytest.raises(EnvironmentFault, match=r"cannot be written .*check space.*CACHE"):
        open_scenes(1)


def test_says_so_when_a_worker_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_files, "_SCENES_PER_WORKER", 1)
    job = scene_files.Job(str(tmp_path / "nowhere"), 0, 0, 2, 32, mirrored=False)
    with (
        SILENT.task("Drawing") as task,
        pytest.raises(EnvironmentFault, match=r"draws scenes failed: FileNotFoundError.*nowhere"),
    ):
        scene_files.write_coco(tmp_path, job, workers=2, task=task)


def test_label_maps_are_drawn_in_the_palette() -> None:
    assert len(set(PALETTE)) == len(CLASSES) + 1
    drawn = colorize(np.array([[0, 7, 255]], np.uint8))
    assert drawn.tolist() == [[[0, 0, 0], list(PALETTE[7]), [128, 128, 128]]]


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
