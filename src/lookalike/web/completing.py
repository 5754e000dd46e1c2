"""What a search could go on with."""

import re
from typing import Final

from lookalike.collection import Collection
from lookalike.search.filter_keys import FILTER_KEYS

MOST: Final = 8
_SIMPLE: Final = re.compile(r"[\w-]+")


def completions(collection: Collection, word: str) -> list[str]:
    """Return what an unfinished word may become: keys of filters, labels, or values of a key.

    Args:
        collection: Whose labels are offered.
        word: What was typed after the last blank.
    """
    start = word.lower()
    sign = "-" if start.startswith("-") else ""
    start = start.removeprefix("-")
    key, colon, value = start.partition(":")
    labels = collection.catalog.knowledge.subjects.labels()
    if colon and key == "label":
        return [f"{sign}label:{quoted(each)}" for each in labels if _fits(each, value)][:MOST]
    if colon:
        return []
    keys = [f"{sign}{each.name}:" for each in FILTER_KEYS if _fits(each.name, start)]
    return [*keys, *(sign + quoted(each) for each in labels if _fits(each, start))][:MOST]


def _fits(name: str, start: str) -> bool:
    return name.lower().startswith(start.strip('"'))


def quoted(label: str) -> str:
    """Return a label as it stands in a search."""
    if _SIMPLE.fullmatch(label):
        return label
    return '"' + label.replace("\\", "\\\\").replace('"', '\\"') + '"'
