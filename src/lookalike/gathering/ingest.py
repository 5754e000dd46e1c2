"""One run of `index`: bring a catalog up to date with folders on disk.

Files that are unchanged are only ticked off; new and changed ones are decoded, encoded and stored
in batches that are committed whole. What has gone from a folder that is really there is removed at
the end. A run that is stopped anywhere is taken up by the next.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, Final, Literal

from lookalike.features.color_names import color_shares
from lookalike.features.descriptors import Descriptor
from lookalike.features.extraction import COMMIT_IMAGES, ExtractedBatch, ImageEncoder, extract
from lookalike.images.decoding import DecodeLimits
from lookalike.images.perceptual_hash import fingerprint
from lookalike.images.scanning import FoundFile, SkippedFile, display_path, scan
from lookalike.images.workers import DecodedFile, DecodePool, FailedFile
from lookalike.progress import SILENT, Progress, Task
from lookalike.storage.attributes import TAKEN, date_range, date_text
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import (
    FILE,
    FILE_TIME,
    Batch,
    FileRecord,
    ImageDetails,
    Known,
    NewImage,
)

SURVEY_CHUNK: Final = 512
"""Directory entries that are compared with the catalog in one look-up."""

LABEL_THRESHOLD: Final = 0.5
"""Predicted labels are stored from this probability on."""

_YEAR_10000: Final = 253_402_300_800 * 10**9

HELD: Final = (
    "nothing is left in this folder; its pictures are kept, as it may just not be mounted "
    "(--remove-missing removes them)"
)


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How files are read.

    Attributes:
        image_size: Side of the square that the network takes, in pixels.
        workers: Decoding processes; 0 decodes in this process.
        limits: Largest file and picture that is accepted.
        seconds: Longest time a file may take, tried twice.
        remove_missing: Also remove the pictures of a folder in which nothing is left.
        descriptors: What is extracted beside what the network gives.
    """

    image_size: int
    workers: int = 2
    limits: DecodeLimits = field(default_factory=DecodeLimits)
    seconds: float = 2.4
    remove_missing: bool = False
    descriptors: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that is not in the collection, and why; `path` is display text."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RegionReport:
    """What a run did about parts of images.

    Attributes:
        images: Images that got their regions.
        regions: Regions stored.
        failed: Images whose files could not be read any more; the next run tries them again.
        seconds: Duration.
    """

    images: int
    regions: int
    failed: tuple[Trouble, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What a run did with every file it saw.

    Attributes:
        indexed: Files read and stored.
        unchanged: Files found as they were.
        removed: Files that had gone.
        failed: Pictures that could not be read.
        skipped: What is no picture, and folders that could not be looked into.
        seconds: Duration, without regions.
        lacking: Pictures that still lack a descriptor that was chosen after they were indexed.
        regions: What was done about parts of images; `None` where none are wanted.
    """

    indexed: int
    unchanged: int
    removed: int
    failed: tuple[Trouble, ...]
    skipped: tuple[Trouble, ...]
    seconds: float
    lacking: tuple[Trouble, ...] = ()
    regions: RegionReport | None = None

    @property
    def has_failed(self) -> bool:
        """Whether anything could not be read."""
        return bool(self.failed or (self.regions and self.regions.failed))

    def to_json(self) -> dict[str, Any]:
        """Return plain values; without `regions` where none are wanted."""
        content = {**asdict(self), "seconds": round(self.seconds, 3)}
        if self.regions is None:
            del content["regions"]
        return content


def ingest(
    catalog: Catalog,
    encoder: ImageEncoder,
    classes: Sequence[str],
    sources: Sequence[bytes],
    options: IngestOptions,
    progress: Progress = SILENT,
) -> IngestReport:
    """Store what is new or changed under `sources` and remove what has gone from there.

    Args:
        catalog: Open for writing.
        encoder: The network whose embeddings the catalog holds.
        classes: Names of the classes that the encoder gives probabilities of.
        sources: Folders and files.
        options: How files are read.
        progress: Told about every file.

    Raises:
        UsageError: If a source does not exist; nothing has changed then.
        EnvironmentFault: If the disk is full; all batches so far are stored.
    """
    with progress.task("Indexing") as task:
        run = _Run(catalog, classes, sources, options, task)
        _count_in_background(sources, task)
        report = run.finish(encoder)
    fill_in(catalog, options, progress)
    return report


def fill_in(catalog: Catalog, options: IngestOptions, progress: Progress = SILENT) -> None:
    """Make the fingerprints that images of an earlier version lack, from one file of each.

    What can no longer be read, or holds something else now, is left to the next run.
    """
    lacking = catalog.duplicates.lacking()
    if len(lacking) == 0:
        return
    with progress.task("Fingerprints", len(lacking)) as task:
        size = (options.image_size, options.image_size)
        with DecodePool(options.workers, size, options.limits, options.seconds) as pool:
            for start in range(0, len(lacking), COMMIT_IMAGES):
                records = catalog.images(lacking[start : start + COMMIT_IMAGES])
                outcomes = pool.decode([record.paths[0] for record in records])
                catalog.duplicates.add(
                    [
                        (outcome.hash, fingerprint(outcome.pixels))
                        for outcome in outcomes
                        if isinstance(outcome, DecodedFile)
                    ]
                )
                task.advance(len(records))


def _count_in_background(sources: Sequence[bytes], task: Task) -> None:
    def count() -> None:
        task.expect(sum(1 for _ in scan(sources)))

    threading.Thread(target=count, daemon=True, name="count-files").start()


class _Run:
    """State of one run; every entry of the folders passes through exactly one of its methods."""

    def __init__(
        self,
        catalog: Catalog,
        classes: Sequence[str],
        sources: Sequence[bytes],
        options: IngestOptions,
        task: Task,
    ) -> None:
        self._catalog = catalog
        self._classes = classes
        self._options = options
        self._task = task
        self._started = time.monotonic()
        self._sources = [os.path.abspath(source) for source in sources]  # noqa: PTH100 - bytes
        self._entries = scan(self._sources)
        self._id = catalog.begin_run()
        self._roots: dict[bytes, bytes] = {}
        self._found: Counter[bytes] = Counter()
        self._counts: Counter[Literal["indexed", "unchanged"]] = Counter()
        self._failed: list[Trouble] = []
        self._skipped: list[Trouble] = []
        self._unreadable: list[bytes] = []

    def finish(self, encoder: ImageEncoder) -> IngestReport:
        size = (self._options.image_size, self._options.image_size)
        limits, seconds = self._options.limits, self._options.seconds
        with DecodePool(self._options.workers, size, limits, seconds) as pool:
            outcomes = pool.decode(self._changed_paths())
            descriptors = self._options.descriptors
            for batch in extract(outcomes, encoder, stored=self._stored, descriptors=descriptors):
                self._commit(batch)
        removed = self._remove_gone()
        return IngestReport(
            indexed=self._counts["indexed"],
            unchanged=self._counts["unchanged"],
            removed=removed,
            failed=tuple(self._failed),
            skipped=tuple(self._skipped),
            seconds=time.monotonic() - self._started,
        )

    def _changed_paths(self) -> Iterator[bytes]:
        """Walk the folders and give what must be decoded, a chunk of the walk at a time."""
        while chunk := list(islice(self._entries, SURVEY_CHUNK)):
            yield from self._survey(chunk)

    def _survey(self, chunk: Sequence[FoundFile | SkippedFile]) -> Iterator[bytes]:
        """Tick off what is unchanged, note what is skipped, and give the paths to decode."""
        known = self._catalog.files([entry.path for entry in chunk])
        unchanged = [
            record
            for entry in chunk
            if (record := known.get(entry.path)) is not None and _is_unchanged(record, entry)
        ]
        self._tick_off(unchanged)
        settled = {record.path for record in unchanged}
        changed = [entry for entry in chunk if entry.path not in settled]
        self._skip([entry for entry in changed if isinstance(entry, SkippedFile)])
        self._unreadable.extend(e.path for e in chunk if isinstance(e, SkippedFile))
        self._found.update(entry.root for entry in chunk if isinstance(entry, FoundFile))
        for entry in changed:
            if isinstance(entry, FoundFile):
                self._roots[entry.path] = entry.root
                yield entry.path

    def _tick_off(self, records: Sequence[FileRecord]) -> None:
        self._catalog.mark_seen([record.path for record in records], self._id)
        for record in records:
            if record.state == "indexed":
                self._counts["unchanged"] += 1
            else:
                trouble = Trouble(display_path(record.path), record.reason or "")
                (self._failed if record.state == "failed" else self._skipped).append(trouble)
        self._task.advance(len(records))

    def _skip(self, entries: Sequence[SkippedFile]) -> None:
        if not entries:
            return
        records = tuple(
            FileRecord(entry.path, entry.root, None, None, "skipped", None, entry.reason)
            for entry in entries
        )
        self._catalog.commit(Batch((), records), run=self._id)
        self._skipped.extend(Trouble(display_path(entry.path), entry.reason) for entry in entries)
        self._task.advance(len(entries))

    def _stored(self, hashes: Sequence[bytes]) -> set[bytes]:
        return set(self._catalog.image_ids(hashes))

    def _commit(self, batch: ExtractedBatch) -> None:
        records = [self._record(file) for file in batch.files]
        records += [self._record(failure) for failure in batch.failures]
        images = tuple(
            NewImage(
                hash=image.file.hash,
                n_bytes=image.file.n_bytes,
                width=image.file.width,
                height=image.file.height,
                format=image.file.format,
                embeddings=image.embeddings,
                labels=tuple(
                    (name, float(probability))
                    for name, probability in zip(self._classes, image.labels, strict=True)
                    if probability >= LABEL_THRESHOLD
                ),
                fingerprint=fingerprint(image.file.pixels),
            )
            for image in batch.images
        )
        # Of equal files only the first still has its pixels.
        details = tuple(_details(file) for file in batch.files if file.pixels.size)
        self._catalog.commit(Batch(images, tuple(records), details), run=self._id)
        self._account(batch)

    def _account(self, batch: ExtractedBatch) -> None:
        self._counts["indexed"] += len(batch.files)
        self._failed.extend(
            Trouble(display_path(failure.path), failure.reason) for failure in batch.failures
        )
        self._task.advance(len(batch.files) + len(batch.failures))
        if self._failed:
            self._task.note(f"{len(self._failed)} failed")

    def _record(self, outcome: DecodedFile | FailedFile) -> FileRecord:
        root = self._roots.pop(outcome.path)
        if isinstance(outcome, DecodedFile):
            return FileRecord(
                outcome.path, root, outcome.size, outcome.mtime_ns, "indexed", outcome.hash, None
            )
        return FileRecord(
            outcome.path,
            root,
            outcome.size,
            outcome.mtime_ns,
            "failed",
            outcome.hash,
            outcome.reason,
            outcome.transient,
        )

    def _remove_gone(self) -> int:
        """Remove what was not seen, but a folder without any picture may just not be mounted."""
        present = [root for root in self._sources if self._found[root]]
        empty = [root for root in self._sources if not self._found[root]]
        if self._options.remove_missing:
            present += empty
        else:
            stored = set(self._catalog.roots(with_images=True))
            self._skipped.extend(
                Trouble(display_path(root), HELD) for root in empty if root in stored
            )
        return self._catalog.remove_unseen(self._id, present, except_below=self._unreadable)


def _details(file: DecodedFile) -> ImageDetails:
    """Return what a file says of itself; without a date of its own, that of its last change."""
    metadata = dict(file.metadata)
    if date_range(metadata.get(TAKEN, "")) is None:
        metadata.pop(TAKEN, None)
    known = [Known(key, value, FILE) for key, value in metadata.items()]
    if TAKEN not in metadata and 0 <= file.mtime_ns < _YEAR_10000:
        known.append(Known(TAKEN, date_text(float(file.mtime_ns // 10**9)), FILE_TIME))
    return ImageDetails(file.hash, tuple(known), color_shares(file.pixels))


def _is_unchanged(record: FileRecord, entry: FoundFile | SkippedFile) -> bool:
    """Whether a file is as it was, and there is no hope that another try goes better."""
    if isinstance(entry, SkippedFile):
        return record.state == "skipped" and record.reason == entry.reason
    same = (record.size, record.mtime_ns) == (entry.size, entry.mtime_ns)
    return same and not record.transient
