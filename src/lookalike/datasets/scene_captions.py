"""One sentence on a generated scene."""

from collections.abc import Sequence, Set
from typing import Final, TypeAlias

Box: TypeAlias = tuple[int, int, int, int]

_LIGHT: Final = {
    "clear": "on a clear day",
    "cloudy": "under a gray sky",
    "dawn": "in the early morning",
    "dusk": "at dusk",
    "night": "at night",
}
_PLACE: Final = (
    ("road", "by a road"),
    ("sand", "on the beach"),
    ("water", "by the water"),
    ("hills", "before the hills"),
    ("grass", "in the meadow"),
)


def describe(things: Sequence[tuple[str, Box]], stuff: Set[str], light: str) -> str:
    """Describe a scene by its two largest things, how they stand to each other, place and light.

    Args:
        things: Class name and box (left, top, right, bottom) of each thing.
        stuff: Names of the stuff that is seen.
        light: Name of the light.

    Example:
        >>> boxes = [("tree", (60, 10, 90, 70)), ("house", (0, 20, 50, 80))]
        >>> describe(boxes, {"sky", "grass", "water"}, "dusk")
        'A house left of a tree by the water at dusk.'
    """
    largest = sorted(things, key=lambda thing: (-_area(thing[1]), thing))
    subject = "An empty scene"
    if largest:
        subject = _with_article(largest[0][0])
    if len(largest) > 1:
        relation = _relation(largest[0][1], largest[1][1])
        other = largest[1][0]
        again = "another " + other if other == largest[0][0] else _with_article(other)
        subject = f"{subject} {relation} {again}"
    place = next(words for name, words in _PLACE if name in stuff) if stuff & _PLACED else ""
    sentence = " ".join(part for part in (subject, place, _LIGHT[light]) if part)
    return sentence[0].upper() + sentence[1:] + "."


_PLACED: Final = frozenset(name for name, _ in _PLACE)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _with_article(name: str) -> str:
    if name in ("sun", "moon"):
        return f"the {name}"
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _relation(first: Box, second: Box) -> str:
    across = (first[0] + first[2] - second[0] - second[2]) / 2
    down = (first[1] + first[3] - second[1] - second[3]) / 2
    if abs(across) >= 0.8 * abs(down):
        return "left of" if across < 0 else "right of"
    return "above" if down < 0 else "below"
