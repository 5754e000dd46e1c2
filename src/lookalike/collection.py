"""The friendly door: a folder of pictures that can be searched.

with Collection.create("photos.lookalike", model="my-model") as photos:
    photos.add("~/Pictures")
    hits = photos.search("holiday.jpg", k=10)
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np

from lookalike.arrays import Embeddings, Ids, Pixels
from lookalike.errors import ImageError, MismatchError
from lookalike.features.descriptors import STANDARD
from lookalike.features.model import Model
from lookalike.gathering.describing import choose_descriptors, completed, encode, renewed, versions
from lookalike.gathering.ingest import IngestOptions, IngestReport, ingest
from lookalike.gathering.places import AnyPath, expanded
from lookalike.gathering.places import sources as sources_of
from lookalike.gathering.reading import decoded, network_input, read_picture
from lookalike.gathering.regions import ingest_regions
from lookalike.gathering.sources import describe_labeled
from lookalike.images.decoding import DEFAULT_LIMITS, PREPROCESS_VERSION, Decoded, DecodeLimits
from lookalike.images.workers import MOST_WORKERS, usable_processors
from lookalike.index.base import Hits
from lookalike.model_folder import ModelCard, check_files, read_card
from lookalike.models import default_model
from lookalike.overview import overview
from lookalike.progress import SILENT, Progress
from lookalike.search.queries import FileExample, IdExample, PixelsExample, Query, RegionExample
from lookalike.shelves.images import Gallery, Shelf, check_options
from lookalike.shelves.label_maps import MapShelf
from lookalike.shelves.regions import RegionShelf
from lookalike.storage.catalog import Catalog
from lookalike.storage.folder import (
    CollectionFolder,
    DescriptorSpec,
    Manifest,
    check_model,
    checksum_of_model,
    create_folder,
    open_folder,
)
from lookalike.storage.lock import WriterLock
from lookalike.storage.records import ImageRecord
from lookalike.weighing import as_query, weighed

DESCRIPTOR_VERSION: Final = 1
"""Grows whenever the same model would give the same picture another embedding."""

LONGER_SIDE: Final = 256
"""Pixels of the longer side of pictures that are shown."""


class Collection:
    """Pictures with their embeddings, on disk, ready to be searched.

    Open it with `Collection.open`, make one with `Collection.create`; both are context managers.
    Any number of processes may read a collection, one may write to it.

    Attributes:
        path: The collection's folder.
        catalog: The truth in it.
        manifest: What it says of itself.
    """

    def __init__(
        self, folder: CollectionFolder, manifest: Manifest, catalog: Catalog, held: ExitStack
    ) -> None:
        self.path: Final = folder.path
        self.catalog: Final = catalog
        self.manifest: Final = manifest
        self._folder = folder
        self._held = held
        self._gallery: Gallery | None = None

    @classmethod
    def create(
        cls,
        path: AnyPath,
        *,
        model: AnyPath | None = None,
        descriptors: Sequence[str] = STANDARD,
    ) -> "Collection":
        """Make an empty collection with a copy of a model folder, and open it for writing.

        Without `model` it is the one that ships with the program; `descriptors` are extracted
        beside what the model gives.

        Raises:
            UsageError: If something is at `path` already, or a descriptor is not known.
            ModelError: If the model folder is damaged or made for another way of decoding.
            EnvironmentFault: If it cannot be written there, or no model ships.
        """
        source = default_model() if model is None else expanded(model)
        card = read_card(source)
        check_files(source, card)
        if card.preprocess_version != PREPROCESS_VERSION:
            raise MismatchError(
                f"model {card.id} was learned with version {card.preprocess_version} of decoding, "
                f"this program has version {PREPROCESS_VERSION}; learn the model again"
            )
        create_folder(expanded(path), source, _descriptors(card), versions(descriptors))
        return cls.open(path, writable=True)

    @classmethod
    def open(cls, path: AnyPath, *, writable: bool = False) -> "Collection":
        """Open a collection.

        Args:
            path: Its folder.
            writable: Keep all other writers out and be able to `add`.

        Raises:
            NotACollectionError: If there is no collection.
            CollectionLockedError: If it is to be written and another process is writing.
            MismatchError: If its version or its model is not what it should be.
        """
        with ExitStack() as stack:
            folder, manifest = open_folder(expanded(path))
            if writable:
                stack.enter_context(WriterLock(folder.path))
                folder, manifest = open_folder(folder.path)  # as the last writer left it
                folder.sweep()
            check_model(folder, manifest)
            catalog = stack.enter_context(Catalog.open(folder.catalog, writable=writable))
            return cls(folder, manifest, catalog, stack.pop_all())

    @classmethod
    def open_or_create(
        cls,
        path: AnyPath,
        *,
        model: AnyPath | None = None,
        descriptors: Sequence[str] | None = None,
    ) -> "Collection":
        """Open a collection for writing, or `create` it if there is none.

        With `descriptors` it has exactly these beside the model's from now on; without, one that
        is there keeps what it has.

        Raises:
            MismatchError: If it was made with another model than the one given.
        """
        place = expanded(path)
        if not place.exists() or (place.is_dir() and not any(place.iterdir())):
            chosen = STANDARD if descriptors is None else descriptors
            return cls.create(place, model=model, descriptors=chosen)
        checksum = None if model is None else checksum_of_model(expanded(model))
        opened = cls.open(place, writable=True)
        if checksum not in (None, opened.manifest.model_checksum):
            opened.close()
            raise MismatchError(
                f"{place} was made with model {opened.manifest.model}, not with the one in "
                f"{model}; leave --model out, or make another collection"
            )
        if descriptors is not None:
            opened.choose_descriptors(descriptors)
        return opened

    def close(self) -> None:
        """Let go of files and locks; closing twice does no harm."""
        self._held.close()

    def __enter__(self) -> "Collection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return self.catalog.n_images

    @cached_property
    def model(self) -> Model:
        """The network that made the embeddings."""
        return Model.open(self._folder.model)

    @cached_property
    def card(self) -> ModelCard:
        """What the model is."""
        return read_card(self._folder.model)

    def add(
        self,
        *sources: AnyPath,
        workers: int | None = None,
        limits: DecodeLimits = DEFAULT_LIMITS,
        seconds_per_file: float = 2.4,
        remove_missing: bool = False,
        regions: bool = False,
        kind: str = "auto",
        recall_target: float = 0.98,
        annotations: bool = True,
        progress: Progress = SILENT,
    ) -> IngestReport:
        """Bring the collection up to date with sources; tell what became of every file.

        Args:
            sources: Folders, files, or data sets such as `coco#test` and `scenes:500:7`.
            workers: Decoding processes, 256 at most; one for each processor by default, 0 for none.
            limits: Largest file and picture that is accepted.
            seconds_per_file: Longest time a file may take to decode; it is tried twice.
            remove_missing: Also forget the pictures of a folder in which nothing is left.
            regions: Also store parts of each picture, so that they can be searched; a collection
                that has any keeps them up to date from then on.
            kind: Kind of index: `auto`, `exact`, `pq`, `clusters` or `hamming`.
            recall_target: Share of the true nearest neighbors that the index must find.
            annotations: Whether captions and labels of data sets (COCO, masks, tables, scenes) are
                stored too.
            progress: Told about every file.

        Raises:
            UsageError: If a source does not exist or an option makes no sense; nothing has
                changed then.
            EnvironmentFault: If the disk is full; what was stored stays.
        """
        options = IngestOptions(
            image_size=self.card.image_size,
            workers=min(usable_processors(), MOST_WORKERS) if workers is None else workers,
            limits=limits,
            seconds=seconds_per_file,
            remove_missing=remove_missing,
            descriptors=tuple(renewed(self.catalog).values()),
        )
        check_options(kind, recall_target)
        places = [place for source in sources for place in sources_of(source)]
        report = ingest(self.catalog, self.model, self.card.classes, places, options, progress)
        report = completed(report, self.catalog, options, progress)
        if annotations and report.indexed:
            troubles = describe_labeled(self.catalog, sources, progress)
            report = replace(report, skipped=report.skipped + troubles)
        if regions or self.catalog.regions.is_used:
            of_parts = ingest_regions(self.catalog, self.model, options, progress)
            report = replace(report, regions=of_parts)
        self.build_indexes(kind=kind, recall_target=recall_target, progress=progress)
        return report

    def choose_descriptors(self, names: Sequence[str]) -> None:
        """Have exactly these descriptors beside those of the model from now on.

        The next `add` extracts what images lack. What is no longer named goes at once.

        Raises:
            UsageError: If one is not known; see `lookalike.features.descriptors`.
        """
        choose_descriptors(self.catalog, self._shelf, names)

    def build_indexes(
        self,
        *,
        kind: str = "auto",
        recall_target: float = 0.98,
        force: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        """Build the index of each descriptor again where it has fallen too far behind.

        Args:
            kind: `auto` (by size), `exact`, `pq`, `clusters` or `hamming`.
            recall_target: Share of the true nearest neighbors that a search must find.
            force: Build even what is up to date.
            progress: Told about every step.
        """
        self._shelf.renew(kind, recall_target, force=force, progress=progress)
        wanted = check_options(kind, recall_target)
        self._region_shelf.renew(wanted, recall_target, force=force, progress=progress)
        if self.card.has_layout:
            self._map_shelf.renew(force=force, progress=progress)
        self._gallery = None

    def search(self, query: "Query | AnyPath | int | np.integer[Any]", k: int = 10) -> Hits:
        """Find the `k` images most like a query.

        Args:
            query: A `Query`, or for short the path of a picture or the id of an image.
            k: Number of hits; fewer come from smaller collections.

        Returns:
            One row of hits, best first.

        Raises:
            UsageError: If the query, its ids or `k` make no sense, or the collection is empty.
            ImageError: If a picture cannot be read.
        """
        return self.search_all([as_query(query)], k)

    def search_all(self, queries: Sequence[Query], k: int = 10) -> Hits:
        """Find the `k` images most like each query; one row of hits for each."""
        return self.gallery.searcher.search([weighed(query, self.catalog) for query in queries], k)

    @property
    def gallery(self) -> Gallery:
        """What is searched now: indexes and calibrations, read again when one of them changed."""
        found = self._gallery
        now = (self.catalog.revision, self._shelf.published())
        if found is None or (found.revision, found.published) != now:
            regions = self._region_shelf.open
            maps = self._map_shelf.open() if self.card.has_layout else None
            found = self._shelf.open(self, lambda: self.model, self, regions, maps)
            self._gallery = found
        return found

    @property
    def state(self) -> tuple[int, ...]:
        """Equal as long as a query has the same hits, whatever any process does meanwhile."""
        return (*self.catalog.state, *self._shelf.published())

    def encode(
        self,
        examples: Sequence[FileExample | PixelsExample | RegionExample],
        descriptors: Sequence[str],
    ) -> dict[str, Embeddings]:
        """Embed pictures that need not be in the collection; one row each per descriptor.

        Raises:
            ImageError: If a file is no readable image; the message names it.
            UsageError: If a box does not lie in its picture.
        """
        side = self.card.image_size
        pictures = [network_input(example, side, self._files) for example in examples]
        return encode(lambda: self.model, descriptors, pictures)

    def decoded(self, example: IdExample | FileExample | PixelsExample, side: int) -> Decoded:
        """Decode the picture of an example whole, stretched to a square; see `encode`."""
        return decoded(example, side, self._files)

    def _files(self, image_id: int) -> list[Path]:
        [record] = self.images([image_id])
        return [Path(os.fsdecode(path)) for path in record.paths]

    def status(self) -> dict[str, Any]:
        """Tell what the collection holds, as plain values; of each index, how accurate it was."""
        states = self._shelf.states(), self._region_shelf.state()
        return overview(self._folder, self.manifest, self.card, self.catalog, *states)

    def images(self, ids: Sequence[int] | Ids) -> list[ImageRecord]:
        """Return what is known of images: size, format, paths, labels; in the order asked for."""
        return self.catalog.images(ids)

    def vectors(self, ids: Sequence[int] | Ids, descriptor: str) -> Embeddings:
        """Return the embeddings of images, as the model gave them; in the order asked for."""
        return self.catalog.vectors(ids, descriptor)

    def picture(self, image_id: int, longer_side: int = LONGER_SIDE) -> Pixels:
        """Read the picture of an image from one of its files, at a size fit to be shown.

        Raises:
            ImageError: If none of its files can be read any more.
        """
        [record] = self.images([image_id])
        for path in record.paths[:-1]:
            with suppress(ImageError):
                return self.read(Path(os.fsdecode(path)), longer_side)
        return self.read(Path(os.fsdecode(record.paths[-1])), longer_side)

    def read(self, path: Path, longer_side: int = LONGER_SIDE) -> Pixels:
        """Read any picture in its own proportions, its longer side at most so many pixels.

        Raises:
            ImageError: If it cannot be read; the message names the file.
        """
        return read_picture(path, longer_side)

    @property
    def _region_shelf(self) -> RegionShelf:
        return RegionShelf(self._folder.index, self.catalog, self.manifest.model)

    @property
    def _map_shelf(self) -> MapShelf:
        folder, model = self._folder.index, self.manifest.model
        return MapShelf(folder, self.catalog, model, lambda: self.model)

    @property
    def _shelf(self) -> Shelf:
        return Shelf(self._folder.index, self.catalog, self.manifest.model)


def _descriptors(card: ModelCard) -> dict[str, DescriptorSpec]:
    content = {"content": DescriptorSpec(DESCRIPTOR_VERSION, card.content_dim)}
    if not card.has_layout:
        return content
    return {**content, "layout": DescriptorSpec(DESCRIPTOR_VERSION, card.code_dim)}
