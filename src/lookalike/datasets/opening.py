"""Opening a data set by a few words, whatever its kind."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from lookalike.datasets.base import ListedDataset
from lookalike.datasets.classes import is_folders, is_table, open_folders, open_table
from lookalike.datasets.coco import Level, is_coco, open_coco
from lookalike.datasets.masks import is_masks, open_masks
from lookalike.datasets.parquet import open_parquet, parquet_files
from lookalike.datasets.scenes import open_scenes
from lookalike.datasets.splits import take_part
from lookalike.errors import DatasetError, EnvironmentFault, UsageError
from lookalike.progress import SILENT, Progress

LEVELS: Final[tuple[Level, ...]] = ("names", "supercategories")

LOOKED_FOR: Final = (
    "COCO (annotations/*.json), masks (images/, masks/, labels.txt), a table (images/, "
    "labels.tsv), Parquet files (*.parquet), or a folder with pictures for each class"
)

_SCENES: Final = re.compile(r"scenes:(?P<n>[^:]*)(?::(?P<seed>[^:]*))?")


class Spec(NamedTuple):
    """A data set in words, taken apart.

    Attributes:
        source: A path, or `scenes:N[:SEED]`.
        labels_column: Which column of a table holds the labels, where that is given.
        part: "train" or "test", or `None` for the whole.
    """

    source: str
    labels_column: str | None
    part: str | None


def open_dataset(
    spec: str | os.PathLike[str], *, level: Level = "names", progress: Progress = SILENT
) -> ListedDataset:
    """Open a data set.

    Args:
        spec: A folder, recognized by what lies in it: COCO (`annotations/*.json`), masks
            (`images/`, `masks/`, `labels.txt`), a table (`images/`, `labels.tsv`), `*.parquet`, or
            a folder for each class; a Parquet file; or `scenes:N[:SEED]` for N generated scenes.
            `#train` after it takes two thirds of the pictures and `#test` the other third, by a
            hash of their names. `@COLUMN` takes the labels from that column of a table.
        level: Whether COCO's categories are the classes or their supercategories.
        progress: Told about scenes that are drawn because they are opened for the first time.

    Raises:
        UsageError: If the part, the column, the level, or the number of scenes makes no sense.
        DatasetError: If there is no data set, nothing in it, or its files contradict each other.
        EnvironmentFault: If an optional dependency is missing, a folder may not be read, or scenes
            cannot be stored.
    """
    if level not in LEVELS:
        raise UsageError(f"no level {level!r}; the levels are {', '.join(LEVELS)}")
    with _clear_errors(spec):
        source, labels_column, part = parse_spec(spec)
    if scenes := _SCENES.fullmatch(source):
        n = _whole_number(scenes["n"], source)
        seed = _whole_number(scenes["seed"] or "0", source)
        dataset: ListedDataset = open_scenes(n, seed, level=level, progress=progress)
    else:
        with _clear_errors(spec):
            dataset = _open_path(source, level, labels_column)
    return take_part(dataset, part) if part is not None else dataset


def parse_spec(spec: str | os.PathLike[str]) -> Spec:
    """Take a spec apart; a path that exists is never taken apart.

    Example:
        >>> parse_spec("photos/corel@keywords#test")
        Spec(source='photos/corel', labels_column='keywords', part='test')
        >>> parse_spec("scenes:2000:7#train")
        Spec(source='scenes:2000:7', labels_column=None, part='train')
    """
    rest = os.fspath(spec)
    part = labels_column = None
    if not Path(rest).exists() and "#" in rest:
        rest, _, part = rest.rpartition("#")
    if not Path(rest).exists() and "@" in rest:
        rest, _, labels_column = rest.rpartition("@")
    return Spec(rest, labels_column, part)


def needs_opening(source: str | os.PathLike[str]) -> bool:
    """Tell whether `source` can only mean a data set: scenes, or a part, and no plain path."""
    taken_apart = parse_spec(source)
    return taken_apart.part is not None or _SCENES.fullmatch(taken_apart.source) is not None


def is_labeled(folder: Path) -> bool:
    """Tell whether a folder surely is a labeled data set: COCO, masks or a table."""
    return folder.is_dir() and any(_RECOGNIZERS[kind](folder) for kind in _SURE)


def picture_files(dataset: ListedDataset) -> list[Path]:
    """Return the files that hold the pictures of a data set, in its order.

    Raises:
        UsageError: If the pictures lie inside another file, such as Parquet.
    """
    if not dataset.paths:
        raise UsageError(
            f"the pictures of {dataset.name!r} lie inside another file and have none of their own; "
            "store them as files to index them"
        )
    return list(dataset.paths)


@contextmanager
def _clear_errors(spec: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise EnvironmentFault(f"no permission to read {error.filename}") from error
    except OSError as error:
        raise DatasetError(f"{os.fspath(spec)!r} cannot be read ({error.strerror})") from error


def _open_path(source: str, level: Level, labels_column: str | None) -> ListedDataset:
    path = Path(source)
    if not source or not path.exists():
        raise DatasetError(
            f"no data set {source!r}: there is no such file or folder; "
            "generated scenes are written scenes:N or scenes:N:SEED"
        )
    kind = next((kind for kind, is_kind in _RECOGNIZERS.items() if is_kind(path)), None)
    if kind is None:
        raise DatasetError(f"{path} is no data set; looked for {LOOKED_FOR}")
    if level != "names" and kind != "coco":
        raise UsageError(f"{path} has no {level}, as it is not COCO; use the level 'names'")
    if labels_column is not None and kind != "table":
        raise UsageError(
            f"{path} has no column {labels_column!r}, as it has no labels.tsv; leave out '@'"
        )
    return _open_kind(kind, path, level, labels_column)


_RECOGNIZERS: Final[Mapping[str, Callable[[Path], bool]]] = {
    "coco": is_coco,
    "masks": is_masks,
    "table": is_table,
    "parquet": lambda path: bool(parquet_files(path)),
    "folders": is_folders,
}


_SURE: Final = ("coco", "masks", "table")
"""Kinds that no ordinary folder of pictures is taken for."""


def _open_kind(kind: str, path: Path, level: Level, labels_column: str | None) -> ListedDataset:
    match kind:
        case "coco":
            return open_coco(path, level)
        case "masks":
            return open_masks(path)
        case "table":
            return open_table(path, labels_column)
        case "parquet":
            return open_parquet(path)
        case _:
            return open_folders(path)


def _whole_number(text: str, source: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise UsageError(
            f"{source!r} is not scenes:N or scenes:N:SEED with whole numbers, as in scenes:2000:7"
        )
    return int(text)
