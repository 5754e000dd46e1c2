"""Captions, labels and attributes from data sets, tables and persons, for pictures of a catalog.

A picture is told by its path, its content hash, or the end of its path if no other ends so. What
is stored is kept by content: see `lookalike.storage.descriptions`.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from lookalike.datasets.base import Dataset
from lookalike.errors import UsageError
from lookalike.gathering.ingest import Trouble
from lookalike.images.files import HASH_BYTES, content_hash, display_path
from lookalike.progress import SILENT, Progress
from lookalike.storage.attributes import LONGEST_VALUE, check_attribute
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Description, GivenBy

CHUNK: Final = 500
"""Pictures that are described in one transaction."""

LONGEST_LABEL: Final = 200

_HASH: Final = re.compile(rf"[0-9a-fA-F]{{{2 * HASH_BYTES}}}")


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be known of one picture.

    Attributes:
        target: Its path, content hash in hexadecimal, or the end of its path.
        captions: Sentences that describe it.
        labels: Names of what is in it.
        attributes: Values by key.
        where: Where it was read, for messages: `table.csv, line 7`.
    """

    target: str | bytes
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True)
class AnnotateReport:
    """What became of notes.

    Attributes:
        described: Pictures of the catalog that notes were about.
        changed: Captions, labels and attributes that came, went or became others.
        unknown: What no picture is called.
        ambiguous: What several pictures are called, of which none was described.
    """

    described: int
    changed: int
    unknown: tuple[Trouble, ...]
    ambiguous: tuple[Trouble, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def annotate(
    catalog: Catalog,
    read: Callable[[], Iterable[Note]],
    provenance: GivenBy,
    *,
    replace: bool = False,
    progress: Progress = SILENT,
) -> AnnotateReport:
    """Store notes about pictures; the same notes again change nothing.

    All notes are read and checked before the first is stored. Then pictures are described a few
    hundred at a time, each whole or not at all.

    Args:
        catalog: Open for writing.
        read: Gives the notes; asked twice.
        provenance: Who says so.
        replace: Whether captions and labels take the place of those of the same provenance.
        progress: Told about every note.

    Raises:
        UsageError: If a caption, label or attribute cannot be stored; nothing has changed then.
    """
    total = 0
    for note in read():
        check_note(note)
        total += 1
    described, changed = 0, 0
    troubles: list[list[Trouble]] = [[], []]
    notes = iter(read())
    with progress.task("Describing", total) as task:
        while chunk := list(islice(notes, CHUNK)):
            found = _resolve(catalog, chunk, troubles)
            changed += catalog.descriptions.change(
                [
                    Description(
                        *(content, provenance, note.captions, note.labels, note.attributes),
                        replace=replace,
                    )
                    for note, content in found
                ]
            )
            described += len({content for _, content in found})
            task.advance(len(chunk))
    return AnnotateReport(described, changed, tuple(troubles[0]), tuple(troubles[1]))


def check_note(note: Note) -> None:
    """Check that what a note says can be stored.

    Raises:
        UsageError: If a text is empty, too long or no valid text, or a key or date is no good.
    """
    try:
        for text, what, longest in (
            *((caption, "caption", LONGEST_VALUE) for caption in note.captions),
            *((label, "label", LONGEST_LABEL) for label in note.labels),
        ):
            _check_text(text, what, longest)
        for key, value in note.attributes.items():
            check_attribute(key, value)
            _check_text(value, f"attribute {key!r}", LONGEST_VALUE)
    except UsageError as error:
        raise UsageError(f"{note.where}: {error}" if note.where else str(error)) from error


def notes_of(dataset: Dataset) -> Iterator[Note]:
    """Give the captions and labels of a data set, picture by picture."""
    for position in range(len(dataset)):
        image = dataset[position]
        if image.path is None:
            target: str | bytes = content_hash(image.read_bytes()).hex()
        else:
            target = os.fsencode(image.path.absolute())
        labels = tuple(dataset.classes[label] for label in image.labels)
        captions = tuple(text.strip() for text in image.captions if text.strip())
        yield Note(target, captions, labels, where=f"{dataset.name}, {image.name}")


def _check_text(text: str, what: str, longest: int) -> None:
    if not text.strip():
        raise UsageError(f"a {what} is empty; leave it out")
    if len(text) > longest:
        raise UsageError(f"a {what} has {len(text)} characters; the limit is {longest}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the {what} {text!r:.60} is no valid text; give UTF-8") from None


def _resolve(
    catalog: Catalog, notes: Sequence[Note], troubles: Sequence[list[Trouble]]
) -> list[tuple[Note, bytes]]:
    """Return the content hash of each note's picture; put aside those with none or several."""
    paths = {note.target: _path(note.target) for note in notes}
    by_path = catalog.ids_of_paths([path for path in paths.values() if path is not None])
    found: list[tuple[Note, bytes]] = []
    unknown, ambiguous = troubles
    for note in notes:
        target = note.target
        text = display_path(os.fsencode(target))
        if isinstance(target, str) and _HASH.fullmatch(target):
            found.append((note, bytes.fromhex(target)))
            continue
        ids = {by_path[path]} if (path := paths[target]) in by_path else _named(catalog, text)
        if len(ids) == 1:
            found.append((note, catalog.images(list(ids))[0].hash))
        elif ids:
            reason = f"{len(ids)} pictures are called so; give more of the path"
            ambiguous.append(Trouble(text, reason))
        else:
            unknown.append(Trouble(text, "no picture of the collection is called so"))
    return found


def _path(target: str | bytes) -> bytes | None:
    """Return the absolute path that a target may be."""
    if isinstance(target, bytes):
        return target
    if not target or "\0" in target:
        return None
    return os.fsencode(os.path.abspath(Path(target).expanduser()))  # noqa: PTH100 - keeps links


def _named(catalog: Catalog, text: str) -> set[int]:
    return catalog.words.ids_named(text.removeprefix("./")) if text.strip("./") else set()
