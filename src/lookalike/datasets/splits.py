"""Parts of a data set: to learn from, to measure on, to be judged on."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from lookalike.datasets.base import Dataset, LabeledImage, ListedDataset
from lookalike.errors import DatasetError, UsageError


def is_test_name(name: str) -> bool:
    """Tell whether the picture of this name is in the part "test".

    One name in three is, by a hash of the name alone: a picture keeps its part when others are
    added or taken away, and on every machine.

    Example:
        >>> [is_test_name(name) for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg")]
        [True, True, False, False]
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 3 == 0


PARTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "train": lambda name: not is_test_name(name),
    "test": is_test_name,
}
"""Which names are in which part."""


class Subset:
    """Some of the pictures of a data set, with the same classes.

    Args:
        whole: Where they come from.
        positions: Which, in order.
        part: What to add to the name of the whole; "" leaves the name as it is.
    """

    def __init__(self, whole: ListedDataset, positions: Sequence[int], part: str) -> None:
        self.name = f"{whole.name}#{part}" if part else whole.name
        self.classes = whole.classes
        self.relevant_classes = whole.relevant_classes
        self.palette = whole.palette
        self.has_label_maps = whole.has_label_maps
        self.is_single_label = whole.is_single_label
        self.names: Sequence[str] = tuple(whole.names[position] for position in positions)
        self.paths: Sequence[Path] = (
            tuple(whole.paths[position] for position in positions) if whole.paths else ()
        )
        self._whole = whole
        self._positions = tuple(positions)

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, position: int) -> LabeledImage:
        return self._whole[self._positions[position]]


def take_part(dataset: ListedDataset, part: str) -> Subset:
    """Return the part "train" (two thirds of the pictures) or "test" (the other third).

    Raises:
        UsageError: If there is no such part.
        DatasetError: If the set is so small that nothing falls into it.
    """
    if part not in PARTS:
        raise UsageError(f"no part {part!r} of {dataset.name!r}; the parts are {', '.join(PARTS)}")
    belongs = PARTS[part]
    positions = [position for position, name in enumerate(dataset.names) if belongs(name)]
    if not positions:
        raise DatasetError(
            f"{dataset.name}#{part} has no pictures, as the set has only {len(dataset)}; "
            "use the whole set"
        )
    return Subset(dataset, positions, part)


def split_positions(dataset: Dataset, held_out: float = 0.1) -> tuple[list[int], list[int]]:
    """Divide a data set into pictures to learn from and pictures to measure on.

    A hash of the name decides, so a picture stays on its side when others are added.
    """
    learned: list[int] = []
    measured: list[int] = []
    for position in range(len(dataset)):
        digest = hashlib.blake2b(
            dataset[position].name.encode(), digest_size=8, person=b"learning"
        ).digest()
        share = int.from_bytes(digest, "big") / 2**64
        (measured if share < held_out else learned).append(position)
    return learned, measured
