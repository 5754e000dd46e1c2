"""Whole numbers out of addresses and forms."""

import re
from collections.abc import Iterable
from typing import Final

from lookalike.errors import UsageError

_WHOLE: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
MOST_IDS: Final = 1000


def whole(text: str) -> int:
    """Return a whole number from 0 on; 0 for what is none.

    Example:
        >>> whole("12"), whole("-1"), whole("")
        (12, 0, 0)
    """
    return int(text) if _WHOLE.fullmatch(text) else 0


def ids_of(texts: Iterable[str]) -> list[int]:
    """Return image ids, each once.

    Raises:
        UsageError: If one is no number, or there are too many.
    """
    given = list(dict.fromkeys(texts))
    if len(given) > MOST_IDS:
        raise UsageError(f"{MOST_IDS} pictures at once are the most; choose fewer")
    for text in given:
        if not _WHOLE.fullmatch(text):
            raise UsageError(f"{text[:40]!r} is no picture of this collection; give its number")
    return [int(text) for text in given]
