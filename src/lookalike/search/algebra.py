"""Algebra of results: union, intersection and difference of lists of hits.

A result is a list of images, each once, with a score. As fuzzy sets do it (L. A. Zadeh, *Fuzzy
Sets*, Information and Control 8, 1965), an image of a union has the larger of its scores, one of an
intersection the smaller; a difference keeps the scores of the left side. Order is by score, best
first, equal ones by id: scores mean the same in every search of a collection.

An expression names results and joins them::

    saved:beach and saved:dogs minus result.json
    (saved:beach or saved:'two words') minus saved:seen

`and` binds more than `or` and `minus`, which are taken from left to right; `intersection`, `union`
and `not` mean the same.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError


@dataclass(frozen=True, slots=True, eq=False)
class ResultList:
    """Images with scores, best first, equal scores by ascending id; each image once.

    Attributes:
        ids: Image ids.
        scores: Higher is better.
    """

    ids: Ids
    scores: Float64[ndarray, " items"]

    @classmethod
    def of(cls, scores: Mapping[int, float]) -> "ResultList":
        """Put scores of images in order."""
        ordered = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return cls(
            np.array([image_id for image_id, _ in ordered], np.int64),
            np.array([score for _, score in ordered], np.float64),
        )

    def by_id(self) -> dict[int, float]:
        """Return the score of each image."""
        return dict(zip(self.ids.tolist(), self.scores.tolist(), strict=True))


def union(left: ResultList, right: ResultList) -> ResultList:
    """Return the images of either, each with its larger score.

    Example:
        >>> two, one = ResultList.of({1: 0.5, 2: 0.9}), ResultList.of({1: 0.7})
        >>> union(two, one).by_id()
        {2: 0.9, 1: 0.7}
    """
    first, second = left.by_id(), right.by_id()
    lowest = -np.inf
    return ResultList.of(
        {
            each: max(first.get(each, lowest), second.get(each, lowest))
            for each in {**first, **second}
        }
    )


def intersection(left: ResultList, right: ResultList) -> ResultList:
    """Return the images of both, each with its smaller score."""
    first, second = left.by_id(), right.by_id()
    return ResultList.of({each: min(first[each], second[each]) for each in first if each in second})


def minus(left: ResultList, right: ResultList) -> ResultList:
    """Return the images of the left that are not on the right, with their scores."""
    second = right.by_id()
    return ResultList.of({each: s for each, s in left.by_id().items() if each not in second})


def read_result(text: str, name: str) -> ResultList:
    """Read what a command printed with `--json`: hits with `id` and `score`.

    Args:
        text: The JSON.
        name: Of the file, for messages.

    Raises:
        UsageError: If it holds no hits.
    """
    try:
        hits = json.loads(text)["hits"]
        scores = {_number(hit["id"]): float(hit["score"]) for hit in hits}
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{name} holds no hits; make it with: lookalike search … --json > {name}"
        ) from None
    if not all(np.isfinite(list(scores.values()))):
        raise UsageError(f"{name} has scores that are not finite; make it anew")
    return ResultList.of(scores)


def evaluate(expression: str, operand: Callable[[str], ResultList]) -> ResultList:
    """Work out an expression; `operand` gives the result of each name in it.

    Raises:
        UsageError: If the expression is broken; the message points at the character.

    Example:
        >>> lists = {"a": ResultList.of({1: 1.0, 2: 2.0}), "b": ResultList.of({2: 5.0})}
        >>> evaluate("a minus b", lists.__getitem__).ids
        array([1])
    """
    parser = _Parser(expression, operand)
    found = parser.sum()
    parser.expect_end()
    return found


_OPERATIONS: Final = {
    "or": union,
    "union": union,
    "minus": minus,
    "not": minus,
}
_PRODUCTS: Final = ("and", "intersection")
_TOKEN: Final = re.compile(r"""\s*(?:([()])|((?:[^\s()'"]|'[^']*'|"[^"]*")+))""")


class _Parser:
    """Recursive descent over the words of an expression."""

    def __init__(self, text: str, operand: Callable[[str], ResultList]) -> None:
        self._text = text
        self._operand = operand
        self._words: list[tuple[str, int]] = []
        self._at = 0
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                start = place + len(text[place:]) - len(text[place:].lstrip())
                raise self._broken(start, "a quote is not closed")
            self._words.append(
                (match.group(1) or match.group(2), match.start(match.lastindex or 0))
            )
            place = match.end()

    def sum(self) -> ResultList:
        found = self.product()
        while (word := self._peek()) in _OPERATIONS:
            self._at += 1
            found = _OPERATIONS[word](found, self.product())
        return found

    def product(self) -> ResultList:
        found = self.single()
        while self._peek() in _PRODUCTS:
            self._at += 1
            found = intersection(found, self.single())
        return found

    def single(self) -> ResultList:
        word = self._peek()
        if word == "" or word == ")" or word in _OPERATIONS or word in _PRODUCTS:
            raise self._broken(self._place(), "a result is missing")
        self._at += 1
        if word != "(":
            return self._operand(re.sub(r"'([^']*)'|\"([^\"]*)\"", r"\1\2", word))
        found = self.sum()
        if self._peek() != ")":
            raise self._broken(self._place(), "a bracket is not closed")
        self._at += 1
        return found

    def expect_end(self) -> None:
        if self._peek():
            raise self._broken(self._place(), "and, or or minus is missing")

    def _peek(self) -> str:
        return self._words[self._at][0] if self._at < len(self._words) else ""

    def _place(self) -> int:
        return self._words[self._at][1] if self._at < len(self._words) else len(self._text)

    def _broken(self, place: int, what: str) -> UsageError:
        return UsageError(
            f"{what} at character {place + 1} of {self._text!r}; "
            "write it like: saved:a minus saved:b"
        )


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(value)
    return value
