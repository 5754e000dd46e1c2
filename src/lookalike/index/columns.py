"""Columns of values that are derived from the catalog and mapped from files, beside the indexes.

Below the collection's folder, for a table such as `regions_outlines`::

    regions_outlines.json                  the card: what it is, and size and SHA-256 of the files
    regions_outlines-3f2a91c0.areas.npy    one column, mapped into memory

Like an index, each build writes under new names and becomes valid when the card is replaced, and
whatever is wrong with it gives `IndexUnavailableError`.
"""

import contextlib
import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import numpy as np
from numpy import ndarray

from lookalike.atomic import environment_fault, write_atomically
from lookalike.errors import IndexUnavailableError, UsageError
from lookalike.failpoints import failpoint
from lookalike.index.files import FileRecord, flush, record_of, remove_strays

FORMAT: Final = 1
"""Version of the files; others are built again."""

Columns: TypeAlias = Mapping[str, ndarray]
"""Arrays of one length, by name; names are those of Python."""


@dataclass(frozen=True, slots=True)
class ColumnsCard:
    """What makes a set of files a table.

    Attributes:
        name: Of the table.
        model: Id of the model that its values come from.
        revision: Revision of the catalog from which it was built.
        n: Number of rows.
        files: Name, size and checksum of each file.
        facts: Whatever else is to be known of it.
        format: Version of the files.
    """

    name: str
    model: str
    revision: int
    n: int
    files: Mapping[str, FileRecord]
    facts: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def publish_columns(
    folder: Path,
    name: str,
    batches: Iterable[Columns],
    *,
    model: str,
    revision: int,
    facts: Mapping[str, Any],
) -> ColumnsCard:
    """Store a table in place of the one before it, in one step; rows are written as they come.

    Args:
        folder: Where it is stored.
        name: Of the table.
        batches: One or more, all of the same columns and types; may be empty.
        model: See `ColumnsCard`.
        revision: See `ColumnsCard`.
        facts: See `ColumnsCard`; read when all batches have been.

    Raises:
        UsageError: If there is no batch.
        EnvironmentFault: If the disk is full; the table before is still valid.
    """
    stem = folder / f"{name}-{secrets.token_hex(4)}"
    written: dict[str, Path] = {}
    try:
        n = _write(stem, batches, written)
        files = {path.name: record_of(path) for path in written.values()}
        for path in written.values():
            flush(path)
    except BaseException as error:
        for path in written.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise environment_fault(error, f"{stem} could not be written") from error
        raise
    failpoint("columns.written")
    card = ColumnsCard(name, model, revision, n, files, dict(facts))
    write_atomically(folder / f"{name}.json", (json.dumps(asdict(card), indent=2) + "\n").encode())
    failpoint("columns.published")
    remove_strays(folder, name, card.files)
    return card


def open_columns(folder: Path, name: str, *, model: str) -> tuple[dict[str, ndarray], ColumnsCard]:
    """Map a table into memory; sizes are compared, checksums are not.

    Raises:
        IndexUnavailableError: If it is missing, damaged, or made for another model.
    """
    card = _read_card(folder, name)
    while True:
        try:
            return _load(folder, card, model), card
        except IndexUnavailableError:
            # Another process may have published a new build and deleted this one's files.
            newer = _read_card(folder, name)
            if newer == card:
                raise
            card = newer


def _write(stem: Path, batches: Iterable[Columns], written: dict[str, Path]) -> int:
    """Write all batches, one file for each column; return the number of rows."""
    n, last = 0, dict[str, ndarray]()
    with ExitStack() as stack:
        opened: dict[str, BinaryIO] = {}
        for batch in batches:
            if not opened:
                for name, column in batch.items():
                    written[name] = stem.with_name(f"{stem.name}.{name}.npy")
                    opened[name] = stack.enter_context(written[name].open("wb"))
                    _write_header(opened[name], column, 0)
            for name, column in batch.items():
                opened[name].write(np.ascontiguousarray(column).tobytes())
            last = dict(batch)
            n += len(next(iter(batch.values())))
        if not opened:
            raise UsageError(f"{stem.name} has no columns to be written; give one batch or more")
        for name, file in opened.items():
            # The header has room for a longer number, so the rows stay where they are.
            file.seek(0)
            _write_header(file, last[name], n)
    return n


def _write_header(file: BinaryIO, column: ndarray, n: int) -> None:
    layout = {
        "descr": np.lib.format.dtype_to_descr(column.dtype),
        "fortran_order": False,
        "shape": (n, *column.shape[1:]),
    }
    np.lib.format.write_array_header_1_0(file, layout)


def _read_card(folder: Path, name: str) -> ColumnsCard:
    path = folder / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, this program's is {FORMAT}")
        files = {each: FileRecord(**record) for each, record in content["files"].items()}
        return ColumnsCard(**{**content, "files": files})
    except FileNotFoundError:
        raise IndexUnavailableError(f"there is no table {path}; it is made by indexing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unavailable(path, f"it cannot be read: {error!r}") from error


def _load(folder: Path, card: ColumnsCard, model: str) -> dict[str, ndarray]:
    place = folder / f"{card.name}.json"
    if card.model != model:
        raise _unavailable(place, f"it was made with the model {card.model}, not {model}")
    columns = {}
    for name, record in card.files.items():
        try:
            if (folder / name).stat().st_size != record.size:
                raise ValueError(f"it has another size than {record.size} bytes")
            mapped = np.load(folder / name, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise _unavailable(folder / name, str(error)) from error
        if len(mapped) != card.n:
            raise _unavailable(folder / name, f"it has {len(mapped)} rows instead of {card.n}")
        # A plain array over the same memory: numpy's memmap class costs time at each look-up.
        columns[name.split(".")[-2]] = np.asarray(mapped)
    return columns


def _unavailable(path: Path, reason: str) -> IndexUnavailableError:
    return IndexUnavailableError(f"the table {path} cannot be used: {reason}; it is built again")
