"""What a labeled data set is, and how one is opened from a few words.

All kinds of data set give the same kind of object: pictures that know their labels, their captions
and, where somebody drew it, their label map. Nothing is decoded before it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lookalike.arrays import LabelMap


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
        is_single_label: Whether every picture has exactly one label.
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
