"""Parts of a query that look at the stored row of every image in their own way."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError
from lookalike.index.base import VectorIndex
from lookalike.index.rows import common
from lookalike.search.calibration import Calibration
from lookalike.search.parts import Context, Proposal

Compare: TypeAlias = Callable[[Embeddings], Float64[ndarray, " items"]]
"""Similarity of a query to each row, -1 to 1, each by itself."""

_BLOCK: Final = 8_192

SAMPLE: Final = 200
"""Random images that tell how common a similarity is."""


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A part that compares the rows of one descriptor.

    Attributes:
        name: Of the part.
        index: Of the descriptor.
        calibration: Turns similarities into scores.
        compare: Gives the similarities.
    """

    name: str
    index: VectorIndex
    calibration: Calibration
    compare: Compare

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the `n` best of all images that are allowed."""
        ids = self.index.ids if allowed is None else common(self.index.ids, allowed)
        if n < len(ids):
            similarities = self._similarities(ids)
            ids = ids[np.argpartition(-similarities, n)[:n]]
        return Proposal(ids)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of each similarity; 0 for images without the descriptor."""
        scores = np.zeros(len(ids))
        is_stored = np.isin(ids, self.index.ids)
        scores[is_stored] = self.calibration.scores(self._similarities(ids[is_stored]))
        return scores

    def _similarities(self, ids: Ids) -> Float64[ndarray, " items"]:
        blocks = [
            self.compare(self.index.vectors(ids[start : start + _BLOCK]))
            for start in range(0, len(ids), _BLOCK)
        ]
        return np.concatenate([np.empty(0), *blocks])


def index_for(context: Context, descriptor: str, what: str) -> VectorIndex:
    """Return the index of a descriptor that a part of a query needs.

    Args:
        context: The collection.
        descriptor: Its name.
        what: What needs it, in the plural, for the message.

    Raises:
        UsageError: If the collection does not have it, or no longer in the installed version.
    """
    if descriptor not in context.indexes:
        chosen = ",".join(sorted({*context.catalog.chosen.specs(), descriptor}))
        raise UsageError(
            f"{what} are compared with {descriptor!r}, which this collection lacks; extract it "
            f"with: lookalike index COLLECTION FOLDER --descriptors {chosen}"
        )
    return context.indexes[descriptor]


def sampled_rows(context: Context, descriptor: str) -> Embeddings:
    """Return the rows of some random images, the same ones until the collection changes."""
    key = f"rows of {descriptor}"
    kept: dict[str, Any] = context.kept
    if key not in kept:
        index = context.indexes[descriptor]
        ids = np.random.default_rng(0).permutation(index.ids)[:SAMPLE]
        kept[key] = index.vectors(np.sort(ids))
    rows: Embeddings = kept[key]
    return rows
