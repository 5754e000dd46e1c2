"""How long every way to ask takes on a large collection.

    python -m benchmarks.kinds --folder DIR [--images 100000] [--queries 100] [--only WORD]

The collection (`benchmarks.mixed_collection`) is built once in the folder and used again. Every
kind is asked with as many different questions, ten hits each, one at a time on one thread, after
three that are not counted. Told are the time on the clock and that of the processor, which others
on the machine change little. `first_ms` is the first question of the kind in a fresh process, some
of which read or fit what all later ones share.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

# Before numpy, FAISS and the network's runtime start their threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.mixed_collection import build
from lookalike.arrays import Pixels
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.features.color_words import write_color
from lookalike.images.decoding import decode
from lookalike.knowing.exporting import Selected, Target, export
from lookalike.search.clauses import Clause, Composition
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.drawings import Drawing
from lookalike.search.feedback import NON_RELEVANT, RELEVANT, Feedback
from lookalike.search.layouts import LabelBox, PaintedLayout
from lookalike.search.queries import FileExample, IdExample, PixelsExample, Query, RegionExample
from lookalike.search.reranking import rerank

K: Final = 10
WARM: Final = 3
PICTURES: Final = 60
LABELS: Final = ("person", "bird", "cow", "airplane", "dog", "horse")
PLACES: Final = ("left", "right", "upper", "lower", "center")
EXPORTED: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is asked, and what questions are made of.

    Attributes:
        collection: Is asked.
        ids: Of all its images.
        files: Pictures that it does not hold.
        rng: Draws what is asked.
    """

    collection: Collection
    ids: np.ndarray
    files: list[Path]
    rng: np.random.Generator

    def image(self) -> IdExample:
        """An image of the collection."""
        return IdExample(int(self.rng.choice(self.ids)))

    def file(self) -> FileExample:
        """A picture that the collection does not hold."""
        return FileExample.of(self.files[self.rng.integers(len(self.files))])

    def pixels(self) -> Pixels:
        """The same, decoded."""
        return decode(Path(self.file().path).read_bytes(), (128, 128)).pixels

    def box(self) -> RegionExample:
        """A third of such a picture."""
        left, top = self.rng.integers(0, 84, 2).tolist()
        return RegionExample(self.file(), (left, top, 43, 43))

    def corner(self) -> tuple[float, float, float, float]:
        """A box of half the sides, somewhere in the picture."""
        x, y = self.rng.uniform(0, 0.5, 2).round(2).tolist()
        return x, y, x + 0.5, y + 0.5

    def label(self) -> str:
        """A class that the model sees in the pictures."""
        return LABELS[self.rng.integers(len(LABELS))]

    def color(self) -> str:
        """Any color."""
        return f"#{self.rng.integers(1 << 24):06x}"


Question = Callable[[], object]
Kind = Callable[[Asked], Question]


def asking(make: Callable[[Asked], Query]) -> Kind:
    """Return the kind whose questions are queries."""

    def prepare(asked: Asked) -> Question:
        query = make(asked)
        return lambda: asked.collection.search(query, K)

    return prepare


def by_id(asked: Asked, **fields: Any) -> Query:
    """Ask for what is like one image."""
    return Query((asked.image(),), **fields)


def several(asked: Asked) -> Query:
    """Like three images, unlike two."""
    images = [asked.image() for _ in range(5)]
    return Query(tuple(images[:3]), tuple(images[3:]))


def points(asked: Asked) -> Query:
    """Like any of three images."""
    return Query(tuple(asked.image() for _ in range(3)), multipoint="yes")


def composed(asked: Asked) -> Query:
    """Two regions: one by its label and place, one by its colors and size."""
    place = PLACES[asked.rng.integers(len(PLACES))]
    clauses = (
        Clause(label=asked.label(), position=place),
        Clause(color_of=asked.box(), size=(0.05, 0.5)),
    )
    return Query(composition=Composition(clauses))


def composed_of_looks(asked: Asked) -> Query:
    """Two regions, each by colors, texture and content of a part of a picture."""
    boxes = [asked.box() for _ in range(2)]
    clauses = [Clause(color_of=box, texture_of=box, content_of=box) for box in boxes]
    return Query(composition=Composition(tuple(clauses)))


def layout(asked: Asked) -> PaintedLayout:
    """Two labeled boxes."""
    return PaintedLayout(tuple(LabelBox(asked.label(), *asked.corner()) for _ in range(2)))


def colors(asked: Asked) -> ColorShares:
    """Three colors."""
    return ColorShares(tuple((asked.color(), percent) for percent in (40.0, 20.0, 10.0)))


def painted_colors(asked: Asked) -> PaintedColors:
    """A picture's colors in the half of the cells."""
    small = np.asarray(Image.fromarray(asked.pixels()).resize((8, 8))).reshape(-1, 3)
    is_painted = asked.rng.permutation(64) < 32
    painted = zip(small, is_painted, strict=True)
    return PaintedColors(tuple(write_color(c) if kept else None for c, kept in painted))


def sketch(asked: Asked) -> Drawing:
    """Twelve lines."""
    drawn = Image.new("RGB", (128, 128), "white")
    pen = ImageDraw.Draw(drawn)
    for ends in asked.rng.integers(8, 120, (12, 4)).tolist():
        pen.line(ends, "black", 2)
    return Drawing.of(np.asarray(drawn))


def outline(asked: Asked) -> Drawing:
    """A filled polygon of six corners."""
    drawn = Image.new("RGB", (128, 128), "white")
    angles = np.arange(6) * np.pi / 3
    far = asked.rng.uniform(20, 60, 6)
    corners = np.stack([64 + far * np.cos(angles), 64 + far * np.sin(angles)], axis=1)
    ImageDraw.Draw(drawn).polygon([tuple(corner) for corner in corners.tolist()], "black")
    return Drawing.of(np.asarray(drawn))


def words(pattern: str, low: int, high: int) -> Callable[[Asked], Query]:
    """Words of the made-up captions; the higher their number, the rarer they are."""
    return lambda asked: Query(words=pattern.format(asked.rng.integers(low, high)))


def marked(n_rounds: int) -> Callable[[Asked], Query]:
    """Each round likes the three first hits and dislikes the three last of twenty."""

    def make(asked: Asked) -> Query:
        query = by_id(asked, feedback=Feedback())
        for _ in range(n_rounds):
            ids = asked.collection.search(query, 20).ids[0].tolist()
            marks = dict.fromkeys(ids[:3], RELEVANT) | dict.fromkeys(ids[-3:], NON_RELEVANT)
            query = replace(query, feedback=query.feedback.mark(marks))
        return query

    return make


def mixed(asked: Asked) -> Query:
    """Nearly all at once."""
    return Query(
        (asked.image(), PixelsExample.of(asked.pixels()), asked.box()),
        (asked.image(),),
        {"content": 1.0, "layout": 0.25, "region": 1.0},
        layout=layout(asked),
        colors=colors(asked),
        painted_colors=painted_colors(asked),
        sketch=sketch(asked),
        texture=Drawing.of(asked.pixels()),
        shape=outline(asked),
        words="word3 word4000 ",
        filter="width:>1000 -label:common",
        composition=composed(asked).composition,
        min_score=0.1,
        cut="auto",
        sort="date",
        hide_duplicates=True,
    )


def weighed_anew(asked: Asked) -> Question:
    """A thousand hits, ranked by other weights."""
    hits = asked.collection.search(by_id(asked, weights={"content": 1, "layout": 1}), 1_000)
    weights = {"content": 1.0, "layout": float(asked.rng.uniform(0.1, 4))}
    return lambda: rerank(hits, weights, K)


def exported(target: Target) -> Kind:
    """A thousand images as a list."""

    def prepare(asked: Asked) -> Question:
        ids = asked.rng.choice(asked.ids, min(EXPORTED, len(asked.ids)), replace=False)
        pieces: list[bytes] = []
        return lambda: export(asked.collection, Selected(ids), target, pieces.append)

    return prepare


FILTERS: Final = {"1 %": "label:common", "0.01 %": "label:rare", "nothing": "label:never"}

KINDS: Final[Mapping[str, Kind]] = {
    "an image by its id": asking(by_id),
    "a picture (pixels)": asking(lambda asked: Query((PixelsExample.of(asked.pixels()),))),
    "a picture (file)": asking(lambda asked: Query((asked.file(),))),
    "three images, two disliked": asking(several),
    "three images, several points": asking(points),
    "a box, among whole pictures": asking(
        lambda asked: Query((asked.box(),), weights={"content": 1.0, "region": 0.0})
    ),
    "a box, among regions": asking(lambda asked: Query((asked.box(),))),
    "composition: label and place, colors and size": asking(composed),
    "composition: looks of two boxes": asking(composed_of_looks),
    "painted layout": asking(lambda asked: Query(layout=layout(asked))),
    "percentages of three colors": asking(lambda asked: Query(colors=colors(asked))),
    "painted colors, 32 of 64 cells": asking(
        lambda asked: Query(painted_colors=painted_colors(asked))
    ),
    "sketch": asking(lambda asked: Query(sketch=sketch(asked))),
    "texture": asking(lambda asked: Query(texture=Drawing.of(asked.pixels()))),
    "shape": asking(lambda asked: Query(shape=outline(asked))),
    "a rare word": asking(words("word{} ", 3000, 5000)),
    "a common word": asking(words("word{} ", 1, 6)),
    "an unfinished word": asking(words("word{}", 1, 100)),
    "a misspelled word": asking(words("wrod{} ", 1000, 5000)),
    **{
        f"filter passing {share}": asking(partial(lambda text, _: Query(filter=text), text))
        for share, text in FILTERS.items()
    },
    **{
        f"filter passing {share}, an image": asking(
            partial(lambda text, asked: by_id(asked, filter=text), text)
        )
        for share, text in FILTERS.items()
    },
    "filter passing all, by date": asking(lambda _: Query(filter="width:>0", sort="date")),
    "feedback, one round": asking(marked(1)),
    "feedback, five rounds": asking(marked(5)),
    "expanded, average": asking(partial(by_id, expand="average")),
    "expanded, alpha": asking(partial(by_id, expand="alpha")),
    "re-ranked, reciprocal": asking(partial(by_id, rerank="reciprocal")),
    "re-ranked, diffusion": asking(partial(by_id, rerank="diffusion")),
    "duplicates hidden": asking(partial(by_id, hide_duplicates=True)),
    "cut at the knee": asking(partial(by_id, cut="auto")),
    "sorted by date": asking(partial(by_id, sort="date")),
    "everything mixed": asking(mixed),
    "1,000 hits weighed anew": weighed_anew,
    "export of 1,000 as csv": exported("csv"),
    "export of 1,000 as paths": exported("paths"),
}


def measure(kind: Kind, asked: Asked, n: int) -> dict[str, int | float]:
    """Time a kind; milliseconds."""
    questions = [kind(asked) for _ in range(n + WARM)]
    first, *_ = [_timed(question)[0] for question in questions[:WARM]]
    times = np.array([_timed(question) for question in questions[WARM:]])
    p50, p99 = (np.percentile(times, share, axis=0).round(2).tolist() for share in (50, 99))
    return {
        "queries": n,
        "p50_ms": p50[0],
        "p99_ms": p99[0],
        "p50_core_ms": p50[1],
        "p99_core_ms": p99[1],
        "first_ms": round(first, 1),
    }


def _timed(question: Question) -> tuple[float, float]:
    clock, core = time.perf_counter(), time.process_time()
    question()
    return 1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - core)


def measure_all(collection: Collection, n: int, only: str) -> Iterator[dict[str, Any]]:
    """Give the figures of all kinds, or of those whose name holds a word, one by one."""
    files = [Path(os.fsdecode(path)) for path in open_dataset(f"scenes:{PICTURES}:6").paths]
    for name, kind in KINDS.items():
        if only in name:
            # Each kind draws for itself, so that one alone is asked the same questions.
            asked = Asked(collection, collection.catalog.ids(), files, np.random.default_rng(4))
            yield {name: measure(kind, asked, n)}


def table(kinds: Mapping[str, Mapping[str, float]]) -> str:
    """Return the figures as a table in Markdown."""
    columns = ("p50_core_ms", "p99_core_ms", "p50_ms", "p99_ms", "queries")
    lines = ["| | p50, core | p99, core | p50, clock | p99, clock | queries |"]
    lines.append("|---|---|---|---|---|---|")
    for name in (name for name in KINDS if name in kinds):
        cells = [f"{float(f'{kinds[name][column]:.3g}'):,g}" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def describe(collection: Collection) -> dict[str, Any]:
    """Return what is asked."""
    status = collection.status()
    return {
        "images": status["images"],
        "regions": status["regions"]["regions"],
        "images_with_regions": status["regions"]["images"],
        "indexes": {each["descriptor"]: each["kind"] for each in status["indexes"]},
        "hits": K,
        "machine": f"{platform.machine()}, one thread",
        "kinds": {},
    }


def main() -> None:
    """Measure, print the table, and write the figures to a file if asked to, kind by kind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--with-regions", type=int, help="images with regions; all by default")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True, help="where the collection is kept")
    parser.add_argument("--only", default="", help="only kinds whose name holds this")
    parser.add_argument("--out", type=Path, help="what it holds of other kinds stays")
    options = parser.parse_args()
    n_with_regions = options.images if options.with_regions is None else options.with_regions
    options.folder.mkdir(parents=True, exist_ok=True)
    place = build(options.folder, options.images, n_with_regions)
    with Collection.open(place) as collection:
        figures = describe(collection)
        if options.out and options.out.exists():
            figures["kinds"] = json.loads(options.out.read_text())["kinds"]
        for found in measure_all(collection, options.queries, options.only):
            figures["kinds"] |= found
            print(found, file=sys.stderr, flush=True)
            if options.out:
                options.out.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    print(table(figures["kinds"]))


if __name__ == "__main__":
    main()
