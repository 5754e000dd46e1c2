"""Building the two kinds of index that do not compare everything. Loads FAISS."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import DamagedCollectionError
from lookalike.index.base import IndexFacts
from lookalike.index.clusters import ClusterIndex
from lookalike.index.codes import ClusteredCodes, FlatCodes, training_size
from lookalike.index.fast_scan import FastScanIndex
from lookalike.index.rows import Rows
from lookalike.index.tuning import query_positions, tuned_clusters, tuned_fast_scan
from lookalike.progress import Progress

_HOLD_OUT_FROM: Final = 1_000
"""Smaller collections are trained with all they have."""


def build_fast_scan(rows: Rows, facts: IndexFacts, progress: Progress) -> FastScanIndex:
    """Compress all rows and tune how many candidates are compared again."""
    codes = FlatCodes.train(_draw(rows, training_size(len(rows), 0), facts.seed), facts.seed)
    _report(codes.add(rows.embeddings), len(rows), progress)
    return tuned_fast_scan(rows, codes, facts)


def build_clusters(rows: Rows, facts: IndexFacts, progress: Progress) -> ClusterIndex:
    """Find clusters, put all rows into them, and tune how many are visited."""
    with progress.task("Finding clusters", facts.n_clusters, "clusters") as task:
        sample = _draw(rows, training_size(len(rows), facts.n_clusters), facts.seed)
        codes = ClusteredCodes.train(sample, facts.n_clusters, facts.seed)
        task.advance(facts.n_clusters)
    _report(codes.add(rows.embeddings), len(rows), progress)
    return tuned_clusters(rows, codes, facts)


def restore(
    rows: Rows, facts: IndexFacts, content: UInt8[ndarray, " bytes"]
) -> FastScanIndex | ClusterIndex:
    """Make an index of its parts.

    Raises:
        DamagedCollectionError: If the codes cannot be read or are not those of these rows.
    """
    codes: FlatCodes | ClusteredCodes
    if facts.kind == "pq":
        codes = FlatCodes.from_bytes(content)
        index: FastScanIndex | ClusterIndex = FastScanIndex(rows, facts, codes)
    else:
        codes = ClusteredCodes.from_bytes(content)
        index = ClusterIndex(rows, facts, codes)
    if len(codes) != len(rows):
        raise DamagedCollectionError(f"{len(codes)} codes for {len(rows)} rows")
    return index


def _draw(rows: Rows, size: int, seed: int) -> Embeddings:
    """Draw rows to train with, leaving out those that will be the queries of the tuning."""
    if len(rows) < _HOLD_OUT_FROM:
        return rows.embeddings
    is_query = np.zeros(len(rows), bool)
    is_query[query_positions(len(rows), seed)] = True
    positions = np.flatnonzero(~is_query)
    if len(positions) > size:
        chosen = np.random.default_rng(seed).choice(positions, size, replace=False)
        positions = np.sort(chosen)
    return rows.embeddings[positions]


def _report(done: Iterator[int], n: int, progress: Progress) -> None:
    with progress.task("Building the index", n) as task:
        for rows_done in done:
            task.advance(rows_done)
