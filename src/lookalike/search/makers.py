"""The kinds of parts and filters that a query may have: each kind has one line here."""

from dataclasses import dataclass
from functools import reduce
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.search.color_parts import color_parts
from lookalike.search.composition import make_composition_parts
from lookalike.search.drawing_parts import drawing_parts
from lookalike.search.filters import passing_filter
from lookalike.search.painting import painting
from lookalike.search.parts import Context, FilterMaker, Part, PartMaker, Proposal
from lookalike.search.queries import Query
from lookalike.search.regions import make_region_parts
from lookalike.search.words import make_words_part


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


PART_MAKERS: Final[tuple[PartMaker, ...]] = (
    painting,
    make_words_part,
    color_parts,
    drawing_parts,
    make_region_parts,
    make_composition_parts,
)
FILTER_MAKERS: Final[tuple[FilterMaker, ...]] = (passing_filter,)
