"""A large collection for measurements, made by mixing what some generated scenes are described by.

The scenes are indexed as pictures are: model, descriptors, regions. Each image of the large
collection is one scene, drawn by a power law so that there are clusters of all sizes, mixed with
another one in all descriptors alike and with noise in those of the model. Everything is stored and
indexed by the code that stores and indexes pictures; only the pictures are missing.
"""

import hashlib
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy import ndarray

from benchmarks.filters import description, details
from lookalike.arrays import Ids
from lookalike.collection import Collection
from lookalike.features.descriptors import STANDARD
from lookalike.features.region_features import COLOR_DIM, TEXTURE_DIM
from lookalike.features.regions import REGIONS_VERSION
from lookalike.storage.records import DATA_SET, Batch, Description, FileRecord, NewImage
from lookalike.storage.regions import PER_IMAGE, NewRegion
from lookalike.terminal import Bars

DESCRIPTORS: Final = (*STANDARD, "silhouette")
BATCH: Final = 256
SCENES: Final = 300
NOISE: Final = {"content": 0.4, "layout": 0.2}
"""Length of the noise beside rows of length 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Prototypes:
    """The scenes that everything is mixed from.

    Attributes:
        rows: Rows of each descriptor, one for each scene.
        regions: Of each scene.
    """

    rows: Mapping[str, ndarray]
    regions: list[list[NewRegion]]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """Which scenes an image is mixed from, and how.

    Attributes:
        own: Position of the scene that is most of it.
        other: Position of the other one.
        shares: Share of the first.
    """

    own: ndarray
    other: ndarray
    shares: ndarray


def open_prototypes(folder: Path) -> Prototypes:
    """Index the scenes, unless they are indexed, and read all that is stored of them."""
    place = folder / "scenes.lookalike"
    with Collection.open_or_create(place, descriptors=DESCRIPTORS) as scenes:
        scenes.add(f"scenes:{SCENES}:5", workers=1, regions=True, progress=Bars())
        ids = scenes.catalog.ids()
        rows = {name: scenes.vectors(ids, name) for name in scenes.catalog.descriptors}
        return Prototypes(rows, _regions(scenes, ids))


def _regions(scenes: Collection, ids: Ids) -> list[list[NewRegion]]:
    store = scenes.catalog.regions
    dims = {"content": scenes.card.content_dim, "color": COLOR_DIM, "texture": TEXTURE_DIM}
    vectors = {
        name: np.concatenate([rows for _, rows in store.vectors(name, dim)])
        for name, dim in dims.items()
    }
    found = store.outlines()
    names = (*found.names, None)
    regions: dict[int, list[NewRegion]] = {int(image): [] for image in ids}
    for at, region in enumerate(found.ids):
        left, top, width, height = found.boxes[at].tolist()
        regions[int(region) // PER_IMAGE].append(
            NewRegion(
                (left, top, width, height),
                float(found.areas[at]),
                int(found.masks[at].astype(np.int64)),
                names[found.labels[at]],
                {name: rows[at] for name, rows in vectors.items()},
            )
        )
    return list(regions.values())


def mixtures(n_images: int, n_scenes: int) -> Iterator[Mixture]:
    """Give what images are mixed from, a batch at a time."""
    rng = np.random.default_rng(1)
    share = (np.arange(n_scenes) + 10.0) ** -1.5
    share /= share.sum()
    for start in range(0, n_images, BATCH):
        n = min(BATCH, n_images - start)
        yield Mixture(
            rng.choice(n_scenes, n, p=share),
            rng.integers(0, n_scenes, n),
            rng.uniform(0.6, 0.95, n),
        )


def mixed(rows: ndarray, mixture: Mixture, rng: np.random.Generator, noise: float) -> ndarray:
    """Return rows between those of two scenes, with noise of a length, scaled as the first is."""
    own, shares = rows[mixture.own], mixture.shares[:, None]
    values = shares * own + (1 - shares) * rows[mixture.other]
    lengths = np.linalg.norm(own, axis=1, keepdims=True)
    if noise:
        values += lengths * noise * rng.standard_normal(values.shape) / values.shape[1] ** 0.5
    values *= lengths / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-9)
    return values.astype(np.float32)


def build(folder: Path, n_images: int, n_with_regions: int) -> Path:
    """Make the collection, unless it is there; return where it lies."""
    place = folder / f"mixed-{n_images}-{n_with_regions}.lookalike"
    if place.exists():
        return place
    unfinished = place.with_name(f"unfinished-{place.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    prototypes = open_prototypes(folder)
    with Collection.create(unfinished, descriptors=DESCRIPTORS) as made:
        for step in (store_images, store_regions):
            started = time.perf_counter()
            step(made, prototypes, n_images if step is store_images else n_with_regions)
            print(f"{step.__name__}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        made.build_indexes(progress=Bars())
    unfinished.rename(place)
    return place


def store_images(made: Collection, prototypes: Prototypes, n_images: int) -> None:
    """Store images with their descriptors, labels, captions and dates."""
    run, rng, number = made.catalog.begin_run(), np.random.default_rng(2), 0
    for mixture in mixtures(n_images, len(prototypes.regions)):
        rows = {
            name: mixed(of_scenes, mixture, rng, NOISE.get(name, 0.0))
            for name, of_scenes in prototypes.rows.items()
        }
        numbers = range(number, number + len(mixture.own))
        number = numbers.stop
        hashes = [_hash(each) for each in numbers]
        images = [_image(rng, each, rows, at) for at, each in enumerate(hashes)]
        files = [_file(*pair) for pair in zip(numbers, hashes, strict=True)]
        known = tuple(details(rng, each) for each in hashes)
        made.catalog.commit(Batch(tuple(images), tuple(files), known), run=run)
        said = [description(rng, *pair) for pair in zip(numbers, hashes, strict=True)]
        made.catalog.descriptions.change(said)
    # A label that was known once and is on no image any more.
    never = Description(_hash(0), DATA_SET, labels=("never",))
    made.catalog.descriptions.change([never])
    made.catalog.descriptions.change([replace(never, labels=(), remove_labels=("never",))])


def _hash(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=20).digest()


def _image(
    rng: np.random.Generator, content: bytes, rows: Mapping[str, ndarray], at: int
) -> NewImage:
    width, height = (int(side) for side in rng.integers(200, 6000, 2))
    own = {name: values[at] for name, values in rows.items()}
    labels = (("person", 0.9),) if rng.random() < 0.4 else ()
    n_bytes = int(rng.integers(10_000, 9_000_000))
    return NewImage(content, n_bytes, width, height, "JPEG", own, labels)


def _file(number: int, content: bytes) -> FileRecord:
    path = f"/p/folder-{number % 100:02}/img_{number}.jpg".encode()
    return FileRecord(path, b"/p", 9, 9, "indexed", content, None)


def store_regions(made: Collection, prototypes: Prototypes, n_images: int) -> None:
    """Store regions of the first images: those of the scene, mixed as the image is, and moved."""
    ids, rng, start = made.catalog.ids()[:n_images], np.random.default_rng(3), 0
    for mixture in mixtures(n_images, len(prototypes.regions)):
        batch = ids[start : start + len(mixture.own)]
        start += len(batch)
        regions = {
            int(image): [_mixed_region(each, prototypes, mixture, at, rng) for each in own]
            for at, image in enumerate(batch)
            if (own := prototypes.regions[mixture.own[at]])
        }
        made.catalog.regions.store(regions, REGIONS_VERSION)


def _mixed_region(
    own: NewRegion, prototypes: Prototypes, mixture: Mixture, at: int, rng: np.random.Generator
) -> NewRegion:
    others = prototypes.regions[mixture.other[at]]
    other = others[rng.integers(len(others))]
    vectors = {}
    for name, row in own.vectors.items():
        pair = np.stack([row, other.vectors[name]])
        one = Mixture(np.array([0]), np.array([1]), mixture.shares[at : at + 1])
        vectors[name] = mixed(pair, one, rng, NOISE.get(name, 0.0))[0]
    box, grown = _moved(own.box, rng)
    return replace(own, vectors=vectors, box=box, area=own.area * grown)


def _moved(
    box: tuple[float, float, float, float], rng: np.random.Generator
) -> tuple[tuple[float, float, float, float], float]:
    """Return a box a little smaller, somewhere within the box, and the share of it that is left."""
    left, top, width, height = box
    across, down = rng.uniform(0.8, 1.0, 2).tolist()
    right, below = rng.uniform(0.0, 1.0, 2).tolist()
    left += right * (1 - across) * width
    top += below * (1 - down) * height
    return (left, top, across * width, down * height), across * down
