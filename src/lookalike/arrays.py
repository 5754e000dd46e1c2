"""Array types shared by all layers, and the two operations that everything relies on.

Rows are items, always: an array of embeddings is `(items, dim)`. Pixels are RGB, height before
width, 8 bits per channel. Scores are better when higher, and equal scores are ordered by id.
"""

from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float, Float32, Int64, UInt8
from numpy import ndarray

Pixels: TypeAlias = UInt8[ndarray, "height width 3"]
PixelBatch: TypeAlias = UInt8[ndarray, "batch height width 3"]
LabelMap: TypeAlias = UInt8[ndarray, "height width"]
LabelMapBatch: TypeAlias = UInt8[ndarray, "batch height width"]
Embeddings: TypeAlias = Float32[ndarray, "items dim"]
Ids: TypeAlias = Int64[ndarray, " items"]

BACKGROUND: Final = 0
"""Label map value of pixels that carry no label. Class `i` is stored as `i + 1`."""

VOID: Final = 255
"""Label map value of pixels to be ignored: crowds, borders, what nobody labeled."""

MAX_CLASSES: Final = 254
"""A label map holds one byte per pixel: background, 254 classes, void."""

NO_ID: Final = -1
"""Fills up a row of hits that has fewer than `k` of them."""


def normalize(embeddings: Float[ndarray, "*items dim"]) -> Float32[ndarray, "*items dim"]:
    """Scale each row to Euclidean length 1; rows of zeros stay zero.

    Example:
        >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[0.6, 0.8],
               [0. , 0. ]], dtype=float32)
    """
    length = np.linalg.norm(embeddings, axis=-1, keepdims=True)
    scaled: ndarray = embeddings / np.where(length > 0, length, 1.0)
    return scaled.astype(np.float32)


def top_k(
    scores: Float[ndarray, "queries gallery"], ids: Int64[ndarray, " gallery"], k: int
) -> tuple[Int64[ndarray, "queries kept"], Float[ndarray, "queries kept"]]:
    """Return the ids and scores of the `k` best columns of each row, best first.

    Equal scores are ordered by ascending id, whatever the order of the columns, so that the
    answer never depends on how the gallery happens to be stored. Fewer than `k` columns give
    fewer results.

    Example:
        >>> top_k(np.array([[0.5, 0.9, 0.5]]), np.array([7, 8, 3]), k=2)
        (array([[8, 3]]), array([[0.9, 0.5]]))
    """
    kept = min(k, scores.shape[1])
    if kept == 0:
        return np.empty((len(scores), 0), np.int64), np.empty((len(scores), 0), scores.dtype)
    order = np.stack([_best_columns(row, ids, kept) for row in scores]).astype(np.int64)
    return ids[order], np.take_along_axis(scores, order, axis=1)


def _best_columns(
    row: Float[ndarray, " gallery"], ids: Int64[ndarray, " gallery"], k: int
) -> Int64[ndarray, " k"]:
    if k < len(row):
        # Every column that ties with the k-th best stays in, so the id decides among them.
        threshold = row[np.argpartition(-row, k - 1)[k - 1]]
        candidates = np.flatnonzero(row >= threshold)
    else:
        candidates = np.arange(len(row))
    order = np.lexsort((ids[candidates], -row[candidates]))
    return candidates[order[:k]]
