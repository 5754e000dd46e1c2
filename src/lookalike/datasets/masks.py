"""Mask folders: `images/`, `masks/*.png` whose pixel values are class numbers, `labels.txt`."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from lookalike.arrays import BACKGROUND, MAX_CLASSES, VOID, LabelMap
from lookalike.datasets.base import LabeledImage, palette
from lookalike.datasets.pictures import find_pictures, fit, read_geometry, read_picture
from lookalike.errors import DatasetError

IMAGES: Final = "images"
MASKS: Final = "masks"
LABELS: Final = "labels.txt"

MIN_SHARE: Final = 1e-4
"""A picture has the label of a class that covers this share of its pixels: 31 pixels of 640 x 480.
Less is a slip of the brush or the rim of a neighbor."""

BACKGROUND_NAMES: Final = frozenset({"background", "null", "none", "unlabeled", "unlabelled"})
VOID_NAMES: Final = frozenset({"void", "ignore", "ignored"})

_MAX_VALUE: Final = 255
_UNLISTED: Final = -1
_GRAY_OR_PALETTE: Final = {"L": ("L",), "P": ("P", "P;1", "P;2", "P;4"), "1": ("1",)}


@dataclass(frozen=True, slots=True)
class Legend:
    """What the pixel values of the masks mean.

    Attributes:
        classes: Class names, by ascending pixel value.
        meaning: Label map value of each pixel value.
    """

    classes: tuple[str, ...]
    meaning: Mapping[int, int]

    def table(self) -> ndarray:
        """Return the label map value of each of the 256 pixel values, -1 where it has none."""
        values = np.full(_MAX_VALUE + 1, _UNLISTED, np.int16)
        values[list(self.meaning)] = list(self.meaning.values())
        return values


class MaskDataset:
    """Pictures with a mask each; see `open_masks`."""

    def __init__(
        self, name: str, pictures: Mapping[str, Path], masks: Sequence[Path], legend: Legend
    ) -> None:
        self.name = name
        self.classes = legend.classes
        self.relevant_classes = frozenset(range(len(legend.classes)))
        self.palette = palette(len(legend.classes))
        self.has_label_maps = True
        self.is_single_label = False
        self.names = tuple(pictures)
        self.paths = tuple(pictures.values())
        self._masks = tuple(masks)
        self._table = legend.table()
        self._labels: dict[int, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> LabeledImage:
        path = self.paths[position]
        return LabeledImage(
            name=self.names[position],
            path=path,
            labels=self._labels_of(position),
            captions=(),
            read_bytes=partial(read_picture, path),
            read_label_map=partial(self._label_map, position),
        )

    def _labels_of(self, position: int) -> tuple[int, ...]:
        """Return the classes in a mask, which is read for it only once."""
        if position not in self._labels:
            self._labels[position] = _present_classes(self._translated(position))
        return self._labels[position]

    def _label_map(self, position: int) -> LabelMap:
        geometry = read_geometry(self.paths[position])
        return fit(self._translated(position), geometry, str(self._masks[position]))

    def _translated(self, position: int) -> LabelMap:
        path = self._masks[position]
        values = _read_mask(path)
        label_map = self._table[values]
        if label_map.min(initial=BACKGROUND) == _UNLISTED:
            value = int(values[label_map == _UNLISTED][0])
            raise DatasetError(
                f"{path} has the pixel value {value}, which {LABELS} does not name; add it there"
            )
        translated: LabelMap = label_map.astype(np.uint8)
        return translated


def is_masks(folder: Path) -> bool:
    """Tell whether `folder` looks like a mask folder."""
    return (folder / IMAGES).is_dir() and (folder / MASKS).is_dir()


def open_masks(folder: Path) -> MaskDataset:
    """Open a mask folder.

    `masks/a/1.png` is the mask of `images/a/1.jpg`: the same path but for the ending. Masks are
    gray or palette PNG files of 8 bits, as large as their pictures (as seen, or else as stored).

    `labels.txt` has lines `number<TAB>name`, or only names, which then number from 0. A value
    called background, null, none or unlabeled is background, as is 0 if it is not listed; one
    called void or ignore is to be ignored, as is 255 if it is not listed. All others are classes.
    A picture has the labels of the classes that cover `MIN_SHARE` of it or more.

    Masks are read when they are asked for, so a damaged one is an error only then.

    Raises:
        DatasetError: If pictures lack masks or masks pictures, if `labels.txt` is missing or
            contradicts itself, or if nothing is in it.
    """
    pictures = find_pictures(folder / IMAGES)
    if not pictures:
        raise DatasetError(f"{folder / IMAGES}: nothing in it; pictures belong there")
    masks = {
        name: path
        for name, path in find_pictures(folder / MASKS).items()
        if path.suffix.lower() == ".png"
    }
    mask_of = _pair(list(pictures), list(masks), folder)
    legend = read_legend(folder / LABELS)
    return MaskDataset(
        folder.resolve().name, pictures, [masks[mask_of[name]] for name in pictures], legend
    )


def read_legend(path: Path) -> Legend:
    """Read what pixel values mean; see `open_masks`.

    Raises:
        DatasetError: If the file is missing, empty, or names something twice.
    """
    names = _read_names(path)
    names.setdefault(BACKGROUND, "background")
    names.setdefault(_MAX_VALUE, "void")
    meaning: dict[int, int] = {}
    classes: list[str] = []
    for value, name in sorted(names.items()):
        key = name.lower().strip("_ ")
        if key in BACKGROUND_NAMES:
            meaning[value] = BACKGROUND
        elif key in VOID_NAMES:
            meaning[value] = VOID
        else:
            classes.append(name)
            meaning[value] = len(classes)
    _check_classes(classes, path)
    return Legend(tuple(classes), meaning)


def _read_names(path: Path) -> dict[int, str]:
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise DatasetError(
            f"{path} is missing; write one line for each class: number, tab, name"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read as text ({error})") from error
    lines = [line for line in lines if line]
    numbered = [re.fullmatch(r"(\d+)\s+(.+)", line) for line in lines]
    names: dict[int, str] = {}
    for position, (line, match) in enumerate(zip(lines, numbered, strict=True)):
        value, name = position, line
        if match and all(numbered):
            value, name = int(match[1]), match[2]
        elif "\t" in line:
            raise DatasetError(f"{path}: {line!r} does not fit the other lines; number all or none")
        if value in names or value > _MAX_VALUE:
            problem = "is named twice" if value in names else "does not fit into 8 bits"
            raise DatasetError(f"{path}: the pixel value {value} {problem}")
        names[value] = name
    return names


def _check_classes(classes: Sequence[str], path: Path) -> None:
    if not classes:
        raise DatasetError(f"{path} names no class; write one line for each: number, tab, name")
    if len(classes) > MAX_CLASSES:
        raise DatasetError(f"{path} names {len(classes)} classes; label maps hold {MAX_CLASSES}")
    repeated = [name for position, name in enumerate(classes) if name in classes[:position]]
    if repeated:
        raise DatasetError(f"{path} gives the name {repeated[0]!r} to two pixel values")


def _pair(pictures: Sequence[str], masks: Sequence[str], folder: Path) -> dict[str, str]:
    """Match each picture with its mask by their paths without ending."""
    picture_of = _by_stem(pictures, folder / IMAGES)
    mask_of = _by_stem(masks, folder / MASKS)
    for kind, lone, other in (
        ("pictures", sorted(picture_of.keys() - mask_of.keys()), "mask"),
        ("masks", sorted(mask_of.keys() - picture_of.keys()), "picture"),
    ):
        if lone:
            known = picture_of if kind == "pictures" else mask_of
            raise DatasetError(
                f"{folder}: {len(lone)} of {len(known)} {kind} have no {other} of the same name, "
                f"the first is {known[lone[0]]!r}"
            )
    return {picture_of[stem]: mask for stem, mask in mask_of.items()}


def _by_stem(names: Sequence[str], folder: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(PurePosixPath(name).with_suffix("").as_posix(), name)
        if other != name:
            raise DatasetError(
                f"{folder} holds both {other!r} and {name!r}; names must differ in more than "
                "their ending"
            )
    return found


def _present_classes(label_map: LabelMap) -> tuple[int, ...]:
    counts = np.bincount(label_map.ravel(), minlength=_MAX_VALUE + 1)
    enough = max(1, math.ceil(MIN_SHARE * label_map.size))
    present = np.flatnonzero(counts >= enough).tolist()
    return tuple(value - 1 for value in present if value not in (BACKGROUND, VOID))


def _read_mask(path: Path) -> UInt8[ndarray, "height width"]:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            depth = image.tile[0].args if image.tile else ""
            if depth not in _GRAY_OR_PALETTE.get(image.mode, ()):
                raise DatasetError(
                    f"{path} is a PNG of kind {depth or image.mode!r}; masks are gray or palette "
                    "PNG files of 8 bits, whose pixel values are class numbers"
                )
            return np.asarray(image).astype(np.uint8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path} cannot be read as a PNG ({error})") from error
