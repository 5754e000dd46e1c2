"""A search in the words of a command, and its answer as plain values."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import NO_ID, Embeddings, LabelMap
from lookalike.asking.drawings import picture_of
from lookalike.asking.regions import add_matched, in_shares, in_words, shown_boxes
from lookalike.asking.words import corrections
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.datasets.scenes import colorize
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation.contact_sheet import (
    Legend,
    SheetPicture,
    SheetQuery,
    SheetRow,
    draw_box,
    draw_contact_sheet,
    draw_words,
    sheet_png,
)
from lookalike.images.scanning import display_path
from lookalike.index.base import Hits
from lookalike.search.painting import on_grid
from lookalike.search.queries import (
    Example,
    FileExample,
    IdExample,
    PixelsExample,
    Query,
    RegionExample,
    TextExample,
    UrlExample,
)


def make_examples(
    images: Sequence[Path], urls: Sequence[str], ids: Sequence[int], texts: Sequence[str]
) -> tuple[Example, ...]:
    """Put examples together, in this order."""
    return (
        *map(FileExample.of, images),
        *map(UrlExample, urls),
        *map(IdExample, ids),
        *map(TextExample, texts),
    )


def make_query(given: Mapping[str, Any], saved: Query | None = None) -> Query:
    """Put a query together from its fields; those that are not given stay as they were saved.

    Args:
        given: Fields of `Query`; a default counts as not given.
        saved: A query that was saved.

    Raises:
        UsageError: If nothing is liked, or a weight or choice makes no sense.
    """
    known = {field.name: field.default for field in fields(Query)}
    told = {name: value for name, value in given.items() if value != known[name]}
    return Query(**told) if saved is None else replace(saved, **told)


def answer(collection: Collection, query: Query, k: int) -> dict[str, Any]:
    """Search, and give the hits with what a person wants to know of them."""
    started = time.perf_counter()
    hits = collection.search(query, k)
    found = _hits(collection, hits)
    add_matched(collection, query, hits, found)
    probed = hits.probed_clusters
    corrected = corrections(collection, query)
    return {
        "hits": found,
        **({"corrections": dict(corrected)} if corrected else {}),
        "beyond": 0 if hits.beyond is None else int(hits.beyond[0]),
        "took_ms": round(1000 * (time.perf_counter() - started), 3),
        "probed_clusters": 0 if probed is None else int(probed[0]),
        "exact": hits.is_exact,
    }


def _hits(collection: Collection, hits: Hits) -> list[dict[str, Any]]:
    ids = [int(image_id) for image_id in hits.ids[0] if image_id != NO_ID]
    return [
        {
            "rank": rank + 1,
            "id": record.id,
            "path": display_path(record.paths[0]),
            "score": float(hits.scores[0, rank]),
            "scores": {name: float(part[0, rank]) for name, part in hits.parts.items()},
            "box": _box(hits, rank),
        }
        for rank, record in enumerate(collection.images(ids))
    ]


def _box(hits: Hits, rank: int) -> list[float] | None:
    if hits.boxes is None or np.isnan(hits.boxes[0, rank]).any():
        return None
    box: list[float] = hits.boxes[0, rank].tolist()
    return box


def draw_answer(collection: Collection, query: Query, found: Mapping[str, Any], file: Path) -> None:
    """Draw a query and its hits into a PNG file, with the layout that the model saw in each.

    Raises:
        ImageError: If the query's own picture cannot be read.
        UsageError: If `file` is a folder.
        EnvironmentFault: If the file cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"the sheet cannot be drawn into {file}, a folder; name a PNG file")
    hits = [_shown_hit(collection, hit) for hit in found["hits"]]
    row = SheetRow(tuple(hit for hit in hits if hit is not None))
    beneath = "; beneath: the layout seen in each" if collection.card.has_layout else ""
    sheet = draw_contact_sheet(
        [SheetQuery(_shown_query(collection, query), (row,))],
        title="Most alike",
        subtitle=f"pictures in {collection.path.name}: {len(collection)}{beneath}",
        legend=Legend(collection.card.classes, collection.card.palette),
    )
    write_atomically(file, sheet_png(sheet))


def _shown_hit(collection: Collection, hit: Mapping[str, Any]) -> SheetPicture | None:
    """Return a hit as it is drawn; `None` where its file is no longer to be read."""
    try:
        pixels = collection.picture(hit["id"])
    except ImageError:
        return None
    seen = None
    if collection.card.has_layout:
        seen = _seen(collection, collection.vectors([hit["id"]], "layout"))
    for box in shown_boxes(collection, hit):
        pixels = draw_box(pixels, box)
    return SheetPicture(pixels, label_map=seen, caption=f"{hit['score']:.2f}")


def _shown_query(collection: Collection, query: Query) -> SheetPicture:
    """Show what was asked for: the first example, else what was painted or drawn, else words."""
    if query.positives:
        return _shown_example(collection, query.positives[0])
    if query.feedback is not None and query.is_liked:
        return _shown_example(collection, IdExample(next(iter(query.feedback.relevant))))
    if query.layout is not None:
        painted = on_grid(query.layout, collection.card).repeat(8, axis=0).repeat(8, axis=1)
        drawn = colorize(painted, collection.card.palette)
        return SheetPicture(drawn, label_map=painted, caption="query")
    if query.composition is not None:
        return SheetPicture(draw_words(in_words(query.composition)), caption="query")
    words = query.words or query.filter or "query"
    pixels = picture_of(query)
    return SheetPicture(draw_words(words) if pixels is None else pixels, caption="query")


def _shown_example(collection: Collection, example: Example) -> SheetPicture:
    if isinstance(example, TextExample):
        return SheetPicture(draw_words(example.text), caption="query")
    if isinstance(example, RegionExample):
        whole = _shown_example(collection, example.example)
        size = collection.decoded(example.example, 1)
        box = in_shares(example.box, size.width, size.height)
        return replace(whole, pixels=draw_box(whole.pixels, box))
    if isinstance(example, IdExample):
        pixels = collection.picture(example.id)
    elif isinstance(example, FileExample):
        pixels = collection.read(Path(example.path))
    elif isinstance(example, UrlExample):
        return SheetPicture(draw_words(example.url), caption="query")
    else:
        pixels = example.pixels
    seen = _seen(collection, _layout(collection, example)) if collection.card.has_layout else None
    return SheetPicture(pixels, label_map=seen, caption="query")


def _layout(collection: Collection, example: IdExample | FileExample | PixelsExample) -> Embeddings:
    if isinstance(example, IdExample):
        return collection.vectors([example.id], "layout")
    return collection.encode([example], ["layout"])["layout"]


def _seen(collection: Collection, layout: Embeddings) -> LabelMap:
    """Turn a predicted code back into the label map that it stands for."""
    seen: LabelMap = collection.model.decode_codes(layout)[0].argmax(axis=0).astype(np.uint8)
    return seen
