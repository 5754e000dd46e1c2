"""What is known of pictures in the words of a command: changed, and told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.datasets.coco import Level
from lookalike.errors import UsageError
from lookalike.gathering.annotating import AnnotateReport, Note, annotate, check_note, notes_of
from lookalike.gathering.notes_files import ENDINGS, read_notes
from lookalike.gathering.places import expanded
from lookalike.images.scanning import display_path
from lookalike.progress import SILENT, Progress
from lookalike.storage.records import DATA_SET, PERSON, Description


def annotate_from(
    collection: Collection, source: str, *, level: Level = "names", progress: Progress = SILENT
) -> AnnotateReport:
    """Store what a labeled data set, or a person's file, says of pictures.

    What a data set says takes the place of what one said before; a file adds to what is there.

    Args:
        collection: Open for writing.
        source: A data set, or a file that ends in `.csv`, `.tsv` or `.json`.
        level: Which names of COCO classes to take.
        progress: Told about every picture.

    Raises:
        DatasetError: If it cannot be read.
        UsageError: If a value cannot be stored; nothing has changed then.
    """
    path = expanded(source)
    if path.suffix.lower() in ENDINGS:
        return annotate(collection.catalog, partial(read_notes, path), PERSON, progress=progress)
    dataset = open_dataset(source, level=level, progress=progress)
    notes = partial(notes_of, dataset)
    return annotate(collection.catalog, notes, DATA_SET, replace=True, progress=progress)


def annotate_ids(
    collection: Collection,
    ids: Sequence[int],
    *,
    captions: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    attributes: Mapping[str, str] | None = None,
    remove_captions: tuple[str, ...] = (),
    remove_labels: tuple[str, ...] = (),
    remove_attributes: tuple[str, ...] = (),
) -> AnnotateReport:
    """Store what a person says of some pictures, all of it or nothing.

    Args:
        collection: Open for writing.
        ids: Of the pictures.
        captions: To add.
        labels: To add.
        attributes: To set, by key.
        remove_captions: To take away; given ones only.
        remove_labels: To take away; given ones only.
        remove_attributes: Keys to take away that a person has set.

    Raises:
        UsageError: If an id is unknown, a value cannot be stored, nothing is to be changed, or what
            is to be taken away is not there.
    """
    given = attributes or {}
    if not (captions or labels or given or remove_captions or remove_labels or remove_attributes):
        raise UsageError(
            "nothing is said of the picture; give --caption, --label, --set or what to take away"
        )
    check_note(Note("", captions, labels, given))
    hashes = dict.fromkeys(record.hash for record in collection.images(ids))
    changed = collection.catalog.descriptions.change(
        [
            Description(
                *(content, PERSON, captions, labels, given),
                *(remove_captions, remove_labels, remove_attributes),
            )
            for content in hashes
        ]
    )
    return AnnotateReport(len(hashes), changed, (), ())


def describe(collection: Collection, ids: Sequence[int]) -> list[dict[str, Any]]:
    """Return all that is known of pictures as plain values.

    Raises:
        UsageError: If an id is unknown.
    """
    described = collection.catalog.descriptions.of_images(ids)
    return [
        {
            "id": record.id,
            "paths": [display_path(path) for path in record.paths],
            "hash": record.hash.hex(),
            "width": record.width,
            "height": record.height,
            "bytes": record.n_bytes,
            "format": record.format,
            "captions": [{"text": text, "by": by} for text, by in known.captions],
            "labels": [
                {"name": name, "by": by, "probability": probability}
                for name, by, probability in known.labels
            ],
            "attributes": [asdict(attribute) for attribute in known.attributes],
            "colors": dict(known.colors),
        }
        for record, known in zip(collection.images(ids), described, strict=True)
    ]
