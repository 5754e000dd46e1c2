"""What can be chosen in a query, by name; light enough for the command line to know."""

from typing import Literal, TypeAlias

Method: TypeAlias = Literal[
    "auto",
    "average",
    "rocchio",
    "within",
    "between",
    "mars",
    "multipoint",
    "mindreader",
    "classifier",
]
"""What is made of marks; see `lookalike.search.steering`."""

Expansion: TypeAlias = Literal["average", "alpha"]
Reranking: TypeAlias = Literal["reciprocal", "diffusion"]
"""A second look at the first hits; see `lookalike.search.second_look`."""
