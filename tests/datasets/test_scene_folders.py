"""Scenes written as a data set, by several processes, whole or not at all."""

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
from lookalike.datasets.scenes import (
    CLASSES,
    GENERATOR_VERSION,
    PALETTE,
    SUPERCATEGORIES,
    THINGS,
    colorize,
    open_scenes,
    render_scene,
    scene_generator,
    write_mirror_pairs,
    write_scenes,
)
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.progress import SILENT


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
