"""What a page or an answer shows of a search: hits with scores, links, and a cursor to more."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.signing import BadSignature, Signer

from lookalike.arrays import NO_ID
from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.index.base import Hits
from lookalike.search.queries import Query
from lookalike.web.asking import MOST_HITS

PAGE: Final = 60
_FULL_BAR: Final = 4.0
"""Decades that fill a bar: one random pair in ten thousand is as similar."""

_REMEMBERED: Final = 64
_SALT: Final = "lookalike.cursor"


@dataclass(frozen=True, slots=True)
class Bar:
    """The score under one descriptor, as it is drawn."""

    name: str
    score: float

    @property
    def percent(self) -> int:
        """Width of the bar."""
        return round(100 * min(1.0, max(0.0, self.score / _FULL_BAR)))


@dataclass(frozen=True, slots=True)
class ShownHit:
    """One hit.

    Attributes:
        rank: From 1.
        id: Of the image.
        name: File name, fit to be shown.
        path: Where it lies, fit to be shown.
        score: In decades.
        bars: The score under each descriptor.
        width: Pixels of the file's picture.
        height: Pixels of the file's picture.
        labels: What the model sees in it, most probable first.
    """

    rank: int
    id: int
    name: str
    path: str
    score: float
    bars: tuple[Bar, ...]
    width: int
    height: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some hits of a search.

    Attributes:
        hits: Best first.
        cursor: Leads to the next ones; empty at the end.
        n_images: Images in the collection.
        is_exact: Whether every image was compared.
        n_beyond: Hits that were left out because their score is too low, or behind the knee.
    """

    hits: tuple[ShownHit, ...]
    cursor: str
    n_images: int
    is_exact: bool
    n_beyond: int = 0


class Remembered:
    """The hits of the last searches, so that the next page need not search again.

    Whatever changes a collection, in this process or another, ends what is remembered of it.
    """

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._hits: OrderedDict[tuple[tuple[int, ...], str], Hits] = OrderedDict()

    def search(self, name: str, collection: Collection, query: Query, k: int) -> Hits:
        """Search, or return what was found before under this name if it is at least `k` hits."""
        key = (collection.state, name)
        with self._lock:
            known = self._hits.get(key)
        if known is None or (known.ids.shape[1] < k and known.ids.shape[1] < len(collection)):
            known = collection.search(query, k)
            with self._lock:
                self._hits[key] = known
                self._hits.move_to_end(key)
                while len(self._hits) > self._most:
                    self._hits.popitem(last=False)
        return known


_remembered: Final = Remembered()


def find(name: str, collection: Collection, query: Query, cursor: str = "") -> Page:
    """Return a page of hits.

    Args:
        name: Tells the query from all others of the collection.
        collection: Held open by the server.
        query: What is asked.
        cursor: Of the page before; empty for the first.

    Raises:
        UsageError: If the cursor is not one of ours or the collection has changed since.
    """
    revision = collection.catalog.revision
    start = _read_cursor(cursor, revision) if cursor else 0
    wanted = PAGE if start == 0 else MOST_HITS
    hits = _remembered.search(name, collection, query, wanted)
    end = min(start + PAGE, MOST_HITS)
    ids = [int(image_id) for image_id in hits.ids[0, start:end] if image_id != NO_ID]
    shown = shown_hits(collection, hits, ids, start)
    more = len(ids) == PAGE and end < min(MOST_HITS, len(collection))
    return Page(
        shown,
        Signer(salt=_SALT).sign(f"{revision}.{end}") if more else "",
        len(collection),
        hits.is_exact,
        0 if hits.beyond is None else int(hits.beyond[0]),
    )


def everything(name: str, collection: Collection, query: Query, k: int) -> Hits:
    """Return the `k` best hits at once, for an export; `name` as in `find`."""
    return _remembered.search(name, collection, query, k)


def shown_hits(
    collection: Collection, hits: Hits, ids: Sequence[int], start: int
) -> tuple[ShownHit, ...]:
    """Return what is shown of the hits from `start` on, whose ids are given."""
    return tuple(
        ShownHit(
            rank=start + row + 1,
            id=record.id,
            name=display_path(record.paths[0].rpartition(b"/")[2]),
            path=display_path(record.paths[0]),
            score=float(hits.scores[0, start + row]),
            bars=tuple(Bar(name, float(part[0, start + row])) for name, part in hits.parts.items()),
            width=record.width,
            height=record.height,
            labels=tuple(name for name, _ in record.labels[:5]),
        )
        for row, record in enumerate(collection.images(ids))
    )


def hit_json(hit: ShownHit) -> dict[str, Any]:
    """Return a hit as every way of asking gives it."""
    return {
        "rank": hit.rank,
        "id": hit.id,
        "path": hit.path,
        "score": hit.score,
        "scores": {bar.name: bar.score for bar in hit.bars},
    }


def _read_cursor(cursor: str, revision: int) -> int:
    try:
        made_for, _, end = Signer(salt=_SALT).unsign(cursor).partition(".")
    except BadSignature:
        raise UsageError("the link to more hits is damaged; search again") from None
    if int(made_for) != revision:
        raise UsageError("the collection has changed since; search again")
    return int(end)
