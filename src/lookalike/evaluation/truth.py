"""What is known of the pictures of a collection, from a labeled data set.

A data set and a collection meet by content: a picture that was copied or renamed before it was
indexed is still the same picture.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import NO_ID, Ids
from lookalike.datasets.base import Dataset, LabeledImage
from lookalike.errors import DatasetError, UsageError
from lookalike.evaluation.layout import shrink_label_map
from lookalike.images.scanning import content_hash
from lookalike.progress import SILENT, Progress

_TABLE_ENTRIES_PER_ID = 64


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """Labels and label maps of the gallery; two pictures are relevant if they share a label.

    Attributes:
        ids: Image ids, ascending; the other arrays follow their order.
        labels: Which classes each picture shows.
        label_maps: Label maps shrunken to a common grid, `None` where the set has none.
        classes: Class names.
        relevant_classes: Classes that make two pictures relevant to each other.
        palette: One RGB triple for background and one for each class.
        names: Name of each picture in the data set.
        n_missing: Pictures of the data set that are not in the collection.
        n_unknown: Images of the collection that the data set does not know.

    Raises:
        UsageError: If the parts do not fit each other or `ids` are not ascending.
    """

    ids: Ids
    labels: Bool[ndarray, "gallery classes"]
    label_maps: UInt8[ndarray, "gallery grid grid"] | None
    classes: tuple[str, ...]
    relevant_classes: frozenset[int]
    palette: tuple[tuple[int, int, int], ...]
    names: tuple[str, ...]
    n_missing: int = 0
    n_unknown: int = 0

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.labels), len(self.names)}
        if self.label_maps is not None:
            lengths.add(len(self.label_maps))
        if len(lengths) > 1:
            raise UsageError(f"parts of the ground truth differ in length: {sorted(lengths)}")
        if (np.diff(self.ids) <= 0).any():
            raise UsageError("ids of the ground truth must ascend without repetition; sort them")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def relevant_labels(self) -> Bool[ndarray, "gallery relevant_classes"]:
        """The columns of `labels` that count for relevance."""
        columns: ndarray = self.labels[:, sorted(self.relevant_classes)]
        return columns

    @property
    def has_relevant(self) -> Bool[ndarray, " gallery"]:
        """Whether another picture is relevant to each one."""
        labels = self.relevant_labels
        common: ndarray = labels.sum(axis=0) > 1
        shared: ndarray = (labels & common).any(axis=1)
        return shared

    def positions(self, ids: Int64[ndarray, "*shape"]) -> Int64[ndarray, "*shape"]:
        """Return the row of each id; `NO_ID` for ids that are not known."""
        if len(self.ids) == 0:
            return np.full(ids.shape, NO_ID, np.int64)
        first, last = int(self.ids[0]), int(self.ids[-1])
        if last - first < _TABLE_ENTRIES_PER_ID * len(self.ids):
            # A table answers ten times faster than a search, and ids mostly lie close together.
            table = np.full(last - first + 1, NO_ID, np.int64)
            table[self.ids - first] = np.arange(len(self.ids))
            inside = (ids >= first) & (ids <= last)
            found: ndarray = np.where(inside, table[np.where(inside, ids - first, 0)], NO_ID)
            return found
        rows = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        known: ndarray = np.where(self.ids[rows] == ids, rows, NO_ID)
        return known

    def shared_labels(self, rows: Int64[ndarray, " queries"]) -> Int64[ndarray, "queries gallery"]:
        """Count the relevant labels that the pictures in `rows` share with every picture.

        A picture shares nothing with itself here: it is not part of its own gallery.
        """
        labels = self.relevant_labels.astype(np.float32)  # whole numbers stay exact
        shared: ndarray = (labels[rows] @ labels.T).astype(np.int64)
        shared[np.arange(len(rows)), rows] = 0
        return shared


def ground_truth(
    dataset: Dataset,
    ids_by_hash: Mapping[bytes, int],
    *,
    grid: int = 64,
    without: Collection[str] = (),
    progress: Progress = SILENT,
) -> GroundTruth:
    """Look up the pictures of a data set in a collection.

    Args:
        dataset: Labeled pictures.
        ids_by_hash: Image id of each content hash in the collection.
        grid: Edge of the common grid to which label maps are shrunken.
        without: Names of classes that shall not make pictures relevant to each other, such as
            "person", which is in every second photograph of COCO.
        progress: Told of each picture.

    Returns:
        What is known of the pictures that are in both. Where several pictures of the set are
        equal byte for byte, they are one with the labels of all and the label map of the first.

    Raises:
        DatasetError: If no picture of the data set is in the collection.
        UsageError: If `without` names an unknown class or leaves none.
    """
    relevant_classes = _relevant_classes(dataset, without)
    found: dict[int, _Known] = {}
    n_missing = 0
    with progress.task("Matching the data set", len(dataset)) as task:
        for image in (dataset[position] for position in range(len(dataset))):
            image_id = ids_by_hash.get(content_hash(image.read_bytes()))
            if image_id is None:
                n_missing += 1
            elif image_id in found:
                found[image_id].labels.update(image.labels)
            else:
                found[image_id] = _known(image, grid if dataset.has_label_maps else None)
            task.advance()
    if not found:
        raise DatasetError(
            f"none of the {len(dataset)} pictures of {dataset.name} is among the "
            f"{len(ids_by_hash)} images of the collection; index the data set's pictures first"
        )
    return _assemble(dataset, relevant_classes, found, n_missing, len(ids_by_hash) - len(found))


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    labels: set[int]
    label_map: ndarray | None = field(repr=False)


def _known(image: LabeledImage, grid: int | None) -> _Known:
    label_map = None
    if grid is not None and image.read_label_map is not None:
        label_map = shrink_label_map(image.read_label_map(), grid)
    return _Known(image.name, set(image.labels), label_map)


def _assemble(
    dataset: Dataset,
    relevant_classes: frozenset[int],
    found: Mapping[int, _Known],
    n_missing: int,
    n_unknown: int,
) -> GroundTruth:
    ids = sorted(found)
    known = [found[image_id] for image_id in ids]
    labels = np.zeros((len(ids), len(dataset.classes)), bool)
    for row, picture in enumerate(known):
        labels[row, list(picture.labels)] = True
    return GroundTruth(
        ids=np.array(ids, np.int64),
        labels=labels,
        label_maps=_stacked(picture.label_map for picture in known),
        classes=dataset.classes,
        relevant_classes=relevant_classes,
        palette=dataset.palette,
        names=tuple(picture.name for picture in known),
        n_missing=n_missing,
        n_unknown=n_unknown,
    )


def _stacked(maps: Iterable[ndarray | None]) -> UInt8[ndarray, "gallery grid grid"] | None:
    present = list(maps)
    if any(label_map is None for label_map in present):
        return None
    return np.stack([label_map for label_map in present if label_map is not None])


def _relevant_classes(dataset: Dataset, without: Collection[str]) -> frozenset[int]:
    for name in without:
        if name not in dataset.classes:
            near = get_close_matches(name, dataset.classes, n=3) or dataset.classes[:10]
            raise UsageError(
                f"{dataset.name} has no class {name!r}; did you mean: {', '.join(near)}?"
            )
    left = frozenset(c for c in dataset.relevant_classes if dataset.classes[c] not in without)
    if not left:
        raise UsageError(
            f"without {', '.join(sorted(without)) or 'any class'} no class of {dataset.name} is "
            "left to be relevant; leave out fewer"
        )
    return left
