"""What is sought in one descriptor's space, as told by examples and marks.

A target gives a similarity to every image, higher is better, and the directions in which an index
finds the candidates. With the unit row q of the query's own pictures, if it has any, the marked
relevant rows x of R with weights v (their levels, 3 or 1), and the non-relevant ones of N:

- `moved` (J. J. Rocchio, *Relevance Feedback in Information Retrieval*, 1971):
  `alpha q + beta mean_R x - gamma mean_N x`, means weighted by v, scaled to unit length.
- `weighted` (Y. Rui et al., IEEE TCSVT 8(5), 1998): the weighted distance
  `d²(x) = sum_k w_k (x_k - q'_k)²` to the moved point q', with `w_k` proportional to `1 / sigma_k`,
  the standard deviation over the relevant rows.
- `mindreader` (Y. Ishikawa, R. Subramanya, C. Faloutsos, *MindReader: Querying Databases Through
  Multiple Examples*, VLDB 1998): `d²(x) = (x - m)' M (x - m)` with the weighted mean m of the
  relevant rows and M proportional to the inverse of their covariance, shrunken as by O. Ledoit and
  M. Wolf, *A well-conditioned estimator for large-dimensional covariance matrices*, Journal of
  Multivariate Analysis 88(2), 2004, since marks are fewer than dimensions.
- `several` (K. Porkaew, K. Chakrabarti, S. Mehrotra, *Query Refinement for Multimedia Similarity
  Retrieval in MARS*, ACM Multimedia 1999): clusters of relevant rows stay several points, each
  moved away from N; an image is as similar as it is to the nearest of them.
- `separating` (S. Tong, E. Chang, *Support Vector Machine Active Learning for Image Retrieval*,
  ACM Multimedia 2001, here with logistic regression): the normal of a plane between relevant rows
  and others; random images, which are nearly all non-relevant, stand in for marks that are missing.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Float64
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize

ALPHA: Final = 1.0
BETA: Final = 0.75
GAMMA: Final = 0.15
"""Weights of query, relevant and non-relevant rows, as usual since Rocchio."""

_FEWEST_OF_A_MATRIX: Final = 3
"""Fewer relevant rows say nothing of a covariance."""

_LEAST_SPREAD: Final = 0.25
"""A component's standard deviation is taken as at least this share of that over random images:
two marks agree in some components by chance."""

_REGULARIZATION: Final = 10.0
"""Inverse strength of the penalty on the normal of a separating plane."""

_UNMARKED_WEIGHT: Final = 1.0
"""Weight of all random images together, where that of all non-relevant marks is 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of the wish in one descriptor's space.

    Attributes:
        query: Unit row of the query's own pictures; `None` if it has none.
        relevant: Unit rows of the images marked as relevant.
        levels: Their marks, 1 or 3.
        others: Unit rows of the images marked as non-relevant.
        other_levels: The size of their marks, 1 or 3.
        sample: Unit rows of random images.
    """

    query: Float32[ndarray, " dim"] | None
    relevant: Float32[ndarray, "relevant dim"]
    levels: Float64[ndarray, " relevant"]
    others: Float32[ndarray, "others dim"]
    other_levels: Float64[ndarray, " others"]
    sample: Float32[ndarray, "sample dim"]

    @property
    def liked(self) -> Float32[ndarray, "liked dim"]:
        """The relevant rows, that of the query first."""
        if self.query is None:
            return self.relevant
        return np.concatenate([self.query[None], self.relevant])

    @property
    def liked_levels(self) -> Float64[ndarray, " liked"]:
        """Their weights; that of the query is 1."""
        return self.levels if self.query is None else np.concatenate([[1.0], self.levels])


@runtime_checkable
class Target(Protocol):
    """A wish in one descriptor's space."""

    @property
    def directions(self) -> Float32[ndarray, "directions dim"]:
        """Unit rows whose nearest neighbors are the candidates."""
        ...

    def similarities(self, rows: Embeddings) -> Float64[ndarray, " items"]:
        """Return how well unit rows fit, from -1 to 1, each computed by itself."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """One point or several; an image is as similar as to the nearest of them.

    Attributes:
        directions: The points, unit rows.
    """

    directions: Float32[ndarray, "points dim"]

    def similarities(self, rows: Embeddings) -> Float64[ndarray, " items"]:
        """Return the largest inner product."""
        products = np.vecdot(rows[:, None], self.directions[None])
        best: Float64[ndarray, " items"] = products.max(axis=1).astype(np.float64)
        return best


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoid:
    """A point with a distance of its own: `similarity = 1 / (1 + d² / scale)`.

    Attributes:
        center: The point.
        factor: `d² = |(x - center) factor|²`; one number per component, or a whole matrix.
        scale: Mean `d²` of random images.
    """

    center: Float64[ndarray, " dim"]
    factor: Float64[ndarray, "..."]
    scale: float

    @property
    def directions(self) -> Float32[ndarray, "1 dim"]:
        """Where the distance falls fastest on the way out from the origin."""
        if self.factor.ndim == 1:
            return normalize((self.center * self.factor**2)[None])
        return normalize((self.factor @ (self.center @ self.factor))[None])

    def similarities(self, rows: Embeddings) -> Float64[ndarray, " items"]:
        """Return 1 at the center, 1/2 at the distance of random images, 0 far away."""
        similar: Float64[ndarray, " items"] = 1 / (1 + self.distances(rows) / self.scale)
        return similar

    def distances(self, rows: Embeddings) -> Float64[ndarray, " items"]:
        """Return `d²`."""
        offset = rows - self.center
        scaled = offset * self.factor if self.factor.ndim == 1 else offset @ self.factor
        squared: Float64[ndarray, " items"] = np.vecdot(scaled, scaled)
        return squared


def moved(
    known: Evidence, *, alpha: float = ALPHA, beta: float = BETA, gamma: float = GAMMA
) -> Points:
    """Move the query to relevant rows and away from others; see above.

    Without a query of its own the relevant rows alone are it.
    """
    point = np.zeros(known.sample.shape[1])
    if known.query is not None:
        point += alpha * known.query
    if len(known.relevant):
        point += beta * np.average(known.relevant, axis=0, weights=known.levels)
    if len(known.others):
        point -= gamma * np.average(known.others, axis=0, weights=known.other_levels)
    return Points(normalize(point)[None])


def averaged(known: Evidence) -> Points:
    """Return the plain average of query and relevant rows: what most systems do with marks."""
    return Points(normalize(known.liked.mean(axis=0))[None])


def weighted(known: Evidence) -> Ellipsoid:
    """Weigh components by how much the relevant rows agree in them; see above."""
    center = moved(known).directions[0].astype(np.float64)
    spread = known.liked.astype(np.float64).std(axis=0)
    usual = np.maximum(known.sample.astype(np.float64).std(axis=0), 1e-6)
    weights = 1 / np.maximum(spread, _LEAST_SPREAD * usual)
    return _ellipsoid(center, np.sqrt(weights / weights.sum()), known.sample)


def mindreader(known: Evidence) -> Ellipsoid:
    """Learn a whole matrix from the relevant rows; see above.

    From fewer than three rows nothing is learned, and the distance stays the plain one.
    """
    if len(known.liked) < _FEWEST_OF_A_MATRIX:
        center = moved(known).directions[0].astype(np.float64)
        return _ellipsoid(center, np.ones(len(center)), known.sample)
    from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 - a second that few need

    rows, levels = known.liked.astype(np.float64), known.liked_levels
    center = np.average(rows, axis=0, weights=levels)
    covariance, _ = ledoit_wolf((rows - center) * np.sqrt(levels / levels.mean())[:, None])
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-3 * max(float(values.mean()), 1e-9))
    return _ellipsoid(center, vectors / np.sqrt(values), known.sample)


def several(known: Evidence, least_similarity: float) -> Points:
    """Keep clusters of relevant rows apart; see above.

    Args:
        known: The marks.
        least_similarity: Clusters are joined while their rows are at least so similar on average.
    """
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - few need it

    rows, levels = known.liked, known.liked_levels
    if len(rows) < 2:
        return moved(known)
    tree = linkage(1 - _pairs(rows), "average")
    clusters = fcluster(tree, 1 - least_similarity, "distance")
    points = [
        np.average(rows[clusters == c], axis=0, weights=levels[clusters == c])
        for c in np.unique(clusters)
    ]
    away = np.zeros(rows.shape[1])
    if len(known.others):
        away = GAMMA * np.average(known.others, axis=0, weights=known.other_levels)
    return Points(normalize(normalize(np.stack(points)) - away))


def separating(known: Evidence) -> Points:
    """Put a plane between relevant rows and others; see above."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a second

    liked, others, unmarked = known.liked, known.others, known.sample
    rows = np.concatenate([liked, others, unmarked]).astype(np.float64)
    is_liked = np.arange(len(rows)) < len(liked)
    shares = (
        _share(known.liked_levels, 1.0),
        _share(known.other_levels, 1.0),
        _share(np.ones(len(unmarked)), _UNMARKED_WEIGHT),
    )
    model = LogisticRegression(C=_REGULARIZATION, max_iter=200)
    model.fit(rows, is_liked, sample_weight=np.concatenate(shares) * len(liked))
    return Points(normalize(model.coef_))


def _share(levels: Float64[ndarray, " rows"], total: float) -> Float64[ndarray, " rows"]:
    """Scale weights to a sum."""
    return total * levels / levels.sum() if len(levels) else levels


def _pairs(rows: Float[ndarray, "rows dim"]) -> Float64[ndarray, " pairs"]:
    """Return the inner products of all pairs in SciPy's order."""
    first, second = np.triu_indices(len(rows), k=1)
    products: Float64[ndarray, " pairs"] = np.vecdot(rows[first], rows[second]).astype(np.float64)
    clipped: Float64[ndarray, " pairs"] = np.clip(products, -1.0, 1.0)
    return clipped


def _ellipsoid(
    center: Float64[ndarray, " dim"],
    factor: Float64[ndarray, "..."],
    sample: Float32[ndarray, "sample dim"],
) -> Ellipsoid:
    scale = Ellipsoid(center, factor, 1.0).distances(sample).mean() if len(sample) else 1.0
    return Ellipsoid(center, factor, max(float(scale), 1e-12))
