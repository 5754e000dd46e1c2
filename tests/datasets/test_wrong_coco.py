"""COCO files that contradict themselves are refused in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.datasets.coco import open_coco
from lookalike.errors import DatasetError
from tests.datasets.tiny_sets import CAPTIONS, box, coco, save_picture, write_coco

CAR = 1


def _without(document: dict[str, Any], *path: str | int) -> dict[str, Any]:
    *parents, last = path
    inner: Any = document
    for key in parents:
        inner = inner[key]
    del inner[last]
    return document


def _with(document: dict[str, Any], value: object, *path: str | int) -> dict[str, Any]:
    *parents, last = path
    inner: Any = document
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([1, 2], "is not COCO: it holds a list"),
        (_without(coco(), "images"), "is not COCO: it has no 'images'"),
        (_without(coco(), "annotations"), "is not COCO: it has no 'annotations'"),
        (_without(coco(), "categories"), "is not COCO: it has no 'categories'"),
        (_with(coco(), {"a": 1}, "images"), "'images' is no list of objects"),
        (_with(coco(), [3], "annotations"), "'annotations' is no list of objects"),
        (_without(coco(), "images", 1, "file_name"), "image number 2 has no 'file_name'"),
        (_without(coco(), "images", 1, "width"), "image number 2 has no 'width'"),
        (_with(coco(), -4, "images", 1, "width"), "'width' is -4; it is a number of pixels"),
        (_with(coco(), 30, "images", 1, "id"), "the id 30 is used twice"),
        (_with(coco(), "a.png", "images", 1, "file_name"), "2 pictures are called 'a.png'"),
        (_with(coco(), None, "images", 1, "id"), "'id' is None; it is a number or text"),
        (_with(coco(), [], "images"), "annotation 1 refers to image 30, .* among the 0"),
        (_with(coco(), [], "categories"), "refers to category 55, .* among the 0"),
        ({"images": [], "categories": [], "annotations": []}, "nothing in it: the list 'images'"),
        (
            coco() | {"categories": [], "annotations": []},
            "nothing in it: the list 'categories' is empty",
        ),
        (_with(coco(), 7, "categories", 0, "id"), "category id 7 is both 'cat' and 'car'"),
        (_with(coco(), "car", "categories", 0, "name"), "2 categories are called 'car'"),
        (_with(coco(), 99, "annotations", 0, "image_id"), "annotation 1 refers to image 99"),
        (_with(coco(), 99, "annotations", 0, "category_id"), "annotation 1 refers to category 99"),
        (_without(coco(), "annotations", 0, "category_id"), "annotation 1 has no 'category_id'"),
        (_without(coco(), "annotations", 0, "id"), "annotation number 1 has no 'id'"),
        (_without(coco(), "annotations", 0, "segmentation"), "neither 'segmentation' nor 'bbox'"),
        (
            _with(coco(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "annotations", 0, "segmentation"),
            "annotation 1: 'segmentation' holds 1.0 where a polygon",
        ),
        (_with(coco(), 5, "annotations", 0, "segmentation"), "'segmentation' is 5; COCO has"),
        (_with(coco(), [[1] * 7], "annotations", 0, "segmentation"), "a polygon has 7 coordinates"),
        (_with(coco(), ["1234"], "annotations", 0, "segmentation"), "holds '1234' where a polygon"),
        (_with(coco(), [1], "annotations", 2, "segmentation", "size"), "have the size .1.; it is"),
        (_with(coco(), 9, "annotations", 2, "segmentation", "counts"), "have the counts 9"),
        (_with(coco(), [[]], "annotations", 2, "segmentation", "counts"), "have the counts"),
    ],
)
def test_rejects_a_json_that_contradicts_itself(
    tmp_path: Path, document: object, message: str
) -> None:
    folder = write_coco(tmp_path, document)
    with pytest.raises(DatasetError, match=message) as caught:
        open_coco(folder)
    assert "instances.json" in str(caught.value) or "annotations" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_rejects_what_is_no_json(tmp_path: Path, content: bytes) -> None:
    folder = write_coco(tmp_path, coco())
    (folder / "annotations" / "instances.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"instances.json is no JSON"):
        open_coco(folder)


def test_rejects_captions_alone(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco(), CAPTIONS)
    (folder / "annotations" / "instances.json").unlink()
    with pytest.raises(DatasetError, match="holds captions only"):
        open_coco(folder)


def test_rejects_files_that_contradict_each_other(tmp_path: Path) -> None:
    captions = {"images": [coco()["images"][0] | {"width": 9}], "annotations": []}
    with pytest.raises(DatasetError, match=r"image id 30 .*8 x 6.*9 x 6.*do not belong"):
        open_coco(write_coco(tmp_path, coco(), captions))


def test_says_how_many_pictures_are_missing(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    (folder / "images" / "b.png").unlink()
    (folder / "images" / "sub" / "c.png").unlink()
    with pytest.raises(DatasetError, match=r"2 of 3 pictures .* the first is 'b.png'"):
        open_coco(folder)


def test_never_leaves_its_folder(tmp_path: Path) -> None:
    save_picture(tmp_path / "secret.png", 8, 6)
    for name in ("../../secret.png", str(tmp_path / "secret.png")):
        document = _with(coco(), name, "images", 0, "file_name")
        with pytest.raises(DatasetError, match="1 of 3 pictures"):
            open_coco(write_coco(tmp_path / "set", document))


def test_rejects_more_classes_than_a_label_map_holds(tmp_path: Path) -> None:
    document = coco()
    document["categories"] += [
        {"id": 1000 + i, "name": f"c{i}", "supercategory": "many"} for i in range(252)
    ]
    folder = write_coco(tmp_path, document)
    with pytest.raises(DatasetError, match="has 255 classes, and label maps hold 254"):
        open_coco(folder)
    assert len(open_coco(folder, "supercategories").classes) == 3


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        (box(0, 0, 20, 4), r"b.png, annotation 4: polygon reaches \(20, 0\) in a picture of 4 x 4"),
        (box(-9, 0, 2, 4), r"polygon reaches \(-9, 0\)"),
        ([[float("nan")] * 6], r"polygon reaches \(nan, nan\)"),
        ([[1e300] * 6], "polygon reaches"),
        ({"size": [6, 8], "counts": [42, 6]}, "run lengths for 8 x 6 pixels in a picture of 4 x 4"),
        ({"size": [4, 4], "counts": [4, 6]}, "run lengths cover 10 of 16 pixels"),
        ({"size": [4, 4], "counts": [-4, 20]}, "run lengths cover 16 of 16 pixels"),
        ({"size": [4, 4], "counts": ""}, "run lengths cover 0 of 16 pixels"),
        ({"size": [4, 4], "counts": "`"}, "run lengths cover 0 of 16 pixels"),
        ({"size": [4, 4], "counts": "é€ooo"}, "the annotation is damaged"),
    ],
)
def test_rejects_outlines_that_do_not_fit_the_picture(
    tmp_path: Path, segmentation: object, message: str
) -> None:
    document = _with(coco(), segmentation, "annotations", 3, "segmentation")
    image = open_coco(write_coco(tmp_path, document))[1]
    with pytest.raises(DatasetError, match=message):
        image.read_label_map()


def test_cuts_off_what_a_polygon_overshoots(tmp_path: Path) -> None:
    document = _with(coco(), box(-2, -2, 6, 6), "annotations", 3, "segmentation")
    label_map = open_coco(write_coco(tmp_path, document))[1].read_label_map()
    np.testing.assert_array_equal(label_map, np.full((4, 4), CAR, np.uint8))


def test_rejects_a_picture_of_another_size_than_the_json_says(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    save_picture(folder / "images" / "b.png", 7, 4)
    image = open_coco(folder)[1]
    with pytest.raises(DatasetError, match=r"b.png is 7 x 4 pixels, but .* says 4 x 4"):
        image.read_label_map()
