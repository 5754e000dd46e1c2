"""The language of filters: `label:dog -label:cat width:>1000 taken:2024..2025 holiday`.

Conditions stand beside each other and all of them must hold. `OR` between two lets one of them do,
`-` turns one around, parentheses group. What is no condition is a word to search for: it ranks
and does not filter, unless it stands beside `OR` or in parentheses, where it must be among the
image's words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.search.copies import have_copies
from lookalike.search.filter_values import Given, misread, read_condition
from lookalike.search.parts import Context
from lookalike.search.queries import Query
from lookalike.storage import conditions
from lookalike.storage.conditions import All, Condition, Either, Matches, Not, Says

LONGEST: Final = 4_000
DEEPEST: Final = 16
"""Parentheses and signs within each other."""
MOST: Final = 200
"""Conditions and words."""

_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*):")
_BARE: Final = re.compile(r'[^\s()"]+')
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_PATTERN: Final = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
_OR: Final = re.compile(r"OR(?=[\s()]|$)")
_NOT: Final = re.compile(r"-(?=\S)|NOT(?=[\s()]|$)")


@dataclass(frozen=True, slots=True)
class Filter:
    """What a text asks for: conditions, and words to rank by.

    Attributes:
        condition: What an image must fulfill; `None` lets all pass.
        words: What remains, in the language of `lookalike.search.words`.
    """

    condition: Condition | None
    words: str = ""

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.condition, self.words) if part)

    def to_json(self) -> dict[str, Any]:
        """Return the filter as JSON knows it."""
        condition = None if self.condition is None else conditions.to_json(self.condition)
        return {"condition": condition, "words": self.words}


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Keys that are not known here may be those of attributes; the catalog tells whether they are.

    Raises:
        UsageError: If it is none; the message says at which character, counted from 1.

    Example:
        >>> print(parse_filter("label:dog two dogs -(path:holiday OR size:>2MB)"))
        (label:dog -(path:holiday OR size:>2000000)) two dogs
        >>> parse_filter("width:>1000").condition
        Within(key='width', low=1000.0, high=None, above=True, below=False, at=1)
    """
    found = _Parser(text).parse()
    parts = [part for part in found if not isinstance(part, _Word)]
    words = [str(part) for part in found if isinstance(part, _Word)]
    return Filter(_joined(All, parts) if parts else None, " ".join(words))


def parse_conditions(text: str) -> Condition:
    """Read a filter in which every word must be there, too, as it were in parentheses.

    Raises:
        UsageError: If it is none, or empty.
    """
    found = _Parser(text).parse()
    if not found:
        raise UsageError("the filter is empty; leave it out, or see lookalike help filters")
    return _joined(All, found)


def passing_filter(query: Query, context: Context) -> Ids | None:
    """Return the ids, ascending, that pass a query's filter; `None` where it has none."""
    if not query.filter:
        return None
    condition = parse_conditions(query.filter)
    return context.catalog.filters.passing(condition, lambda: have_copies(context))


@dataclass(frozen=True, slots=True)
class _Word:
    """A word or a quoted phrase that is no condition, or not yet."""

    text: str
    at: int
    is_excluded: bool = False

    def __str__(self) -> str:
        # Quotation marks and backslashes are no part of any word.
        text = re.sub(r'["\\]', " ", self.text)
        is_plain = all(map(str.isalnum, text)) and text not in ("OR", "NOT")
        return ("-" if self.is_excluded else "") + (text if is_plain else f'"{text}"')


_Part: TypeAlias = Condition | _Word


class _Parser:
    """Reads a text from left to right; `_at` is how far it has come."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise UsageError(f"the filter has {len(text)} characters; the limit is {LONGEST}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the filter {text!r} is no valid text; give UTF-8") from None
        self._text = text
        self._at = 0
        self._depth = 0
        self._n_leaves = 0

    def parse(self) -> list[_Part]:
        found = self._parts()
        if self._at < len(self._text):
            raise self._misread("there is no '(' for this ')'")
        return found

    def _parts(self) -> list[_Part]:
        """Read all that stands beside each other, up to the end or a closing parenthesis."""
        parts: list[_Part] = []
        while self._next() not in ("", ")"):
            if _OR.match(self._text, self._at):
                raise self._misread("nothing stands before OR")
            parts.append(self._either())
        return parts

    def _either(self) -> _Part:
        parts = [self._unary()]
        while self._next() and self._takes(_OR):
            if self._next() in ("", ")"):
                raise self._misread("nothing follows OR")
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else _joined(Either, parts)

    def _unary(self) -> _Part:
        if not self._takes(_NOT):
            return self._group() if self._next() == "(" else self._leaf()
        if self._next() in ("", ")"):
            raise self._misread("nothing follows the minus")
        self._deepen()
        part = self._unary()
        self._depth -= 1
        if isinstance(part, _Word):
            return _Word(part.text, part.at, not part.is_excluded)
        return part.part if isinstance(part, Not) else Not(part)

    def _group(self) -> Condition:
        start = self._at
        self._at += 1
        self._deepen()
        parts = self._parts()
        if self._next() != ")":
            raise self._misread("this '(' is not closed", start)
        if not parts:
            raise self._misread("there is nothing between '(' and ')'", start)
        self._at += 1
        self._depth -= 1
        return _joined(All, parts)

    def _leaf(self) -> _Part:
        start = self._at
        self._n_leaves += 1
        if self._n_leaves > MOST:
            raise self._misread(f"more than {MOST} conditions and words")
        if self._next() == "/":
            return Matches("path", self._pattern(), start + 1)
        key = self._takes(_KEY)
        if key is None:
            return self._word()
        name, value_at = key[1].lower(), self._at
        if name in conditions.PATTERN_KEYS and self._text[value_at : value_at + 1] == "/":
            return Matches(name, self._pattern(), start + 1)
        is_whole = self._takes(re.compile("=")) is not None
        is_quoted = self._text[self._at : self._at + 1] == '"'
        value = self._value()
        if not value.strip():
            raise self._misread(f"{name}: has no value", start)
        return read_condition(Given(name, value, start + 1, value_at + 1, is_whole, is_quoted))

    def _word(self) -> _Word:
        start = self._at
        text = self._value()
        if not any(map(str.isalnum, text)):
            raise self._misread(f"{text!r} is neither a condition nor a word", start)
        return _Word(text, start + 1)

    def _value(self) -> str:
        if self._text[self._at : self._at + 1] == '"':
            quoted = self._takes(_QUOTED)
            if quoted is None:
                raise self._misread("this quotation mark is not closed")
            return re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
        bare = self._takes(_BARE)
        return "" if bare is None else bare[0]

    def _pattern(self) -> str:
        start = self._at
        found = self._takes(_PATTERN)
        if found is None:
            raise self._misread("this '/' is not closed by another")
        if not found[1]:
            raise self._misread("the regular expression is empty", start)
        return found[1].replace("\\/", "/")

    def _takes(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Go past what matches here."""
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found

    def _next(self) -> str:
        """Go to the next character that is no space, and return it; at the end it is empty."""
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _deepen(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._misread(f"more than {DEEPEST} parentheses or signs within each other")

    def _misread(self, what: str, at: int | None = None) -> UsageError:
        return misread(what, (self._at if at is None else at) + 1)


def _joined(kind: type[All] | type[Either], parts: Sequence[_Part]) -> Condition:
    """Return the parts as one condition, those of the same kind not within each other."""
    flat: list[Condition] = []
    for part in map(_anchored, parts):
        flat.extend(part.parts if isinstance(part, All | Either) and type(part) is kind else [part])
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _anchored(part: _Part) -> Condition:
    """Turn a word that would rank into one that must be there, or must not."""
    if not isinstance(part, _Word):
        return part
    said = Says("text", part.text, part.at)
    return Not(said) if part.is_excluded else said
