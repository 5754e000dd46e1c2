"""A collection with fewer dimensions: beside the old one, or in its place.

Both write a catalog and a model of their own and then, as the last step, one manifest that names
them: until it is there the old collection holds, from then on the new one. Images keep their ids.
Nothing is read from pictures; what the catalog holds goes through the selection.
"""

from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import environment_fault, sync_file, sync_folder
from lookalike.dimensions import Selection, add_selection
from lookalike.errors import EnvironmentFault, MismatchError
from lookalike.failpoints import failpoint
from lookalike.model_folder import CARD, SELECTION, ModelCard
from lookalike.storage import migrations, regions, vectors
from lookalike.storage.catalog import READ_BATCH
from lookalike.storage.folder import (
    CollectionFolder,
    Manifest,
    checksum_of_model,
    copy_model,
    delete_part,
    open_folder,
    publish_folder,
    write_manifest,
)
from lookalike.storage.lock import WriterLock

CONTENT: Final = "content"
"""The descriptor that selections are made of."""


@dataclass(frozen=True, slots=True, eq=False)
class Shrinking:
    """How a collection is to be shrunk.

    Attributes:
        model_checksum: Of the model whose embeddings the selection was made for.
        selection: What is kept of `content`.
        facts: How it was chosen, for the model's card.
    """

    model_checksum: str
    selection: Selection
    facts: Mapping[str, Any]


def write_shrunken(path: Path, out: Path, shrinking: Shrinking) -> None:
    """Make a shrunken copy of the collection at `path`; that one is only read.

    Args:
        path: A collection, which may be written to meanwhile: one state of it is copied.
        out: Where nothing or an empty folder is.
        shrinking: How.

    Raises:
        UsageError: If something is at `out` already, or the collection is shrunken already.
        MismatchError: If the collection has another model than the selection was made for.
        EnvironmentFault: If it cannot be written there.
    """
    source, manifest = open_folder(path)

    def build(target: CollectionFolder) -> None:
        write_manifest(target, _write_parts(source, manifest, target, shrinking))

    publish_folder(out, build)


def shrink_in_place(path: Path, shrinking: Shrinking) -> None:
    """Shrink the collection at `path`; who reads it meanwhile goes on with its old state.

    Raises:
        CollectionLockedError: If another process writes to it.
        UsageError: If it is shrunken already.
        MismatchError: If the collection has another model than the selection was made for.
        EnvironmentFault: If the disk is full; the collection is as it was then.
    """
    open_folder(path)
    with WriterLock(path):
        source, manifest = open_folder(path)
        source.sweep()
        target = CollectionFolder(path, manifest.generation + 1)
        try:
            written = _write_parts(source, manifest, target, shrinking)
            write_manifest(target, written)
        except OSError as error:
            raise environment_fault(error, f"{path} could not be shrunk") from error
        failpoint("storage.shrink.committed")
        # Some systems keep files that somebody has open; the next writer deletes them then.
        with suppress(EnvironmentFault):
            for old in target.other_generations():
                delete_part(old)
        failpoint("storage.shrink.end")


def _write_parts(
    source: CollectionFolder, manifest: Manifest, target: CollectionFolder, shrinking: Shrinking
) -> Manifest:
    """Write model and catalog of `target`; return the manifest that makes them hold."""
    if manifest.model_checksum != shrinking.model_checksum:
        raise MismatchError(
            f"{source.path} has model {manifest.model}, not the one that the dimensions were "
            "chosen for; choose again"
        )
    failpoint("storage.shrink.begin")
    card = _write_model(source.model, target.model, shrinking)
    failpoint("storage.shrink.model")
    dim = manifest.descriptors[CONTENT].dim
    _write_catalog(source.catalog, target.catalog, shrinking.selection, dim)
    failpoint("storage.shrink.catalog")
    spec = replace(manifest.descriptors[CONTENT], dim=shrinking.selection.dims)
    return replace(
        manifest,
        model=card.id,
        model_checksum=checksum_of_model(target.model),
        descriptors={**manifest.descriptors, CONTENT: spec},
        generation=target.generation,
    )


def _write_model(source: Path, target: Path, shrinking: Shrinking) -> ModelCard:
    copy_model(source, target)
    card = add_selection(target, shrinking.selection, shrinking.facts)
    for name in (CARD, SELECTION):
        sync_file(target / name)
    sync_folder(target)
    return card


def _write_catalog(source: Path, target: Path, selection: Selection, dim: int) -> None:
    with closing(migrations.open_current(source, writable=False)) as opened:
        opened.copy_to(target)
    failpoint("storage.shrink.copied")
    with closing(migrations.open_current(target, writable=True)) as copy:
        with copy.writing() as connection:
            vectors.replace_all(connection, CONTENT, selection.dims, selection.apply, READ_BATCH)
            regions.replace_content(connection, dim, selection.apply)
        failpoint("storage.shrink.vectors")
        copy.compact()
    sync_file(target)
