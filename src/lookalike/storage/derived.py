"""What a collection can make again from its catalog: whether it is sound, and deleting it if not.

Each index lies in `index/` as a card, a JSON file, and the files that the card names under `files`
with the `sha256` of each; under `revision` it says of which state of the catalog it was made. Files
that no card names are left from builds that were stopped or replaced.
"""

import contextlib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import environment_fault
from lookalike.storage.checks import Problem

_OF_A_BUILD: Final = re.compile(r"[a-z]\w*-[0-9a-f]{8}\..*")


def check_index(folder: Path, revision: int | None, *, repair: bool) -> Iterator[Problem]:
    """Compare every index with its card; a repair deletes those that differ.

    Args:
        folder: Of the indexes; may be missing.
        revision: Of the catalog, `None` if it cannot be read.
        repair: Whether to delete what is damaged.
    """
    for card in sorted(folder.glob("*.json")):
        wrong = list(_wrong_with(card, revision))
        if wrong and repair:
            _delete_index(card)
        yield from (Problem("index", f"{card}: {what}", repair) for what in wrong)


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
        delete(path)
    yield from (Problem("thumbnails", f"{path}: {what}", repair) for what in wrong)


def n_index_files(folder: Path) -> int:
    """Return the number of files in the folder of the indexes, 0 if there is none."""
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def strays(folder: Path) -> list[Path]:
    """Return the files of builds, sorted by name, that no card in the indexes' folder names."""
    if not folder.is_dir():
        return []
    named: set[str] = set()
    for card in folder.glob("*.json"):
        with contextlib.suppress(OSError, ValueError):
            named.update(_read(card)["files"])
    return sorted(
        path
        for path in folder.iterdir()
        if _OF_A_BUILD.fullmatch(path.name) and path.name not in named
    )


def files_of(card: bytes) -> list[str]:
    """Return the names of the files that the card of an index lists.

    Raises:
        ValueError: If it is damaged.
    """
    return list(_parsed(card)["files"])


def delete_index(folder: Path, descriptor: str) -> None:
    """Delete the index of a descriptor if there is one.

    Raises:
        EnvironmentFault: If that is forbidden.
    """
    _delete_index(folder / f"{descriptor}.json")


def length_of(path: Path) -> int:
    """Return the length of a file; 0 for a folder, and for what a writer has just replaced."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def delete(path: Path) -> None:
    """Delete a file if it is there.

    Raises:
        EnvironmentFault: If that is forbidden.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise environment_fault(error, f"{path} could not be deleted") from error


def _wrong_with(card: Path, revision: int | None) -> Iterator[str]:
    try:
        content = _read(card)
    except (OSError, ValueError) as error:
        yield f"cannot be read: {error}"
        return
    made_of = content.get("revision")
    if revision is not None and isinstance(made_of, int) and made_of > revision:
        yield f"was made of a later catalog (revision {made_of}) than the one here ({revision})"
    for name, record in content["files"].items():
        path = card.with_name(name)
        if not path.is_file():
            yield f"its file {name} is missing"
        elif _sha256(path) != record["sha256"]:
            yield f"its file {name} has changed since it was written"


def _read(card: Path) -> Mapping[str, Any]:
    return _parsed(card.read_bytes())


def _parsed(card: bytes) -> Mapping[str, Any]:
    content = json.loads(card)
    if not isinstance(content, dict) or not isinstance(content.get("files"), dict):
        raise ValueError("it lists no files")
    for name, record in content["files"].items():
        if Path(name).name != name:
            raise ValueError("it lists files of another folder")
        if not isinstance(record, dict) or "sha256" not in record:
            raise ValueError(f"it lists no checksum of {name}")
    return content


def _delete_index(card: Path) -> None:
    # The card goes first: files that no card names are taken for waste by everybody.
    try:
        names = list(_read(card)["files"])
    except (OSError, ValueError):
        names = []
    delete(card)
    for name in names:
        delete(card.with_name(name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
