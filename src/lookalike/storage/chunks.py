"""Long lists of values as a few questions to SQLite."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")

CHUNK: Final = 500
"""Values in one question; older builds of SQLite take 999."""


def chunked(items: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    """Cut `items` into pieces of at most `size`.

    Example:
        >>> list(chunked([1, 2, 3], size=2))
        [[1, 2], [3]]
    """
    return (items[start : start + size] for start in range(0, len(items), size))


def placeholders(items: Sequence[object]) -> str:
    """Return one question mark for each item.

    Example:
        >>> placeholders([7, 8])
        '?, ?'
    """
    return ", ".join("?" * len(items))
