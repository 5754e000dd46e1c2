"""What a collection can make again from its catalog: whether it is sound, and deleting it if not.

Each index lies in `index/` as a JSON file and the files that it names under `files`, each with its
SHA-256; under `revision` it says of which state of the catalog it was made.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from lookalike.atomic import environment_fault
from lookalike.storage.checks import Problem


def check_index(folder: Path, revision: int | None, *, repair: bool) -> Iterator[Problem]:
    """Compare every index with its description; a repair deletes those that differ.

    Args:
        folder: Of the indexes; may be missing.
        revision: Of the catalog, `None` if it cannot be read.
        repair: Whether to delete what is damaged.
    """
    for description in sorted(folder.glob("*.json")):
        wrong = list(_wrong_with(description, revision))
        if wrong and repair:
            _delete(description)
        yield from (Problem("index", f"{description}: {what}", repair) for what in wrong)


def check_thumbnails(path: Path, *, repair: bool) -> Iterator[Problem]:
    """Check the file of thumbnails, if there is one; a repair deletes it."""
    if not path.exists():
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            rows = opened.execute("PRAGMA integrity_check").fetchall()
        wrong = [text for (text,) in rows if text != "ok"]
    except sqlite3.Error as error:
        wrong = [str(error)]
    if wrong and repair:
        _unlink(path)
    yield from (Problem("thumbnails", f"{path}: {what}", repair) for what in wrong)


def files_of(folder: Path) -> int:
    """Return the number of files in a folder, 0 if there is none."""
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def _wrong_with(description: Path, revision: int | None) -> Iterator[str]:
    try:
        content = _read(description)
    except (OSError, ValueError) as error:
        yield f"cannot be read: {error}"
        return
    made_of = content.get("revision")
    if revision is not None and isinstance(made_of, int) and made_of > revision:
        yield f"was made of a later catalog (revision {made_of}) than the one here ({revision})"
    for name, checksum in content["files"].items():
        path = description.with_name(name)
        if not path.is_file():
            yield f"its file {name} is missing"
        elif _sha256(path) != checksum:
            yield f"its file {name} has changed since it was written"


def _read(description: Path) -> Mapping[str, Any]:
    content = json.loads(description.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise ValueError("it lists no files")
    if any(Path(name).name != name for name in content["files"]):
        raise ValueError("it lists files of another folder")
    return content


def _delete(description: Path) -> None:
    # The description goes first: files that nothing describes are taken for waste by everybody.
    try:
        names = list(_read(description)["files"])
    except (OSError, ValueError):
        names = []
    _unlink(description)
    for name in names:
        _unlink(description.with_name(name))


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise environment_fault(error, f"{path} could not be deleted") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
