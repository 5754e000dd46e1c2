"""From queries to ranked images: candidates, exact scores, one weighted sum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32, Float64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids, normalize, top_k
from lookalike.errors import UsageError
from lookalike.index.base import Hits, VectorIndex, pad_rows
from lookalike.search.calibration import Calibration
from lookalike.search.queries import Example, IdExample, Query

NEGATIVE_WEIGHT: Final = 0.5
"""How far the mean of the negative examples is subtracted (the γ of Rocchio, 1971)."""

CANDIDATES: Final = 400
"""Images that each approximate index proposes at least; all of them are scored exactly."""

Encode = Callable[[Path], Mapping[str, Embeddings]]
Aims = Mapping[str, Float32[ndarray, " dim"]]


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Hits of one query."""

    ids: Ids
    scores: Float64[ndarray, " found"]
    parts: Mapping[str, Float64[ndarray, " found"]]
    probed_clusters: int
    is_exact: bool


class Searcher:
    """Answers queries over one gallery.

    Args:
        indexes: By descriptor, at least one; all hold the same images.
        calibrations: By descriptor.
        encode: Embeds the picture in a file, one row for each descriptor.
    """

    def __init__(
        self,
        indexes: Mapping[str, VectorIndex],
        calibrations: Mapping[str, Calibration],
        encode: Encode,
    ) -> None:
        self._indexes = indexes
        self._calibrations = calibrations
        self._encode = encode
        self._ids: Ids = np.sort(next(iter(indexes.values())).ids)

    def search(self, queries: Sequence[Query], k: int) -> Hits:
        """Find the `k` best images for each query.

        A score is the weighted mean, over descriptors, of how rare the similarity is; equal scores
        are ordered by id. Scores are always computed from the stored embeddings, whatever the
        kind of index that proposed the candidates.

        Returns:
            One row for each query, padded where fewer images are found. `parts` holds every
            descriptor that any of the queries gave a weight; it is `nan` where one gave it none.

        Raises:
            UsageError: If `k` is below 1, the collection is empty, an id or a descriptor is
                unknown, or the order `list` is asked of several descriptors.
            ImageError: If the picture of an example cannot be read.
        """
        if k < 1:
            raise UsageError(f"the number of hits k is {k}; ask for 1 or more")
        if len(self._ids) == 0:
            raise UsageError(
                "the collection has no images yet; add some with: lookalike index COLLECTION SOURCE"
            )
        weights = [self._weights(query) for query in queries]
        vectors = self._vectors(queries)
        found = [
            self._find(query, mixture, {n: _aim(query, vectors[n]) for n in mixture}, k)
            for query, mixture in zip(queries, weights, strict=True)
        ]
        return _table(found, min(k, len(self._ids)))

    def _weights(self, query: Query) -> dict[str, float]:
        """Weights of the descriptors that take part, summing to 1."""
        given = query.weights or dict.fromkeys(self._indexes, 1.0)
        unknown = sorted(set(given) - set(self._indexes))
        if unknown:
            known = ", ".join(self._indexes)
            raise UsageError(f"the collection has no descriptor {unknown[0]!r}; it has: {known}")
        total = sum(given.values())
        weights = {name: weight / total for name, weight in given.items() if weight > 0}
        if query.order == "list" and len(weights) != 1:
            raise UsageError(
                f"the order 'list' walks the clusters of one descriptor, not of {len(weights)}; "
                "give the others the weight 0"
            )
        return weights

    def _vectors(self, queries: Sequence[Query]) -> dict[str, dict[Example, ndarray]]:
        """Look up or compute the unit embedding of each example, by descriptor."""
        examples = {e for query in queries for e in (*query.positives, *query.negatives)}
        stored = [example for example in examples if isinstance(example, IdExample)]
        ids = np.array([example.id for example in stored], np.int64)
        self._check_known(ids)
        vectors: dict[str, dict[Example, ndarray]] = {
            name: dict(zip(stored, index.vectors(ids), strict=True))
            for name, index in self._indexes.items()
        }
        for example in examples:
            if not isinstance(example, IdExample):
                for name, rows in self._encode(example.path).items():
                    vectors[name][example] = normalize(rows)[0]
        return vectors

    def _check_known(self, ids: Ids) -> None:
        unknown = np.setdiff1d(ids, self._ids)
        if len(unknown):
            raise UsageError(
                f"there is no image with id {unknown[0]} in the collection; "
                "ids come from the hits of an earlier search"
            )

    def _find(self, query: Query, weights: Mapping[str, float], aims: Aims, k: int) -> _Found:
        excluded = _excluded(query)
        if query.order == "list":
            return self._walk(aims, excluded, k)
        candidates, probed, is_exact = self._candidates(aims, k + len(excluded))
        candidates = candidates[~np.isin(candidates, excluded)]
        parts = self._scores(aims, candidates)
        total = np.sum([weights[name] * part for name, part in parts.items()], axis=0)
        ids, scores = top_k(total[None], candidates, k)
        places = np.searchsorted(candidates, ids[0])
        kept = {name: part[places] for name, part in parts.items()}
        return _Found(ids[0], scores[0], kept, probed, is_exact)

    def _candidates(self, aims: Aims, k: int) -> tuple[Ids, int, bool]:
        """Images worth scoring, ascending: all, or what each index proposes."""
        if all(self._indexes[name].is_exact for name in aims):
            return self._ids, 0, True
        proposed = [
            self._indexes[name].search(aim[None], max(CANDIDATES, k)) for name, aim in aims.items()
        ]
        ids = np.unique(np.concatenate([hits.ids[0] for hits in proposed]))
        probed = sum(_probed(hits) for hits in proposed)
        return ids[ids != NO_ID], probed, False

    def _walk(self, aims: Aims, excluded: Ids, k: int) -> _Found:
        """Take the clusters as they come, as the method was published."""
        [(name, aim)] = aims.items()
        hits = self._indexes[name].search(aim[None], k + len(excluded), order="list")
        ids = hits.ids[0][~np.isin(hits.ids[0], [NO_ID, *excluded])][:k]
        parts = self._scores(aims, ids)
        return _Found(ids, parts[name], parts, _probed(hits), hits.is_exact)

    def _scores(self, aims: Aims, ids: Ids) -> dict[str, Float64[ndarray, " items"]]:
        # All images of an index in its own order need no gathering, which costs more than products.
        return {
            name: self._calibrations[name](
                self._indexes[name].similarities(aim[None], self._needed(name, ids))[0]
            )
            for name, aim in aims.items()
        }

    def _needed(self, name: str, ids: Ids) -> Ids | None:
        own = self._indexes[name].ids
        return None if len(own) == len(ids) and np.array_equal(own, ids) else ids


def _aim(query: Query, vectors: Mapping[Example, ndarray]) -> Float32[ndarray, " dim"]:
    """Return the unit vector to search with: one example's own, or a mean less the disliked."""
    if len(query.positives) == 1 and not query.negatives:
        own: Float32[ndarray, " dim"] = vectors[query.positives[0]]
        return own
    liked = np.mean([vectors[example] for example in query.positives], axis=0)
    if not query.negatives:
        return normalize(liked)
    disliked = np.mean([vectors[example] for example in query.negatives], axis=0)
    return normalize(liked - NEGATIVE_WEIGHT * disliked)


def _excluded(query: Query) -> Ids:
    if not query.exclude_examples:
        return np.empty(0, np.int64)
    examples = (*query.positives, *query.negatives)
    ids = {example.id for example in examples if isinstance(example, IdExample)}
    return np.array(sorted(ids), np.int64)


def _probed(hits: Hits) -> int:
    return 0 if hits.probed_clusters is None else int(hits.probed_clusters[0])


def _table(found: Sequence[_Found], width: int) -> Hits:
    ids, scores = pad_rows([(row.ids, row.scores) for row in found], width)
    names = dict.fromkeys(name for row in found for name in row.parts)
    parts = {name: np.full(ids.shape, np.nan) for name in names}
    for place, row in enumerate(found):
        for name, values in row.parts.items():
            parts[name][place, : len(values)] = values
    return Hits(
        ids,
        scores,
        parts,
        probed_clusters=np.array([row.probed_clusters for row in found], np.int64),
        is_exact=all(row.is_exact for row in found),
        is_ranked=all(_falls(row.scores) for row in found),
    )


def _falls(scores: Float[ndarray, " found"]) -> bool:
    return bool((scores[:-1] >= scores[1:]).all())
