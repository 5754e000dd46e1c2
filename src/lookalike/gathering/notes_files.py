"""Notes about pictures from a table (CSV, TSV) or a JSON file."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lookalike.errors import DatasetError, EnvironmentFault
from lookalike.gathering.annotating import Note

ENDINGS: Final = (".csv", ".tsv", ".json")

IMAGE_COLUMNS: Final = ("image", "path", "file", "filename", "hash")
CAPTION_COLUMNS: Final = ("caption", "captions")
LABEL_COLUMNS: Final = ("label", "labels")

_LARGEST_JSON: Final = 1 << 30


def read_notes(path: Path) -> Iterator[Note]:
    """Read a file of notes, line by line if it is a table.

    A table has a header. One column (`image`, `path`, `file`, `filename` or `hash`) names the
    picture; `caption` holds a sentence, `label` or `labels` names with `;` between them; every
    other column is an attribute. Empty cells say nothing. Several lines may be about one picture.

    A JSON file holds a list of objects with the same keys, where captions and labels may be lists
    and `attributes` an object.

    Raises:
        DatasetError: If it cannot be read as such; the message names the line.
        EnvironmentFault: If it is missing or may not be read.
    """
    try:
        if path.suffix.lower() == ".json":
            yield from _read_json(path)
        else:
            yield from _read_table(path)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is no UTF-8 text ({error.reason}); save it as such") from error


def _read_table(path: Path) -> Iterator[Note]:
    dialect = "excel-tab" if path.suffix.lower() == ".tsv" else "excel"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, dialect, strict=True)
        try:
            header = [name.strip().lower() for name in next(rows, [])]
            image = _image_column(header, path)
            for row in rows:
                if row:
                    yield _from_row(row, header, image, f"{path}, line {rows.line_num}")
        except csv.Error as error:
            raise DatasetError(f"{path}, line {rows.line_num}: no table: {error}") from error


def _image_column(header: list[str], path: Path) -> str:
    found = [name for name in IMAGE_COLUMNS if name in header]
    if not found or len(set(header)) < len(header):
        raise DatasetError(
            f"{path} has the columns {', '.join(header) or '(none)'}; one must be called "
            f"{', '.join(IMAGE_COLUMNS[:-1])} or {IMAGE_COLUMNS[-1]}, and no two the same"
        )
    return found[0]


def _from_row(row: list[str], header: list[str], image: str, where: str) -> Note:
    if len(row) != len(header):
        raise DatasetError(f"{where} has {len(row)} columns and the header {len(header)}")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}
    target = cells.pop(image, "")
    if not target:
        raise DatasetError(f"{where}: the column {image!r} is empty; name the picture")
    captions = tuple(cells.pop(name) for name in CAPTION_COLUMNS if name in cells)
    texts = [cells.pop(name) for name in LABEL_COLUMNS if name in cells]
    labels = (label.strip() for text in texts for label in text.split(";"))
    return Note(target, captions, tuple(filter(None, labels)), cells, where)


def _read_json(path: Path) -> Iterator[Note]:
    if path.stat().st_size > _LARGEST_JSON:
        raise DatasetError(f"{path} is larger than 1 GiB; give a table (.tsv), which is streamed")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is no JSON: {error}") from error
    if not isinstance(content, list):
        raise DatasetError(f"{path} holds no list of objects, one for each picture")
    for number, entry in enumerate(content, start=1):
        yield _from_object(entry, f"{path}, entry {number}")


def _from_object(entry: Any, where: str) -> Note:
    if not isinstance(entry, Mapping):
        raise DatasetError(f"{where} is no object")
    rest = dict(entry)
    named = [rest.pop(name) for name in IMAGE_COLUMNS if name in rest]
    if len(named) != 1 or not isinstance(named[0], str) or not named[0]:
        raise DatasetError(f"{where} names no picture, or several; give it one key 'image'")
    captions = tuple(t for name in CAPTION_COLUMNS for t in _texts(rest.pop(name, ()), where))
    labels = tuple(t for name in LABEL_COLUMNS for t in _texts(rest.pop(name, ()), where))
    attributes = rest.pop("attributes", {})
    if not isinstance(attributes, Mapping):
        raise DatasetError(f"{where}: 'attributes' is no object")
    pairs = {**rest, **attributes}.items()
    values = {str(key).lower(): _plain(value, where) for key, value in pairs if value is not None}
    return Note(named[0], captions, labels, values, where)


def _texts(value: Any, where: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise DatasetError(f"{where}: captions and labels are texts or lists of texts")
    return tuple(text.strip() for text in texts if text.strip())


def _plain(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DatasetError(f"{where}: {value!r:.60} is no text and no number")
    return str(value)
