"""The indexes of a collection: when they are built, and how they are read with what came since."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import DamagedCollectionError, IndexUnavailableError, UsageError
from lookalike.features.descriptors import find_same
from lookalike.features.model import Model
from lookalike.index.base import Kind, VectorIndex
from lookalike.index.building import build_index, check_recall_target
from lookalike.index.compared import ComparedIndex
from lookalike.index.exact import RowsIndex, exact_index
from lookalike.index.files import IndexCard, new_rows_file, open_index, publish_index, read_card
from lookalike.index.tail import TailedIndex
from lookalike.progress import Progress
from lookalike.search.calibration import Calibration, fit_calibration, fit_compared
from lookalike.search.kept_maps import KeptMaps
from lookalike.search.parts import Context, PictureReader
from lookalike.search.query_embeddings import ExampleEncoder
from lookalike.search.region_gallery import RegionGallery
from lookalike.search.searcher import Searcher
from lookalike.storage.catalog import Catalog
from lookalike.storage.derived import delete_index

LEAST_COMPRESSED: Final = 16
"""Rows shorter than this are compared as they are: there is nothing to compress."""

TAIL_SHARE: Final = 0.1
"""An index is built again when so many images came or went since, as a share of its size."""


@dataclass(frozen=True, slots=True, eq=False)
class Gallery:
    """What is searched at one state of a collection.

    Attributes:
        revision: The catalog's revision.
        published: The indexes that were read, see `Shelf.published`.
        indexes: By descriptor, with newer images beside and deleted ones masked.
        searcher: Answers queries.
    """

    revision: int
    published: tuple[int, ...]
    indexes: Mapping[str, VectorIndex]
    searcher: Searcher


@dataclass(frozen=True, slots=True)
class IndexState:
    """What `status` tells of one index.

    Attributes:
        descriptor: Whose index.
        kind: `exact`, `pq`, `clusters` or `hamming`; `None` where none is built.
        n: Images in it.
        newer: Images that came since and are compared one by one.
        deleted: Images that went since and are masked.
        recall_target: What it was tuned to.
        measured_recall: What it was measured to find; `None` where it was not measured.
        n_clusters: Its clusters; 0 without.
        members: A search visits clusters until it has met so many images; 0 without clusters.
    """

    descriptor: str
    kind: Kind | None
    n: int
    newer: int
    deleted: int
    recall_target: float | None = None
    measured_recall: float | None = None
    n_clusters: int = 0
    members: int = 0


def check_options(kind: str, recall_target: float) -> Literal["auto"] | Kind:
    """Return `kind` as one of those that exist.

    Raises:
        UsageError: If there is no such kind or the recall target is not between 0 and 1.
    """
    if kind not in ("auto", *get_args(Kind)):
        raise UsageError(
            f"there is no index of kind {kind!r}; choose auto, {', '.join(get_args(Kind))}"
        )
    check_recall_target(recall_target)
    return cast(Literal["auto"] | Kind, kind)


class Shelf:
    """The indexes of one collection.

    Args:
        folder: Where their files lie.
        catalog: The truth that they are made from.
        model: Id of the collection's model.
    """

    def __init__(self, folder: Path, catalog: Catalog, model: str) -> None:
        self._folder = folder
        self._catalog = catalog
        self._model = model

    def open(
        self,
        encoder: ExampleEncoder,
        model: Callable[[], Model] | None = None,
        reader: PictureReader | None = None,
        regions: Callable[[], RegionGallery] | None = None,
        label_maps: Callable[[Ids], KeptMaps] | None = None,
    ) -> Gallery:
        """Read all indexes as of now; where one cannot be used, all its images are compared.

        Chosen descriptors that are not installed here in the same version are left out.

        Args:
            encoder: Encodes examples that come as files or pixels.
            model: Gives the model, asked when words or a layout need it; without it they cannot be
                searched for.
            reader: Reads pictures that parts of queries are made from.
            regions: Reads the regions of all images, when they are needed.
            label_maps: Gives the label maps of images.
        """
        revision, published = self._catalog.revision, self.published()
        chosen = self._catalog.chosen.specs()
        same = find_same({name: (spec.version, spec.dim) for name, spec in chosen.items()})
        indexes: dict[str, VectorIndex] = {}
        calibrations: dict[str, Calibration] = {}
        for name, dim in self._catalog.descriptors.items():
            if name in same and (compare := same[name].similarity) is not None:
                base, _ = self._open_one(name, dim, revision)
                indexes[name] = ComparedIndex(base, compare)
                calibrations[name] = fit_compared(indexes[name])
            elif name in same or name not in chosen:
                indexes[name], calibrations[name] = self._open_one(name, dim, revision)
        context = None
        if model is not None:
            context = Context(
                indexes, calibrations, self._catalog, model, {}, reader, regions, label_maps
            )
        searcher = Searcher(indexes, calibrations, encoder, model, context)
        return Gallery(revision, published, indexes, searcher)

    def published(self) -> tuple[int, ...]:
        """Tell the indexes that are there from those that another build may put in their place."""
        cards = sorted(self._folder.glob("*.json"))
        with suppress(FileNotFoundError):
            return tuple(card.stat().st_mtime_ns for card in cards)
        return ()

    def renew(self, kind: str, recall_target: float, *, force: bool, progress: Progress) -> None:
        """Build those indexes again that are missing, damaged, of another kind, or outdated.

        Raises:
            UsageError: If there is no such kind or the recall target is not between 0 and 1.
            EnvironmentFault: If the disk is full; what was there before stays valid.
        """
        wanted = check_options(kind, recall_target)
        for descriptor, dim in self._catalog.descriptors.items():
            if force or self._is_due(descriptor, dim, wanted, recall_target):
                self._build(descriptor, dim, wanted, recall_target, progress)

    def discard(self, descriptor: str) -> None:
        """Delete the index of a descriptor that the catalog no longer has."""
        delete_index(self._folder, descriptor)

    def states(self) -> list[IndexState]:
        """Tell how each index stands, without opening it."""
        return [self._state(descriptor) for descriptor in self._catalog.descriptors]

    def _open_one(
        self, descriptor: str, dim: int, revision: int
    ) -> tuple[VectorIndex, Calibration]:
        try:
            base, card, calibration = self._stored(descriptor, dim)
        except DamagedCollectionError:
            ids, rows = self._stored_after(descriptor, dim, 0)
            index = exact_index(ids, normalize(rows))
            return index, fit_calibration(index)
        if card.revision == revision:
            return base, calibration
        newer = self._stored_after(descriptor, dim, card.max_id)
        deleted = self._catalog.deleted_since(card.revision)
        return TailedIndex(base, *newer, deleted), calibration

    def _stored(self, descriptor: str, dim: int) -> tuple[RowsIndex, IndexCard, Calibration]:
        base, card = open_index(self._folder, descriptor, dim=dim, model=self._model)
        spec = self._catalog.chosen.specs().get(descriptor)
        if spec is not None and card.revision < spec.filled:
            raise IndexUnavailableError(
                f"the index of {descriptor} was built before older images got theirs"
            )
        return base, card, Calibration.from_json(card.calibration)

    def _stored_after(self, descriptor: str, dim: int, image_id: int) -> tuple[Ids, Embeddings]:
        batches = list(self._catalog.embeddings(descriptor, after=image_id))
        ids = [ids for ids, _ in batches]
        rows = [rows for _, rows in batches]
        return (
            np.concatenate([np.empty(0, np.int64), *ids]),
            np.concatenate([np.empty((0, dim), np.float32), *rows]),
        )

    def _is_due(
        self, descriptor: str, dim: int, kind: Literal["auto"] | Kind, recall_target: float
    ) -> bool:
        try:
            _, card, _ = self._stored(descriptor, dim)
        except DamagedCollectionError:
            return True
        state = self._state(descriptor)
        facts, kind = card.facts, self._possible(descriptor, dim, kind)
        is_other = kind not in ("auto", facts.kind) and facts.n > 0
        is_looser = facts.kind != "exact" and facts.recall_target != recall_target
        return is_other or is_looser or state.newer + state.deleted > TAIL_SHARE * facts.n

    def _possible(
        self, descriptor: str, dim: int, kind: Literal["auto"] | Kind
    ) -> Literal["auto"] | Kind:
        """Of short rows, and of those compared in a way of their own, all are compared."""
        spec = self._catalog.chosen.specs().get(descriptor)
        if spec is None:
            return kind
        same = find_same({descriptor: (spec.version, spec.dim)})
        has_own = descriptor in same and same[descriptor].similarity is not None
        return "exact" if dim < LEAST_COMPRESSED or has_own else kind

    def _state(self, descriptor: str) -> IndexState:
        n_images = self._catalog.n_embeddings(descriptor)
        try:
            card = read_card(self._folder, descriptor)
        except IndexUnavailableError:
            card = None
        if card is None or card.model != self._model:
            return IndexState(descriptor, None, 0, n_images, 0)
        deleted = self._catalog.deleted_since(card.revision)
        n_deleted = int((deleted <= card.max_id).sum())
        facts = card.facts
        return IndexState(
            descriptor=descriptor,
            kind=facts.kind,
            n=facts.n,
            newer=n_images - (facts.n - n_deleted),
            deleted=n_deleted,
            recall_target=facts.recall_target,
            measured_recall=facts.measured_recall,
            n_clusters=facts.n_clusters,
            members=facts.members,
        )

    def _build(
        self,
        descriptor: str,
        dim: int,
        kind: Literal["auto"] | Kind,
        recall_target: float,
        progress: Progress,
    ) -> IndexCard:
        self._folder.mkdir(exist_ok=True)
        revision = self._catalog.revision
        index = build_index(
            self._catalog.embeddings(descriptor),
            dim=dim,
            n=self._catalog.n_embeddings(descriptor),
            kind=self._possible(descriptor, dim, kind),
            recall_target=recall_target,
            rows_file=new_rows_file(self._folder, descriptor),
            progress=progress,
        )
        return publish_index(
            self._folder,
            descriptor,
            index,
            model=self._model,
            revision=revision,
            calibration=fit_calibration(index).to_json(),
        )
