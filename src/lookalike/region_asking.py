"""Boxes and clauses in the words of a command, and where hits match, as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.index.base import Hits
from lookalike.search.clauses import Clause, Composition, parse_box
from lookalike.search.composition import CompositionPart
from lookalike.search.queries import FileExample, IdExample, Query, RegionExample

Edges = tuple[float, float, float, float]


def with_boxes(
    pictures: Sequence[FileExample | IdExample], boxes: Sequence[str]
) -> list[FileExample | IdExample | RegionExample]:
    """Take of each picture the part that is boxed.

    Args:
        pictures: Liked ones.
        boxes: None, or one `X,Y,WIDTH,HEIGHT` for each of them, in the same order.

    Raises:
        UsageError: If the numbers differ, or a box is none.
    """
    if not boxes:
        return list(pictures)
    if len(boxes) != len(pictures):
        raise UsageError(
            f"{len(boxes)} --box for {len(pictures)} liked pictures; give one for each, first "
            "those of --image, then those of --id"
        )
    return [
        RegionExample(picture, parse_box(box)) for picture, box in zip(pictures, boxes, strict=True)
    ]


def read_composition(clauses: Sequence[str]) -> Composition | None:
    """Read `--clause` options; `None` without any.

    Raises:
        UsageError: If one cannot be read.
    """
    return Composition(tuple(map(Clause.parse, clauses))) if clauses else None


def in_words(composition: Composition) -> str:
    """Say what clauses ask for, for a picture of the query.

    Example:
        >>> in_words(Composition((Clause.parse("label=dog,size=5..20%,position=left"),)))
        'label dog, size 5..20 %, position left'
    """
    return "; ".join(", ".join(_said(clause)) for clause in composition.clauses)


def _said(clause: Clause) -> Iterator[str]:
    for name, value in clause.to_json().items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            yield f"{words} {value.get('id', 'a file')}"
        elif name == "size":
            yield f"{words} {100 * value[0]:g}..{100 * value[1]:g} %"
        else:
            place = value if isinstance(value, str) else ",".join(f"{share:g}" for share in value)
            yield f"{words} {place}"


def add_boxes(
    collection: Collection, query: Query, hits: Hits, found: Sequence[dict[str, Any]]
) -> None:
    """Add to hits where they match, in pixels of the picture seen upright.

    `box` is left, top, width and height of what matched; a composition also gives `boxes`, one for
    each clause, `None` for a clause that no region fits.
    """
    if hits.boxes is None:
        return
    parts = collection.gallery.searcher.parts_of(query) if query.composition else []
    composed = [part for part in parts if isinstance(part, CompositionPart)]
    records = collection.images([hit["id"] for hit in found])
    for rank, (hit, record) in enumerate(zip(found, records, strict=True)):
        size = record.width, record.height
        edges = hits.boxes[0, rank]
        hit["box"] = None if np.isnan(edges).any() else _in_pixels(edges.tolist(), *size)
        for part in composed:
            of_clauses = part.matched(record.id)
            hit["boxes"] = [box and _in_pixels(box, *size) for box in of_clauses]


def shown_boxes(collection: Collection, hit: Mapping[str, Any]) -> tuple[Edges, ...]:
    """Return what is to be outlined in a hit, as shares of the picture."""
    boxes = [box for box in hit.get("boxes") or [hit.get("box")] if box]
    if not boxes:
        return ()
    [record] = collection.images([hit["id"]])
    return tuple(in_shares(box, record.width, record.height) for box in boxes)


def in_shares(box: Sequence[int | float], width: int, height: int) -> Edges:
    """Return left, top, right and bottom of a box in pixels as shares of its picture.

    Example:
        >>> in_shares((40, 20, 100, 60), width=200, height=100)
        (0.2, 0.2, 0.7, 0.8)
    """
    x, y, w, h = box
    return x / width, y / height, (x + w) / width, (y + h) / height


def _in_pixels(edges: Sequence[float], width: int, height: int) -> list[int]:
    left, top = round(edges[0] * width), round(edges[1] * height)
    right, bottom = round(edges[2] * width), round(edges[3] * height)
    return [left, top, max(1, right - left), max(1, bottom - top)]
