"""The kinds of parts and filters that a query may have: each kind has one line here."""

from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.search.painting import painting
from lookalike.search.parts import Context, FilterMaker, Part, PartMaker, Proposal
from lookalike.search.queries import Query


@dataclass(frozen=True, slots=True, eq=False)
class Everything:
    """What a filter alone asks for: whatever passes, by ascending id, with a score of 0.

    Attributes:
        ids: Of all images.
        name: Of the part.
    """

    ids: Ids
    name: str = "filter"

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the first `n`."""
        return Proposal((self.ids if allowed is None else allowed)[:n])

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return 0 for each."""
        return np.zeros(len(ids))


def make_parts(query: Query, context: Context, ids: Ids) -> list[Part]:
    """Return all parts of a query but its examples; `ids` are those of all images."""
    if query.filter and not (query.positives or query.is_liked or query.has_parts):
        return [Everything(ids)]
    return [part for maker in PART_MAKERS for part in maker(query, context)]


def passing(query: Query, context: Context) -> Ids | None:
    """Return the ids, ascending, that pass all filters of a query; `None` without any."""
    found = [ids for maker in FILTER_MAKERS if (ids := maker(query, context)) is not None]
    return reduce(np.intersect1d, found) if found else None


def _no_words(query: Query, _: Context) -> list[Part]:
    if query.words:
        raise UsageError(
            f"captions cannot be searched for {query.words!r} in this collection; ask by pictures"
        )
    return []


def _no_filter(query: Query, _: Context) -> None:
    if query.filter:
        raise UsageError(f"the filter {query.filter!r} cannot be used here; leave it out")


PART_MAKERS: Final[tuple[PartMaker, ...]] = (painting, _no_words)
FILTER_MAKERS: Final[tuple[FilterMaker, ...]] = (_no_filter,)
