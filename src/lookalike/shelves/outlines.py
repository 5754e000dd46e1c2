"""Where the regions of a collection are, as columns that are mapped from files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import DamagedCollectionError
from lookalike.index.columns import Columns, ColumnsCard, open_columns, publish_columns
from lookalike.storage.catalog import Catalog
from lookalike.storage.regions import PER_IMAGE, Outlines, label_names

TABLE: Final = "regions_outlines"


def read_outlines(folder: Path, catalog: Catalog, model: str) -> Outlines:
    """Return where all regions are now: those of the table, and of images that changed since."""
    try:
        columns, card = open_columns(folder, TABLE, model=model)
    except DamagedCollectionError:
        return catalog.regions.outlines()
    stored = Outlines(
        columns["ids"],
        columns["boxes"],
        columns["areas"],
        columns["masks"],
        columns["labels"],
        tuple(card.facts["names"]),
    )
    if card.revision == catalog.revision:
        return stored
    changed = catalog.regions.changed_since(card.revision)
    gone = np.union1d(catalog.deleted_since(card.revision), changed)
    if len(gone) == 0:
        return stored
    return joined(stored, catalog.regions.outlines(since=card.revision), gone)


def build_outlines(folder: Path, catalog: Catalog, model: str) -> ColumnsCard:
    """Write where all regions are, as they are read.

    Raises:
        EnvironmentFault: If the disk is full; the table before is still valid.
    """
    folder.mkdir(exist_ok=True)
    position: dict[str | None, int] = {None: -1}
    names: list[str] = []

    def batches() -> Iterator[Columns]:
        for outlines in catalog.regions.outline_batches(position):
            yield _columns(outlines)
        names.extend(label_names(position))

    revision = catalog.revision
    facts = {"names": names}
    return publish_columns(folder, TABLE, batches(), model=model, revision=revision, facts=facts)


def joined(stored: Outlines, newer: Outlines, gone: Ids) -> Outlines:
    """Return outlines without those of the images `gone`, and with newer ones, by ascending id."""
    kept = np.flatnonzero(~np.isin(stored.ids // PER_IMAGE, gone))
    names = tuple(dict.fromkeys((*stored.names, *newer.names)))
    ids = np.concatenate([stored.ids[kept], newer.ids])
    order = np.argsort(ids, kind="stable")
    return Outlines(
        ids[order],
        np.concatenate([stored.boxes[kept], newer.boxes])[order],
        np.concatenate([stored.areas[kept], newer.areas])[order],
        np.concatenate([stored.masks[kept], newer.masks])[order],
        np.concatenate([stored.labels[kept], _renamed(newer, names)])[order],
        names,
    )


def _renamed(outlines: Outlines, names: tuple[str, ...]) -> Int64[ndarray, " regions"]:
    """Return the labels as positions in other names."""
    own = np.array([*(names.index(name) for name in outlines.names), -1], np.int64)
    renamed: ndarray = own[outlines.labels]
    return renamed


def _columns(outlines: Outlines) -> Columns:
    return {
        "ids": outlines.ids,
        "boxes": outlines.boxes,
        "areas": outlines.areas,
        "masks": outlines.masks,
        "labels": outlines.labels,
    }
