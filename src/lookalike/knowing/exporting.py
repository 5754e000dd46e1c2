"""A collection, or part of it, given to other programs: lists, archives, embeddings.

Everything is written some hundred pictures at a time, so that memory does not grow with the
collection, and under a temporary name first, so that a file is whole or not there.
"""

import csv
import io
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from lookalike.arrays import Ids
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import ImageError, MissingExtraError, UsageError
from lookalike.images.files import content_hash, display_path, read_content
from lookalike.progress import SILENT, Progress, Task
from lookalike.storage.records import ImageRecord

Target: TypeAlias = Literal["paths", "csv", "json", "zip", "npy", "parquet"]

Sink: TypeAlias = Callable[[bytes], object]

PAGE: Final = 512
"""Pictures at a time."""

COLUMNS: Final = ("id", "score", "path", "width", "height", "format", "bytes", "hash", "labels")
_SAFE: Final = re.compile(r"[^\w.\-]+", re.ASCII)
_LONGEST_NAME: Final = 80


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """What is exported.

    Attributes:
        ids: Image ids, in the order in which they are written.
        scores: Score of each, by id; empty where they were not searched for.
    """

    ids: Ids
    scores: Mapping[int, float] = field(default_factory=dict)


@dataclass(slots=True)
class ExportReport:
    """What was written.

    Attributes:
        target: In which form.
        files: Paths of the files.
        pictures: How many pictures.
        missing: Originals that could not be read: id, path and reason.
    """

    target: Target
    files: list[str]
    pictures: int
    missing: list[tuple[int, str, str]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        missing = [{"id": i, "path": path, "reason": why} for i, path, why in self.missing]
        return {
            "to": self.target,
            "files": self.files,
            "pictures": self.pictures,
            "missing": missing,
        }


def export(
    collection: Collection,
    selected: Selected,
    target: Target,
    out: Path | Sink,
    *,
    descriptor: str = "content",
    is_null: bool = False,
    progress: Progress = SILENT,
) -> ExportReport:
    """Write pictures of a collection in a form that other programs read.

    Args:
        collection: Whose pictures.
        selected: Which of them.
        target: `paths`, one a line as bytes; `csv` and `json`, what is known of each; `zip`, the
            originals with a manifest; `npy`, embeddings and, beside them, ids; `parquet`, both in
            one.
        out: File to write; for lists also a function that is given their bytes, piece by piece.
        descriptor: Whose embeddings.
        is_null: Whether a zero byte ends each of the `paths`, which may hold line breaks.
        progress: Told of every picture.

    Raises:
        UsageError: If an id is unknown, `out` is missing or a folder, or there is no such
            descriptor.
        MissingExtraError: If Parquet is wanted and `pyarrow` is not installed.
        EnvironmentFault: If it cannot be written.
    """
    if not isinstance(out, Path) and target not in ("paths", "csv", "json"):
        raise UsageError(f"{target} needs a file; name it with --out")
    if isinstance(out, Path) and out.is_dir():
        raise UsageError(f"nothing can be written into {out}, a folder; name a file")
    if target in ("npy", "parquet") and descriptor not in collection.catalog.descriptors:
        known = ", ".join(collection.catalog.descriptors)
        raise UsageError(f"there is no descriptor {descriptor!r}; this collection has: {known}")
    report = ExportReport(target, [str(out)] if isinstance(out, Path) else [], len(selected.ids))
    with progress.task("Exporting", len(selected.ids)) as task:
        if target in ("paths", "csv", "json") or not isinstance(out, Path):
            _write_list(collection, selected, target, out, b"\0" if is_null else b"\n", task)
        elif target == "zip":
            write_atomically(out, lambda path: _write_zip(collection, selected, path, report, task))
        elif target == "npy":
            written = _write_npy(collection, selected, out, descriptor, task)
            report.files = [str(path) for path in written]
        else:
            _check_parquet()
            write_atomically(
                out, lambda path: _write_parquet(collection, selected, path, descriptor, task)
            )
    return report


def stream(
    collection: Collection, selected: Selected, target: Literal["csv", "json", "zip"]
) -> Iterator[bytes]:
    """Give an export piece by piece, as a connection takes it up; memory holds one picture.

    Archives are as `export` writes them; originals that cannot be read have no name in their
    manifest.

    Raises:
        UsageError: If an id is unknown.
    """
    sent = _Sent()
    report = ExportReport(target, [], len(selected.ids))
    with SILENT.task("Exporting", len(selected.ids)) as task:
        if target != "zip":
            yield from _pieces(collection, selected, target, b"\n", task)
            return
        for _ in _archived(collection, selected, sent, report, task):
            yield sent.take()
    yield sent.take()


class _Sent(io.RawIOBase):
    """A file that cannot be gone back in: what was written is taken out and forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Whether it can be written: yes."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes in; return how many."""
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _pages(selected: Selected) -> Iterator[Ids]:
    for start in range(0, len(selected.ids), PAGE):
        yield selected.ids[start : start + PAGE]


def _write_list(
    collection: Collection,
    selected: Selected,
    target: str,
    out: Path | Sink,
    end: bytes,
    task: Task,
) -> None:
    pieces = _pieces(collection, selected, target, end, task)
    if not isinstance(out, Path):
        for piece in pieces:
            out(piece)
        return

    def write_file(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(pieces)

    write_atomically(out, write_file)


def _pieces(
    collection: Collection, selected: Selected, target: str, end: bytes, task: Task
) -> Iterator[bytes]:
    if target == "csv":
        yield _csv_lines([COLUMNS])
    if target == "json":
        yield b'{"images": ['
    for number, ids in enumerate(_pages(selected)):
        records = collection.images(ids)
        rows = [_row(record, selected.scores) for record in records]
        if target == "paths":
            yield b"".join(record.paths[0] + end for record in records)
        elif target == "csv":
            yield _csv_lines([[_cell(row[column]) for column in COLUMNS] for row in rows])
        else:
            text = ",\n".join(json.dumps(row) for row in rows)
            yield (",\n" if number else "\n").encode() + text.encode()
        task.advance(len(ids))
    if target == "json":
        yield b"\n]}\n"


def _row(record: ImageRecord, scores: Mapping[int, float]) -> dict[str, Any]:
    return {
        "id": record.id,
        "score": scores.get(record.id),
        "path": display_path(record.paths[0]),
        "width": record.width,
        "height": record.height,
        "format": record.format,
        "bytes": record.n_bytes,
        "hash": record.hash.hex(),
        "labels": [{"label": name, "probability": p} for name, p in record.labels],
    }


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ";".join(f"{each['label']}={each['probability']:.3f}" for each in value)
    # A spreadsheet would take such a name for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value


def _csv_lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def safe_name(record: ImageRecord) -> str:
    """Return a name for an archive: letters, digits, `.`, `-` and `_`, and the id in it.

    No system takes it for a path, and no two pictures have the same, not even where case counts
    for nothing.
    """
    path = Path(os.fsdecode(record.paths[0]))
    stem = _SAFE.sub("_", path.stem).strip("._-")[:_LONGEST_NAME] or "picture"
    return f"{stem}-{record.id}{_SAFE.sub('', path.suffix)[:8]}"


def _write_zip(
    collection: Collection, selected: Selected, path: Path, report: ExportReport, task: Task
) -> None:
    for _ in _archived(collection, selected, path, report, task):
        pass


def _archived(
    collection: Collection,
    selected: Selected,
    out: Path | io.RawIOBase,
    report: ExportReport,
    task: Task,
) -> Iterator[None]:
    """Write an archive; stop after each original, so that what was written can be sent on."""
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
        tempfile.TemporaryFile() as manifest,
    ):
        manifest.write(_csv_lines([("name", *COLUMNS)]))
        for ids in _pages(selected):
            for record in collection.images(ids):
                name = _add_original(archive, record, report)
                row = _row(record, selected.scores)
                manifest.write(_csv_lines([[name, *(_cell(row[column]) for column in COLUMNS)]]))
                task.advance()
                yield
        manifest.seek(0)
        with archive.open("manifest.csv", "w") as file:
            shutil.copyfileobj(manifest, file)


def _add_original(archive: zipfile.ZipFile, record: ImageRecord, report: ExportReport) -> str:
    """Put the first file that still holds the image into the archive; return its name there."""
    reason = "gone"
    for path in record.paths:
        try:
            data = read_content(path, record.n_bytes).data
        except ImageError as error:
            reason = error.reason
            continue
        if content_hash(data) == record.hash:
            name = safe_name(record)
            archive.writestr(name, data)
            return name
        reason = "another picture since it was indexed"
    report.missing.append((record.id, display_path(record.paths[0]), reason))
    return ""


def _write_npy(
    collection: Collection, selected: Selected, out: Path, descriptor: str, task: Task
) -> tuple[Path, Path]:
    """Write embeddings to `out` and their ids beside it, as `.ids.npy`."""
    shape = (len(selected.ids), collection.catalog.descriptors[descriptor])
    beside = out.with_name(f"{out.stem}.ids.npy")

    def write(path: Path) -> None:
        with path.open("wb") as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for ids in _pages(selected):
                file.write(collection.vectors(ids, descriptor).astype("<f4").tobytes())
                task.advance(len(ids))

    def write_ids(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, selected.ids, allow_pickle=False)

    write_atomically(beside, write_ids)
    write_atomically(out, write)
    return out, beside


def _check_parquet() -> None:
    try:
        import pyarrow  # noqa: F401, PLC0415
    except ImportError:
        raise MissingExtraError("pyarrow", "learn", "Parquet") from None


def _write_parquet(
    collection: Collection, selected: Selected, path: Path, descriptor: str, task: Task
) -> None:
    """Write id, path, score and embedding, one group of rows for each page."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    dim = collection.catalog.descriptors[descriptor]
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("path", pa.string()),
            ("score", pa.float64()),
            (descriptor, pa.list_(pa.float32(), dim)),
        ]
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for ids in _pages(selected):
            records = collection.images(ids)
            rows = collection.vectors(ids, descriptor)
            columns = [
                pa.array(ids),
                pa.array([display_path(record.paths[0]) for record in records]),
                pa.array([selected.scores.get(record.id) for record in records], pa.float64()),
                pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), dim),
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            task.advance(len(ids))
