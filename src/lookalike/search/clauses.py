"""What a person says of several regions of one image, as values that go into JSON and back."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeAlias

from lookalike.errors import UsageError
from lookalike.search.examples import (
    FileExample,
    IdExample,
    PixelsExample,
    RegionExample,
    check_keys,
    example_from_json,
    example_to_json,
)

ClauseExample: TypeAlias = IdExample | FileExample | PixelsExample | RegionExample
Number: TypeAlias = int | float
Position: TypeAlias = str | tuple[Number, Number, Number, Number]

HALVES: Final = ("left", "right", "upper", "lower")
CELLS: Final = (
    *("upper-left", "upper-center", "upper-right"),
    *("middle-left", "center", "middle-right"),
    *("lower-left", "lower-center", "lower-right"),
)
"""Cells of 3 × 3, row by row."""

_OF: Final = ("color_of", "texture_of", "content_of")


@dataclass(frozen=True, slots=True)
class Clause:
    """What one region should be like; all that is said of it holds for the same region.

    Attributes:
        color_of: A picture, or a part of one, of which it should have the colors.
        texture_of: … the texture.
        content_of: … the content.
        label: The class that the model saw in it.
        size: Least and greatest share of the picture that it should cover, from 0 to 1.
        position: Where it should be: one of `HALVES` or `CELLS`, or a box: left, top, width and
            height as shares of the picture.

    Raises:
        UsageError: If nothing is said, or a size or position makes no sense.
    """

    color_of: ClauseExample | None = None
    texture_of: ClauseExample | None = None
    content_of: ClauseExample | None = None
    label: str | None = None
    size: tuple[Number, Number] | None = None
    position: Position | None = None

    def __post_init__(self) -> None:
        if all(getattr(self, field.name) is None for field in fields(self)):
            raise UsageError(
                "a clause says nothing of its region; give one or more of: "
                f"{', '.join(field.name.replace('_', '-') for field in fields(self))}"
            )
        if self.size is not None and not 0 <= self.size[0] <= self.size[1] <= 1:
            raise UsageError(
                f"the size {self.size[0]:g} to {self.size[1]:g} is no range of shares of the "
                "picture between 0 and 1; write it as size=5..20%"
            )
        if self.position is not None:
            _check_position(self.position)

    @property
    def examples(self) -> tuple[ClauseExample, ...]:
        """The pictures that are named."""
        given = (self.color_of, self.texture_of, self.content_of)
        return tuple(example for example in given if example is not None)

    def with_examples(self, change: Callable[[ClauseExample], ClauseExample]) -> "Clause":
        """Return the same clause with other pictures in the place of its own."""
        given = {name: getattr(self, name) for name in _OF}
        changed: dict[str, Any] = {name: each and change(each) for name, each in given.items()}
        return replace(self, **changed)

    @classmethod
    def parse(cls, text: str) -> "Clause":
        """Read a clause as it is typed.

        Raises:
            UsageError: If it is none; the message quotes what is wrong.

        Example:
            >>> Clause.parse("label=dog,position=left,size=5..20%").size
            (0.05, 0.2)
            >>> Clause.parse("color-of=17@10,20,30,40").color_of
            RegionExample(example=IdExample(id=17), box=(10.0, 20.0, 30.0, 40.0))
        """
        found: dict[str, Any] = {}
        for name, value in _pairs(text):
            if name in found:
                raise UsageError(f"the clause {text!r} says {name!r} twice; use two clauses")
            found[name] = _PARSERS[name](value)
        return cls(**found)

    def to_json(self) -> dict[str, Any]:
        """Return the clause as JSON knows it; what is not said is left out."""
        content: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                is_plain = isinstance(value, str | tuple)
                content[field.name] = value if is_plain else example_to_json(value)
        return {n: list(v) if isinstance(v, tuple) else v for n, v in content.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Clause":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is something else.
        """
        check_keys(content, [field.name for field in fields(cls)], "a clause")
        found = dict(content)
        for name in found.keys() & set(_OF):
            found[name] = _picture(example_from_json(found[name]))
        for name, length in (("size", 2), ("position", 4)):
            if name in found and not (name == "position" and isinstance(found[name], str)):
                found[name] = _numbers(name, found[name], length)
        if not isinstance(found.get("label", ""), str):
            raise UsageError(f"the label of a clause is a text, not {found['label']!r:.60}")
        return cls(**found)


@dataclass(frozen=True, slots=True)
class Composition:
    """Clauses, each for a region of its own.

    Attributes:
        clauses: One or more.

    Raises:
        UsageError: If there are none.
    """

    clauses: tuple[Clause, ...]

    def __post_init__(self) -> None:
        if not self.clauses:
            raise UsageError("a composition has no clauses; add one, such as label=dog")

    @property
    def examples(self) -> tuple[ClauseExample, ...]:
        """All pictures that are named."""
        return tuple(example for clause in self.clauses for example in clause.examples)

    def with_examples(self, change: Callable[[ClauseExample], ClauseExample]) -> "Composition":
        """Return the same clauses with other pictures in the place of theirs."""
        return Composition(tuple(clause.with_examples(change) for clause in self.clauses))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the composition as JSON knows it."""
        return [clause.to_json() for clause in self.clauses]


def composition_from_json(content: object) -> Composition | None:
    """Read what `Composition.to_json` gave; `None` stays `None`.

    Raises:
        UsageError: If it is something else.
    """
    if content is None:
        return None
    if isinstance(content, str | bytes | Mapping) or not isinstance(content, Sequence):
        raise UsageError(f"a composition is a JSON list of clauses, not {content!r:.60}")
    return Composition(tuple(Clause.from_json(clause) for clause in content))


def parse_box(text: str) -> tuple[float, float, float, float]:
    """Read left, top, width and height.

    Raises:
        UsageError: If it is something else.

    Example:
        >>> parse_box("40,20,100,80")
        (40.0, 20.0, 100.0, 80.0)
    """
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError:
        raise UsageError(
            f"the box {text!r} is not X,Y,WIDTH,HEIGHT, such as 40,20,100,80"
        ) from None
    return x, y, width, height


def _pairs(text: str) -> list[tuple[str, str]]:
    """Split `name=value,…`; commas inside a value are those after which no name follows."""
    pieces: list[str] = []
    for piece in text.split(","):
        if pieces and "=" not in piece:
            pieces[-1] += f",{piece}"
        else:
            pieces.append(piece)
    pairs = []
    for piece in pieces:
        name, _, value = piece.partition("=")
        name = name.strip().replace("-", "_")
        if name not in _PARSERS or not value.strip():
            known = ", ".join(known.replace("_", "-") for known in _PARSERS)
            raise UsageError(
                f"the clause {text!r} cannot be read at {piece!r}; write NAME=VALUE, where NAME "
                f"is one of: {known}"
            )
        pairs.append((name, value.strip()))
    return pairs


def _parse_example(text: str) -> ClauseExample:
    whole, _, box = text.rpartition("@")
    if whole and box.count(",") == 3:
        return RegionExample(_parse_whole(whole), parse_box(box))
    return _parse_whole(text)


def _parse_whole(text: str) -> IdExample | FileExample:
    return IdExample(int(text)) if text.isdecimal() else FileExample.of(text)


def _parse_size(text: str) -> tuple[float, float]:
    scale = 100.0 if text.endswith("%") else 1.0
    least, dots, most = text.removesuffix("%").partition("..")
    try:
        if not dots:
            raise ValueError("no range")
        low = float(least.removesuffix("%") or 0) / scale
        return low, float(most) / scale if most else 1.0
    except ValueError:
        raise UsageError(
            f"the size {text!r} is no range of shares of the picture, such as 5..20% or 5..%"
        ) from None


def _parse_position(text: str) -> Position:
    return parse_box(text) if "," in text else text


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "color_of": _parse_example,
    "texture_of": _parse_example,
    "content_of": _parse_example,
    "label": str,
    "size": _parse_size,
    "position": _parse_position,
}


def _check_position(position: Position) -> None:
    if isinstance(position, str):
        if position not in (*HALVES, *CELLS):
            raise UsageError(
                f"unknown position {position!r}; choose one of {', '.join((*HALVES, *CELLS))}, or "
                "a box X,Y,WIDTH,HEIGHT in shares of the picture"
            )
        return
    x, y, width, height = position
    are_finite = all(map(math.isfinite, position))
    is_inside = are_finite and 0 <= x <= x + width <= 1 and 0 <= y <= y + height <= 1
    if not is_inside or min(width, height) <= 0:
        raise UsageError(
            f"the position {x:g},{y:g},{width:g},{height:g} is no box inside the picture; give "
            "left, top, width and height as shares of it, from 0 to 1"
        )


def _picture(example: object) -> ClauseExample:
    if not isinstance(example, ClauseExample):
        raise UsageError("a clause names pictures by their id, as files or by their pixels")
    return example


def _numbers(name: str, value: object, length: int) -> Any:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(numbers) == length and all(type(number) in (int, float) for number in numbers):
        return tuple(map(float, numbers))
    raise UsageError(
        f"the {name} of a clause is a JSON list of {length} numbers, not {value!r:.60}"
    )
