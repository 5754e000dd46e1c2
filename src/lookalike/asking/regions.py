"""Boxes and clauses in the words of a command, and where hits match, as plain values."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.index.base import Hits
from lookalike.search.clauses import Clause, Composition, parse_box
from lookalike.search.composition import CompositionPart
from lookalike.search.queries import Example, FileExample, IdExample, Query, RegionExample
from lookalike.search.regions import REGION

Edges = tuple[float, float, float, float]


def with_boxes(examples: Sequence[Example], boxes: Sequence[str]) -> tuple[Example, ...]:
    """Take of each picture the part that is boxed.

    Args:
        examples: Liked ones.
        boxes: None, or one `X,Y,WIDTH,HEIGHT` for each picture among them, in the same order.

    Raises:
        UsageError: If the numbers differ, or a box is none.
    """
    if not boxes:
        return tuple(examples)
    pictures = [each for each in examples if isinstance(each, FileExample | IdExample)]
    if len(boxes) != len(pictures):
        raise UsageError(
            f"{len(boxes)} --box for {len(pictures)} liked pictures; give one for each, first "
            "those of --image, then those of --id"
        )
    left = iter(boxes)
    return tuple(
        RegionExample(each, parse_box(next(left)))
        if isinstance(each, FileExample | IdExample)
        else each
        for each in examples
    )


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


def add_matched(
    collection: Collection, query: Query, hits: Hits, found: Sequence[dict[str, Any]]
) -> None:
    """Add to hits which of their regions matched, in pixels of the picture seen upright.

    `matched` is a list of left, top, width and height: one region, or for a composition one for
    each clause, `None` for a clause that no region fits.
    """
    has_box = any(isinstance(example, RegionExample) for example in query.positives)
    if hits.boxes is None or not (has_box or query.composition or REGION in hits.parts):
        return
    parts = collection.gallery.searcher.parts_of(query) if query.composition else []
    composed = [part for part in parts if isinstance(part, CompositionPart)]
    records = collection.images([hit["id"] for hit in found])
    for hit, record in zip(found, records, strict=True):
        edges = [hit["box"]]
        for part in composed:
            edges = part.matched(record.id)
        hit["matched"] = [each and _in_pixels(each, record.width, record.height) for each in edges]


def shown_boxes(collection: Collection, hit: Mapping[str, Any]) -> list[Edges]:
    """Return what is to be outlined in a hit, as shares of the picture."""
    if "matched" not in hit:
        return [] if hit["box"] is None else [tuple(hit["box"])]
    [record] = collection.images([hit["id"]])
    return [in_shares(box, record.width, record.height) for box in hit["matched"] if box]


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
