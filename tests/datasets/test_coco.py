"""COCO data sets: what is read, what is painted, and what is refused."""

import json
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from lookalike.datasets.base import palette
from lookalike.datasets.coco import open_coco
from lookalike.datasets.regions import Region, paint, parse_shape
from lookalike.datasets.scenes import PALETTE, write_scenes
from lookalike.errors import DatasetError
from tests.datasets.tiny_sets import CAPTIONS, box, coco, save_picture, write_coco

VOID = 255
CAR, DOG, CAT = 1, 2, 3


def test_classes_follow_ascending_category_ids(tmp_path: Path) -> None:
    dataset = open_coco(write_coco(tmp_path / "pets", coco()))
    assert dataset.name == "pets"
    assert dataset.classes == ("car", "dog", "cat")
    assert dataset.relevant_classes == {0, 1, 2}
    assert len(dataset.palette) == 4
    assert dataset.has_label_maps
    assert not dataset.is_single_label


def test_supercategories_follow_their_first_appearance(tmp_path: Path) -> None:
    dataset = open_coco(write_coco(tmp_path, coco()), "supercategories")
    assert dataset.classes == ("vehicle", "animal")
    assert [image.labels for image in dataset] == [(1,), (0,), ()]
    label_map = dataset[0].read_label_map()
    assert set(np.unique(label_map).tolist()) == {0, 2, VOID}


def test_a_missing_supercategory_is_the_category_itself(tmp_path: Path) -> None:
    document = coco()
    del document["categories"][1]["supercategory"]
    dataset = open_coco(write_coco(tmp_path, document), "supercategories")
    assert dataset.classes == ("car", "animal")


def test_pictures_come_in_the_order_of_the_json_with_labels_and_captions(tmp_path: Path) -> None:
    dataset = open_coco(write_coco(tmp_path, coco(), CAPTIONS))
    assert dataset.names == ("a.png", "b.png", "sub/c.png")
    assert [image.labels for image in dataset] == [(1, 2), (0,), ()]
    assert [image.captions for image in dataset] == [(), ("A car.", "Half a car."), ()]
    assert dataset[2].path == tmp_path / "images" / "sub" / "c.png"
    assert dataset[2].read_bytes() == (tmp_path / "images" / "sub" / "c.png").read_bytes()


def test_larger_instances_are_painted_first_and_crowds_are_void(tmp_path: Path) -> None:
    dataset = open_coco(write_coco(tmp_path, coco()))
    expected = np.array(
        [
            [0, 0, 0, 0, 0, 0, 0, 255],
            [0, 3, 3, 3, 3, 3, 3, 255],
            [0, 3, 2, 2, 3, 3, 3, 255],
            [0, 3, 2, 2, 3, 3, 3, 255],
            [0, 3, 3, 3, 3, 3, 3, 255],
            [0, 0, 0, 0, 0, 0, 0, 255],
        ],
        np.uint8,
    )
    np.testing.assert_array_equal(dataset[0].read_label_map(), expected)


def test_a_picture_without_annotation_is_all_background(tmp_path: Path) -> None:
    label_map = open_coco(write_coco(tmp_path, coco()))[2].read_label_map()
    np.testing.assert_array_equal(label_map, np.zeros((3, 5), np.uint8))


def test_a_crowd_lies_below_any_instance(tmp_path: Path) -> None:
    document = coco()
    document["annotations"][2]["segmentation"] = {"size": [6, 8], "counts": [18, 2, 28]}
    label_map = open_coco(write_coco(tmp_path, document))[0].read_label_map()
    assert VOID in label_map
    assert label_map[2, 3] == DOG
    assert label_map[1, 3] == CAT


def test_a_crowd_alone_gives_no_label(tmp_path: Path) -> None:
    document = coco()
    document["annotations"] = document["annotations"][2:3]
    dataset = open_coco(write_coco(tmp_path, document))
    assert dataset[0].labels == ()
    assert VOID in dataset[0].read_label_map()


def test_compressed_run_lengths_are_the_same_as_lists(tmp_path: Path) -> None:
    document = coco()
    compressed = coco_mask.frPyObjects({"size": [6, 8], "counts": [42, 6]}, 6, 8)
    document["annotations"][2]["segmentation"]["counts"] = compressed["counts"].decode()
    ours = open_coco(write_coco(tmp_path / "text", document))[0].read_label_map()
    theirs = open_coco(write_coco(tmp_path / "list", coco()))[0].read_label_map()
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_painting_agrees_with_pycocotools_on_random_polygons(rng: np.random.Generator) -> None:
    height, width = 40, 50
    for _ in range(20):
        polygons = [(rng.random((5, 2)) * (width, height)).ravel().tolist() for _ in range(4)]
        regions = [
            Region(i, i + 1, parse_shape([polygon], "")) for i, polygon in enumerate(polygons)
        ]
        masks = [_decoded_by_pycocotools(polygon, height, width) for polygon in polygons]
        expected = np.zeros((height, width), np.uint8)
        for i in sorted(range(4), key=lambda i: -masks[i].sum(dtype=int)):
            for y, x in np.argwhere(masks[i]):
                expected[y, x] = i + 1
        np.testing.assert_array_equal(paint(regions, height, width, ""), expected)


def _decoded_by_pycocotools(polygon: list[float], height: int, width: int) -> np.ndarray:
    return coco_mask.decode(coco_mask.frPyObjects([polygon], height, width))[..., 0]


def test_random_run_lengths_survive_compression(rng: np.random.Generator) -> None:
    for density in (0.01, 0.3, 0.99):
        mask = np.asfortranarray(rng.random((33, 47)) < density).astype(np.uint8, order="F")
        shape = parse_shape(
            {"size": [33, 47], "counts": coco_mask.encode(mask)["counts"].decode()}, ""
        )
        np.testing.assert_array_equal(paint([Region(1, 1, shape)], 33, 47, ""), mask)


@pytest.mark.parametrize("extra", [[[1, 1, 2, 2]], [[1, 1, 2, 2, 3, 3], [0, 0]], [[]]])
def test_polygons_without_area_cover_nothing(tmp_path: Path, extra: list[list[float]]) -> None:
    # pycocotools takes four numbers for a box: corner, width, height.
    document = coco()
    document["annotations"][3]["segmentation"] = extra
    label_map = open_coco(write_coco(tmp_path / "alone", document))[1].read_label_map()
    assert not label_map.any()
    document["annotations"][3]["segmentation"] = extra + box(0, 0, 1, 4)
    label_map = open_coco(write_coco(tmp_path / "first", document))[1].read_label_map()
    np.testing.assert_array_equal(label_map[:, 0], [CAR] * 4)
    assert not label_map[:, 1:].any()


def test_polygons_with_holes_in_between_are_one_instance(tmp_path: Path) -> None:
    document = coco()
    document["annotations"] = [
        {
            "id": 1,
            "image_id": 10,
            "category_id": 7,
            "segmentation": box(0, 0, 1, 4) + box(3, 0, 4, 4) + [[1, 1, 2, 2]],
        }
    ]
    label_map = open_coco(write_coco(tmp_path, document))[1].read_label_map()
    np.testing.assert_array_equal(label_map, np.tile(np.array([1, 0, 0, 1], np.uint8), (4, 1)))


def test_things_are_relevant_where_the_set_tells_things_from_stuff(tmp_path: Path) -> None:
    document = coco()
    for category, isthing in zip(document["categories"], (1, 0, 1), strict=True):
        category["isthing"] = isthing
    folder = write_coco(tmp_path, document)
    assert open_coco(folder).relevant_classes == {1, 2}
    assert open_coco(folder, "supercategories").relevant_classes == {1}


def test_a_set_of_stuff_alone_is_relevant_as_a_whole(tmp_path: Path) -> None:
    document = coco()
    for category in document["categories"]:
        category["isthing"] = 0
    assert open_coco(write_coco(tmp_path, document)).relevant_classes == {0, 1, 2}


def test_an_instance_with_only_a_box_is_void_in_the_map_and_keeps_its_label(tmp_path: Path) -> None:
    document = coco()
    document["annotations"][3] |= {"segmentation": [], "bbox": [0, 0, 2, 4]}
    image = open_coco(write_coco(tmp_path, document))[1]
    assert image.labels == (0,)
    np.testing.assert_array_equal(
        image.read_label_map(), np.tile(np.array([255, 255, 0, 0], np.uint8), (4, 1))
    )


def test_a_set_of_boxes_has_no_label_maps(tmp_path: Path) -> None:
    document = coco()
    for annotation in document["annotations"]:
        del annotation["segmentation"]
        annotation["bbox"] = [0.5, 0, 2, 2]
    dataset = open_coco(write_coco(tmp_path, document))
    assert not dataset.has_label_maps
    assert dataset[0].read_label_map is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_annotations_on_stored_pixels_are_turned_with_the_picture(
    tmp_path: Path, orientation: int
) -> None:
    # Stored 8 x 6. Where the turned picture is 6 x 8, the JSON's 8 x 6 means stored pixels.
    folder = write_coco(tmp_path, coco())
    as_drawn = open_coco(folder)[0].read_label_map()
    save_picture(folder / "images" / "a.png", 8, 6, orientation)
    turned = {5: np.transpose, 6: lambda m: np.rot90(m, -1), 8: np.rot90}
    turned[7] = lambda m: np.rot90(m.T, 2)
    expected = turned.get(orientation, lambda m: m)(as_drawn)
    np.testing.assert_array_equal(open_coco(folder)[0].read_label_map(), expected)


def test_annotations_on_the_seen_picture_stay_as_they_are(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    as_drawn = open_coco(folder)[0].read_label_map()
    save_picture(folder / "images" / "a.png", 6, 8, orientation=6)
    np.testing.assert_array_equal(open_coco(folder)[0].read_label_map(), as_drawn)


def test_pictures_are_found_below_images_and_beside_the_annotations(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "below", coco())
    (folder / "images" / "val").mkdir()
    (folder / "images" / "a.png").rename(folder / "images" / "val" / "a.png")
    assert open_coco(folder)[0].path == folder / "images" / "val" / "a.png"
    beside = write_coco(tmp_path / "beside", coco())
    (beside / "images").rename(beside / "val2017")
    assert open_coco(beside)[0].path == beside / "val2017" / "a.png"


def test_a_name_in_two_folders_is_not_guessed(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco())
    (folder / "images" / "a.png").unlink()
    for name in ("train", "val"):
        save_picture(folder / "images" / name / "a.png", 8, 6)
    with pytest.raises(DatasetError, match=r"1 of 3 pictures .* the first is 'a.png'"):
        open_coco(folder)


def test_several_files_are_read_together(tmp_path: Path) -> None:
    document = coco()
    first = document | {"annotations": document["annotations"][:3]}
    second = document | {"annotations": document["annotations"][3:]}
    folder = write_coco(tmp_path, first)
    (folder / "annotations" / "instances_more.json").write_text(json.dumps(second))
    for name in ("person_keypoints.json", "other.json"):
        (folder / "annotations" / name).write_text("not read")
    assert [image.labels for image in open_coco(folder)] == [(1, 2), (0,), ()]


def test_a_single_json_of_any_name_is_read(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, coco(), CAPTIONS)
    (folder / "annotations" / "instances.json").rename(folder / "annotations" / "export.json")
    assert len(open_coco(folder)) == 3


def test_ids_may_be_text(tmp_path: Path) -> None:
    text = json.dumps(coco())
    for number in ("30", "10", "20"):
        text = text.replace(f'"id": {number},', f'"id": "p{number}",')
        text = text.replace(f'"image_id": {number},', f'"image_id": "p{number}",')
    assert [image.labels for image in open_coco(write_coco(tmp_path, json.loads(text)))] == [
        (1, 2),
        (0,),
        (),
    ]


def test_a_data_set_can_be_sent_to_another_process(tmp_path: Path) -> None:
    dataset = open_coco(write_coco(tmp_path, coco()))
    copy = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(copy[0].read_label_map(), dataset[0].read_label_map())


def test_outlines_take_little_memory(tmp_path: Path) -> None:
    document = coco()
    outline = [float(x % 8) for x in range(2000)]
    document["annotations"] = [
        {"id": i, "image_id": 30, "category_id": 7, "segmentation": [outline]} for i in range(50)
    ]
    folder = write_coco(tmp_path, document)
    tracemalloc.start()
    dataset = open_coco(folder)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(dataset) == 3
    # Eight bytes for each of 100,000 coordinates, instead of about thirty as lists.
    assert held < 2 * 8 * 50 * 2000


@pytest.mark.data
def test_reads_real_coco(photographs: Path) -> None:
    dataset = open_coco(photographs / "coco")
    assert len(dataset) == 392
    assert len(dataset.classes) == 80
    assert dataset.classes[:3] == ("person", "bicycle", "car")
    assert sum(len(image.captions) for image in dataset) == 1290
    assert len(open_coco(photographs / "coco", "supercategories").classes) == 12


@pytest.mark.data
def test_real_label_maps_hold_exactly_the_labels(photographs: Path) -> None:
    dataset = open_coco(photographs / "coco")
    for position in range(0, len(dataset), 8):
        image = dataset[position]
        label_map = image.read_label_map()
        present = set(np.unique(label_map).tolist()) - {0, VOID}
        assert present == {label + 1 for label in image.labels}, image.name


def test_classes_are_drawn_in_the_colors_that_the_set_gives_to_all_of_them(tmp_path):
    write_scenes(tmp_path / "scenes", 3)
    assert open_coco(tmp_path / "scenes", "names").palette[1:] == PALETTE[1:]
    colorless = write_coco(tmp_path / "plain", coco())
    assert open_coco(colorless, "names").palette == palette(
        len(open_coco(colorless, "names").classes)
    )
