"""Copies of a collection that are whole, sound, and known by checksum.

A backup is a collection of its own: it can be opened and searched where it lies. Beside what every
collection has lies `backup.json`, which says what was copied, when, and the SHA-256 of each file.
Catalog and thumbnails are copied as SQLite hands out one state of a file, the index files are
linked, since they are never changed; so the collection may be searched and written to meanwhile.
A backup is there when it has been read again and found sound, or not at all.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import environment_fault, sync_file, sync_folder, write_atomically
from lookalike.errors import DamagedCollectionError, LookalikeError, NotACollectionError
from lookalike.failpoints import failpoint
from lookalike.progress import SILENT, Progress
from lookalike.storage import database, derived, migrations
from lookalike.storage.catalog import Catalog
from lookalike.storage.checks import check_catalog
from lookalike.storage.folder import (
    CollectionFolder,
    Manifest,
    check_model,
    copy_model,
    open_folder,
    publish_folder,
    write_manifest,
)
from lookalike.storage.lock import LOCK

CARD: Final = "backup.json"
FORMAT: Final = 1
"""Version of the card; a reader refuses others."""

_CHUNK: Final = 2**20
_TRIES: Final = 5
_OF_READERS: Final = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class BackupFile:
    """Length in bytes and SHA-256 of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup says of itself.

    Attributes:
        made: When, ISO 8601, UTC.
        collection: Name of the folder that was copied.
        model: Id of its model.
        images: How many it held.
        revision: State of its catalog.
        files: Length and checksum of each file, by its path within the backup.
        format: Version of the card.
    """

    made: str
    collection: str
    model: str
    images: int
    revision: int
    files: Mapping[str, BackupFile]
    format: int = FORMAT

    @property
    def n_bytes(self) -> int:
        """Length of all files; those of the index may share their place with the collection's."""
        return sum(each.size for each in self.files.values())

    @property
    def checksum(self) -> str:
        """SHA-256 of all that the card says, and so of every file."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return plain values, without the list of files."""
        content = {**asdict(self), "bytes": self.n_bytes, "checksum": self.checksum}
        return {**content, "files": len(self.files)}


def back_up(path: Path, out: Path, *, progress: Progress = SILENT) -> Backup:
    """Copy the collection at `path`, which may be in use, and read the copy again.

    Args:
        path: The collection's folder.
        out: Where nothing or an empty folder is; missing parents are made.
        progress: Told about every embedding and every megabyte that is read again.

    Raises:
        NotACollectionError: If there is no collection.
        MismatchError: If its catalog is of an older program: index into it once.
        DamagedCollectionError: If it is not sound: a copy of it would be no help.
        UsageError: If something is at `out` already.
        EnvironmentFault: If it cannot be written there.
    """
    open_folder(path)
    made: list[Backup] = []

    def build(target: CollectionFolder) -> None:
        failpoint("storage.backup.begin")
        manifest = _copy_parts(path, target)
        failpoint("storage.backup.copied")
        made.append(_checked(path.absolute().name, target, manifest, progress))
        text = json.dumps(asdict(made[0]), indent=2) + "\n"
        write_atomically(target.path / CARD, text.encode())
        failpoint("storage.backup.end")

    publish_folder(out, build)
    return made[0]


def read_backup(path: Path) -> Backup:
    """Return what the backup at `path` says of itself; its files are not read.

    Raises:
        NotACollectionError: If there is none.
        DamagedCollectionError: If its card cannot be read.
    """
    card = path / CARD
    if not card.is_file():
        raise NotACollectionError(f"{path} is no backup: it has no {CARD}; name one that has")
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        files = {str(name): BackupFile(**each) for name, each in content.pop("files").items()}
        found = Backup(**content, files=files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedCollectionError(
            f"{card} cannot be read: {error}; use another backup"
        ) from None
    if found.format != FORMAT or any(_leads_out(name) for name in found.files):
        raise DamagedCollectionError(
            f"{card} is not of a kind that this program knows; update it, or use another backup"
        )
    return found


def check_backup(path: Path, *, progress: Progress = SILENT) -> Backup:
    """Read all of the backup at `path` and compare it with its checksums.

    Raises:
        NotACollectionError: If there is none.
        DamagedCollectionError: If a file is missing or not as it was written; it is named.
    """
    found = read_backup(path)
    with progress.task("Checking the backup", found.n_bytes, unit="bytes") as task:
        for name, expected in found.files.items():
            if not _is_as_written(path / name, expected, task.advance):
                raise DamagedCollectionError(
                    f"{path / name} is not as it was written; use another backup"
                )
    return found


def restore(backup: Path, path: Path, *, progress: Progress = SILENT) -> Backup:
    """Make a collection of the backup at `backup`, which is checked before anything is written.

    Args:
        backup: A folder that `back_up` made; it is only read.
        path: Where nothing or an empty folder is; missing parents are made.
        progress: Told about every byte that is read.

    Raises:
        NotACollectionError: If there is no backup.
        DamagedCollectionError: If the backup is not as it was written.
        UsageError: If something is at `path` already.
        EnvironmentFault: If it cannot be written there.
    """
    found = check_backup(backup, progress=progress)

    def build(target: CollectionFolder) -> None:
        failpoint("storage.restore.begin")
        with progress.task("Restoring", found.n_bytes, unit="bytes") as task:
            for name, expected in found.files.items():
                place = target.path / name
                place.parent.mkdir(exist_ok=True)
                shutil.copyfile(backup / name, place)
                sync_file(place)
                if _record(place, task.advance) != expected:
                    raise DamagedCollectionError(f"{backup / name} has just changed; use another")
        for folder in {place.parent for place in map(target.path.joinpath, found.files)}:
            sync_folder(folder)
        failpoint("storage.restore.end")

    publish_folder(path, build)
    return found


def seal(path: Path, name: str) -> Backup:
    """Give a folder of files that is no collection its card; return what it says.

    Args:
        path: The folder; its SQLite files are whole, nobody writes there.
        name: What was copied.

    Raises:
        DamagedCollectionError: If SQLite finds one of its files damaged.
        EnvironmentFault: If it cannot be written there.
    """
    for file in sorted(path.glob("*.sqlite")):
        with closing(database.connect(file, writable=False)) as opened:
            opened.check()
    made = datetime.now(UTC).isoformat(timespec="seconds")
    files = {each.relative_to(path).as_posix(): _record(each, int) for each in _files_of(path)}
    sealed = Backup(made, name, "", 0, 0, files)
    write_atomically(path / CARD, (json.dumps(asdict(sealed), indent=2) + "\n").encode())
    return sealed


def _copy_parts(path: Path, target: CollectionFolder) -> Manifest:
    """Copy model, index, thumbnails and, after the index, the catalog; return the manifest."""
    # A collection that is changed as a whole meanwhile deletes its old model and catalog.
    for tries in reversed(range(_TRIES)):
        folder, manifest = open_folder(path)
        try:
            check_model(folder, manifest)
            copy_model(folder.model, target.model)
            failpoint("storage.backup.model")
            _link_indexes(folder.index, target.index)
            failpoint("storage.backup.index")
            _copy_database(folder.catalog, target.catalog)
            break
        except (OSError, LookalikeError):
            if tries == 0 or open_folder(path)[1] == manifest:
                raise
            shutil.rmtree(target.model, ignore_errors=True)
            shutil.rmtree(target.index, ignore_errors=True)
    with contextlib.suppress(LookalikeError):
        _copy_database(folder.thumbnails, target.thumbnails)
    written = replace(manifest, generation=target.generation)
    write_manifest(target, written)
    return written


def _copy_database(source: Path, target: Path) -> None:
    with closing(database.connect(source, writable=False)) as opened:
        opened.copy_to(target)
    sync_file(target)


def _link_indexes(source: Path, target: Path) -> None:
    """Take over every index that is whole; what is missing is built again by the next `index`."""
    for card in sorted(source.glob("*.json")):
        target.mkdir(exist_ok=True)
        for _ in range(_TRIES):
            # A build that was just published takes the files of the one before it away.
            with contextlib.suppress(FileNotFoundError, ValueError):
                _link_index(card, target)
                break
    if target.is_dir():
        sync_folder(target)


def _link_index(card: Path, target: Path) -> None:
    content = card.read_bytes()
    for name in derived.files_of(content):
        place = target / name
        place.unlink(missing_ok=True)
        try:
            place.hardlink_to(card.with_name(name))
        except FileNotFoundError:
            raise
        except OSError:  # another disk, or one that knows no links
            shutil.copyfile(card.with_name(name), place)
            sync_file(place)
    write_atomically(target / card.name, content)


def _checked(name: str, target: CollectionFolder, manifest: Manifest, progress: Progress) -> Backup:
    """Read a copy whole, give it the checksums of its files, and tell what it is."""
    with (
        closing(migrations.open_current(target.catalog, writable=False)) as opened,
        progress.task("Checking the copy", unit="embeddings") as task,
    ):
        catalog = Catalog(opened)
        images, revision = catalog.n_images, catalog.revision
        task.expect(sum(catalog.n_embeddings(each) for each in catalog.descriptors))
        for problem in check_catalog(opened, catalog.descriptors, task, repair=False):
            raise DamagedCollectionError(
                f"{name} is not sound, so that a copy would not be either: {problem.detail}; "
                "look at `lookalike verify` and its --repair"
            )
    for problem in derived.check_index(target.index, revision, repair=False):
        raise DamagedCollectionError(f"{problem.detail}; look at `lookalike verify` and --repair")
    made = datetime.now(UTC).isoformat(timespec="seconds")
    with progress.task("Writing checksums", unit="bytes") as task:
        files = {
            path.relative_to(target.path).as_posix(): _record(path, task.advance)
            for path in _files_of(target.path)
        }
    failpoint("storage.backup.checked")
    return Backup(made, name, manifest.model, images, revision, files)


def _files_of(folder: Path) -> Iterator[Path]:
    """Give what belongs to a copy; what readers leave beside a database is deleted."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        if path.name.endswith(_OF_READERS):
            path.unlink()
        elif path.name not in (LOCK, CARD):
            yield path


def _record(path: Path, advance: Callable[[int], object]) -> BackupFile:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            advance(len(chunk))
    return BackupFile(size, digest.hexdigest())


def _is_as_written(path: Path, expected: BackupFile, advance: Callable[[int], object]) -> bool:
    try:
        return _record(path, advance) == expected
    except FileNotFoundError:
        return False
    except OSError as error:
        raise environment_fault(error, f"{path} could not be read") from error


def _leads_out(name: str) -> bool:
    """Whether a name of a card is not that of a file within the backup."""
    parts = Path(name).parts
    return not parts or Path(name).is_absolute() or ".." in parts or len(parts) > 2
