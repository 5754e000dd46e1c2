"""Building an index from a stream of embeddings."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError
from lookalike.index.base import IndexFacts, Kind
from lookalike.index.exact import ExactIndex, RowsIndex
from lookalike.index.row_files import gather_rows
from lookalike.index.rows import Rows
from lookalike.progress import SILENT, Progress, Task

EXACT_BELOW: Final = 20_000
"""Smaller collections are compared whole."""

CLUSTERS_ABOVE: Final = 200_000
"""Larger collections are clustered."""

_LEAST_MEMBERS: Final = 8
"""Clusters chosen by themselves have so many members on average or more."""


def build_index(
    embeddings: Iterable[tuple[Ids, Embeddings]],
    *,
    dim: int,
    n: int,
    kind: Literal["auto"] | Kind = "auto",
    recall_target: float = 0.98,
    n_clusters: int | None = None,
    members: int | None = None,
    seed: int = 0,
    rows_file: Path | None = None,
    progress: Progress = SILENT,
) -> RowsIndex:
    """Build an index of a whole collection.

    Args:
        embeddings: Batches of ids and rows, ids ascending over all batches. Rows are scaled to
            unit length here.
        dim: Length of an embedding.
        n: Number of embeddings expected; a stream that brings more or fewer is taken as it is.
        kind: `exact` compares all, `pq` scans compressed rows, `clusters` is the k-means
            retrieval of the method, `hamming` compares codes of bits. `auto` chooses by size:
            exact below 20,000 images, `pq` to 200,000, `clusters` above. An empty collection is
            always exact.
        recall_target: Share of the true 10 nearest neighbors that a search is to find.
        n_clusters: Number of k-means clusters; by itself four times the square root of the number
            of images, but eight images for each on average.
        members: Visit clusters until so many images have been met, as published, instead of
            tuning this number to the recall target.
        seed: Seed of k-means, of the quantizer and of the queries drawn for tuning.
        rows_file: Where the rows are written, a `.npy` file that stays mapped into memory; `None`
            keeps them in memory.
        progress: Who is told how far it is.

    Raises:
        UsageError: If ids do not ascend, an embedding has another length or values that are not
            finite, or an option makes no sense.
        EnvironmentFault: If the rows cannot be written; nothing is left of the file.
    """
    check_recall_target(recall_target)
    _check_numbers(n_clusters, members)
    started = time.perf_counter()
    with progress.task("Reading embeddings", n) as task:
        rows = gather_rows(_ticked(embeddings, task), dim, n, rows_file)
    if kind == "auto":
        kind = _kind_for(len(rows))
    facts = IndexFacts(kind, len(rows), dim, seed, recall_target)
    if kind == "exact" or len(rows) == 0:
        exact = replace(facts, kind="exact", build_seconds=time.perf_counter() - started)
        return ExactIndex(rows, exact)
    if kind == "clusters":
        n_clusters = min(len(rows), n_clusters or default_clusters(len(rows)))
        facts = replace(facts, n_clusters=n_clusters, members=members or 0)
    return _approximate(rows, facts, started, progress)


def default_clusters(n: int) -> int:
    """Return the number of clusters for `n` images: `4 √n`, but at most `n / 8`.

    Example:
        >>> default_clusters(50), default_clusters(10_000), default_clusters(1_000_000)
        (6, 400, 4000)
    """
    return max(1, min(round(4 * math.sqrt(n)), n // _LEAST_MEMBERS))


def _kind_for(n: int) -> Kind:
    if n < EXACT_BELOW:
        return "exact"
    return "pq" if n <= CLUSTERS_ABOVE else "clusters"


def _approximate(rows: Rows, facts: IndexFacts, started: float, progress: Progress) -> RowsIndex:
    # FAISS takes a seventh of a second to load, which small collections need not pay.
    from lookalike.index import approximate  # noqa: PLC0415

    index = approximate.BUILDERS[facts.kind](rows, facts, progress)
    return index.with_facts(replace(index.facts, build_seconds=time.perf_counter() - started))


def check_recall_target(recall_target: float) -> None:
    """Refuse a target that is no share.

    Raises:
        UsageError: If it is not between 0 and 1.
    """
    if not 0 < recall_target < 1:
        raise UsageError(
            f"the recall target must lie between 0 and 1, not {recall_target}; "
            "for all neighbors build an index of kind 'exact'"
        )


def _check_numbers(n_clusters: int | None, members: int | None) -> None:
    for name, value in (("clusters", n_clusters), ("members", members)):
        if value is not None and value < 1:
            raise UsageError(f"the number of {name} must be 1 or more, not {value}")


def _ticked(
    batches: Iterable[tuple[Ids, Embeddings]], task: Task
) -> Iterator[tuple[Ids, Embeddings]]:
    for ids, rows in batches:
        yield ids, rows
        task.advance(len(ids))
