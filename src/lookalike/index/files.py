"""Keeping an index in files: rows, ids and codes, and one card that makes them valid.

Below the collection's folder, for each descriptor::

    content.json                   the card: what it is, and size and SHA-256 of the other files
    content-3f2a91c0.rows.npy      unit rows, mapped into memory
    content-3f2a91c0.ids.npy       their image ids, ascending
    content-3f2a91c0.faiss         clusters and codes, where the kind has any

Each build writes under new names and becomes valid when the card is replaced in one step; only
then are the files of the build before it deleted. A reader that mapped those keeps them. An index
is derived: whatever is wrong with it gives `IndexUnavailableError`, and it is built again.
"""

import hashlib
import io
import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from lookalike.arrays import Ids
from lookalike.atomic import environment_fault, sweep, sync_file, write_atomically
from lookalike.errors import DamagedCollectionError, IndexUnavailableError
from lookalike.failpoints import failpoint
from lookalike.index.base import IndexFacts
from lookalike.index.exact import ExactIndex, RowsIndex
from lookalike.index.row_files import map_rows
from lookalike.index.rows import Rows

FORMAT: Final = 1
"""Version of the files; others are built again."""

_ROWS, _IDS, _CODES = ".rows.npy", ".ids.npy", ".faiss"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class IndexCard:
    """What makes a set of files an index.

    Attributes:
        descriptor: Name of the descriptor, for instance `content`.
        model: Id of the model that gave the embeddings.
        revision: Revision of the catalog from which it was built.
        max_id: Largest image id in it, -1 when empty: newer images have larger ones.
        facts: How it was built and how well it finds.
        files: Name, size and checksum of the other files.
        calibration: How the search turns similarities into scores; of no concern here.
        format: Version of the files.
    """

    descriptor: str
    model: str
    revision: int
    max_id: int
    facts: IndexFacts
    files: Mapping[str, FileRecord]
    calibration: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def new_rows_file(folder: Path, descriptor: str) -> Path:
    """Return the name under which the rows of a new build are to be written."""
    return folder / f"{descriptor}-{secrets.token_hex(4)}{_ROWS}"


def publish_index(
    folder: Path,
    descriptor: str,
    index: RowsIndex,
    *,
    model: str,
    revision: int,
    calibration: Mapping[str, Any],
) -> IndexCard:
    """Store an index in place of the one before it, in one step.

    Rows that `build_index` wrote to `new_rows_file` stay where they are; others are written.
    Only one process may do this at a time.

    Raises:
        EnvironmentFault: If the disk is full or permission is missing; the index before is still
            valid.
    """
    rows_file = index.rows.path
    if rows_file is None or rows_file.parent != folder:
        rows_file = _write_rows(new_rows_file(folder, descriptor), index.rows)
    stem = rows_file.name.removesuffix(_ROWS)
    paths = [rows_file, folder / f"{stem}{_IDS}"]
    write_atomically(paths[1], _array_bytes(index.rows.stored_ids))
    failpoint("index.ids_written")
    codes = index.codes
    if codes is not None:
        paths.append(folder / f"{stem}{_CODES}")
        write_atomically(paths[2], codes)
        failpoint("index.codes_written")
    ids = index.rows.stored_ids
    max_id = int(ids[-1]) if len(ids) else -1
    files = {path.name: record_of(path) for path in paths}
    flush(rows_file)
    card = IndexCard(descriptor, model, revision, max_id, index.facts, files, calibration)
    failpoint("index.recorded")
    write_atomically(folder / f"{descriptor}.json", _to_json(card))
    failpoint("index.published")
    remove_strays(folder, descriptor, card.files)
    return card


def open_index(
    folder: Path, descriptor: str, *, dim: int | None = None, model: str | None = None
) -> tuple[RowsIndex, IndexCard]:
    """Open a stored index; rows are mapped, so that this takes milliseconds.

    Sizes are compared, checksums are not: see `check_index`.

    Args:
        folder: Where `publish_index` put it.
        descriptor: Name of the descriptor.
        dim: Length that its embeddings must have.
        model: Id of the model that they must come from.

    Raises:
        IndexUnavailableError: If it is missing, damaged, or made for something else.
    """
    card = read_card(folder, descriptor)
    while True:
        try:
            _check_card(folder, card, dim, model)
            return _load(folder, card), card
        except IndexUnavailableError:
            # Another process may have published a new build and deleted this one's files.
            newer = read_card(folder, descriptor)
            if newer == card:
                raise
            card = newer


def read_card(folder: Path, descriptor: str) -> IndexCard:
    """Read the card of an index without opening it.

    Raises:
        IndexUnavailableError: If there is none or it cannot be read.
    """
    path = folder / f"{descriptor}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, this program's is {FORMAT}")
        files = {name: FileRecord(**record) for name, record in content["files"].items()}
        known = {**content, "facts": IndexFacts(**content["facts"]), "files": files}
        return IndexCard(**known)
    except FileNotFoundError:
        raise IndexUnavailableError(f"there is no index {path}; it is made by indexing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unavailable(path, f"it cannot be read: {error!r}") from error


def check_index(folder: Path, descriptor: str) -> IndexCard:
    """Compare all files of an index with their checksums, and see that it opens.

    Raises:
        IndexUnavailableError: If it is missing or damaged.
    """
    _, card = open_index(folder, descriptor)
    for name, expected in card.files.items():
        found = record_of(folder / name)
        if found != expected:
            raise _unavailable(folder / name, "its content has changed since it was written")
    return card


def remove_strays(folder: Path, descriptor: str, files: Collection[str]) -> list[Path]:
    """Delete what unfinished or replaced builds left behind: all but the named files.

    Only for the one process that may write to the folder.
    """
    pattern = re.compile(rf"{re.escape(descriptor)}-[0-9a-f]{{8}}\.(\w+\.npy|faiss)")
    strays = [
        path
        for path in sorted(folder.iterdir())
        if pattern.fullmatch(path.name) and path.name not in files
    ]
    for path in strays:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise environment_fault(error, f"{path} could not be deleted") from error
        failpoint("index.stray_removed")
    return strays + sweep(folder)


def _check_card(folder: Path, card: IndexCard, dim: int | None, model: str | None) -> None:
    place = folder / f"{card.descriptor}.json"
    if dim is not None and card.facts.dim != dim:
        raise _unavailable(place, f"its embeddings have {card.facts.dim} dimensions, not {dim}")
    if model is not None and card.model != model:
        raise _unavailable(place, f"it was made with the model {card.model}, not {model}")
    for name, record in card.files.items():
        path = folder / name
        if not path.is_file():
            raise _unavailable(path, "it is missing")
        size = path.stat().st_size
        if size != record.size:
            raise _unavailable(path, f"it has {size} bytes instead of {record.size}")


def _load(folder: Path, card: IndexCard) -> RowsIndex:
    by_ending = {name[name.index(".") :]: folder / name for name in card.files}
    facts = card.facts
    try:
        ids = np.load(by_ending[_IDS], allow_pickle=False)
        embeddings = map_rows(by_ending[_ROWS])
        if embeddings.shape != (facts.n, facts.dim) or ids.shape != (facts.n,):
            raise ValueError(f"{embeddings.shape} rows and {ids.shape} ids for {facts}")
        rows = Rows(ids, embeddings, path=by_ending[_ROWS])
        if facts.kind == "exact":
            return ExactIndex(rows, facts)
        return _load_codes(rows, facts, by_ending[_CODES])
    except (OSError, ValueError, KeyError, TypeError, DamagedCollectionError) as error:
        raise _unavailable(folder / f"{card.descriptor}.json", str(error)) from error


def _load_codes(rows: Rows, facts: IndexFacts, path: Path) -> RowsIndex:
    # FAISS takes a seventh of a second to load, which small collections need not pay.
    from lookalike.index import approximate  # noqa: PLC0415

    return approximate.restore(rows, facts, np.fromfile(path, np.uint8))


def _write_rows(path: Path, rows: Rows) -> Path:
    def save(place: Path) -> None:
        with place.open("wb") as file:  # given a path, NumPy would append `.npy` to it
            np.save(file, rows.embeddings, allow_pickle=False)

    write_atomically(path, save)
    return path


def _array_bytes(array: Ids) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def record_of(path: Path) -> FileRecord:
    """Return size and checksum of a file; EnvironmentFault if it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileRecord(path.stat().st_size, digest)
    except OSError as error:
        raise environment_fault(error, f"{path} could not be read") from error


def flush(path: Path) -> None:
    """Have a file written to the disk; EnvironmentFault if that fails."""
    try:
        sync_file(path)
    except OSError as error:
        raise environment_fault(error, f"{path} could not be written") from error


def _to_json(card: IndexCard) -> bytes:
    return (json.dumps(asdict(card), indent=2) + "\n").encode()


def _unavailable(path: Path, reason: str) -> IndexUnavailableError:
    return IndexUnavailableError(f"the index {path} cannot be used: {reason}; it is built again")
