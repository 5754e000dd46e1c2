"""A search as it stands in an address: every state of the search page is a link.

| parameter | meaning |
|---|---|
| `like`, `unlike` | an image by its id, or `up.TOKEN` for a picture that was sent; repeatable; |
| | of a part by a box in its pixels, `17@40,20,100,80` |
| `q` | words for what is to be seen or is said of pictures, and filters such as `width:>1000` |
| `round` | marks of one round, `17,18,-5`; repeatable |
| `map` | a painted layout, see `layout.js` |
| `box` | a labeled box, `person@0.1,0.2,0.3,0.9`; repeatable |
| `colors` | colors with percentages, `#3060c0:40,#d02010:10` |
| `cells` | painted colors: 8 × 8 of `rrggbb` or `-`, divided by dots |
| `sketch`, `texture`, `shape` | a drawing that was sent, `up.TOKEN` |
| `w` | weight of a part, `content:2`; repeatable |
| `cut`, `least`, `sort`, `hide` | which hits are shown and in which order |
"""

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from django.http import QueryDict

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.features.color import CELLS
from lookalike.model_folder import ModelCard
from lookalike.search.colors import ColorShares
from lookalike.search.drawings import Drawing
from lookalike.search.examples import example_to_json
from lookalike.search.filters import parse_filter
from lookalike.search.layouts import PaintedMap, read_boxes
from lookalike.search.queries import (
    Example,
    FileExample,
    IdExample,
    PixelsExample,
    Query,
    RegionExample,
)
from lookalike.web import uploads
from lookalike.web.models import User

UPLOAD: Final = "up."
MOST_EXAMPLES: Final = 50
MOST_CHARACTERS: Final = 500
MOST_HITS: Final = 1000
_IS_ID: Final = re.compile(r"[0-9]{1,18}")
_MOST_PAINTED: Final = 1 << 16
_NO_FILES: Final = "a query over the network cannot name files of the server; send them"
_DRAWN: Final = ("sketch", "texture", "shape")
_PLAIN: Final = ("q", "map", "colors", "cells", *_DRAWN, "cut", "least", "sort", "hide")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for; see the table above.

    Attributes:
        likes: Images by id, or uploads, that hits should be like.
        unlikes: … and should not be like.
        q: Words and filters.
        rounds: Marks of hits, a round each.
        map: A painted layout, packed.
        boxes: Labeled boxes.
        colors: Colors with percentages.
        cells: Painted colors.
        sketch: A line drawing that was sent.
        texture: A swatch that was sent.
        shape: A filled shape that was sent.
        weights: Weight of each part that was moved.
        cut: `auto` leaves out hits behind the knee.
        least: Hits with a lower score are left out.
        sort: `date` or `name` instead of the score.
        hide: `duplicates` shows only the best of nearly equal pictures.
    """

    likes: tuple[str, ...] = ()
    unlikes: tuple[str, ...] = ()
    q: str = ""
    rounds: tuple[str, ...] = ()
    map: str = ""
    boxes: tuple[str, ...] = ()
    colors: str = ""
    cells: str = ""
    sketch: str = ""
    texture: str = ""
    shape: str = ""
    weights: tuple[tuple[str, float], ...] = ()
    cut: str = ""
    least: str = ""
    sort: str = ""
    hide: str = ""

    @classmethod
    def of(cls, parameters: QueryDict) -> "Asked":
        """Read an address.

        Raises:
            UsageError: If it asks for too much, or for something that makes no sense.
        """
        plain = {name: parameters.get(name, "").strip() for name in _PLAIN}
        if plain["least"] == "0":  # what the slider says at its left end, sent without scripts
            plain["least"] = ""
        if len(plain["q"]) > MOST_CHARACTERS:
            raise UsageError(f"the words are too long; {MOST_CHARACTERS} characters suffice")
        asked = cls(
            likes=_examples(parameters.getlist("like")),
            unlikes=_examples(parameters.getlist("unlike")),
            rounds=tuple(parameters.getlist("round")),
            boxes=tuple(parameters.getlist("box")),
            weights=tuple(_weight(text) for text in parameters.getlist("w")),
            **plain,
        )
        if sum(map(len, (asked.likes, asked.unlikes, asked.rounds, asked.boxes))) > MOST_EXAMPLES:
            raise UsageError(f"a search takes {MOST_EXAMPLES} examples at most; take some away")
        return asked

    @classmethod
    def from_address(cls, address: str) -> "Asked":
        """Read what stands behind the question mark of an address; see `of`."""
        return cls.of(QueryDict(address))

    @property
    def uploads(self) -> tuple[str, ...]:
        """Tokens of the pictures that were sent for it."""
        given = (*self.likes, *self.unlikes, *(getattr(self, name) for name in _DRAWN))
        sent = (each.partition("@")[0] for each in given if each.startswith(UPLOAD))
        return tuple(dict.fromkeys(each.removeprefix(UPLOAD) for each in sent))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        asks = ("likes", "unlikes", "q", "rounds", "map", "boxes", "colors", "cells", *_DRAWN)
        return not any(getattr(self, name) for name in asks)

    def to_address(self) -> str:
        """Return the parameters that ask for the same, as they stand in an address."""
        return urlencode(self.parameters)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The parameters that ask for the same."""
        parameters = [("like", each) for each in self.likes]
        parameters += [("unlike", each) for each in self.unlikes]
        parameters += [("round", each) for each in self.rounds]
        parameters += [("box", each) for each in self.boxes]
        parameters += [(name, value) for name in _PLAIN if (value := getattr(self, name))]
        return parameters + [("w", f"{name}:{weight:g}") for name, weight in self.weights]

    def without(self, example: str) -> "Asked":
        """Return the same without one example."""
        return replace(
            self,
            likes=tuple(each for each in self.likes if each != example),
            unlikes=tuple(each for each in self.unlikes if each != example),
        )

    def without_last_round(self) -> "Asked":
        """Return the same before the last marks were made."""
        return replace(self, rounds=self.rounds[:-1])

    def liking(self, example: str) -> "Asked":
        """Return the same with one more liked example."""
        asked = self.without(example)
        return replace(asked, likes=(*asked.likes, example))

    def disliking(self, example: str) -> "Asked":
        """Return the same with one more disliked example."""
        asked = self.without(example)
        return replace(asked, unlikes=(*asked.unlikes, example))

    def to_query(self, user: User, collection: Collection) -> Query:
        """Return the query value that every way of asking shares.

        Raises:
            UsageError: If an upload has expired or the query makes no sense.
        """
        return query_from_json(self.to_json(collection.card, user), user)

    def to_json(self, card: ModelCard, user: User) -> dict[str, Any]:
        """Return the query as REST takes it: uploads by their tokens."""
        liked = [_example_json(each) for each in self.likes]
        if card.has_text and self.q and (words := parse_filter(self.q).words):
            liked.append({"text": words})
        content: dict[str, Any] = {
            "positives": liked,
            "negatives": [_example_json(each) for each in self.unlikes],
            "filter": self.q,
            "feedback": {"rounds": [_round(each) for each in self.rounds]} if self.rounds else None,
            "layout": self._layout(card),
            "colors": ColorShares.of(self.colors).to_json() if self.colors else None,
            "painted_colors": _painted_colors(self.cells) if self.cells else None,
            **{name: _drawing(getattr(self, name), user) for name in _DRAWN},
            "weights": dict(self.weights),
            "cut": self.cut,
            "min_score": _number(self.least) if self.least else None,
            "sort": self.sort,
            "hide_duplicates": self.hide == "duplicates",
        }
        return {name: value for name, value in content.items() if value or value == 0.0}

    def _layout(self, card: ModelCard) -> dict[str, Any]:
        layout = read_boxes(";".join(self.boxes)).to_json() if self.boxes else {}
        if self.map:
            layout["map"] = _painted(self.map, card).to_json()
        return layout


def query_from_json(content: Mapping[str, Any], user: User) -> Query:
    """Read the query value of a request; uploads go by their token, files are not reached.

    Raises:
        UsageError: If it is no query, or names files of the server.
    """
    read = _reader(user)

    def resolved(example: Any) -> Any:
        if isinstance(example, Mapping) and "file" in example:
            raise UsageError(_NO_FILES)
        if isinstance(example, Mapping) and "url" in example:
            raise UsageError("pictures are not fetched from addresses here; send the picture")
        if isinstance(example, Mapping) and isinstance(example.get("upload"), str):
            rest = {key: value for key, value in example.items() if key != "upload"}
            return {**rest, **example_to_json(read(UPLOAD + example["upload"]))}
        return example

    lists = {
        name: [resolved(example) for example in content[name]]
        for name in ("positives", "negatives")
        if isinstance(content.get(name), list)
    }
    if sum(map(len, lists.values())) > MOST_EXAMPLES:
        raise UsageError(f"a search takes {MOST_EXAMPLES} examples at most; take some away")
    query = Query.from_json({**content, **lists})
    clauses = query.composition.examples if query.composition else ()
    wholes = (each.example if isinstance(each, RegionExample) else each for each in clauses)
    if any(isinstance(each, FileExample) for each in wholes):
        raise UsageError(_NO_FILES)
    return query


def _painted(text: str, card: ModelCard) -> PaintedMap:
    """Read a painting on the grid of a model, as `layout.js` packs it."""
    if not card.has_layout:
        raise UsageError(f"model {card.id} knows no layout, so that none can be painted")
    try:
        deflated = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        data = zlib.decompressobj().decompress(deflated, _MOST_PAINTED)
    except (binascii.Error, ValueError, zlib.error):
        raise UsageError("the painted layout in the address is damaged; paint it again") from None
    if len(data) != card.grid**2:
        raise UsageError("the painted layout was made for another model; paint it again")
    values = np.frombuffer(data, np.uint8).reshape(card.grid, card.grid)
    return PaintedMap.of(values, card.classes)


def _example_json(example: str) -> dict[str, Any]:
    name, _, box = example.partition("@")
    content: dict[str, Any] = (
        {"upload": name.removeprefix(UPLOAD)} if name.startswith(UPLOAD) else {"id": int(name)}
    )
    if box:
        content["box"] = [_number(side) for side in box.split(",")]
    return content


def _round(text: str) -> dict[str, int]:
    """Read marks such as `17,18,-5`: liked ones, and disliked ones with a minus."""
    marks = [each.strip() for each in text.split(",") if each.strip()]
    if not marks or any(not _IS_ID.fullmatch(each.removeprefix("-")) for each in marks):
        raise UsageError(f"{text[:40]!r} is no round of marks, such as 17,18,-5")
    return {each.removeprefix("-"): -1 if each.startswith("-") else 1 for each in marks}


def _painted_colors(text: str) -> list[list[str | None]]:
    cells = [None if cell == "-" else f"#{cell}" for cell in text.split(".")]
    return [cells[at : at + CELLS] for at in range(0, len(cells), CELLS)]


def _drawing(example: str, user: User) -> dict[str, str] | None:
    if not example:
        return None
    picture = uploads.find(user, example.removeprefix(UPLOAD))
    return Drawing.of(uploads.pixels_of(picture)).to_json()


def _reader(user: User) -> Callable[[str], Example]:
    def read(example: str) -> Example:
        if not example.startswith(UPLOAD):
            return IdExample(int(example))
        pixels = uploads.pixels_of(uploads.find(user, example.removeprefix(UPLOAD)))
        return PixelsExample.of(pixels)

    return read


def _examples(given: Iterable[str]) -> tuple[str, ...]:
    for example in given:
        name, _, _ = example.partition("@")
        if not name.startswith(UPLOAD) and not _IS_ID.fullmatch(name):
            raise UsageError(f"{example[:40]!r} is no image of this collection; give its number")
    return tuple(dict.fromkeys(given))


def _weight(text: str) -> tuple[str, float]:
    name, _, value = text.partition(":")
    return name, _number(value)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no number") from None
