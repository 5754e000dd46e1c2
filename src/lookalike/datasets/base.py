"""What a labeled data set is, and how one is opened from a few words.

All kinds of data set give the same kind of object: pictures that know their labels, their captions
and, where somebody drew it, their label map. Nothing is decoded before it is asked for.
"""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from lookalike.arrays import LabelMap

_BACKGROUND_COLOR: Final = (28, 28, 32)
_GOLDEN_RATIO: Final = 0.6180339887498949
# Lightness and saturation. Ten of them, as ten divides none of the numbers of steps (8, 13, 21, 34,
# 55, 89, 144, 233) after which hues a golden angle apart nearly repeat.
_TONES: Final = (
    *((0.62, 0.68), (0.44, 0.70), (0.78, 0.75), (0.55, 0.38), (0.66, 0.95)),
    *((0.36, 0.50), (0.84, 0.60), (0.52, 0.95), (0.71, 0.40), (0.30, 0.80)),
)


@dataclass(frozen=True, slots=True)
class LabeledImage:
    """One picture of a data set, with what is known of it.

    Attributes:
        name: Unique within the data set, usually the path below its folder.
        path: The file that holds the picture; `None` where it lies inside another file.
        labels: Indices into `Dataset.classes`, ascending, without repetition.
        captions: Sentences that describe it.
        read_bytes: Gives the encoded picture.
        read_label_map: Gives the label map in the orientation in which the picture is seen (EXIF
            applied), at any size with the picture's proportions: `BACKGROUND` (0) for unlabeled
            pixels, `i + 1` for class `i`, `VOID` (255) for pixels to ignore. `None` where the data
            set has no label maps.
    """

    name: str
    path: Path | None
    labels: tuple[int, ...]
    captions: tuple[str, ...]
    read_bytes: Callable[[], bytes]
    read_label_map: Callable[[], LabelMap] | None


@runtime_checkable
class Dataset(Protocol):
    """Labeled pictures to learn from and to be judged on.

    Attributes:
        name: Short name for reports.
        classes: Class names; the position is the class index.
        relevant_classes: Indices of the classes that make two pictures relevant to each other.
            Sets that tell things from stuff (sky, grass) list the things; others list all.
        palette: One RGB triple for background and one for each class, for drawing label maps:
            `len(classes) + 1` rows.
        has_label_maps: Whether every picture has a label map.
        is_single_label: Whether every picture has exactly one label because the set is made so,
            not by chance.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def relevant_classes(self) -> frozenset[int]: ...  # noqa: D102
    @property
    def palette(self) -> tuple[tuple[int, int, int], ...]: ...  # noqa: D102
    @property
    def has_label_maps(self) -> bool: ...  # noqa: D102
    @property
    def is_single_label(self) -> bool: ...  # noqa: D102
    def __len__(self) -> int: ...
    def __getitem__(self, position: int) -> LabeledImage: ...


@runtime_checkable
class ListedDataset(Dataset, Protocol):
    """A data set that can say which pictures it has without reading any of them.

    Attributes:
        names: `LabeledImage.name` of each picture, in order.
        paths: `LabeledImage.path` of each picture, in order; empty where the pictures lie inside
            another file.
    """

    @property
    def names(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def paths(self) -> Sequence[Path]: ...  # noqa: D102


def palette(n_classes: int) -> tuple[tuple[int, int, int], ...]:
    """Return an RGB triple for background and one for each of `n_classes` classes.

    Background is nearly black. Hues follow the golden angle, so that neighbors differ strongly
    and more classes never change the colors of the first ones; lightness and saturation take
    turns, so that 254 classes have 254 colors.

    Example:
        >>> palette(2)
        ((28, 28, 32), (224, 92, 92), (34, 79, 191))
    """
    return (_BACKGROUND_COLOR, *(_class_color(index) for index in range(n_classes)))


def _class_color(index: int) -> tuple[int, int, int]:
    lightness, saturation = _TONES[index % len(_TONES)]
    red, green, blue = colorsys.hls_to_rgb(index * _GOLDEN_RATIO % 1.0, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)
