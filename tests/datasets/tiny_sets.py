"""Small data sets built by hand, whose every pixel is known."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION_TAG = 0x0112


def save_picture(
    path: Path, width: int, height: int, orientation: int = 1, color: str = "teal"
) -> Path:
    """Save a plain picture; `width` and `height` are those of the stored pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (width, height), color)
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    image.save(path, exif=exif)
    return path


def save_mask(path: Path, values: list[list[int]], mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(values, np.uint8))
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    image.convert(mode).save(path)
    return path


def box(x: int, y: int, right: int, bottom: int) -> list[list[float]]:
    """A polygon that covers whole pixels: columns x to right - 1, rows y to bottom - 1."""
    return [[x, y, right, y, right, bottom, x, bottom]]


COCO: dict[str, Any] = {
    "images": [
        {"id": 30, "file_name": "a.png", "width": 8, "height": 6},
        {"id": 10, "file_name": "b.png", "width": 4, "height": 4},
        {"id": 20, "file_name": "sub/c.png", "width": 5, "height": 3},
    ],
    "categories": [
        {"id": 90, "name": "cat", "supercategory": "animal"},
        {"id": 7, "name": "car", "supercategory": "vehicle"},
        {"id": 55, "name": "dog", "supercategory": "animal"},
    ],
    "annotations": [
        # A small dog in front of a big cat, listed first: it must not be painted over.
        {"id": 1, "image_id": 30, "category_id": 55, "segmentation": box(2, 2, 4, 4)},
        {"id": 2, "image_id": 30, "category_id": 90, "segmentation": box(1, 1, 7, 5)},
        # A crowd of cars in the last column, run lengths down the columns: off 42, on 6.
        {
            "id": 3,
            "image_id": 30,
            "category_id": 7,
            "iscrowd": 1,
            "segmentation": {"size": [6, 8], "counts": [42, 6]},
        },
        {"id": 4, "image_id": 10, "category_id": 7, "segmentation": box(0, 0, 2, 4)},
    ],
}
"""Classes by ascending id are car, dog, cat; picture c has no annotation."""

CAPTIONS: dict[str, Any] = {
    "images": COCO["images"],
    "annotations": [
        {"id": 1, "image_id": 10, "caption": " A car. "},
        {"id": 2, "image_id": 10, "caption": "Half a car."},
    ],
}


def coco() -> dict[str, Any]:
    return copy.deepcopy(COCO)


def write_coco(folder: Path, instances: object, captions: object | None = None) -> Path:
    """Write the annotations, and pictures of the sizes in `COCO`."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / "instances.json").write_text(json.dumps(instances))
    if captions is not None:
        (folder / "annotations" / "captions.json").write_text(json.dumps(captions))
    for image in COCO["images"]:
        save_picture(folder / "images" / image["file_name"], image["width"], image["height"])
    return folder
