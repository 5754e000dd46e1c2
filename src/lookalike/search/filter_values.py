"""What stands behind the colon of a filter's `key:value`, as a condition."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from lookalike.errors import UsageError
from lookalike.features.color_names import BASIC_COLORS
from lookalike.images.formats import FORMATS
from lookalike.storage.attributes import TAKEN, date_range
from lookalike.storage.conditions import (
    NAME_KEYS,
    NUMBER_KEYS,
    PATH_KEYS,
    PHRASE_KEYS,
    Colored,
    Condition,
    Contains,
    Named,
    Says,
    Within,
)

DOMINANT: Final = 0.2
"""Share of the picture that a color needs if none is given."""

_NUMBER: Final = re.compile(r"(\d{1,18}(?:\.\d{1,20})?)([a-zA-Z]*)")
_RATIO: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)[:/](\d{1,6}(?:\.\d{1,6})?)")
_COLOR: Final = re.compile(r"([a-z]*):?(.*)", re.DOTALL)
_SIGNS: Final = (">=", "<=", ">", "<", "=", "")
_BYTES: Final[Mapping[str, int]] = {
    **{"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30},
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "orientation": ("landscape", "portrait", "square"),
    "duplicate": ("yes", "no"),
    "format": tuple(name.lower() for name in FORMATS),
}
_ALIASES: Final = {"jpg": "jpeg", "tif": "tiff"}


@dataclass(frozen=True, slots=True)
class Given:
    """A key and a value as they stand in a filter.

    Attributes:
        key: In small letters.
        value: Without its quotation marks; not empty.
        at: Where the key begins, counted from 1.
        start: Where the value begins, counted from 1.
        is_whole: Whether `=` stands before the value.
        is_quoted: Whether it stands in quotation marks.
    """

    key: str
    value: str
    at: int
    start: int
    is_whole: bool = False
    is_quoted: bool = False


def misread(what: str, at: int) -> UsageError:
    """Return the error for something at a character, counted from 1, that cannot be read."""
    return UsageError(f"the filter, at character {at}: {what}; see lookalike help filters")


def read_condition(given: Given) -> Condition:
    """Return the condition; a key that is not known here is taken for that of an attribute.

    Raises:
        UsageError: If the value makes no sense.
    """
    key, value = given.key, given.value
    if key in _CHOICES:
        return _chosen(given)
    if key in NAME_KEYS:
        return Named(key, value.lower() if key == "has" else value, given.at)
    if key in PHRASE_KEYS:
        if not any(map(str.isalnum, value)):
            raise misread(f"{key}: needs a word, not {value!r}", given.start)
        return Says(key, value, given.at)
    if key == "color":
        return _colored(given)
    is_text = key in PATH_KEYS or given.is_quoted or given.is_whole
    if key in NUMBER_KEYS or key == TAKEN or (not is_text and _is_range(value)):
        return _within(given, value, given.start)
    return Contains(key, value, given.is_whole, given.at)


def _chosen(given: Given) -> Named:
    value = _ALIASES.get(given.value.lower(), given.value.lower())
    choices = _CHOICES[given.key]
    if value not in choices:
        raise misread(f"{given.key}:{given.value} is not known{_near(value, choices)}", given.start)
    return Named(given.key, value, given.at)


def _colored(given: Given) -> Colored:
    name, share = (_COLOR.fullmatch(given.value.lower()) or re.fullmatch("()()", "")).groups()  # type: ignore[union-attr]
    if name not in BASIC_COLORS:
        raise misread(f"there is no color {name!r}{_near(name, BASIC_COLORS)}", given.start)
    if not share:
        return Colored(name, DOMINANT, at=given.at)
    start = given.start + len(given.value) - len(share)
    within = _within(given, share.replace("%", ""), start)
    low = 0.0 if within.low is None else within.low
    high = 100.0 if within.high is None else within.high
    if not 0 <= low <= high <= 100:
        raise misread(f"{share!r} is no share from 0 to 100 %", start)
    return Colored(name, low / 100, high / 100, at=given.at)


def _is_range(value: str) -> bool:
    return value[0] in "<>" or bool(re.fullmatch(r"[\d.]*\.\.[\d.]*", value))


def _within(given: Given, text: str, start: int) -> Within:
    key, at = given.key, given.at
    first, dots, last = text.partition("..")
    if dots:
        if key == "size" and first.isdigit():
            first += last.lstrip("0123456789.")  # 1..2MB are megabytes both
        low = _bounds(key, first, start)[0] if first else None
        high = _bounds(key, last, start + len(first) + 2)[1] if last else None
        if low is None and high is None:
            raise misread(f"{key}:.. has no numbers", start)
        if low is not None and high is not None and low > high:
            raise misread(f"{key}:{text} begins after its end", start)
        return Within(key, low, high, at=at)
    sign = next(sign for sign in _SIGNS if text.startswith(sign))
    is_equal = sign in ("=", "")
    low, high = _bounds(key, text.removeprefix(sign), start + len(sign), is_equal=is_equal)
    match sign:
        case ">":
            return Within(key, high, None, above=True, at=at)
        case ">=":
            return Within(key, low, None, at=at)
        case "<":
            return Within(key, None, low, below=True, at=at)
        case "<=":
            return Within(key, None, high, at=at)
        case _:
            return Within(key, low, high, at=at)


def _bounds(key: str, text: str, at: int, *, is_equal: bool = False) -> tuple[float, float]:
    """Return the least and the greatest number that a text stands for.

    A date stands for all its moments, and a rounded number, if something is to be equal to it, for
    all that round to it.
    """
    if key == TAKEN:
        moments = date_range(text)
        if moments is None:
            raise misread(f"{text!r} is no date; write 2024, 2024-05 or 2024-05-31", at)
        return moments
    if key == "aspect" and (ratio := _RATIO.fullmatch(text)):
        width, height = float(ratio[1]), float(ratio[2])
        if not width or not height:
            raise misread(f"{text!r} is no proportion of width to height", at)
        slack = 0.01 * is_equal
        return (1 - slack) * width / height, (1 + slack) * width / height
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise misread(f"{key} needs a number, not {text!r}", at)
    unit = found[2].lower()
    if unit and (key != "size" or unit not in _BYTES):
        known = "; sizes are written 500kB or 2MB" if key == "size" else ""
        raise misread(f"{text!r} has a unit that {key} does not know{known}", at)
    number, factor = float(found[1]), _BYTES[unit]
    is_rounded = is_equal and (factor > 1 or key in ("aspect", "megapixels"))
    half = 0.5 * 10 ** -len(found[1].partition(".")[2]) if is_rounded else 0.0
    return (number - half) * factor, (number + half) * factor


def _near(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else f"; choose {', '.join(known)}"
