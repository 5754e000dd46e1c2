"""The indexes of a collection's regions: when they are built, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.features.region_features import COLOR_DIM, TEXTURE_DIM
from lookalike.features.regions import REGIONS_VERSION
from lookalike.index.base import Kind, VectorIndex
from lookalike.index.building import EXACT_BELOW, build_index
from lookalike.index.columns import open_columns
from lookalike.index.exact import RowsIndex, exact_index
from lookalike.index.files import IndexCard, new_rows_file, open_index, publish_index
from lookalike.index.tail import TailedIndex
from lookalike.progress import SILENT, Progress
from lookalike.search.calibration import Calibration, fit_calibration
from lookalike.search.region_gallery import PER_IMAGE, RegionGallery, fit_best
from lookalike.shelves.outlines import TABLE, build_outlines, read_outlines
from lookalike.storage.catalog import Catalog
from lookalike.storage.regions import VECTORS

TAIL_SHARE: Final = 0.1
"""An index is built again when so many regions came or went since, as a share of its size."""

SCANNED_BELOW: Final = 5_000_000
"""The content of so many regions is scanned by codes before it is put into clusters: thousands of
the nearest are wanted, of which the nearest clusters give too few."""

NO_REGIONS: Final = (
    "this collection has no regions yet; index them with: lookalike index COLLECTION --regions "
    "SOURCE"
)


@dataclass(frozen=True, slots=True)
class RegionState:
    """What `status` tells of regions.

    Attributes:
        images: Images that have them.
        lacking: Images that do not; only the whole of these is searched.
        regions: Regions of all images.
        indexed: Regions in the index; newer ones are compared one by one beside it.
    """

    images: int
    lacking: int
    regions: int
    indexed: int


class RegionShelf:
    """The indexes of the regions of one collection.

    Args:
        folder: Where their files lie.
        catalog: The truth that they are made from.
        model: Id of the collection's model.
    """

    def __init__(self, folder: Path, catalog: Catalog, model: str) -> None:
        self._folder = folder
        self._catalog = catalog
        self._store = catalog.regions
        self._model = model
        self._dims: Mapping[str, int] = {
            "content": catalog.descriptors["content"],
            "color": COLOR_DIM,
            "texture": TEXTURE_DIM,
        }

    def open(self) -> RegionGallery:
        """Read all regions as of now.

        Raises:
            UsageError: If there are none.
        """
        outlines = read_outlines(self._folder, self._catalog, self._model)
        if len(outlines.ids) == 0:
            raise UsageError(NO_REGIONS)
        indexes: dict[str, VectorIndex] = {}
        pairs: dict[str, Calibration] = {}
        for name in VECTORS:
            indexes[name], pairs[name], best = self._open_one(name)
            if name == "content":
                of_images = best or fit_best(outlines.ids, indexes[name])
        return RegionGallery(
            outlines.ids,
            outlines.boxes,
            outlines.areas,
            outlines.masks,
            outlines.labels,
            outlines.names,
            indexes,
            pairs,
            of_images,
        )

    def renew(
        self,
        kind: Literal["auto"] | Kind,
        recall_target: float,
        *,
        force: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        """Build those indexes again that are missing, damaged or outdated; none without regions.

        Raises:
            EnvironmentFault: If the disk is full; what was there before stays valid.
        """
        _, _, n = self._store.counts(REGIONS_VERSION)
        for name in VECTORS:
            if n and (force or self._is_due(name, n)):
                self._build(name, n, self._kind(name, n, kind), recall_target, progress)
        if n and (force or self._lacks_outlines()):
            build_outlines(self._folder, self._catalog, self._model)

    def state(self) -> RegionState:
        """Tell how regions stand, without opening an index."""
        n_images, n_lacking, n_regions = self._store.counts(REGIONS_VERSION)
        try:
            indexed = self._stored("content")[1].facts.n
        except DamagedCollectionError:
            indexed = 0
        return RegionState(n_images, n_lacking, n_regions, indexed)

    def _open_one(self, name: str) -> tuple[VectorIndex, Calibration, Calibration | None]:
        try:
            base, card = self._stored(name)
        except DamagedCollectionError:
            ids, rows = self._vectors(name, since=-1)
            index = exact_index(ids, normalize(rows))
            return index, fit_calibration(index), None
        pairs = Calibration.from_json(card.calibration["pairs"])
        best = card.calibration.get("best")
        known = None if best is None else Calibration.from_json(best)
        if card.revision == self._catalog.revision:
            return base, pairs, known
        return self._with_changes(name, base, card), pairs, known

    def _with_changes(self, name: str, base: RowsIndex, card: IndexCard) -> TailedIndex:
        changed = self._store.changed_since(card.revision)
        gone = np.union1d(self._catalog.deleted_since(card.revision), changed)
        masked = base.ids[np.isin(base.ids // PER_IMAGE, gone)]
        return TailedIndex(base, *self._vectors(name, since=card.revision), masked)

    def _stored(self, name: str) -> tuple[RowsIndex, IndexCard]:
        return open_index(self._folder, _file(name), dim=self._dims[name], model=self._model)

    def _vectors(self, name: str, *, since: int) -> tuple[Ids, Embeddings]:
        batches = list(self._store.vectors(name, self._dims[name], since=since))
        return (
            np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in batches)]),
            np.concatenate(
                [np.empty((0, self._dims[name]), np.float32), *(rows for _, rows in batches)]
            ),
        )

    def _kind(self, name: str, n: int, kind: Literal["auto"] | Kind) -> Literal["auto"] | Kind:
        """Colors and textures are so short that comparing all is fast."""
        if name != "content":
            return "exact"
        return "pq" if kind == "auto" and EXACT_BELOW <= n <= SCANNED_BELOW else kind

    def _lacks_outlines(self) -> bool:
        try:
            _, card = open_columns(self._folder, TABLE, model=self._model)
        except DamagedCollectionError:
            return True
        return self._is_outdated(card.revision)

    def _is_due(self, name: str, n: int) -> bool:
        try:
            _, card = self._stored(name)
        except DamagedCollectionError:
            return True
        return self._is_outdated(card.revision) or card.facts.n == 0 < n

    def _is_outdated(self, revision: int) -> bool:
        n_newer = len(self._store.changed_since(revision))
        n_gone = len(self._catalog.deleted_since(revision))
        n_images, _, _ = self._store.counts(REGIONS_VERSION)
        return n_newer + n_gone > TAIL_SHARE * n_images

    def _build(
        self,
        name: str,
        n: int,
        kind: Literal["auto"] | Kind,
        recall_target: float,
        progress: Progress,
    ) -> None:
        self._folder.mkdir(exist_ok=True)
        revision = self._catalog.revision
        index = build_index(
            self._store.vectors(name, self._dims[name]),
            dim=self._dims[name],
            n=n,
            kind=kind,
            recall_target=recall_target,
            rows_file=new_rows_file(self._folder, _file(name)),
            progress=progress,
        )
        calibration = {"pairs": fit_calibration(index).to_json()}
        if name == "content":
            calibration["best"] = fit_best(index.ids, index).to_json()
        publish_index(
            self._folder,
            _file(name),
            index,
            model=self._model,
            revision=revision,
            calibration=calibration,
        )


def _file(name: str) -> str:
    return f"regions_{name}"
