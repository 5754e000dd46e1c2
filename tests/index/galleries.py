"""Embeddings with known structure, and indexes of every kind over them."""

from collections.abc import Iterator

import numpy as np
import pytest

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.index import tuning
from lookalike.index.building import build_index
from lookalike.index.exact import RowsIndex

KINDS = ("exact", "pq", "clusters", "hamming")


def clustered(n: int, dim: int, seed: int = 0) -> Embeddings:
    """Unit rows around a handful of centers."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(max(2, n // 100), dim))
    rows = centers[rng.integers(len(centers), size=n)] + 0.5 * rng.normal(size=(n, dim))
    return normalize(rows)


def spaced_ids(n: int) -> Ids:
    """Ids with gaps, as deletions leave them."""
    return np.arange(n, dtype=np.int64) * 3 + 7


def batches(ids: Ids, rows: Embeddings, size: int = 70) -> Iterator[tuple[Ids, Embeddings]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size], rows[start : start + size]


def built(kind: str, rows: Embeddings, **options: object) -> RowsIndex:
    stream = batches(spaced_ids(len(rows)), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "_N_QUERIES", 100)  # checking shapes makes searches slow
        return build_index(stream, dim=rows.shape[1], n=len(rows), kind=kind, **options)
