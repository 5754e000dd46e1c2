"""A query value written as an address of the search page, where an address can say it."""

from collections.abc import Mapping
from typing import Any, Final

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.web.asking import UPLOAD, Asked, query_from_json
from lookalike.web.models import User

_SAID_AS_IT_IS: Final = ("cut", "sort")


def asked_from_query(content: Mapping[str, Any], user: User, collection: Collection) -> Asked:
    """Return what an address would have to ask for to mean the same as a query.

    Args:
        content: The query as REST takes it.
        user: Whose uploads it may name.
        collection: The one it is asked of.

    Raises:
        UsageError: If it is no query, or has parts that stand in no address.
    """
    wanted = query_from_json(content, user).to_json()
    asked = Asked.from_address(_plainly(content).to_address())
    found = asked.to_query(user, collection).to_json() if not asked.is_empty else {}
    if found != wanted:
        parts = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise UsageError(
            f"a search is kept as an address, which cannot say this of {', '.join(parts)}; leave "
            "it out, or give the address of the search page"
        )
    return asked


def _plainly(content: Mapping[str, Any]) -> Asked:
    """Write down what an address has words for; all else is left out, which the caller sees."""
    layout, feedback = content.get("layout"), content.get("feedback")
    boxes = layout.get("boxes", ()) if isinstance(layout, Mapping) else layout or ()
    rounds = feedback.get("rounds", ()) if isinstance(feedback, Mapping) else ()
    least = content.get("min_score")
    return Asked(
        likes=_examples(content.get("positives", ())),
        unlikes=_examples(content.get("negatives", ())),
        q=str(content.get("filter", "")),
        rounds=tuple(",".join(_marked(*mark) for mark in marks.items()) for marks in rounds),
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


def _numbers(box: Any) -> str:
    return ",".join(repr(side) for side in box)


def _marked(image: str, level: int) -> str:
    return f"-{image}" if level < 0 else image


def _cells(rows: Any) -> str:
    return ".".join(
        "-" if cell is None else str(cell).removeprefix("#") for r in rows for cell in r
    )
