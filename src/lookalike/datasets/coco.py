"""COCO data sets: `images/` and `annotations/*.json` with instances and captions."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeAlias

from lookalike.arrays import MAX_CLASSES, VOID, LabelMap
from lookalike.datasets.base import LabeledImage, palette
from lookalike.datasets.coco_json import (
    Category,
    Contents,
    Id,
    Picture,
    caption_files,
    instance_files,
    read_contents,
)
from lookalike.datasets.pictures import is_drawn_as_stored, read_geometry, read_picture, upright
from lookalike.datasets.regions import Region, paint
from lookalike.errors import DatasetError

Level: TypeAlias = Literal["names", "supercategories"]
"""What counts as a class: each category, or each group of categories (animal, vehicle)."""

ANNOTATIONS: Final = "annotations"
IMAGES: Final = "images"


@dataclass(frozen=True, slots=True)
class _Classes:
    """The classes of a set at one level.

    Attributes:
        names: In order of their index.
        index: Class index of each category id.
        things: Indices of the classes that can be counted.
        palette: Colors of background and classes: the set's own where it gives one to each class.
    """

    names: tuple[str, ...]
    index: Mapping[Id, int]
    things: frozenset[int]
    palette: tuple[tuple[int, int, int], ...]


class CocoDataset:
    """Pictures with instances and captions in COCO's format; see `open_coco`."""

    def __init__(
        self, name: str, pictures: Sequence[Picture], paths: Sequence[Path], classes: _Classes
    ) -> None:
        self.name = name
        self.classes = classes.names
        self.relevant_classes = classes.things or frozenset(range(len(classes.names)))
        self.palette = classes.palette
        self.has_label_maps = _has_outlines(pictures)
        # One label in each picture would be chance: nothing in the format asks for it.
        self.is_single_label = False
        self.names = tuple(picture.name for picture in pictures)
        self.paths = tuple(paths)
        self._pictures = tuple(pictures)
        self._index = classes.index

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, position: int) -> LabeledImage:
        picture, path = self._pictures[position], self.paths[position]
        labels = {
            self._index[instance.category]
            for instance in picture.instances
            if not instance.is_crowd
        }
        return LabeledImage(
            name=picture.name,
            path=path,
            labels=tuple(sorted(labels)),
            captions=tuple(picture.captions),
            read_bytes=partial(read_picture, path),
            read_label_map=partial(self._label_map, position) if self.has_label_maps else None,
        )

    def _label_map(self, position: int) -> LabelMap:
        """Paint the instances of a picture: crowds and mere boxes are void, larger ones below.

        The annotations may lie on the stored or on the seen pixels of a picture with an EXIF
        orientation; the width and height in the JSON tell which.
        """
        picture, path = self._pictures[position], self.paths[position]
        geometry = read_geometry(path)
        is_as_stored = is_drawn_as_stored((picture.height, picture.width), geometry)
        if is_as_stored is None:
            raise DatasetError(
                f"{path} is {geometry.seen[1]} x {geometry.seen[0]} pixels, but {picture.source} "
                f"says {picture.width} x {picture.height}; annotations and pictures must belong "
                "together"
            )
        regions = [
            Region(
                instance.annotation,
                VOID
                if instance.is_crowd or not instance.has_outline
                else self._index[instance.category] + 1,
                instance.shape,
            )
            for instance in picture.instances
        ]
        label_map = paint(regions, picture.height, picture.width, f"{picture.source}: {path.name}")
        return upright(label_map, geometry) if is_as_stored else label_map


def is_coco(folder: Path) -> bool:
    """Tell whether `folder` looks like a COCO data set."""
    return bool(instance_files(folder / ANNOTATIONS) or caption_files(folder / ANNOTATIONS))


def open_coco(folder: Path, level: Level = "names") -> CocoDataset:
    """Open a COCO data set.

    Reads `annotations/instances*.json` and `annotations/captions*.json`, once; pictures are read
    when they are asked for. A picture is sought in `images/`, in the folders below it, and, where
    there is no `images/`, in the folders beside `annotations/` (`train2017/`). Pictures that no
    JSON lists are no part of the set; listed ones without annotation are, with no label.

    Crowds give no label and are void in label maps. An instance with a bounding box but no outline
    gives its label, and its box is void; a set without any outline has no label maps.

    Args:
        folder: Holds `images/` and `annotations/`.
        level: "names": one class per category, by ascending category id. "supercategories": one
            class per group of categories, in the order in which they first appear among these.

    Raises:
        DatasetError: If a JSON cannot be read or contradicts itself, if it lists pictures that are
            not there, if nothing is in it, or if it has more classes than a label map can hold.
    """
    annotations = folder / ANNOTATIONS
    instances = instance_files(annotations)
    if not instances:
        raise DatasetError(
            f"{annotations} holds captions only; put the JSON with the instances beside them, "
            "as the classes come from there"
        )
    contents = read_contents(instances, caption_files(annotations))
    _check_not_empty(contents, annotations)
    _check_unique((picture.name for picture in contents.pictures.values()), annotations, "pictures")
    _check_unique((entry.name for entry in contents.categories.values()), annotations, "categories")
    classes = _classes(contents.categories, level)
    pictures = tuple(contents.pictures.values())
    if len(classes.names) > MAX_CLASSES and _has_outlines(pictures):
        raise DatasetError(
            f"{annotations} has {len(classes.names)} classes, and label maps hold {MAX_CLASSES}; "
            "open it at the level of supercategories, or leave categories out"
        )
    paths = _locate(folder, [picture.name for picture in pictures])
    return CocoDataset(folder.resolve().name, pictures, paths, classes)


def _has_outlines(pictures: Iterable[Picture]) -> bool:
    """Tell whether anything is outlined; a set with no instance at all is all background."""
    instances = [instance for picture in pictures for instance in picture.instances]
    return not instances or any(instance.has_outline for instance in instances)


def _check_not_empty(contents: Contents, annotations: Path) -> None:
    for what, entries in (("images", contents.pictures), ("categories", contents.categories)):
        if not entries:
            raise DatasetError(f"{annotations}: nothing in it: the list {what!r} is empty")


def _check_unique(names: Iterable[str], annotations: Path, what: str) -> None:
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DatasetError(f"{annotations}: {count} {what} are called {name!r}; names are unique")


def _classes(categories: Mapping[Id, Category], level: Level) -> _Classes:
    # Ids may be numbers or text, and the two do not compare.
    ordered = sorted(categories, key=lambda identity: (isinstance(identity, str), identity))
    title = {
        identity: categories[identity].name
        if level == "names"
        else categories[identity].supercategory
        for identity in ordered
    }
    names = tuple(dict.fromkeys(title.values()))
    index = {identity: names.index(title[identity]) for identity in ordered}
    things = frozenset(index[identity] for identity in ordered if categories[identity].is_thing)
    colors = {index[identity]: categories[identity].color for identity in reversed(ordered)}
    return _Classes(names, index, things, _palette([colors[i] for i in range(len(names))]))


def _palette(colors: Sequence[tuple[int, int, int] | None]) -> tuple[tuple[int, int, int], ...]:
    made_up = palette(len(colors))
    own = [color for color in colors if color is not None]
    return (made_up[0], *own) if len(own) == len(colors) else made_up


def _locate(folder: Path, names: Sequence[str]) -> list[Path]:
    """Find the picture of each name, or say how many are missing."""
    top = folder / IMAGES if (folder / IMAGES).is_dir() else folder
    found = _files_below(top)
    missing = [name for name in names if name not in found]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(names)} pictures listed in {folder / ANNOTATIONS} are not in "
            f"{top}, the first is {missing[0]!r}; put them there or take them out of the JSON"
        )
    return [found[name] for name in names]


def _files_below(top: Path) -> dict[str, Path]:
    """Return all files by their path below `top`, and below the folders in it.

    What two of these folders have under the same path is only found by its whole path.
    """
    whole = {
        path.relative_to(top).as_posix(): path
        for parent, _, files in os.walk(top)
        for path in (Path(parent, name) for name in files)
    }
    short = [(name.partition("/")[2], path) for name, path in whole.items() if "/" in name]
    count = Counter(name for name, _ in short)
    return {name: path for name, path in short if count[name] == 1} | whole
