"""Clusters of a collection: found once, kept under a name, looked at and labeled.

K-means on unit embeddings. Centers are fitted to a sample and every image is then compared with
them, some thousand at a time, so that memory does not grow with the collection but for a few bytes
an image. New images go to the nearest center; those that lie somewhere stay there.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import UsageError
from lookalike.index.kmeans import MOST_PER_CLUSTER, fit_centers
from lookalike.progress import SILENT, Progress
from lookalike.storage.catalog import READ_BATCH, Catalog
from lookalike.storage.clusterings import Members, StoredClustering

CANDIDATES: Final = (5, 10, 20, 40, 80)
"""Numbers of clusters that are tried if none is asked for."""

_JUDGED: Final = 2_000
"""Images by which a number of clusters is judged; the cost grows with their square."""

_LEAST_SAMPLE: Final = 20_000
LEAST_PROBABILITY: Final = 0.5
"""Labels count from this probability on."""


@dataclass(frozen=True, slots=True)
class SweepRow:
    """What a number of clusters gives.

    Attributes:
        k: Clusters.
        silhouette: Mean of `(b - a) / max(a, b)`, from -1 to 1: `a` is the mean cosine distance of
            an image to the others of its cluster, `b` that to those of the nearest other cluster
            (P. J. Rousseeuw, *Silhouettes*, Journal of Computational and Applied Mathematics 20,
            1987); over a sample.
        similarity: Mean cosine of an image to the center of its cluster; rises with `k`.
        largest: Share of the images in the largest cluster.
        smallest: Images of the sample in the smallest cluster.
    """

    k: int
    silhouette: float
    similarity: float
    largest: float
    smallest: int


@dataclass(frozen=True, slots=True)
class ClusterView:
    """One cluster as it is shown.

    Attributes:
        cluster: Its number.
        size: Images in it.
        names: Labels that stand out in it: name, share in the cluster, share in the collection,
            and how much it stands out (`overrepresented`).
        nearest: Ids of the images nearest to its center, nearest first.
    """

    cluster: int
    size: int
    names: tuple[tuple[str, float, float, float], ...]
    nearest: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        names = [
            {"label": name, "share": own, "share_of_all": everywhere, "log_odds_z": z}
            for name, own, everywhere, z in self.names
        ]
        return {
            "cluster": self.cluster,
            "size": self.size,
            "names": names,
            "nearest": list(self.nearest),
        }


def sample(catalog: Catalog, descriptor: str, most: int, seed: int) -> tuple[Ids, Embeddings]:
    """Draw at most so many images; return ids, ascending, and unit embeddings.

    Raises:
        UsageError: If the collection is empty or has no such descriptor.
    """
    ids = catalog.ids()
    if len(ids) == 0:
        raise UsageError("the collection holds no picture; index some first")
    if len(ids) > most:
        ids = np.sort(np.random.default_rng(seed).choice(ids, most, replace=False))
    return ids, normalize(catalog.vectors(ids, descriptor))


def sweep(
    catalog: Catalog,
    descriptor: str,
    ks: Sequence[int],
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> list[SweepRow]:
    """Try numbers of clusters and tell what each gives, in the order asked for.

    Raises:
        UsageError: If a number is below 2 or not below the number of images.
    """
    from sklearn.metrics import silhouette_score  # noqa: PLC0415 - takes a second to load

    _, rows = sample(catalog, descriptor, _sample_size(max(ks)), seed)
    for k in ks:
        if not 2 <= k < len(rows):
            raise UsageError(
                f"{k} clusters of {len(rows)} images cannot be judged; give numbers from 2 to "
                f"{len(rows) - 1}"
            )
    judged = rows[:: math.ceil(len(rows) / _JUDGED)]
    found = []
    with progress.task("Trying numbers of clusters", len(ks), unit="numbers") as task:
        for k in ks:
            clusters, similarities = nearest_centers(rows, fit_centers(rows, k, seed=seed))
            own = clusters[:: math.ceil(len(rows) / _JUDGED)]
            sizes = np.bincount(clusters, minlength=k)
            # A silhouette needs two clusters that are not empty, and a further image.
            is_defined = 2 <= len(np.unique(own)) < len(own)
            score = silhouette_score(judged, own, metric="cosine") if is_defined else 0.0
            largest = float(sizes.max() / len(rows))
            found.append(
                SweepRow(k, float(score), float(similarities.mean()), largest, int(sizes.min()))
            )
            task.advance()
    return found


def make_clusters(
    catalog: Catalog,
    name: str,
    descriptor: str = "content",
    k: int | None = None,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> StoredClustering:
    """Cluster a collection and keep the result under a name, in the place of an older one.

    The catalog is open for writing; for the rest see `find_clusters`.
    """
    made, members = find_clusters(catalog, name, descriptor, k, seed=seed, progress=progress)
    catalog.knowledge.clusterings.save(made, members)
    return made


def find_clusters(
    catalog: Catalog,
    name: str,
    descriptor: str = "content",
    k: int | None = None,
    *,
    seed: int = 0,
    progress: Progress = SILENT,
) -> tuple[StoredClustering, Members]:
    """Cluster a collection; the result can be kept by `Clusterings.save`.

    Args:
        catalog: Open, be it for reading: a writer may go on meanwhile.
        name: By which the clusters are found again.
        descriptor: Whose embeddings are clustered.
        k: Clusters; `None` takes the smallest of `CANDIDATES` whose silhouette is nine tenths of
            the largest: on pictures it often rises on and on. Clusters in which no image lies are
            left out, so that there may be fewer.
        seed: Of everything that is drawn at random.
        progress: Told of every step.

    Raises:
        UsageError: If there are fewer images than clusters, no images, or no such descriptor.
    """
    swept: list[SweepRow] = []
    if k is None:
        n = catalog.n_images
        tried = [candidate for candidate in CANDIDATES if candidate <= n // 2]
        swept = sweep(catalog, descriptor, tried, seed=seed, progress=progress) if tried else []
        k = _best_k(swept) if swept else 1
    _, rows = sample(catalog, descriptor, _sample_size(k), seed)
    centers = fit_centers(rows, k, seed=seed)
    members = _assign_all(catalog, descriptor, centers, progress)
    held, clusters = np.unique(members.clusters, return_inverse=True)
    members = Members(members.ids, clusters.astype(np.int64), members.similarities)
    silhouette = {str(row.k): row.silhouette for row in swept}
    facts = {"k": len(held), "seed": seed, "n": len(members.ids), "silhouette": silhouette}
    spreads = _spreads(members, len(held))
    return StoredClustering(name, descriptor, facts, centers[held], spreads), members


def open_clusters(catalog: Catalog, name: str) -> StoredClustering:
    """Return a stored clustering, its centers fit to the descriptor as it is now.

    Where a collection was shrunk, so that embeddings have fewer dimensions than the centers that
    were stored, centers become the means of their members.

    Raises:
        UsageError: If there is no clustering of that name.
    """
    stored = catalog.knowledge.clusterings.open(name)
    dim = catalog.descriptors.get(stored.descriptor)
    if dim is None or dim == stored.centers.shape[1]:
        return stored
    members = catalog.knowledge.clusterings.members(name)
    sums = np.zeros((len(stored.centers), dim), np.float64)
    for ids, rows in catalog.embeddings(stored.descriptor):
        places = np.searchsorted(members.ids, ids).clip(max=len(members.ids) - 1)
        known = members.ids[places] == ids
        np.add.at(sums, members.clusters[places[known]], normalize(rows[known]))
    return StoredClustering(name, stored.descriptor, stored.facts, normalize(sums), stored.spreads)


def place_new(catalog: Catalog, name: str) -> int:
    """Put images that came after the clusters were made into the nearest; return how many."""
    stored = open_clusters(catalog, name)
    new = catalog.knowledge.clusterings.unplaced(name)
    for start in range(0, len(new), READ_BATCH):
        ids = new[start : start + READ_BATCH]
        rows = normalize(catalog.vectors(ids, stored.descriptor))
        clusters, similarities = nearest_centers(rows, stored.centers)
        catalog.knowledge.clusterings.place(name, Members(ids, clusters, similarities))
    return len(new)


def view_clusters(catalog: Catalog, name: str, *, n_nearest: int = 8) -> list[ClusterView]:
    """Return every cluster with what stands out in it, the largest first."""
    clusterings = catalog.knowledge.clusterings
    members = clusterings.members(name)
    sizes = Counter(members.clusters.tolist())
    names = overrepresented(clusterings.label_counts(name, LEAST_PROBABILITY), sizes)
    return [
        ClusterView(
            cluster,
            size,
            tuple(names.get(cluster, ())),
            tuple(clusterings.nearest(name, cluster, n_nearest).tolist()),
        )
        for cluster, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    ]


def overrepresented(
    counts: Sequence[tuple[int, str, int]], sizes: Mapping[int, int], *, n: int = 3
) -> dict[int, list[tuple[str, float, float, float]]]:
    """Return the labels that most stand out in each cluster: suggestions of a name.

    With `y_w` of the `n` images in a cluster and `z_w` of the `m` others having label `w`, it
    stands out by the log-odds ratio `d = log((y_w + a) / (n - y_w + a)) - log((z_w + a) /
    (m - z_w + a))` over its standard deviation `sqrt(1 / (y_w + a) + 1 / (z_w + a))`, `a = 0.5`.

    Args:
        counts: Cluster, label and how many images of the cluster have it.
        sizes: Images in each cluster.
        n: Most labels for each cluster; only those above 1.64 are given (p < 0.05, one-sided).

    Returns:
        Label, share in the cluster, share in all, and `z`; the one that most stands out first.

    References:
        B. L. Monroe, M. P. Colaresi, K. M. Quinn, *Fightin' Words*, Political Analysis 16, 2008,
        equations 15, 16, 20 and 22, with a flat prior and presence in place of counts.
    """
    total = sum(sizes.values())
    of_all: Counter[str] = Counter()
    for _, label, count in counts:
        of_all[label] += count
    found: dict[int, list[tuple[str, float, float, float]]] = defaultdict(list)
    for cluster, label, count in counts:
        size, others = sizes[cluster], of_all[label] - count
        ratio = _log_odds(count, size) - _log_odds(others, total - size)
        z = ratio / math.sqrt(1 / (count + 0.5) + 1 / (others + 0.5))
        if z > 1.64:
            found[cluster].append((label, count / size, of_all[label] / total, z))
    return {
        cluster: sorted(rows, key=lambda row: (-row[3], row[0]))[:n]
        for cluster, rows in found.items()
    }


def cluster_tree(stored: StoredClustering, views: Sequence[ClusterView]) -> dict[str, Any]:
    """Join the clusters two by two, the most alike first, into one tree.

    Agglomerative with average linkage over the cosine distances of the centers
    (R. R. Sokal & C. D. Michener, University of Kansas Science Bulletin 38, 1958).

    Returns:
        Nested nodes: `size`, `names`, and either `cluster` (a leaf) or `distance` and `children`.
    """
    from scipy.cluster.hierarchy import linkage  # noqa: PLC0415 - takes a while to load

    nodes: list[dict[str, Any]] = [
        {"cluster": view.cluster, "size": view.size, "names": [name for name, *_ in view.names]}
        for view in sorted(views, key=lambda view: view.cluster)
    ]
    if len(nodes) < 2:
        return nodes[0] if nodes else {"size": 0, "names": []}
    leaves = [node["cluster"] for node in nodes]
    steps = linkage(stored.centers[leaves].astype(np.float64), "average", metric="cosine")
    for left, right, distance, _ in steps:
        children = sorted((nodes[int(left)], nodes[int(right)]), key=lambda node: -node["size"])
        names = [name for child in children for name in child["names"][:2]]
        nodes.append(
            {
                "size": sum(child["size"] for child in children),
                "names": list(dict.fromkeys(names)),
                "distance": float(max(distance, 0.0)),
                "children": children,
            }
        )
    return nodes[-1]


def nearest_centers(
    rows: Embeddings, centers: Float32[ndarray, "clusters dim"]
) -> tuple[Int64[ndarray, " items"], Float64[ndarray, " items"]]:
    """Return the nearest center of each unit row and the cosine to it; of equals the first."""
    similarities = rows @ centers.T
    clusters: Int64[ndarray, " items"] = similarities.argmax(axis=1).astype(np.int64)
    best = similarities[np.arange(len(rows)), clusters]
    return clusters, best.astype(np.float64)


def _best_k(swept: Sequence[SweepRow]) -> int:
    best = max(row.silhouette for row in swept)
    enough = 0.9 * best if best > 0 else best
    return min(row.k for row in swept if row.silhouette >= enough)


def _sample_size(k: int) -> int:
    return max(_LEAST_SAMPLE, k * MOST_PER_CLUSTER // 4)


def _assign_all(
    catalog: Catalog,
    descriptor: str,
    centers: Float32[ndarray, "clusters dim"],
    progress: Progress,
) -> Members:
    parts = []
    with progress.task("Assigning to clusters", catalog.n_images) as task:
        for ids, rows in catalog.embeddings(descriptor):
            parts.append((ids, *nearest_centers(normalize(rows), centers)))
            task.advance(len(ids))
    ids, clusters, similarities = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Members(ids, clusters, similarities)


def _spreads(members: Members, k: int) -> Float64[ndarray, " clusters"]:
    """Mean squared distance to the center; clusters of one image take the median of all."""
    totals = np.bincount(members.clusters, 2 - 2 * members.similarities, minlength=k)
    spreads = totals / np.bincount(members.clusters, minlength=k)
    usual = np.median(spreads[spreads > 1e-6]) if (spreads > 1e-6).any() else 1.0
    return np.where(spreads > 1e-6, spreads, usual)


def _log_odds(count: int, size: int) -> float:
    return math.log((count + 0.5) / (size - count + 0.5))
