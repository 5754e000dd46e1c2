"""Pictures with classes but no label maps: a folder per class, or `images/` and `labels.tsv`."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lookalike.datasets.base import LabeledImage, palette
from lookalike.datasets.pictures import find_pictures, read_picture
from lookalike.errors import DatasetError, UsageError

IMAGES: Final = "images"
TABLE: Final = "labels.tsv"

SINGLE_COLUMNS: Final = ("label", "class", "category", "theme")
"""Columns of a table that hold one class for each picture."""

MULTI_COLUMNS: Final = ("labels", "classes", "keywords", "tags")
"""Columns of a table that hold any number of classes, with commas or else blanks between them."""

PART_NAMES: Final = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing"}
)
"""What others call the parts of their data sets."""


@dataclass(frozen=True, slots=True)
class LabeledFile:
    """A picture file and its classes by name.

    Attributes:
        name: Path below the folder of the pictures.
        path: The file.
        labels: Class names.
        captions: Sentences that describe it.
    """

    name: str
    path: Path
    labels: tuple[str, ...]
    captions: tuple[str, ...] = ()


class ClassDataset:
    """Picture files with classes; see `open_folders` and `open_table`.

    Args:
        name: Short name for reports.
        files: The pictures.
        is_single_label: Whether each has exactly one class.
    """

    def __init__(self, name: str, files: Sequence[LabeledFile], *, is_single_label: bool) -> None:
        self.name = name
        self.classes = in_natural_order({label for file in files for label in file.labels})
        self.relevant_classes = frozenset(range(len(self.classes)))
        self.palette = palette(len(self.classes))
        self.has_label_maps = False
        self.is_single_label = is_single_label
        self.names = tuple(file.name for file in files)
        self.paths = tuple(file.path for file in files)
        self._files = tuple(files)
        self._index = {label: index for index, label in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, position: int) -> LabeledImage:
        file = self._files[position]
        return LabeledImage(
            name=file.name,
            path=file.path,
            labels=tuple(sorted({self._index[label] for label in file.labels})),
            captions=file.captions,
            read_bytes=partial(read_picture, file.path),
            read_label_map=None,
        )


def in_natural_order(names: set[str]) -> tuple[str, ...]:
    """Sort names so that numbers in them count: "2" before "10".

    Example:
        >>> in_natural_order({"theme 10", "theme 2", "apple"})
        ('apple', 'theme 2', 'theme 10')
    """

    def key(name: str) -> tuple[list[str | int], str]:
        # Text and digits take turns, so that like is always compared with like.
        pieces = re.split(r"([0-9]+)", name.lower())
        return [int(piece) if piece.isdigit() else piece for piece in pieces], name

    return tuple(sorted(names, key=key))


def class_folders(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the pictures in each direct subfolder that has any, by name of the subfolder."""
    if not folder.is_dir():
        return {}
    subfolders = sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    found = {path.name: find_pictures(path) for path in subfolders}
    return {name: pictures for name, pictures in found.items() if pictures}


def is_folders(folder: Path) -> bool:
    """Tell whether `folder` has two subfolders with pictures, or one that again has such."""
    found = class_folders(folder)
    return len(found) > 1 or any(len(class_folders(folder / name)) > 1 for name in found)


def open_folders(folder: Path) -> ClassDataset:
    """Open a set with a folder for each class; the name of the folder is that of the class.

    A single folder in between, as in `train/<class>/`, is stepped over. If there are several such
    parts (`train/` and `val/`), one of them must be opened by its own path. Folders in a class
    folder belong to the class.

    Raises:
        DatasetError: If it is unclear what the classes are, or a picture lies beside the class
            folders.
    """
    found = class_folders(folder)
    parts = [name for name in found if name.lower() in PART_NAMES]
    if parts and len(parts) == len(found) > 1:
        raise DatasetError(
            f"{folder} holds the parts {', '.join(parts)}; open one of them, such as "
            f"{folder / parts[0]}"
        )
    top = folder
    if len(found) == 1:
        top = folder / next(iter(found))
        found = class_folders(top)
    _check_no_strays(top, found)
    files = [
        LabeledFile(f"{label}/{name}", path, (label,))
        for label, pictures in found.items()
        for name, path in pictures.items()
    ]
    return ClassDataset(folder.resolve().name, files, is_single_label=True)


def _check_no_strays(top: Path, found: dict[str, dict[str, Path]]) -> None:
    strays = [name for name in find_pictures(top) if name.partition("/")[0] not in found]
    if strays:
        raise DatasetError(
            f"{len(strays)} pictures in {top} lie beside the class folders, the first is "
            f"{strays[0]!r}; move them into the folder of their class"
        )


def is_table(folder: Path) -> bool:
    """Tell whether `folder` looks like pictures with a table of labels."""
    return (folder / TABLE).is_file()


def open_table(folder: Path, labels_column: str | None = None) -> ClassDataset:
    """Open `images/` with `labels.tsv`: a header, and a line with tabs for each picture.

    The column `image` holds the path below `images/`. One of `SINGLE_COLUMNS` holds the class; if
    there is none, one of `MULTI_COLUMNS` holds any number of them. A column `caption` is read too.
    Pictures that are not in the table are no part of the set.

    Args:
        folder: Holds `images/` and `labels.tsv`.
        labels_column: Take the labels from this column instead; it holds one class for each
            picture unless it is among `MULTI_COLUMNS`.

    Raises:
        UsageError: If there is no column `labels_column`.
        DatasetError: If the table does not say which column holds the labels, names pictures that
            are not there or the same one twice, or has lines of the wrong length.
    """
    path = folder / TABLE
    header, rows = _read_rows(path)
    column = labels_column or _labels_column(header, path)
    if column not in header or column == "image":
        raise UsageError(
            f"{path} has no column of labels {column!r}; its columns are {', '.join(header)}"
        )
    is_single_label = column not in MULTI_COLUMNS
    split = _one_label if is_single_label else _splitter([row[column] for _, row in rows])
    files = []
    for number, row in rows:
        labels = split(row[column])
        if is_single_label and not labels:
            raise DatasetError(f"{path}, line {number}: the column {column!r} is empty")
        captions = (row["caption"],) if row.get("caption") else ()
        name = row["image"]
        files.append(LabeledFile(name, folder / IMAGES / name, labels, captions))
    _check_files(files, path)
    return ClassDataset(folder.resolve().name, files, is_single_label=is_single_label)


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the names of the columns, and the number and cells of each line below."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, "excel-tab", quoting=csv.QUOTE_NONE)
            lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read as text ({error})") from error
    if len(lines) < 2:
        raise DatasetError(f"{path}: nothing in it; it has a header and a line for each picture")
    header = lines[0][1]
    if "image" not in header or len(set(header)) < len(header):
        raise DatasetError(
            f"{path} has the columns {', '.join(header)}; exactly one must be called 'image', and "
            "no two the same"
        )
    for number, line in lines:
        if len(line) != len(header):
            raise DatasetError(
                f"{path}, line {number} has {len(line)} columns and the header {len(header)}; "
                "put one tab between columns"
            )
    return header, [(number, dict(zip(header, line, strict=True))) for number, line in lines[1:]]


def _labels_column(header: Sequence[str], path: Path) -> str:
    for candidates in (SINGLE_COLUMNS, MULTI_COLUMNS):
        present = [name for name in header if name in candidates]
        if len(present) > 1:
            raise DatasetError(
                f"{path} has the columns {', '.join(present)}; say which one holds the labels, "
                f"as in {path.parent}@{present[0]}"
            )
        if present:
            return present[0]
    raise DatasetError(
        f"{path} has no column of labels; call it one of "
        f"{', '.join((*SINGLE_COLUMNS, *MULTI_COLUMNS))}"
    )


def _one_label(cell: str) -> tuple[str, ...]:
    return (cell,) if cell else ()


def _splitter(cells: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    separator = "," if any("," in cell for cell in cells) else None

    def split(cell: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in cell.split(separator) if part.strip())

    return split


def _check_files(files: Sequence[LabeledFile], path: Path) -> None:
    names: set[str] = set()
    for file in files:
        if file.name in names:
            raise DatasetError(f"{path} names the picture {file.name!r} twice")
        names.add(file.name)
    there = find_pictures(path.parent / IMAGES)
    missing = [file.name for file in files if file.name not in there]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(files)} pictures in {path} are not in "
            f"{path.parent / IMAGES}, the first is {missing[0]!r}"
        )
    if not any(file.labels for file in files):
        raise DatasetError(f"{path}: no picture has a label")
