"""Examples on the web, fetched before a query is asked; only where that is allowed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from lookalike.errors import ImageError
from lookalike.images.decoding import DecodeLimits, decode
from lookalike.images.downloads import download
from lookalike.search.examples import Example, PixelsExample, UrlExample
from lookalike.search.queries import Query

_LONGER_SIDE: Final = 1024
_LIMITS: Final = DecodeLimits(max_bytes=32 * 2**20)


def fetched(query: Query, fetch: Callable[[str], bytes] = download) -> Query:
    """Return a query with the pictures in place of their addresses.

    Calling this is what allows the program to ask the web. The query as it was remains what is
    stored or sent.

    Args:
        query: Any query.
        fetch: Gives the file behind an address; see `lookalike.images.downloads`.

    Raises:
        UsageError: If an address is none or leads where nothing may be asked.
        ImageError: If a picture cannot be fetched or read.
    """
    if not any(isinstance(example, UrlExample) for example in query.examples):
        return query
    known: dict[Example, Example] = {}
    for example in query.examples:
        if isinstance(example, UrlExample) and example not in known:
            known[example] = _picture(example.url, fetch)
    return replace(
        query,
        positives=tuple(known.get(example, example) for example in query.positives),
        negatives=tuple(known.get(example, example) for example in query.negatives),
    )


def _picture(url: str, fetch: Callable[[str], bytes]) -> PixelsExample:
    data = fetch(url)
    try:
        source = decode(data, (1, 1), _LIMITS)
        shrink = min(1.0, _LONGER_SIDE / max(source.width, source.height))
        size = (round(source.height * shrink) or 1, round(source.width * shrink) or 1)
        return PixelsExample.of(decode(data, size, _LIMITS).pixels)
    except ImageError as error:
        raise ImageError(error.reason, url) from error
