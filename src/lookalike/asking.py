"""A search in the words of a command, and its answer as plain values."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.arrays import NO_ID, Embeddings, LabelMap
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation.contact_sheet import (
    Legend,
    SheetPicture,
    SheetQuery,
    SheetRow,
    draw_contact_sheet,
    draw_words,
    sheet_png,
)
from lookalike.images.scanning import display_path
from lookalike.index.base import Hits, Order
from lookalike.search.feedback import Feedback
from lookalike.search.names import Expansion, Reranking
from lookalike.search.queries import (
    Example,
    FileExample,
    IdExample,
    PictureExample,
    Query,
    TextExample,
)


def make_query(
    images: Sequence[Path],
    ids: Sequence[int],
    not_images: Sequence[Path],
    not_ids: Sequence[int],
    weights: Mapping[str, float] | None,
    order: Order,
    texts: Sequence[str] = (),
    *,
    feedback: Feedback | None = None,
    expand: Expansion | None = None,
    rerank: Reranking | None = None,
) -> Query:
    """Put a query together from files and ids, liked and disliked, words, and marks.

    Raises:
        UsageError: If nothing is liked, or a weight or the order makes no sense.
    """
    liked: list[Example] = [
        *map(FileExample.of, images),
        *map(IdExample, ids),
        *map(TextExample, texts),
    ]
    disliked: list[Example] = [*map(FileExample.of, not_images), *map(IdExample, not_ids)]
    return Query(
        tuple(liked),
        tuple(disliked),
        weights=weights,
        order=order,
        feedback=feedback,
        expand=expand,
        rerank=rerank,
    )


def answer(collection: Collection, query: Query, k: int) -> dict[str, Any]:
    """Search, and give the hits with what a person wants to know of them."""
    started = time.perf_counter()
    hits = collection.search(query, k)
    found = _hits(collection, hits)
    probed = hits.probed_clusters
    return {
        "hits": found,
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
        }
        for rank, record in enumerate(collection.images(ids))
    ]


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
        [SheetQuery(_shown_example(collection, _first_example(query)), (row,))],
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
    return SheetPicture(pixels, label_map=seen, caption=f"{hit['score']:.2f}")


def _first_example(query: Query) -> Example:
    """Return the first example, or the first image that was liked."""
    if query.positives or query.feedback is None:
        return query.positives[0]
    return IdExample(next(iter(query.feedback.relevant)))


def _shown_example(collection: Collection, example: Example) -> SheetPicture:
    if isinstance(example, TextExample):
        return SheetPicture(draw_words(example.text), caption="query")
    if isinstance(example, IdExample):
        pixels = collection.picture(example.id)
    elif isinstance(example, FileExample):
        pixels = collection.read(Path(example.path))
    else:
        pixels = example.pixels
    seen = _seen(collection, _layout(collection, example)) if collection.card.has_layout else None
    return SheetPicture(pixels, label_map=seen, caption="query")


def _layout(collection: Collection, example: PictureExample) -> Embeddings:
    if isinstance(example, IdExample):
        return collection.vectors([example.id], "layout")
    return collection.encode([example], ["layout"])["layout"]


def _seen(collection: Collection, layout: Embeddings) -> LabelMap:
    """Turn a predicted code back into the label map that it stands for."""
    seen: LabelMap = collection.model.decode_codes(layout)[0].argmax(axis=0).astype(np.uint8)
    return seen
