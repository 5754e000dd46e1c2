"""Building the kinds of index that do not compare everything. Loads FAISS."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import DamagedCollectionError
from lookalike.index.base import IndexFacts, Kind
from lookalike.index.bits import BinaryCodes, are_bits
from lookalike.index.clusters import ClusterIndex
from lookalike.index.codes import ClusteredCodes, FlatCodes, training_size
from lookalike.index.fast_scan import FastScanIndex
from lookalike.index.hamming import HammingIndex
from lookalike.index.rows import Rows
from lookalike.index.tuning import (
    query_positions,
    tuned_clusters,
    tuned_fast_scan,
    tuned_hamming,
)
from lookalike.progress import Progress

Approximate: TypeAlias = FastScanIndex | ClusterIndex | HammingIndex

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


def build_hamming(rows: Rows, facts: IndexFacts, progress: Progress) -> HammingIndex:
    """Turn all rows into bits and tune how many candidates are looked at."""
    sample = _draw(rows, training_size(len(rows), 0), facts.seed)
    codes = BinaryCodes.train(sample, facts.seed, are_bits=are_bits(rows.embeddings))
    _report(codes.add(rows.embeddings), len(rows), progress)
    return tuned_hamming(rows, codes, replace(facts, n_bits=codes.n_bits))


BUILDERS: Final[Mapping[Kind, Callable[[Rows, IndexFacts, Progress], Approximate]]] = {
    "pq": build_fast_scan,
    "clusters": build_clusters,
    "hamming": build_hamming,
}
"""What builds each kind."""


def restore(rows: Rows, facts: IndexFacts, content: UInt8[ndarray, " bytes"]) -> Approximate:
    """Make an index of its parts.

    Raises:
        DamagedCollectionError: If the codes cannot be read or are not those of these rows.
    """
    codes: FlatCodes | ClusteredCodes | BinaryCodes
    if facts.kind == "pq":
        codes = FlatCodes.from_bytes(content)
        index: Approximate = FastScanIndex(rows, facts, codes)
    elif facts.kind == "hamming":
        codes = BinaryCodes.from_bytes(content)
        index = HammingIndex(rows, facts, codes)
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
