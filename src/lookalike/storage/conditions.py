"""Conditions on what is known of an image, as a tree that is asked of a catalog.

`str` of a condition is the text that `lookalike.search.filters.parse_filter` reads it from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lookalike.storage.attributes import TAKEN, date_text

NUMBER_KEYS: Final = ("width", "height", "size", "aspect", "megapixels", "id", "copies")
"""Numbers that every image has: pixels, bytes, width over height, and how many files hold it."""

NAME_KEYS: Final = ("label", "given", "predicted", "format", "orientation", "has", "duplicate")
PHRASE_KEYS: Final = ("caption", "text")
PATH_KEYS: Final = ("path", "name")
PATTERN_KEYS: Final = ("path", "label", "given", "predicted", "caption")

_SIMPLE: Final = "_.*"
"""Signs that need no quotation marks, as letters and digits do not."""


@dataclass(frozen=True, slots=True)
class Within:
    """A number, or the date of `taken`, lies between two others; `None` is no bound.

    Attributes:
        key: One of `NUMBER_KEYS`, or that of an attribute.
        low: Least that passes.
        high: Greatest that passes.
        above: Whether `low` itself does not pass.
        below: Whether `high` itself does not pass.
        at: Where in a text it stands, counted from 1; for messages.
    """

    key: str
    low: int | float | None
    high: int | float | None
    above: bool = False
    below: bool = False
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        if self.low is None:
            return f"{self.key}:{'<' if self.below else '<='}{self._text(self.high)}"
        if self.high is None:
            return f"{self.key}:{'>' if self.above else '>='}{self._text(self.low)}"
        if self.above or self.below:
            first = Within(self.key, self.low, None, self.above)
            return f"({first} {Within(self.key, None, self.high, below=self.below)})"
        return f"{self.key}:{self._text(self.low)}..{self._text(self.high)}"

    def _text(self, value: int | float | None) -> str:
        return (
            date_text(float(value)) if self.key == TAKEN and value is not None else _number(value)
        )


@dataclass(frozen=True, slots=True)
class Named:
    """Something has this very name, without regard to case; `*` stands for any letters."""

    key: str
    name: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.key}:{_quoted(self.name)}"


@dataclass(frozen=True, slots=True)
class Contains:
    """A path, a file's name or an attribute contains a text, without regard to case.

    Attributes:
        key: `path`, `name`, or that of an attribute.
        text: What is contained.
        whole: Whether nothing else is there.
        at: Where in a text it stands, counted from 1.
    """

    key: str
    text: str
    whole: bool = False
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.key}:{'=' if self.whole else ''}{_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class Says:
    """The captions, or any words of an image, hold a phrase."""

    key: str
    phrase: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.key}:{_quoted(self.phrase)}"


@dataclass(frozen=True, slots=True)
class Matches:
    """A path, a given or predicted label, or a caption matches a regular expression."""

    key: str
    pattern: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.key}:/{self.pattern.replace('/', chr(92) + '/')}/"


@dataclass(frozen=True, slots=True)
class Colored:
    """A basic color takes up a share of the picture, from 0 to 1."""

    name: str
    low: float
    high: float = 1.0
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"color:{self.name}:{round(100 * self.low, 6):g}..{round(100 * self.high, 6):g}%"


@dataclass(frozen=True, slots=True)
class All:
    """All of two conditions or more."""

    parts: "tuple[Condition, ...]"

    def __str__(self) -> str:
        return f"({' '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of two conditions or more."""

    parts: "tuple[Condition, ...]"

    def __str__(self) -> str:
        return f"({' OR '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary of a condition."""

    part: "Condition"

    def __str__(self) -> str:
        return f"-{self.part}"


Condition: TypeAlias = Within | Named | Contains | Says | Matches | Colored | All | Either | Not


def to_json(condition: Condition) -> dict[str, Any]:
    """Return a condition as JSON knows it: its kind, and what it says."""
    kind = type(condition).__name__.lower()
    match condition:
        case All(parts) | Either(parts):
            return {kind: [to_json(part) for part in parts]}
        case Not(part):
            return {kind: to_json(part)}
        case _:
            fields = [name for name in condition.__slots__ if name != "at"]
            return {kind: {name: getattr(condition, name) for name in fields}}


def from_json(content: Mapping[str, Any]) -> Condition:
    """Read what `to_json` gave.

    Raises:
        ValueError: If it is something else (also KeyError or TypeError).
    """
    [(kind, inner)] = content.items()
    match kind:
        case "all":
            return All(tuple(map(from_json, inner)))
        case "either":
            return Either(tuple(map(from_json, inner)))
        case "not":
            return Not(from_json(inner))
        case _:
            condition: Condition = _LEAVES[kind](**inner)
            return condition


_LEAVES: Final[Mapping[str, Any]] = {
    each.__name__.lower(): each for each in (Within, Named, Contains, Says, Matches, Colored)
}


def _number(value: int | float | None) -> str:
    text = repr(value)
    return text.removesuffix(".0") if "e" not in text else f"{value:.20f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    is_simple = all(char.isalnum() or char in _SIMPLE for char in text)
    if text and is_simple and ".." not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
