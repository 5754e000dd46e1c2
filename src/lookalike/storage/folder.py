"""A collection's folder: what lies where, how it is made, and what it says of itself.

A folder is built under a temporary name beside its place and renamed when it is complete, so a
collection is either there or not::

    collection.json      what it is: format, model, descriptors
    catalog.sqlite       the truth
    model/               the model folder it was built with
    index/               derived
    thumbnails.sqlite    derived
    writer.lock          says who is writing

Where a collection was changed as a whole, catalog and model have the number of their generation in
their names (`catalog-2.sqlite`, `model-2`). The manifest says which one holds, so that replacing
that one file replaces all.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import (
    PARTIAL,
    environment_fault,
    leftovers,
    sync_file,
    sync_folder,
    write_atomically,
)
from lookalike.errors import (
    DamagedCollectionError,
    MismatchError,
    ModelError,
    NotACollectionError,
    UsageError,
)
from lookalike.failpoints import failpoint
from lookalike.model_folder import CARD, check_files, read_card
from lookalike.storage import derived
from lookalike.storage.catalog import Catalog
from lookalike.storage.lock import LOCK, WriterLock

FORMAT: Final = 1
"""Version of the folder's layout; a reader refuses others."""

_ENDINGS: Final = ("-wal", "-shm")
_OF_A_GENERATION: Final = re.compile(r"catalog(-\d+)?\.sqlite(-wal|-shm)?|model(-\d+)?")


@dataclass(frozen=True, slots=True)
class DescriptorSpec:
    """A kind of embedding.

    Attributes:
        version: Grows whenever the same picture would get another embedding.
        dim: Length of its vectors.
    """

    version: int
    dim: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a collection says of itself.

    Attributes:
        model: Id of the model, as its card gives it.
        model_checksum: SHA-256 of the model's card, which lists those of its other files.
        descriptors: Kinds of embedding that every image has, by name.
        preprocess_version: `images.decoding.PREPROCESS_VERSION` of its pictures.
        created: Time of creation, ISO 8601, UTC.
        generation: Which catalog and model hold.
        format: Version of the folder's layout.
    """

    model: str
    model_checksum: str
    descriptors: Mapping[str, DescriptorSpec]
    preprocess_version: int
    created: str
    generation: int = 1
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class CollectionFolder:
    """Where the parts of the collection at `path` lie.

    Attributes:
        path: Of the collection.
        generation: Which catalog and model are meant.
    """

    path: Path
    generation: int = 1

    @property
    def manifest(self) -> Path:
        """What the collection says of itself."""
        return self.path / "collection.json"

    @property
    def catalog(self) -> Path:
        """The truth."""
        return self.path / f"catalog{self._number}.sqlite"

    @property
    def model(self) -> Path:
        """The model folder it was built with."""
        return self.path / f"model{self._number}"

    @property
    def index(self) -> Path:
        """Folder of derived index files; may be missing."""
        return self.path / "index"

    @property
    def thumbnails(self) -> Path:
        """Derived small pictures; may be missing."""
        return self.path / "thumbnails.sqlite"

    @property
    def _number(self) -> str:
        return "" if self.generation == 1 else f"-{self.generation}"

    @property
    def n_bytes(self) -> int:
        """Length of all files in it."""
        return sum(map(derived.length_of, self.path.rglob("*")))

    def leftovers(self) -> list[Path]:
        """Return what killed writers left: temporary files, and what no card or manifest names."""
        unfinished = [path for folder in (self.path, self.index) for path in leftovers(folder)]
        return unfinished + derived.strays(self.index) + self.other_generations()

    def other_generations(self) -> list[Path]:
        """Return catalogs and models that hold no longer, or never came to hold, sorted by name."""
        # Asked anew: what holds must never be taken for waste by one who opened it earlier.
        held = CollectionFolder(self.path, _read_manifest(self.manifest).generation)
        own = (held.model.name, held.catalog.name, *(held.catalog.name + end for end in _ENDINGS))
        return sorted(
            path
            for path in self.path.iterdir()
            if _OF_A_GENERATION.fullmatch(path.name) and path.name not in own
        )

    def sweep(self) -> list[Path]:
        """Delete what killed writers left and return the paths; only for the holder of the lock.

        Raises:
            EnvironmentFault: If that is forbidden.
        """
        found = self.leftovers()
        for path in found:
            delete_part(path)
        return found


def create_folder(
    path: Path,
    model: Path,
    descriptors: Mapping[str, DescriptorSpec],
    chosen: Mapping[str, tuple[int, int]] | None = None,
) -> CollectionFolder:
    """Make an empty collection with a copy of the model folder `model`.

    Args:
        path: Where; nothing or an empty folder is there. Missing parents are made.
        model: Model folder.
        descriptors: Kinds of embedding that the model gives.
        chosen: Version and dimension of those chosen beside them.

    Raises:
        UsageError: If something is at `path` already.
        ModelError: If the model folder is damaged.
        EnvironmentFault: If it cannot be written there.
        CollectionLockedError: If another process is just making it.
    """
    return publish_folder(path, lambda folder: _build(folder, model, descriptors, chosen or {}))


def publish_folder(path: Path, build: Callable[[CollectionFolder], object]) -> CollectionFolder:
    """Make a collection whose parts `build` writes; it is there when they all are, or not at all.

    Args:
        path: Where; nothing or an empty folder is there. Missing parents are made.
        build: Writes catalog, model and, last, the manifest.

    Raises:
        UsageError: If something is at `path` already.
        EnvironmentFault: If it cannot be written there.
        CollectionLockedError: If another process is just making it.
    """
    unfinished = path.absolute().with_name(f".{path.absolute().name}{PARTIAL}")
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        with WriterLock(unfinished):
            _check_free(path)
            _clear(unfinished)
            build(CollectionFolder(unfinished))
            unfinished.replace(path)
            failpoint("storage.folder.renamed")
            sync_folder(unfinished.parent)
    except OSError as error:
        raise environment_fault(error, f"the collection {path} could not be made") from error
    failpoint("storage.folder.end")
    return CollectionFolder(path)


def open_folder(path: Path) -> tuple[CollectionFolder, Manifest]:
    """Return the parts of the collection at `path` and what it says of itself.

    Raises:
        NotACollectionError: If there is none.
        MismatchError: If its format is another than this program's.
        DamagedCollectionError: If it has lost a part or cannot be read.
    """
    folder = CollectionFolder(path)
    if not folder.manifest.is_file():
        if any(path.glob("catalog*.sqlite")):
            raise DamagedCollectionError(
                f"{path} has lost its {folder.manifest.name}; restore it from a backup"
            )
        raise NotACollectionError(
            f"{path} is not a collection: it has no {folder.manifest.name}; "
            f"make one with: lookalike index {path} SOURCE --model MODEL"
        )
    manifest = _read_manifest(folder.manifest)
    folder = CollectionFolder(path, manifest.generation)
    if not folder.catalog.is_file() and _read_manifest(folder.manifest) != manifest:
        return open_folder(path)  # a writer has just put another generation in its place
    if not folder.catalog.is_file():
        raise DamagedCollectionError(
            f"{path} has lost its {folder.catalog.name}; restore it from a backup, or delete the "
            "collection and index again (pictures are not touched)"
        )
    return folder, manifest


def check_model(folder: CollectionFolder, manifest: Manifest) -> None:
    """Check that the collection's model is the one that it was built with, without reading it all.

    Raises:
        ModelError: If there is no readable model.
        MismatchError: If it is another one.
    """
    found = read_card(folder.model).id
    if _checksum(folder.model / CARD) != manifest.model_checksum:
        raise MismatchError(
            f"{folder.path} was built with model {manifest.model}, its model folder now holds "
            f"{found} or another state of it; restore the model folder, or index anew"
        )


def checksum_of_model(model: Path) -> str:
    """Return the checksum by which a collection knows the model folder `model`.

    Raises:
        ModelError: If there is no readable card.
    """
    read_card(model)
    return _checksum(model / CARD)


def _check_free(path: Path) -> None:
    if CollectionFolder(path).manifest.exists():
        raise UsageError(f"{path} is a collection already; open it, or choose another name")
    if path.exists() and not (path.is_dir() and next(path.iterdir(), None) is None):
        raise UsageError(f"{path} exists already and is no empty folder; choose another name")


def _build(
    folder: CollectionFolder,
    model: Path,
    descriptors: Mapping[str, DescriptorSpec],
    chosen: Mapping[str, tuple[int, int]],
) -> None:
    failpoint("storage.folder.begin")
    copy_model(model, folder.model)
    failpoint("storage.folder.model")
    dimensions = {name: spec.dim for name, spec in descriptors.items()}
    with Catalog.create(folder.catalog, dimensions) as catalog:
        catalog.chosen.choose(chosen)
    failpoint("storage.folder.catalog")
    card = read_card(folder.model)
    manifest = Manifest(
        model=card.id,
        model_checksum=_checksum(folder.model / CARD),
        descriptors=descriptors,
        preprocess_version=card.preprocess_version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    sync_file(folder.catalog)
    write_manifest(folder, manifest)
    failpoint("storage.folder.manifest")


def write_manifest(folder: CollectionFolder, manifest: Manifest) -> None:
    """Write or replace what a collection says of itself; the folder is flushed to the disk too."""
    text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n"
    write_atomically(folder.manifest, text.encode())


def delete_part(path: Path) -> None:
    """Delete a file or a folder of a collection if it is there.

    Raises:
        EnvironmentFault: If that is forbidden.
    """
    if not path.is_dir():
        derived.delete(path)
        return
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise environment_fault(error, f"{path} could not be deleted") from error


def _clear(folder: Path) -> None:
    """Delete what a killed creation left, but for the lock that we hold."""
    for path in folder.iterdir():
        if path.name != LOCK:
            delete_part(path)


def copy_model(source: Path, target: Path) -> None:
    """Copy a model folder and flush it to the disk.

    Raises:
        ModelError: If it is damaged or its card names files elsewhere.
    """
    card = read_card(source)
    target.mkdir()
    for name in (CARD, *card.files):
        if Path(name).name != name:
            raise ModelError(f"the card of {source} lists a file outside of it: {name!r}")
        shutil.copyfile(source / name, target / name)
        sync_file(target / name)
    check_files(target, card)
    sync_folder(target)


def _read_manifest(path: Path) -> Manifest:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
    except OSError as error:
        raise environment_fault(error, f"{path} could not be read") from error
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    if version != FORMAT:
        raise MismatchError(
            f"{path.parent} has collection format {version}, this program reads {FORMAT}; "
            "update Lookalike, or index anew"
        )
    try:
        return _manifest_from(content)
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _manifest_from(content: dict[str, Any]) -> Manifest:
    descriptors = {
        str(name): DescriptorSpec(int(spec["version"]), int(spec["dim"]))
        for name, spec in content["descriptors"].items()
    }
    return Manifest(
        model=str(content["model"]),
        model_checksum=str(content["model_checksum"]),
        descriptors=descriptors,
        preprocess_version=int(content["preprocess_version"]),
        created=str(content["created"]),
        generation=int(content.get("generation", 1)),
        format=FORMAT,
    )


def _damaged(path: Path, error: Exception) -> DamagedCollectionError:
    return DamagedCollectionError(
        f"{path} cannot be read ({type(error).__name__}: {error}); restore it from a backup"
    )


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
