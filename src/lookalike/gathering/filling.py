"""Giving images what they lack: descriptors that were chosen after they were indexed.

Images that have everything are not read, and none is read for a descriptor that does not look at
pixels. What is found is stored in batches, each whole or not at all, so that a run that is stopped
anywhere is taken up by the next.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.arrays import Embeddings, PixelBatch
from lookalike.features.descriptors import Descriptor, describe, sizes_of
from lookalike.gathering.ingest import IngestOptions, Trouble
from lookalike.images.scanning import display_path
from lookalike.images.workers import DecodedFile, DecodePool, FailedFile
from lookalike.progress import SILENT, Progress, Task
from lookalike.storage.catalog import Catalog
from lookalike.storage.chosen import LackingImage

FILL_BATCH: Final = 256
"""Images that are stored together."""

_NOTHING: Final = np.empty((0, 0, 3), np.uint8)


def fill_in(
    catalog: Catalog,
    descriptors: Mapping[str, Descriptor],
    options: IngestOptions,
    progress: Progress = SILENT,
) -> tuple[Trouble, ...]:
    """Extract what images lack of the descriptors that were chosen.

    Args:
        catalog: Open for writing.
        descriptors: All that the catalog has chosen, by name.
        options: How files are read.
        progress: Told about every image.

    Returns:
        Images that still lack something, as none of their files could be read or holds the same
        picture any more.

    Raises:
        EnvironmentFault: If the disk is full; what was stored stays.
    """
    expected = max(catalog.chosen.n_lacking().values(), default=0)
    if not expected:
        return ()
    with progress.task("Describing", expected, unit="images") as task:
        return _Filling(catalog, descriptors, options, task).run()


@dataclass(frozen=True, slots=True)
class _Filling:
    """One run over the images that lack something."""

    catalog: Catalog
    descriptors: Mapping[str, Descriptor]
    options: IngestOptions
    task: Task

    def run(self) -> tuple[Trouble, ...]:
        troubles: list[Trouble] = []
        size = (self.options.image_size, self.options.image_size)
        with DecodePool(
            self.options.workers, size, self.options.limits, self.options.seconds
        ) as pool:
            for images in self._batches():
                decoded, failed = self._decode(pool, [each for each in images if self._reads(each)])
                self._store(images, decoded)
                troubles += failed
                self.task.advance(len(images))
        return tuple(troubles)

    def _batches(self) -> Iterator[list[LackingImage]]:
        after = 0
        while images := self.catalog.chosen.lacking(after, FILL_BATCH):
            after = images[-1].id
            yield images

    def _reads(self, image: LackingImage) -> bool:
        return any(self.descriptors[name].needs_pixels for name in image.lacks)

    def _decode(
        self, pool: DecodePool, images: Sequence[LackingImage]
    ) -> tuple[dict[int, DecodedFile], list[Trouble]]:
        """Read each image from the first of its files that still holds it."""
        waiting = {image.id: (image, list(image.paths)) for image in images}
        found: dict[int, DecodedFile] = {}
        reasons: dict[int, Trouble] = {}
        while waiting:
            asked = {paths.pop(0): image for image, paths in waiting.values()}
            for outcome in pool.decode(asked):
                image = asked[outcome.path]
                if isinstance(outcome, DecodedFile) and outcome.hash == image.hash:
                    found[image.id] = outcome
                else:
                    reasons[image.id] = self._trouble(outcome, image)
            waiting = {
                id_: (image, paths)
                for id_, (image, paths) in waiting.items()
                if id_ not in found and paths
            }
        return found, [reasons[id_] for id_ in reasons if id_ not in found]

    def _trouble(self, outcome: DecodedFile | FailedFile, image: LackingImage) -> Trouble:
        names = [name for name in image.lacks if self.descriptors[name].needs_pixels]
        reason = "it holds another picture now"
        if isinstance(outcome, FailedFile):
            reason = outcome.reason
        return Trouble(display_path(outcome.path), f"lacks {', '.join(names)}: {reason}")

    def _store(self, images: Sequence[LackingImage], decoded: Mapping[int, DecodedFile]) -> None:
        rows: dict[str, tuple[Sequence[bytes], Embeddings]] = {}
        for name, descriptor in self.descriptors.items():
            lacking = [
                image
                for image in images
                if name in image.lacks and (image.id in decoded or not descriptor.needs_pixels)
            ]
            if lacking:
                rows[name] = (
                    [image.hash for image in lacking],
                    self._rows(descriptor, lacking, decoded),
                )
        if rows:
            self.catalog.chosen.fill(rows)

    def _rows(
        self,
        descriptor: Descriptor,
        images: Sequence[LackingImage],
        decoded: Mapping[int, DecodedFile],
    ) -> Embeddings:
        sizes = sizes_of([(image.height, image.width) for image in images])
        pixels: PixelBatch = np.stack(
            [decoded[image.id].pixels if descriptor.needs_pixels else _NOTHING for image in images]
        )
        return describe([descriptor], pixels, sizes)[descriptor.name]
