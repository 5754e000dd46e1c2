"""A catalog with planted groups of embeddings, for tests of what is known of a collection."""

from pathlib import Path

import numpy as np

from lookalike.arrays import normalize
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import Batch
from tests.storage.stored import content_of, file_of, image_of

DIM = 8


def planted(n: int, n_groups: int = 3, *, noise: float = 0.15, seed: int = 0):
    """Unit rows around as many orthogonal directions as there are groups, and their groups."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % n_groups
    rows = np.eye(DIM)[groups] + noise * rng.standard_normal((n, DIM))
    return normalize(rows), groups


def stock(path: Path, rows: np.ndarray, labels=lambda number: ()) -> Catalog:
    """A catalog open for writing that holds `rows` as `content`, image 1 first."""
    catalog = Catalog.create(path, {"content": rows.shape[1]})
    add(catalog, rows, labels)
    return catalog


def add(catalog: Catalog, rows: np.ndarray, labels=lambda number: (), *, prefix: str = "") -> None:
    """Add further images."""
    texts = [f"{prefix}{number}" for number in range(len(rows))]
    images = tuple(
        image_of(text, tuple(labels(number)), embeddings={"content": rows[number]})
        for number, text in enumerate(texts)
    )
    files = tuple(file_of(f"/photos/{text}", text) for text in texts)
    catalog.commit(Batch(images, files), run=catalog.begin_run())


def id_of(catalog: Catalog, text: str) -> int:
    """Id of the image of a text."""
    return catalog.image_ids([content_of(text)])[content_of(text)]
