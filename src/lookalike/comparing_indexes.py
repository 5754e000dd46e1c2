"""Every kind of index on a collection's own embeddings."""

import numpy as np

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.index.comparing import LEAST_ROWS, compare_kinds
from lookalike.index.points import IndexComparison
from lookalike.progress import SILENT, Progress


def compare_indexes(
    collection: Collection,
    descriptor: str = "content",
    *,
    n_queries: int = 200,
    n_images: int = 20_000,
    runs: int = 3,
    seed: int = 0,
    progress: Progress = SILENT,
) -> IndexComparison:
    """Compare KD-trees, k-means trees, LSH, PQ, IVF and HNSW with comparing every row.

    Queries are images of the collection; they are left out of what is searched.

    Args:
        collection: Open.
        descriptor: Whose embeddings.
        n_queries: Images that are searched for, at most a fifth of those drawn.
        n_images: Images drawn from the collection, queries among them; all where it has fewer. They
            are held in memory.
        runs: Times that each query is timed.
        seed: Of everything that is drawn.
        progress: Told about every kind.

    Raises:
        UsageError: If there is no such descriptor, the collection is too small, or a number makes
            no sense.
    """
    if n_queries < 1 or n_images < 1:
        raise UsageError(
            f"{n_queries} queries among {n_images} images compare nothing; give 1 or more of each"
        )
    ids = collection.catalog.ids()
    drawn = np.random.default_rng(seed).permutation(ids)[:n_images]
    n_asked = min(n_queries, len(drawn) // 5)
    if len(drawn) - n_asked < LEAST_ROWS or n_asked < 1:
        raise UsageError(
            f"{len(drawn)} images tell nothing of an index; index {5 * LEAST_ROWS // 4} or more"
        )
    vectors = collection.vectors(drawn, descriptor)
    return compare_kinds(
        vectors[n_asked:], vectors[:n_asked], runs=runs, seed=seed, progress=progress
    )
