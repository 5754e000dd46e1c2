"""Several data sets learned from as one, each knowing only classes of its own.

A picture of one set may well show what only another set has a word for, so a class counts as absent
from a picture only where its own set knows that class.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.datasets.base import Dataset, LabeledImage, ListedDataset, palette
from lookalike.datasets.splits import Subset
from lookalike.errors import DatasetError, UsageError

_FEWEST_OF_A_PART: Final = 2

SYNONYMS: Final[Mapping[str, str]] = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
"""Names that Pascal VOC gives to what COCO calls otherwise."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of the pictures that came from one data set.

    Attributes:
        name: Name of that data set.
        n: How many they are; sources follow each other.
        classes: Indices into the classes of the whole that this set can tell apart.
        is_single_label: Whether each of these pictures has exactly one of them.
        has_label_maps: Whether these pictures have label maps.
    """

    name: str
    n: int
    classes: tuple[int, ...]
    is_single_label: bool
    has_label_maps: bool


@runtime_checkable
class Sourced(Protocol):
    """A data set that says where its pictures come from.

    Attributes:
        sources: The sources, in the order of the pictures.
        n_targets: How many classes, the first ones, a model of this data set will tell.
    """

    sources: tuple[Source, ...]
    n_targets: int


def sources_of(dataset: Dataset) -> tuple[Source, ...]:
    """Return the sources of a data set; one that is no union is its own only source."""
    if isinstance(dataset, Sourced):
        return tuple(dataset.sources)
    every_class = tuple(range(len(dataset.classes)))
    is_single, has_maps = dataset.is_single_label, dataset.has_label_maps
    return (Source(dataset.name, len(dataset), every_class, is_single, has_maps),)


def n_targets_of(dataset: Dataset) -> int:
    """Return how many classes, the first ones, a model of this data set will tell."""
    return dataset.n_targets if isinstance(dataset, Sourced) else len(dataset.classes)


def same_name(name: str) -> str:
    """Return the form under which names of different sets are compared.

    Example:
        >>> same_name("Aeroplane"), same_name("dining_table")
        ('airplane', 'dining table')
    """
    plain = " ".join(name.lower().replace("_", " ").split())
    return SYNONYMS.get(plain, plain)


class Union:
    """Data sets as one; see `join`."""

    is_single_label: Final = False

    def __init__(self, parts: Sequence[ListedDataset]) -> None:
        first = parts[0]
        self.name = " + ".join(part.name for part in parts)
        self.classes, indices = _join_classes(parts)
        self.n_targets = len(first.classes)
        self.relevant_classes = first.relevant_classes
        self.palette = palette(len(self.classes))
        self.has_label_maps = any(part.has_label_maps for part in parts)
        self.names = tuple(f"{part.name}/{name}" for part in parts for name in part.names)
        self.paths: tuple[Path, ...] = ()
        self.sources = tuple(
            Source(part.name, len(part), tuple(index), part.is_single_label, part.has_label_maps)
            for part, index in zip(parts, indices, strict=True)
        )
        self.parts: Final = tuple(parts)
        self._indices = indices
        self._starts = [0, *accumulate(len(part) for part in parts)]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> LabeledImage:
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        position %= len(self)
        part = bisect_right(self._starts, position) - 1
        image = self.parts[part][position - self._starts[part]]
        index = self._indices[part]
        read = image.read_label_map
        return replace(
            image,
            name=self.names[position],
            labels=tuple(sorted({index[label] for label in image.labels})),
            read_label_map=read and partial(_translate, read, _table(index, self.n_targets)),
        )


def join(parts: Sequence[ListedDataset]) -> ListedDataset:
    """Join data sets; a single one stays as it is.

    Classes of the same name are one (`same_name`). The classes of the first set come first: they
    are what a model learned from the union will tell, and what its label maps hold. Classes of the
    other sets only help to learn `content`. In label maps what the first set has no class for is
    background. Pictures are called by their set and their name in it.

    Raises:
        UsageError: If there is nothing to join.
        DatasetError: If two sets have the same name, as their pictures would be confused.
    """
    if not parts:
        raise UsageError("no data set was given; give at least one")
    names = [part.name for part in parts]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(
            f"two of the data sets are called {twice!r}; give each once, or rename a folder"
        )
    return parts[0] if len(parts) == 1 else Union(parts)


def thin_out(dataset: ListedDataset, n: int) -> ListedDataset:
    """Return about `n` pictures spread evenly over a data set, under its own name.

    Of a union each set keeps its share of them, and two at least, so that what is known of each set
    stays known.
    """
    if len(dataset) <= n:
        return dataset
    if isinstance(dataset, Union):
        share = n / len(dataset)
        kept = [max(_FEWEST_OF_A_PART, round(share * len(part))) for part in dataset.parts]
        return Union([thin_out(*each) for each in zip(dataset.parts, kept, strict=True)])
    return Subset(dataset, [i * len(dataset) // n for i in range(n)], "")


def _join_classes(parts: Sequence[ListedDataset]) -> tuple[tuple[str, ...], list[list[int]]]:
    found = {same_name(name): i for i, name in enumerate(parts[0].classes)}
    names = list(parts[0].classes)
    indices = [list(range(len(names)))]
    for part in parts[1:]:
        for name in part.classes:
            if same_name(name) not in found:
                found[same_name(name)] = len(names)
                names.append(name)
        indices.append([found[same_name(name)] for name in part.classes])
    return tuple(names), indices


def _table(index: Sequence[int], n_targets: int) -> UInt8[ndarray, " 256"]:
    """Return the label map value of the whole for each value of a part."""
    table = np.zeros(256, np.uint8)
    table[VOID] = VOID
    for value, target in enumerate(index[: VOID - 1], start=1):
        table[value] = target + 1 if target < n_targets else BACKGROUND
    return table


def _translate(read: Callable[[], LabelMap], table: UInt8[ndarray, " 256"]) -> LabelMap:
    translated: LabelMap = table[read()]
    return translated
