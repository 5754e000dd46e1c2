"""From the examples of a query to one point in each descriptor's space."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import UsageError
from lookalike.index.base import VectorIndex, check_search
from lookalike.search.queries import (
    Example,
    FileExample,
    IdExample,
    PictureExample,
    PixelsExample,
    Query,
    RegionExample,
    TextExample,
    UrlExample,
)

NEGATIVE_WEIGHT: Final = 0.5
"""Weight of all negative examples together, where that of the positive ones is 1."""


@runtime_checkable
class ExampleEncoder(Protocol):
    """Turns pictures from outside the collection into embeddings."""

    def encode(
        self,
        examples: Sequence[FileExample | PixelsExample | RegionExample],
        descriptors: Sequence[str],
    ) -> Mapping[str, Embeddings]:
        """Return one row per example for each of the `descriptors`, of any length.

        Raises:
            ImageError: If a file is no readable image.
        """
        ...


@runtime_checkable
class TextEncoder(Protocol):
    """Turns words into embeddings that can be compared with those of pictures."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Return one row for each text, of any length.

        Raises:
            UsageError: If the model knows no words.
        """
        ...

    def reference_texts(self) -> Embeddings:
        """Return unit rows of ordinary texts, against which similarities are calibrated."""
        ...


def embed_queries(
    queries: Sequence[Query], indexes: Mapping[str, VectorIndex], encoder: ExampleEncoder
) -> dict[str, Float32[ndarray, "queries dim"]]:
    """Return one unit row per query for each descriptor of `indexes`; see `combine`.

    Words are left out: see `embed_texts`, and so are the pictures of multipoint queries: see
    `lookalike.search.multipoint`. Queries without pictures have rows of zeros. Every example
    is encoded or looked up once, however many queries it is part of. Rows of images in the
    collection are taken as they are stored, to the last bit.

    Raises:
        UsageError: If an id is not in the collection.
        ImageError: If a file is no readable image.
        MismatchError: If the encoder's embeddings are not of the collection's kind.
    """
    single = [query for query in queries if not query.is_multipoint]
    examples = list(dict.fromkeys(example for query in single for example in query.examples))
    stored = [example for example in examples if isinstance(example, IdExample)]
    outside = [e for e in examples if isinstance(e, FileExample | PixelsExample | RegionExample)]
    _refuse_urls(examples)
    encoded = encoder.encode(outside, list(indexes)) if outside and indexes else {}
    pictures: list[PictureExample] = [*stored, *outside]
    row_of: dict[Example, int] = {example: row for row, example in enumerate(pictures)}
    result = {}
    for name, index in indexes.items():
        units = [_stored_rows(stored, name, index)]
        if outside:
            units.append(normalize(encoded[name]))
            check_search(index, units[1], k=1)
        result[name] = _points(queries, np.concatenate(units), row_of)
    return result


def embed_texts(
    queries: Sequence[Query], index: VectorIndex, encoder: TextEncoder
) -> Float32[ndarray, "queries dim"]:
    """Return one unit row per query for its words; zeros where it has none. See `combine`.

    Args:
        queries: Any number.
        index: Of the descriptor that words are compared with.
        encoder: Encodes the words, each text once.

    Raises:
        UsageError: If the model knows no words.
        MismatchError: If the encoder's embeddings are not of the collection's kind.
    """
    examples = list(dict.fromkeys(example for query in queries for example in query.examples))
    texts = [example for example in examples if isinstance(example, TextExample)]
    rows = normalize(encoder.encode_texts([example.text for example in texts]))
    check_search(index, rows, k=1)
    return _points(queries, rows, {example: row for row, example in enumerate(texts)})


def combine(
    positives: Float32[ndarray, "positives dim"],
    negatives: Float32[ndarray, "negatives dim"],
    positive_weights: Sequence[int | float] = (),
    negative_weights: Sequence[int | float] = (),
) -> Float32[ndarray, " dim"]:
    """Move from the mean of the positive examples away from that of the negative ones.

    The mean of the positive unit rows is scaled to unit length, `NEGATIVE_WEIGHT` times the mean of
    the negative ones is subtracted, and the result is scaled again: relevance feedback as by
    J. J. Rocchio, *Relevance Feedback in Information Retrieval*, 1971, without an original query.
    One positive example alone is returned unchanged. Where the examples cancel out, the result is
    zero, to which all images are equally similar. Where weights are given, means are weighted.

    Example:
        >>> combine(np.array([[1, 0]], np.float32), np.array([[0, 2]], np.float32) / 2)
        array([ 0.8944272, -0.4472136], dtype=float32)
    """
    point: ndarray = positives[0]
    if len(positives) > 1:
        point = normalize(_mean(positives, positive_weights))
    if len(negatives):
        point = normalize(point - NEGATIVE_WEIGHT * _mean(negatives, negative_weights))
    return point


def _mean(
    rows: Float32[ndarray, "rows dim"], weights: Sequence[int | float]
) -> Float32[ndarray, " dim"]:
    if len(set(weights)) < 2:  # equal weights are none, to the last bit
        plain: ndarray = rows.mean(axis=0)
        return plain
    weighted: ndarray = np.average(rows, axis=0, weights=weights).astype(np.float32)
    return weighted


def _refuse_urls(examples: Sequence[Example]) -> None:
    for example in examples:
        if isinstance(example, UrlExample):
            raise UsageError(
                f"{example.url} is not fetched unless that is allowed; save the picture and give "
                "its file, or allow it with: --allow-url"
            )


def _stored_rows(examples: Sequence[IdExample], name: str, index: VectorIndex) -> Embeddings:
    ids = np.array([example.id for example in examples], np.int64)
    try:
        return index.vectors(ids)
    except UsageError:
        is_missing = np.isnan(index.similarities(np.zeros((1, index.dim), np.float32), ids)[0])
        image = int(ids[np.argmax(is_missing)])
        raise UsageError(
            f"there is no image with id {image} in the collection, or it has no {name!r} "
            "embedding yet; ids are shown with every hit"
        ) from None


def _points(
    queries: Sequence[Query], rows: Embeddings, row_of: Mapping[Example, int]
) -> Float32[ndarray, "queries dim"]:
    """Combine those examples of each query that have a row."""
    points = np.zeros((len(queries), rows.shape[1]), np.float32)
    for at, query in enumerate(queries):
        positives, for_them = _known(query.positives, query.positive_weights, row_of)
        negatives, against = _known(query.negatives, query.negative_weights, row_of)
        if positives:
            points[at] = combine(rows[positives], rows[negatives], for_them, against)
    return points


def _known(
    examples: Sequence[Example], weights: Sequence[int | float], row_of: Mapping[Example, int]
) -> tuple[list[int], list[int | float]]:
    """Return the rows of those examples that have one, and their weights if there are any."""
    rows = [row_of[example] for example in examples if example in row_of]
    kept = [w for e, w in zip(examples, weights, strict=False) if e in row_of] if weights else []
    return rows, kept
