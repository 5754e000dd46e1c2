"""The label maps of a collection, decoded once and kept in files beside the indexes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import DamagedCollectionError
from lookalike.features.model import Model
from lookalike.index.columns import Columns, open_columns, publish_columns
from lookalike.index.rows import contains
from lookalike.progress import SILENT, Progress
from lookalike.search.kept_maps import KeptMaps, joined, keep
from lookalike.storage.catalog import Catalog

TABLE: Final = "layout_maps"
LAYOUT: Final = "layout"

TAIL_SHARE: Final = 0.1
"""Maps are decoded and kept when so many images lack theirs, as a share of all."""

_DECODED_AT_ONCE: Final = 64


class MapShelf:
    """The kept label maps of one collection; those of other images are decoded when asked for.

    The map of an image never changes: it comes from its code and the model, and ids of images are
    never used again.

    Args:
        folder: Where the files lie.
        catalog: Holds the codes.
        model_id: Of the collection's model.
        model: Gives the model; it is opened when something is to be decoded.
    """

    def __init__(
        self, folder: Path, catalog: Catalog, model_id: str, model: Callable[[], Model]
    ) -> None:
        self._folder = folder
        self._catalog = catalog
        self._model_id = model_id
        self._model = model

    def open(self) -> Callable[[Ids], KeptMaps]:
        """Return what gives the maps of images, in the order asked for.

        Raises:
            UsageError: When an id is asked for that is unknown.
        """
        stored = self._stored()

        def maps(ids: Ids) -> KeptMaps:
            if stored is None:
                return self._decoded(ids)
            is_kept = contains(stored["ids"], ids)
            found = _rows(stored, np.searchsorted(stored["ids"], ids[is_kept]))
            if is_kept.all():
                return found
            newer = self._decoded(ids[~is_kept])
            order = np.argsort(np.argsort(~is_kept, kind="stable"))
            return joined([found, newer]).rows(order)

        return maps

    def renew(self, *, force: bool = False, progress: Progress = SILENT) -> None:
        """Decode what too many images lack; with `force`, decode all.

        Raises:
            EnvironmentFault: If the disk is full; what was there before stays valid.
        """
        n, stored = self._catalog.n_embeddings(LAYOUT), None if force else self._stored()
        n_kept = 0 if stored is None else int(np.isin(stored["ids"], self._catalog.ids()).sum())
        if n == 0 or (stored is not None and n - n_kept <= TAIL_SHARE * n):
            return
        self._folder.mkdir(exist_ok=True)
        revision = self._catalog.revision
        with progress.task("Reading layouts", n) as task:

            def batches() -> Iterator[Columns]:
                for ids, codes in self._catalog.embeddings(LAYOUT, batch=_DECODED_AT_ONCE):
                    maps = self._taken_or_decoded(stored, ids, codes)
                    task.advance(len(ids))
                    yield {"ids": ids, "classes": maps.classes, "shares": maps.shares}

            publish_columns(
                self._folder, TABLE, batches(), model=self._model_id, revision=revision, facts={}
            )

    def _stored(self) -> dict[str, ndarray] | None:
        try:
            return open_columns(self._folder, TABLE, model=self._model_id)[0]
        except DamagedCollectionError:
            return None

    def _taken_or_decoded(
        self, stored: dict[str, ndarray] | None, ids: Ids, codes: Embeddings
    ) -> KeptMaps:
        if stored is not None and contains(stored["ids"], ids).all():
            return _rows(stored, np.searchsorted(stored["ids"], ids))
        return keep(self._model().decode_codes(codes))

    def _decoded(self, ids: Ids) -> KeptMaps:
        # At least once, so that there is something to join.
        starts = range(0, max(1, len(ids)), _DECODED_AT_ONCE)
        parts = [ids[start : start + _DECODED_AT_ONCE] for start in starts]
        codes = [self._catalog.vectors(part, LAYOUT) for part in parts]
        return joined([keep(self._model().decode_codes(each)) for each in codes])


def _rows(stored: dict[str, ndarray], at: ndarray) -> KeptMaps:
    return KeptMaps(stored["classes"][at], stored["shares"][at])
