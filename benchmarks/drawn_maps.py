"""Photographs with label maps that a segmentation network drew, and true maps to judge by.

    LOOKALIKE_DATA=photographs python -m benchmarks.drawn_maps --out drawn

Writes two mask folders of the network's own 20 classes. `voc`: the photographs of `coco#train`,
`clothing` and `corel` with drawn maps alone, also where there are true ones; pictures in which the
network sees next to nothing are left out, since what it does not know is not background.
`voc-test`: the photographs of `coco#test` with their true maps, other classes taken for background.
Which network, and which of its classes are not believed on `corel`, is that of the default recipe.

`benchmarks.photographs` learns from the one and judges by the other.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.datasets import open_dataset
from lookalike.datasets.base import LabeledImage, ListedDataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.union import same_name
from lookalike.learning.default_recipe import (
    SEGMENTER,
    SEGMENTER_LABELS,
    default_segmenter,
    models_folder,
)
from lookalike.learning.devices import choose_device
from lookalike.learning.guides import Segmenter
from lookalike.learning.pseudo_maps import open_map_maker, read_label_names, void_if_empty
from lookalike.terminal import Bars

GRID = 64


def write_set(
    folder: Path,
    prefix: str,
    dataset: ListedDataset,
    map_of: Callable[[LabeledImage], LabelMap | None],
) -> int:
    """Add pictures with their maps to a mask folder; return how many there were maps for."""
    n = 0
    with Bars().task(f"Drawing {dataset.name}", len(dataset)) as task:
        for position in range(len(dataset)):
            image = dataset[position]
            label_map = map_of(image)
            task.advance()
            if label_map is None:
                continue
            n += 1
            source = dataset.paths[position]
            name = f"{prefix}{source.name}"
            (folder / "images" / name).write_bytes(image.read_bytes())
            with Image.open(source) as picture:
                mask = Image.fromarray(label_map).resize(picture.size, Image.Resampling.NEAREST)
            mask.save((folder / "masks" / name).with_suffix(".png"), optimize=True)
    return n


def drawn(segmenter: Segmenter, names: list[str]) -> Callable[[LabeledImage], LabelMap | None]:
    """Return what draws a map, or `None` where next to nothing is seen."""
    maker = open_map_maker(segmenter, names, choose_device("auto", "float32"))

    def draw(image: LabeledImage) -> LabelMap | None:
        label_map = maker.draw(image.read_bytes())
        known = void_if_empty(shrink_label_maps(label_map[None], GRID)[0])
        return None if (known == VOID).all() else label_map

    return draw


def translated(dataset: ListedDataset, names: list[str]) -> Callable[[LabeledImage], LabelMap]:
    """Return what reads the true map in the classes of the network."""
    numbers = {same_name(name): i + 1 for i, name in enumerate(names)}
    table = np.full(256, BACKGROUND, np.uint8)
    for i, name in enumerate(dataset.classes):
        table[i + 1] = numbers.get(same_name(name), BACKGROUND)
    table[VOID] = VOID

    def read(image: LabeledImage) -> LabelMap:
        if image.read_label_map is None:
            raise ValueError(f"{image.name} has no label map")
        label_map: LabelMap = table[image.read_label_map()]
        return label_map

    return read


def main() -> None:
    """Write both folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder of the segmentation network")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = Path(os.environ["LOOKALIKE_DATA"])
    models = models_folder(data, options.models)
    names = [n for n in read_label_names(models / SEGMENTER_LABELS) if n != "background"]
    legend = "0\tbackground\n" + "".join(f"{i + 1}\t{name}\n" for i, name in enumerate(names))
    for folder in (options.out / "voc", options.out / "voc-test"):
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True)
        (folder / "labels.txt").write_text(legend, encoding="utf-8")
    full = Segmenter(network=models / SEGMENTER, labels=models / SEGMENTER_LABELS)
    for spec, segmenter in (
        ("coco#train", full),
        ("clothing", full),
        ("corel@theme", default_segmenter(models)),
    ):
        dataset = open_dataset(str(data / spec))
        prefix = f"{spec.split('#')[0].split('@')[0]}-"
        n = write_set(options.out / "voc", prefix, dataset, drawn(segmenter, names))
        print(f"{spec}: {n} of {len(dataset)} photographs")
    held_back = open_dataset(f"{data / 'coco'}#test")
    write_set(options.out / "voc-test", "", held_back, translated(held_back, names))


if __name__ == "__main__":
    main()
