"""One run of `index --regions`: give every image of a catalog the regions that it lacks.

Each picture is decoded once more, larger than for the network, and its regions are cut from that.
Batches are committed whole; a run that is stopped anywhere is taken up by the next.
"""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.features.model import Model
from lookalike.features.regions import (
    REGIONS_VERSION,
    DescribedRegion,
    Outline,
    component_outlines,
    describe_regions,
    grid_outlines,
)
from lookalike.gathering.ingest import IngestOptions, RegionReport, Trouble
from lookalike.images.scanning import display_path
from lookalike.images.workers import DecodedFile, DecodePool, FailedFile
from lookalike.progress import SILENT, Progress, Task
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import ImageRecord
from lookalike.storage.regions import NewRegion

LEAST_SIDE: Final = 512
SHARPNESS: Final = 2.5
"""Pictures are decoded so many times as large as the network's input, so that the smallest cells
are not enlarged."""

COMMIT_IMAGES: Final = 32
COMMIT_SECONDS: Final = 5.0
_CHUNK: Final = 256

_CHANGED: Final = "it has changed since it was indexed; index it again"


def ingest_regions(
    catalog: Catalog, model: Model, options: IngestOptions, progress: Progress = SILENT
) -> RegionReport:
    """Store the regions of all images that have none, or those of an earlier version.

    Args:
        catalog: Open for writing.
        model: The network whose embeddings the catalog holds.
        options: How files are read.
        progress: Told about every image.

    Raises:
        EnvironmentFault: If the disk is full; all batches so far are stored.
    """
    _, n_lacking, _ = catalog.regions.counts(REGIONS_VERSION)
    with progress.task("Regions", n_lacking, unit="images") as task:
        return _Run(catalog, model, options, task).finish()


@dataclass(slots=True)
class _Waiting:
    """An image whose file is being decoded, and the paths that may be tried besides."""

    record: ImageRecord
    outlines: list[Outline]
    others: list[bytes]


class _Run:
    """State of one run."""

    def __init__(self, catalog: Catalog, model: Model, options: IngestOptions, task: Task) -> None:
        self._catalog = catalog
        self._model = model
        self._options = options
        self._task = task
        self._grid = grid_outlines()
        self._waiting: dict[bytes, _Waiting] = {}
        self._again: deque[tuple[bytes, _Waiting]] = deque()
        self._done: dict[int, list[NewRegion]] = {}
        self._committed = time.monotonic()
        self._n_images = self._n_regions = 0
        self._failed: list[Trouble] = []

    def finish(self) -> RegionReport:
        started = time.monotonic()
        side = max(LEAST_SIDE, round(SHARPNESS * self._options.image_size))
        options = self._options
        with DecodePool(options.workers, (side, side), options.limits, options.seconds) as pool:
            for outcome in pool.decode(self._paths()):
                self._take(outcome)
            while self._again:
                for outcome in pool.decode(self._second_paths()):
                    self._take(outcome)
        self._commit()
        return RegionReport(
            self._n_images, self._n_regions, tuple(self._failed), time.monotonic() - started
        )

    def _paths(self) -> Iterator[bytes]:
        after = 0
        while ids := self._catalog.regions.lacking(REGIONS_VERSION, after, _CHUNK):
            after = ids[-1]
            for record, outlines in zip(
                self._catalog.images(ids), self._outlines(ids), strict=True
            ):
                first, *others = record.paths
                self._waiting[first] = _Waiting(record, outlines, others)
                yield first

    def _second_paths(self) -> Iterator[bytes]:
        for _ in range(len(self._again)):
            path, waiting = self._again.popleft()
            self._waiting[path] = waiting
            yield path

    def _outlines(self, ids: list[int]) -> list[list[Outline]]:
        if not self._model.card.has_layout:
            return [self._grid for _ in ids]
        seen = self._model.decode_codes(self._catalog.vectors(ids, "layout"))
        return [self._grid + component_outlines(probabilities) for probabilities in seen]

    def _take(self, outcome: DecodedFile | FailedFile) -> None:
        waiting = self._waiting.pop(outcome.path)
        reason = outcome.reason if isinstance(outcome, FailedFile) else None
        if outcome.hash is not None and outcome.hash != waiting.record.hash:
            reason = _CHANGED
        if isinstance(outcome, DecodedFile) and reason is None:
            self._describe(waiting, outcome)
        elif waiting.others:
            self._again.append((waiting.others.pop(0), waiting))
            return
        else:
            self._failed.append(Trouble(display_path(outcome.path), reason or ""))
        self._task.advance()

    def _describe(self, waiting: _Waiting, file: DecodedFile) -> None:
        side = self._options.image_size
        found = describe_regions(file.pixels, waiting.outlines, self._model, side)
        classes = self._model.card.classes
        self._done[waiting.record.id] = [_stored(region, classes) for region in found]
        is_due = time.monotonic() - self._committed > COMMIT_SECONDS
        if len(self._done) >= COMMIT_IMAGES or is_due:
            self._commit()

    def _commit(self) -> None:
        if self._done:
            self._catalog.regions.store(self._done, REGIONS_VERSION)
        self._n_images += len(self._done)
        self._n_regions += sum(map(len, self._done.values()))
        self._done = {}
        self._committed = time.monotonic()


def _stored(region: DescribedRegion, classes: tuple[str, ...]) -> NewRegion:
    outline = region.outline
    bits = np.packbits(outline.mask.ravel(), bitorder="little")
    return NewRegion(
        box=outline.box,
        area=outline.area,
        mask=int.from_bytes(bits.tobytes(), "little"),
        label=None if outline.label is None else classes[outline.label],
        vectors={"content": region.content, "color": region.color, "texture": region.texture},
    )
