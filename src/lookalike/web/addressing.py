"""A query value written as an address of the search page, where an address can say it."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lookalike.arrays import VOID
from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.model_folder import ModelCard
from lookalike.search.layouts import PaintedMap
from lookalike.search.queries import Query
from lookalike.web.asking import UPLOAD, Asked
from lookalike.web.models import User
from lookalike.web.models.searches import SAVED

_SAID_AS_IT_IS: Final = ("cut", "sort")


def asked_from_query(
    content: Mapping[str, Any], query: Query, user: User, collection: Collection
) -> Asked | None:
    """Return what an address asks for that means the same as a query; `None` if none does.

    Args:
        content: The query in JSON, uploads by their tokens.
        query: The same as a value.
        user: Whose uploads it may name.
        collection: The one it is asked of.
    """
    try:
        asked = Asked.from_address(_plainly(content, query, collection.card).to_address())
        found = None if asked.is_empty else asked.to_query(user, collection)
    except UsageError:  # too long for an address, or what such a model cannot show
        return None
    return asked if found == query and not asked.q.startswith(SAVED) else None


def _plainly(content: Mapping[str, Any], query: Query, card: ModelCard) -> Asked:
    """Write down what an address has words for; all else is left out, which the caller sees."""
    layout, feedback = content.get("layout"), content.get("feedback")
    painted = query.layout.map if query.layout else None
    boxes = layout.get("boxes", ()) if isinstance(layout, Mapping) else layout or ()
    rounds = feedback.get("rounds", ()) if isinstance(feedback, Mapping) else ()
    least = content.get("min_score")
    return Asked(
        likes=_examples(content.get("positives", ())),
        unlikes=_examples(content.get("negatives", ())),
        q=str(content.get("filter", "")),
        rounds=tuple(",".join(_marked(*mark) for mark in marks.items()) for marks in rounds),
        map="" if painted is None else _packed(painted, card),
        boxes=tuple(f"{each['label']}@{_numbers(each['box'])}" for each in boxes),
        colors=",".join(f"{color}:{part:g}" for color, part in content.get("colors") or ()),
        cells=_cells(content.get("painted_colors") or ()),
        weights=tuple((name, float(w)) for name, w in (content.get("weights") or {}).items()),
        least="" if least is None else f"{least!r}",
        hide="duplicates" if content.get("hide_duplicates") else "",
        **{name: str(content[name]) for name in _SAID_AS_IT_IS if name in content},
    )


def _examples(given: Any) -> tuple[str, ...]:
    """Write images and uploads, whole or in part; words stand among the filters."""
    said = []
    for each in given:
        name = f"{UPLOAD}{each['upload']}" if "upload" in each else str(each.get("id", ""))
        if name:
            said.append(f"{name}@{_numbers(each['box'])}" if "box" in each else name)
    return tuple(said)


def _packed(painted: PaintedMap, card: ModelCard) -> str:
    """Write a painting on the grid of a model as `layout.js` does; any other is left out."""
    is_on_grid = painted.label_map.shape == (card.grid, card.grid)
    is_known = len(painted.labels) < VOID and set(painted.labels) <= set(card.classes)
    if not (is_on_grid and is_known):
        return ""
    own = np.zeros(256, np.uint8)
    own[VOID] = VOID
    own[1 : len(painted.labels) + 1] = [card.classes.index(each) + 1 for each in painted.labels]
    deflated = zlib.compress(own[painted.label_map].tobytes(), 9)
    return base64.urlsafe_b64encode(deflated).decode("ascii").rstrip("=")


def _numbers(box: Any) -> str:
    return ",".join(repr(side) for side in box)


def _marked(image: str, level: int) -> str:
    return f"-{image}" if level < 0 else image


def _cells(rows: Any) -> str:
    return ".".join(
        "-" if cell is None else str(cell).removeprefix("#") for r in rows for cell in r
    )
