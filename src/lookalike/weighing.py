"""What a query means that does not say it all: its short forms, and what counts how much."""

import os
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lookalike.gathering.places import AnyPath
from lookalike.search.queries import FileExample, IdExample, Query, RegionExample
from lookalike.search.regions import REGION
from lookalike.search.words import with_words_sorted_out
from lookalike.storage.catalog import Catalog

DEFAULT_WEIGHTS: Final = {"content": 1.0, "layout": 0.25}
"""Weights of a query that gives none. With equal ones fewer of the nearest pictures share a class
than by `content` alone; a quarter for `layout` costs little and arrangements match better."""


def as_query(query: "Query | AnyPath | int | np.integer[Any]") -> Query:
    """Turn the short forms of a query into a `Query`."""
    if isinstance(query, Query):
        return query
    if isinstance(query, int | np.integer):
        return Query(positives=(IdExample(int(query)),))
    return Query(positives=(FileExample.of(os.fspath(query)),))


def weighed(query: Query, catalog: Catalog) -> Query:
    """Return a query with words and filters told apart, and a weight for all that it weighs."""
    query = with_words_sorted_out(query)
    names = query.compared_in(catalog.descriptors)
    weights = {name: DEFAULT_WEIGHTS[name] for name in names if name in DEFAULT_WEIGHTS}
    if query.weights or not weights:
        return query
    are_boxes = all(isinstance(example, RegionExample) for example in query.positives)
    if are_boxes and catalog.regions.is_used:
        weights = {REGION: 1.0}  # a whole picture is hardly ever like a small part of another
    return replace(query, weights=weights)
