"""Pictures and classes inside Parquet files, as data set hubs hand them out."""

import json
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from lookalike.datasets.base import LabeledImage, palette
from lookalike.datasets.classes import PART_NAMES, in_natural_order
from lookalike.errors import DatasetError, MissingExtraError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PICTURE_COLUMNS: Final = ("image", "img", "picture")
"""Columns that may hold the encoded pictures, as bytes or as a structure with `bytes`."""

LABEL_COLUMNS: Final = ("label", "class", "category", "theme", "wnid", "name")
"""Columns that may hold the class; the first of these that is there does."""

CACHE_BYTES: Final = 256 * 2**20
"""Row groups of this size together stay in memory. Sets beyond it are read fastest in order."""

_Key: TypeAlias = int | str


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which columns of a file hold what; `names` are class names that the file itself lists."""

    picture: str
    is_structure: bool
    label: str
    title: str | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _RowGroup:
    """Rows that are read together, the first of them at position `start` of the data set."""

    path: Path
    layout: _Layout
    group: int
    start: int


class ParquetDataset:
    """Pictures inside Parquet files; see `open_parquet`."""

    has_label_maps: Final = False
    is_single_label: Final = True
    paths: Sequence[Path] = ()

    def __init__(
        self,
        name: str,
        row_groups: Sequence[_RowGroup],
        names: Sequence[str],
        labels: Sequence[int],
        classes: Sequence[str],
    ) -> None:
        self.name = name
        self.names = names
        self.classes = tuple(classes)
        self.relevant_classes = frozenset(range(len(classes)))
        self.palette = palette(len(classes))
        self._labels = labels
        self._row_groups = tuple(row_groups)
        self._starts = [row_group.start for row_group in row_groups]
        self._cache: OrderedDict[int, pa.Array] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> LabeledImage:
        return LabeledImage(
            name=self.names[position],
            path=None,
            labels=(self._labels[position],),
            captions=(),
            read_bytes=partial(self._read_bytes, position % len(self)),
            read_label_map=None,
        )

    def _read_bytes(self, position: int) -> bytes:
        number = bisect_right(self._starts, position) - 1
        data = self._pictures(number)[position - self._starts[number]].as_py()
        if not isinstance(data, bytes):
            raise DatasetError(
                f"{self._row_groups[number].path}: {self.names[position]} holds no picture; "
                "the file must contain the pictures themselves, not their paths"
            )
        return data

    def _pictures(self, number: int) -> "pa.Array":
        """Return the pictures of a row group, from memory if they were lately asked for."""
        with self._lock:
            if number not in self._cache:
                self._cache[number] = _read_pictures(self._row_groups[number])
                while len(self._cache) > 1 and self._cached_bytes() > CACHE_BYTES:
                    self._cache.popitem(last=False)
            self._cache.move_to_end(number)
            return self._cache[number]

    def _cached_bytes(self) -> int:
        return sum(int(pictures.nbytes) for pictures in self._cache.values())


def parquet_files(path: Path) -> list[Path]:
    """Return `path` itself if it is a Parquet file, or those that lie in it if it is a folder."""
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    return [path] if path.suffix == ".parquet" and path.is_file() else []


def open_parquet(path: Path) -> ParquetDataset:
    """Open a Parquet file, or all of a folder: a picture and its class in each row.

    The pictures are in the first of `PICTURE_COLUMNS`, the classes in the first of
    `LABEL_COLUMNS`, in ascending order. Where there also is a column `name` with another name for
    each class, that is shown. Numbers get the class names that the file lists for them in the
    manner of Hugging Face's `datasets`. The picture in row 7 of `a.parquet` is called `a/7`.

    Raises:
        MissingExtraError: If pyarrow is not installed.
        DatasetError: If a file cannot be read, lacks a column, or has a row without class.
    """
    files = parquet_files(path)
    _check_one_part(files, path)
    row_groups: list[_RowGroup] = []
    names: list[str] = []
    keys: list[_Key] = []
    titles: dict[_Key, str] = {}
    listed: tuple[str, ...] = ()
    for file in files:
        table = _open(file)
        layout = _layout(table, file)
        row_groups.extend(_row_groups(table, file, layout, start=len(names)))
        names.extend(f"{file.stem}/{row}" for row in range(table.metadata.num_rows))
        keys.extend(_read_keys(table, layout, file, titles))
        listed = listed or layout.names
    if not keys:
        raise DatasetError(f"{path}: nothing in it: no rows")
    order, classes = _classes(set(keys), titles, listed)
    labels = [order[key] for key in keys]
    return ParquetDataset(path.resolve().stem, row_groups, names, labels, classes)


def _check_one_part(files: Sequence[Path], path: Path) -> None:
    parts = sorted({file.name.partition("-")[0] for file in files} & PART_NAMES)
    if len(parts) > 1:
        raise DatasetError(
            f"{path} holds the parts {', '.join(parts)}; put the files of each into a folder of "
            "its own and open that"
        )


def _open(path: Path) -> "pq.ParquetFile":
    try:
        # Of the extra `learn`, and slow to load.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("pyarrow", "learn", "reading Parquet files") from error
    try:
        return pq.ParquetFile(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{path} cannot be read as Parquet ({error})") from error


def _layout(table: "pq.ParquetFile", path: Path) -> _Layout:
    schema = table.schema_arrow
    picture = next((name for name in PICTURE_COLUMNS if name in schema.names), None)
    label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
    if picture is None or label is None:
        wanted = PICTURE_COLUMNS if picture is None else LABEL_COLUMNS
        raise DatasetError(
            f"{path} has the columns {', '.join(schema.names)}; one must be called "
            f"{', '.join(wanted[:-1])} or {wanted[-1]}"
        )
    kind = schema.field(picture).type
    is_structure = str(kind).startswith("struct<") and kind.get_field_index("bytes") >= 0
    if not is_structure and str(kind) not in ("binary", "large_binary"):
        raise DatasetError(
            f"{path}: the column {picture!r} is of type {kind}; encoded pictures are binary, or a "
            "structure with 'bytes'"
        )
    title = "name" if "name" in schema.names and label != "name" else None
    return _Layout(picture, is_structure, label, title, _listed_names(schema.metadata, label))


def _listed_names(metadata: Mapping[bytes, bytes] | None, label: str) -> tuple[str, ...]:
    """Return the class names that Hugging Face's `datasets` writes beside the columns."""
    try:
        described = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        return tuple(str(name) for name in described["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _row_groups(
    table: "pq.ParquetFile", path: Path, layout: _Layout, start: int
) -> Iterator[_RowGroup]:
    first_row = 0
    for group in range(table.num_row_groups):
        n_rows = table.metadata.row_group(group).num_rows
        if n_rows:
            yield _RowGroup(path, layout, group, start + first_row)
        first_row += n_rows


def _read_keys(
    table: "pq.ParquetFile", layout: _Layout, path: Path, titles: dict[_Key, str]
) -> list[_Key]:
    """Return what identifies the class in each row, and note what else it is called."""
    columns = [layout.label] + ([layout.title] if layout.title else [])
    read = table.read(columns=columns, use_threads=False)
    keys: list[_Key] = read.column(layout.label).to_pylist()
    for row, key in enumerate(keys):
        if not isinstance(key, int | str):
            raise DatasetError(
                f"{path}: {layout.label!r} in row {row} is {key!r}; it is a number or text"
            )
    if layout.title:
        titles.update(zip(keys, map(str, read.column(layout.title).to_pylist()), strict=True))
    return keys


def _classes(
    keys: set[_Key], titles: Mapping[_Key, str], listed: Sequence[str]
) -> tuple[dict[_Key, int], tuple[str, ...]]:
    numbers = {key for key in keys if isinstance(key, int)}
    if listed and numbers == keys and min(numbers) >= 0 and max(numbers) < len(listed):
        return {number: number for number in range(len(listed))}, tuple(listed)
    by_text = {str(key): key for key in keys}
    ordered = [by_text[text] for text in in_natural_order(set(by_text))]
    index = {key: position for position, key in enumerate(ordered)}
    names = tuple(titles.get(key, str(key)) for key in ordered)
    # Two kinds of crane stay two classes.
    if len(set(names)) < len(names):
        names = tuple(str(key) for key in ordered)
    return index, names


def _read_pictures(row_group: _RowGroup) -> "pa.Array":
    """Read the encoded pictures of a row group, without their other columns."""
    layout = row_group.layout
    column = f"{layout.picture}.bytes" if layout.is_structure else layout.picture
    # The file is opened anew each time, so that a data set survives a fork of the process.
    table = _open(row_group.path).read_row_group(
        row_group.group, columns=[column], use_threads=False
    )
    pictures = table.column(layout.picture).combine_chunks()
    return pictures.field("bytes") if layout.is_structure else pictures
