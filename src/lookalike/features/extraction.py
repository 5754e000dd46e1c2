"""The streaming way from decoded pictures to batches of embeddings.

Decoding runs in worker processes and encoding here, at the same time: the pool of workers goes on
while the network is busy. Everything between them is bounded, so memory does not grow with the
number of pictures.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import PixelBatch
from lookalike.features.descriptors import Descriptor, describe, sizes_of
from lookalike.images.workers import DecodedFile, FailedFile

ENCODE_BATCH: Final = 32
"""Pictures per run of the network: more gains nothing on a processor."""

COMMIT_IMAGES: Final = 256
"""Pictures per batch handed on to be stored."""

COMMIT_SECONDS: Final = 5.0
"""A batch is handed on after this long even when it is small, so little is redone after a crash."""


@runtime_checkable
class Encoded(Protocol):
    """What a network says of a batch of pictures."""

    @property
    def descriptors(self) -> Mapping[str, Float32[ndarray, "batch dim"]]:
        """Embeddings by name of descriptor."""
        ...

    @property
    def labels(self) -> Float32[ndarray, "batch classes"]:
        """Label probabilities."""
        ...


@runtime_checkable
class ImageEncoder(Protocol):
    """Anything that turns pixels into embeddings, such as `features.model.Model`."""

    def encode(self, pixels: PixelBatch) -> Encoded:
        """Encode a batch of pictures."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedImage:
    """A picture seen for the first time.

    Attributes:
        file: The file it was read from.
        embeddings: One vector for each descriptor.
        labels: Probability of each class of the model.
    """

    file: DecodedFile
    embeddings: Mapping[str, Float32[ndarray, " dim"]]
    labels: Float32[ndarray, " classes"]


@dataclass(frozen=True, slots=True, eq=False)
class ExtractedBatch:
    """What to store together: new pictures, the files that hold known or new ones, failures."""

    images: tuple[ExtractedImage, ...]
    files: tuple[DecodedFile, ...]
    failures: tuple[FailedFile, ...]


def extract(
    outcomes: Iterable[DecodedFile | FailedFile],
    encoder: ImageEncoder,
    *,
    stored: Callable[[Sequence[bytes]], set[bytes]],
    descriptors: Sequence[Descriptor] = (),
    commit_images: int = COMMIT_IMAGES,
    commit_seconds: float = COMMIT_SECONDS,
) -> Iterator[ExtractedBatch]:
    """Encode decoded pictures and gather them in batches that are stored whole.

    Args:
        outcomes: What the decoding workers return, in any order.
        encoder: The network.
        stored: Tells which of some content hashes are stored already; those are not encoded.
        descriptors: What is extracted beside what the network gives.
        commit_images: Largest number of outcomes in a batch.
        commit_seconds: Longest time over which a batch is gathered.

    Yields:
        Batches; each content hash is among the `images` of at most one of them, provided that
        a batch is stored before the next is asked for.
    """
    gathering = _Gathering(encoder, stored, descriptors)
    started = time.monotonic()
    for outcome in outcomes:
        gathering.add(outcome)
        if gathering.size >= commit_images or time.monotonic() - started > commit_seconds:
            yield gathering.finish()
            started = time.monotonic()
    if gathering.size:
        yield gathering.finish()


class _Gathering:
    """A batch in the making: pictures are encoded as soon as there are enough for one run."""

    def __init__(
        self,
        encoder: ImageEncoder,
        stored: Callable[[Sequence[bytes]], set[bytes]],
        descriptors: Sequence[Descriptor],
    ) -> None:
        self._encoder = encoder
        self._descriptors = descriptors
        self._stored = stored
        self._clear()

    def _clear(self) -> None:
        self._images: list[ExtractedImage] = []
        self._files: list[DecodedFile] = []
        self._failures: list[FailedFile] = []
        self._waiting: dict[bytes, DecodedFile] = {}
        self._settled: set[bytes] = set()

    @property
    def size(self) -> int:
        return len(self._files) + len(self._failures)

    def add(self, outcome: DecodedFile | FailedFile) -> None:
        if isinstance(outcome, FailedFile):
            self._failures.append(outcome)
            return
        if outcome.hash in self._settled or outcome.hash in self._waiting:
            outcome = _without_pixels(outcome)
        else:
            self._waiting[outcome.hash] = outcome
        self._files.append(outcome)
        if len(self._waiting) >= ENCODE_BATCH:
            self._encode()

    def finish(self) -> ExtractedBatch:
        self._encode()
        batch = ExtractedBatch(tuple(self._images), tuple(self._files), tuple(self._failures))
        self._clear()
        return batch

    def _encode(self) -> None:
        known = self._stored(list(self._waiting))
        new = [file for content, file in self._waiting.items() if content not in known]
        if new:
            pixels = np.stack([file.pixels for file in new])
            encoded = self._encoder.encode(pixels)
            sizes = sizes_of([(file.height, file.width) for file in new])
            described = describe(self._descriptors, pixels, sizes)
            embeddings = {**encoded.descriptors, **described}
            for row, file in enumerate(new):
                vectors = {name: rows[row] for name, rows in embeddings.items()}
                self._images.append(ExtractedImage(file, vectors, encoded.labels[row]))
        self._settled.update(self._waiting)
        self._waiting = {}


def _without_pixels(file: DecodedFile) -> DecodedFile:
    return replace(file, pixels=np.empty((0, 0, 3), np.uint8))
