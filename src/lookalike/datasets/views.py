"""Data sets seen otherwise: some of their pictures, or all their classes as one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.datasets.base import LabeledImage, ListedDataset, palette
from lookalike.datasets.splits import Subset
from lookalike.errors import DatasetError


def choose(dataset: ListedDataset, is_chosen: Callable[[str], bool], part: str) -> Subset:
    """Return the pictures whose name is chosen.

    Args:
        dataset: Where they come from.
        is_chosen: Told the name of a picture.
        part: What to add to the name of the data set.

    Raises:
        DatasetError: If none is chosen.
    """
    positions = [i for i, name in enumerate(dataset.names) if is_chosen(name)]
    if not positions:
        raise DatasetError(f"none of the {len(dataset)} pictures of {dataset.name} is in {part}")
    return Subset(dataset, positions, part)


class OneClass:
    """A data set whose classes are all taken as parts of one thing.

    Clothes, hair and skin are a person; a set that outlines them outlines persons.

    Args:
        whole: The data set.
        name: What the one class is called.
    """

    def __init__(self, whole: ListedDataset, name: str) -> None:
        self.name = whole.name
        self.classes = (name,)
        self.relevant_classes = frozenset({0})
        self.palette = palette(1)
        self.has_label_maps = whole.has_label_maps
        self.is_single_label = False
        self.names: Sequence[str] = whole.names
        self.paths = whole.paths
        self._whole = whole

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, position: int) -> LabeledImage:
        image = self._whole[position]
        read = image.read_label_map
        labels = (0,) if image.labels else ()
        return replace(image, labels=labels, read_label_map=read and partial(_as_one, read))


def _as_one(read: Callable[[], LabelMap]) -> LabelMap:
    label_map = read()
    as_one: LabelMap = np.where(
        (label_map == BACKGROUND) | (label_map == VOID), label_map, BACKGROUND + 1
    ).astype(np.uint8)
    return as_one


class FrequentClasses:
    """A data set without the classes that few of its pictures have.

    Args:
        whole: The data set; every picture's labels are read.
        fewest: Pictures that a class needs to stay.

    Raises:
        DatasetError: If no class stays.
    """

    def __init__(self, whole: ListedDataset, fewest: int) -> None:
        counts = np.zeros(len(whole.classes), np.int64)
        for position in range(len(whole)):
            counts[list(whole[position].labels)] += 1
        kept = np.flatnonzero(counts >= fewest).tolist()
        if not kept:
            raise DatasetError(f"no class of {whole.name} has {fewest} pictures")
        self._new = {old: new for new, old in enumerate(kept)}
        self.name = whole.name
        self.classes = tuple(whole.classes[old] for old in kept)
        self.relevant_classes = frozenset(range(len(kept)))
        self.palette = palette(len(kept))
        self.has_label_maps = False
        self.is_single_label = False
        self.names: Sequence[str] = whole.names
        self.paths = whole.paths
        self._whole = whole

    def __len__(self) -> int:
        return len(self._whole)

    def __getitem__(self, position: int) -> LabeledImage:
        image = self._whole[position]
        labels = tuple(self._new[label] for label in image.labels if label in self._new)
        return replace(image, labels=labels, read_label_map=None)
