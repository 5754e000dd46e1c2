"""K-means clusters of embeddings, for looking at and for the clustering measure."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import UsageError

_ITERATIONS = 25
_TRIES = 5
MOST_PER_CLUSTER = 1024
"""Embeddings for each cluster that centers are fitted to at most."""


def assign_clusters(
    embeddings: Embeddings, n_clusters: int, *, seed: int = 0
) -> Int64[ndarray, " items"]:
    """Return the cluster of each embedding, found by spherical k-means.

    Rows are scaled to unit length and centers too, so that clusters are those of the cosine
    similarity by which is searched (Dhillon & Modha, *Concept Decompositions*, Machine Learning 42,
    2001). Equal seeds give equal clusters. A cluster may be empty.

    Raises:
        UsageError: If there are fewer embeddings than clusters, or no cluster is asked for.
    """
    kmeans = _fitted(embeddings, n_clusters, seed, 1)
    _, nearest = kmeans.index.search(normalize(embeddings), 1)
    clusters: Int64[ndarray, " items"] = nearest[:, 0].astype(np.int64)
    return clusters


def fit_centers(
    embeddings: Embeddings, n_clusters: int, *, seed: int = 0
) -> Float32[ndarray, "clusters dim"]:
    """Return the unit centers of spherical k-means clusters, of five beginnings the best.

    Raises:
        UsageError: If there are fewer embeddings than clusters, or no cluster is asked for.
    """
    return normalize(_fitted(embeddings, n_clusters, seed, _TRIES).centroids)


def _fitted(embeddings: Embeddings, n_clusters: int, seed: int, tries: int) -> Any:
    if not 1 <= n_clusters <= len(embeddings):
        raise UsageError(
            f"{len(embeddings)} embeddings cannot be put into {n_clusters} clusters; "
            "ask for at least 1 cluster and at most one for each embedding"
        )
    # FAISS takes a seventh of a second to load, which searching need not pay.
    import faiss  # noqa: PLC0415

    from lookalike.index.codes import use_threads  # noqa: PLC0415

    rows = normalize(embeddings)
    use_threads(len(rows))
    kmeans = faiss.Kmeans(
        rows.shape[1],
        n_clusters,
        niter=_ITERATIONS,
        nredo=tries,
        seed=seed,
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=MOST_PER_CLUSTER,
    )
    kmeans.train(rows)
    return kmeans
