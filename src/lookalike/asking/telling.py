"""What a query asks for, in words: for searches that are opened where nothing else shows it."""

from collections.abc import Iterator, Sequence
from typing import Final

from lookalike.asking.regions import in_words
from lookalike.search.colors import PaintedColors
from lookalike.search.layouts import PaintedLayout
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

_MOST_LISTED: Final = 12


def tell(query: Query) -> list[str]:
    """Return what a query asks for, a few words for each part of it; all that it says is told.

    Example:
        >>> tell(Query((IdExample(7), TextExample("a dog")), positive_weights=(2, 1)))
        ['like picture 7 (counts 2)', 'like the words “a dog” (counts 1)']
    """
    return [
        *_of_examples("like", query.positives, query.positive_weights),
        *_of_examples("unlike", query.negatives, query.negative_weights),
        *_of_appearance(query),
        *_of_words(query),
        *_of_counting(query),
        *_of_showing(query),
    ]


def _of_examples(
    how: str, examples: Sequence[Example], weights: Sequence[int | float]
) -> Iterator[str]:
    for at, example in enumerate(examples):
        counts = f" (counts {weights[at]:g})" if weights else ""
        yield f"{how} {_example(example)}{counts}"


def _example(example: Example) -> str:
    match example:
        case RegionExample(example=whole, box=(left, top, width, height)):
            return f"the part {left:g},{top:g},{width:g},{height:g} of {_example(whole)}"
        case IdExample(id=image):
            return f"picture {image}"
        case FileExample(path=path):
            return f"the file {path}"
        case UrlExample(url=url):
            return f"the picture at {url}"
        case TextExample(text=words):
            return f"the words “{words}”"
        case PixelsExample(height=height, width=width):
            return f"a picture that was sent, {width} × {height}"


def _of_appearance(query: Query) -> Iterator[str]:
    if query.layout is not None:
        yield from _layout(query.layout)
    if query.colors is not None:
        shares = [f"{share:g} % {color}" for color, share in query.colors.to_json()]
        yield f"colors: {', '.join(shares)}"
    if query.painted_colors is not None:
        yield f"colors painted on {_n_painted(query.painted_colors)} cells"
    for name, what in (("sketch", "a sketch"), ("texture", "a texture"), ("shape", "a shape")):
        if getattr(query, name) is not None:
            yield f"{what} that was drawn"
    if query.composition is not None:
        yield f"regions: {in_words(query.composition)}"


def _layout(layout: PaintedLayout) -> Iterator[str]:
    if layout.map is not None:
        painted = layout.map
        labels = ", ".join(painted.labels) or "background"
        yield f"a layout painted on {painted.width} × {painted.height} cells: {labels}"
    for box in layout.boxes:
        yield f"{box.label} in the box {box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}"


def _n_painted(painted: PaintedColors) -> int:
    return sum(cell is not None for row in painted.to_json() for cell in row)


def _of_words(query: Query) -> Iterator[str]:
    if query.words:
        yield f"what is said of pictures: {query.words}"
    if query.filter:
        yield f"only {query.filter}"


def _of_counting(query: Query) -> Iterator[str]:
    if query.weights is not None:
        parts = ", ".join(f"{name} {weight:g}" for name, weight in query.weights.items())
        yield f"what counts: {parts}"
    if query.feedback is not None:
        marks = query.feedback
        rounds = f"{len(marks.rounds)} round{'s' * (len(marks.rounds) != 1)}"
        seen = "" if marks.exclude_seen else ", marked ones are shown again"
        liked, disliked = len(marks.relevant), len(marks.non_relevant)
        yield f"{liked} liked and {disliked} disliked in {rounds}, by {marks.method}{seen}"
    if query.multipoint != "no":
        yield f"examples kept apart as several points: {query.multipoint}"
    if query.order != "ranked":
        yield f"in the order {query.order}, as clusters come"
    if query.expand is not None:
        yield f"moved to its first hits: {query.expand}"
    if query.rerank is not None:
        yield f"ranked again: {query.rerank}"


def _of_showing(query: Query) -> Iterator[str]:
    if query.exclude_ids:
        listed = ", ".join(map(str, query.exclude_ids[:_MOST_LISTED]))
        n = len(query.exclude_ids)
        more = f" and {n - _MOST_LISTED} more" if n > _MOST_LISTED else ""
        yield f"without picture{'s' * (n > 1)} {listed}{more}"
    if not query.exclude_examples:
        yield "examples may be found themselves"
    if query.min_score is not None:
        yield f"a score of {query.min_score:g} or more"
    if query.cut != "none":
        yield "only the good ones"
    if query.sort != "score":
        yield f"sorted by {query.sort}"
    if query.hide_duplicates:
        yield "of nearly equal pictures the best one"
