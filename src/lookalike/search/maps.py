"""A map of a collection: a place on a plane for every picture, alike ones beside each other.

At most some thousand pictures, drawn at random, are embedded together; every other one, now or
later, goes between those of them that it is most like and moves nobody. So a map stays the same
when a collection grows, memory does not grow with it, and the same pictures give the same map.
"""

import math
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.errors import UsageError
from lookalike.progress import SILENT, Progress
from lookalike.search.clusters import sample
from lookalike.storage.catalog import READ_BATCH, Catalog
from lookalike.storage.maps import MapPoints, Points

MOST_TOGETHER: Final = 3_000
"""Pictures that are embedded together at most; the time grows a little faster than their number."""

_DIMENSIONS: Final = 50
_PERPLEXITY: Final = 30.0
_NEIGHBORS: Final = 5
_FEW: Final = 10
_EQUAL: Final = 1e-6
"""Embeddings that differ by less are equal."""
_BLOCK: Final = 1024
_JUDGED: Final = 2_000


def make_map(
    catalog: Catalog,
    name: str = "content",
    descriptor: str = "content",
    *,
    seed: int = 0,
    most_together: int = MOST_TOGETHER,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make a map of all pictures and keep it under a name, in the place of an older one.

    Principal components, then t-SNE (L. van der Maaten & G. Hinton, *Visualizing Data using t-SNE*,
    Journal of Machine Learning Research 9, 2008) with the tree of L. van der Maaten (JMLR 15, 2014)
    as scikit-learn has it, begun at the components so that it is the same each time. Fewer than ten
    pictures lie where their first two components are.

    Args:
        catalog: Open for writing.
        name: By which the map is found again.
        descriptor: Whose embeddings tell what is alike.
        seed: Of the draw of those that are embedded together.
        most_together: So many at most.
        progress: Told of every step.

    Returns:
        `n`, `together`, `seed`, and `trustworthiness` of those embedded together and of all.

    Raises:
        UsageError: If there is no picture or no such descriptor.
    """
    ids, rows = sample(catalog, descriptor, most_together, seed)
    with progress.task("Embedding together", 1, unit="maps") as task:
        points = embed_together(rows, seed)
        task.advance()
    fixed = MapPoints(ids, points, np.ones(len(ids), bool))
    facts: dict[str, Any] = {"n": catalog.n_images, "together": len(ids), "seed": seed}
    catalog.knowledge.maps.save(name, descriptor, facts, fixed)
    place_new(catalog, name, progress=progress)
    facts["trustworthiness"] = {
        "together": trustworthiness(rows, points),
        "all": _trustworthiness_of_all(catalog, name, descriptor, seed),
    }
    catalog.knowledge.maps.save(name, descriptor, facts, catalog.knowledge.maps.points(name))
    return facts


def place_new(catalog: Catalog, name: str, *, progress: Progress = SILENT) -> int:
    """Place pictures that are not on a map yet; the others stay where they are. Return how many.

    A picture lies at the mean of the five pictures embedded together that are most like it,
    weighted by `exp((s - s_1) / (s_1 - s_5))` of their cosines `s`.

    Raises:
        UsageError: If there is no map of that name.
    """
    descriptor, _ = catalog.knowledge.maps.facts(name)
    new = catalog.knowledge.maps.unplaced(name)
    if len(new) == 0:
        return 0
    held = catalog.knowledge.maps.points(name)
    guides = held.is_fixed if held.is_fixed.any() else np.ones(len(held.ids), bool)
    if not guides.any():
        raise UsageError(f"no picture of the map {name!r} is left; make it anew with --anew")
    ids, points = held.ids[guides], held.points[guides]
    rows = normalize(catalog.vectors(ids, descriptor))
    with progress.task("Placing on the map", len(new)) as task:
        for start in range(0, len(new), READ_BATCH):
            batch = new[start : start + READ_BATCH]
            placed = place(normalize(catalog.vectors(batch, descriptor)), rows, points)
            none_fixed = np.zeros(len(batch), bool)
            catalog.knowledge.maps.place(name, MapPoints(batch, placed, none_fixed))
            task.advance(len(batch))
    return len(new)


def embed_together(rows: Embeddings, seed: int = 0) -> Points:
    """Return a place for each unit row, across and down from 0 to 1."""
    from sklearn.manifold import TSNE  # noqa: PLC0415 - takes a second to load

    n = len(rows)
    reduced = _principal_components(rows.astype(np.float64))
    if n < _FEW or reduced.std() < _EQUAL:
        return _unit_square(np.pad(reduced, ((0, 0), (0, 2)))[:, :2])
    embedding = TSNE(
        perplexity=min(_PERPLEXITY, (n - 1) / 3),
        init="pca",
        random_state=seed,
        n_jobs=1,
    ).fit_transform(reduced)
    return _unit_square(embedding.astype(np.float64))


def place(
    rows: Embeddings,
    guides: Float32[ndarray, "guides dim"],
    points: Float64[ndarray, "guides 2"],
) -> Points:
    """Place each unit row by the guides that it is most like; see `place_new`.

    Example:
        >>> guides = np.eye(2, dtype=np.float32)
        >>> place(guides[:1], guides, np.array([[0.0, 0.0], [1.0, 1.0]])).round(2)
        array([[0.27, 0.27]])
    """
    n = min(_NEIGHBORS, len(guides))
    found = np.empty((len(rows), 2), np.float64)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        similarities = (rows[block] @ guides.T).astype(np.float64)
        nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :n]
        best = np.take_along_axis(similarities, nearest, axis=1)
        span = np.maximum(best[:, :1] - best[:, -1:], 1e-9)
        weights = np.exp((best - best[:, :1]) / span)
        weights /= weights.sum(axis=1, keepdims=True)
        found[block] = np.einsum("rn,rnd->rd", weights, points[nearest])
    return found


def trustworthiness(rows: Embeddings, points: Points, n_neighbors: int = 10) -> float | None:
    """Return how far neighbors on the map are neighbors indeed, 1 for all.

    J. Venna & S. Kaski, *Neighborhood Preservation in Nonlinear Projection Methods*, ICANN 2001;
    `None` for too few pictures to tell.
    """
    from sklearn.manifold import trustworthiness as measure  # noqa: PLC0415 - slow to load

    if len(rows) <= 2 * n_neighbors:
        return None
    return float(measure(rows, points, n_neighbors=n_neighbors, metric="cosine"))


def snap_to_grid(
    points: MapPoints, columns: int, rows: int
) -> tuple[Int64[ndarray, "rows columns"], Int64[ndarray, "rows columns"]]:
    """Choose a picture for each cell of a grid over a map.

    Returns:
        The picture nearest to the middle of each cell, of equals the one of lowest id, -1 where
        none lies; and how many lie there.
    """
    scaled = points.points * [columns, rows]
    cells = np.minimum(scaled.astype(np.int64), [columns - 1, rows - 1])
    away = ((scaled - cells - 0.5) ** 2).sum(axis=1)
    number = cells[:, 1] * columns + cells[:, 0]
    order = np.lexsort((points.ids, away, number))
    held, first = np.unique(number[order], return_index=True)
    shown = np.full(rows * columns, -1, np.int64)
    shown[held] = points.ids[order[first]]
    counts = np.bincount(number, minlength=rows * columns).astype(np.int64)
    return shown.reshape(rows, columns), counts.reshape(rows, columns)


def grid_of(n: int, most: int = 40) -> int:
    """Return the cells across and down of a grid for so many pictures: about three each cell."""
    return max(2, min(most, math.ceil(math.sqrt(n / 1.5))))


def _trustworthiness_of_all(
    catalog: Catalog, name: str, descriptor: str, seed: int
) -> float | None:
    ids, rows = sample(catalog, descriptor, _JUDGED, seed + 1)
    held = catalog.knowledge.maps.points(name)
    return trustworthiness(rows, held.points[_places(held.ids, ids)])


def _places(ascending: Ids, wanted: Ids) -> Int64[ndarray, " items"]:
    return np.searchsorted(ascending, wanted)


def _principal_components(rows: Float64[ndarray, "items dim"]) -> Float64[ndarray, "items _"]:
    """Coordinates along the directions of largest variance, each with its largest entry above 0."""
    centered = rows - rows.mean(axis=0)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    components: ndarray = (left * lengths)[:, :_DIMENSIONS]
    largest = np.abs(components).argmax(axis=0)
    components = components * np.where(components[largest, range(len(largest))] < 0, -1, 1)
    return components


def _unit_square(points: Float64[ndarray, "items 2"]) -> Points:
    """Move and scale to the unit square, in the same proportions, with a small margin."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float(max((high - low).max(), _EQUAL))
    centered = (points - (low + high) / 2) / span
    scaled: ndarray = 0.5 + 0.96 * centered
    return scaled
