"""The kinds of parts and filters that a query may have: each kind has one line here."""

from functools import reduce
from typing import Final

import numpy as np

from lookalike.arrays import Ids
from lookalike.search.filters import passing_filter
from lookalike.search.parts import Context, FilterMaker, Part, PartMaker
from lookalike.search.queries import Query
from lookalike.search.words import make_words_part


def make_parts(query: Query, context: Context) -> list[Part]:
    """Return all parts of a query but its examples."""
    return [part for maker in PART_MAKERS for part in maker(query, context)]


def passing(query: Query, context: Context) -> Ids | None:
    """Return the ids, ascending, that pass all filters of a query; `None` without any."""
    found = [ids for maker in FILTER_MAKERS if (ids := maker(query, context)) is not None]
    return reduce(np.intersect1d, found) if found else None


PART_MAKERS: Final[tuple[PartMaker, ...]] = (make_words_part,)
FILTER_MAKERS: Final[tuple[FilterMaker, ...]] = (passing_filter,)
