"""A search as it stands in an address: every state of the search page is a link.

| parameter | meaning |
|---|---|
| `like`, `unlike` | an image by its id, or `up.TOKEN` for a picture that was sent; repeatable |
| `text` | words for what is to be seen, compared with pictures; repeatable |
| `q` | words of captions and names, and filters such as `width:>1000` |
| `map` | a painted layout, see `layout.js` |
| `box` | a labeled box, `person@0.1,0.2,0.3,0.9`; repeatable |
| `w` | weight of a part, `content:2`; repeatable |
| `cut`, `least`, `sort`, `hide` | which hits are shown and in which order |
"""

import base64
import binascii
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from django.http import QueryDict

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.model_folder import ModelCard
from lookalike.search.examples import example_to_json
from lookalike.search.layouts import PaintedMap, read_boxes
from lookalike.search.queries import Example, IdExample, PixelsExample, Query
from lookalike.web import uploads
from lookalike.web.models import User

UPLOAD: Final = "up."
MOST_EXAMPLES: Final = 50
MOST_CHARACTERS: Final = 500
MOST_HITS: Final = 1000
_MOST_PAINTED: Final = 1 << 16
_PLAIN: Final = ("q", "map", "cut", "least", "sort", "hide")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for; see the table above.

    Attributes:
        likes: Images by id, or uploads, that hits should be like.
        unlikes: … and should not be like.
        texts: Words for what is to be seen.
        q: Words of captions and names, and filters.
        map: A painted layout, packed.
        boxes: Labeled boxes.
        weights: Weight of each part that was moved.
        cut: `auto` leaves out hits behind the knee.
        least: Hits with a lower score are left out.
        sort: `date` or `name` instead of the score.
        hide: `duplicates` shows only the best of nearly equal pictures.
    """

    likes: tuple[str, ...] = ()
    unlikes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    q: str = ""
    map: str = ""
    boxes: tuple[str, ...] = ()
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
        texts = tuple(text.strip() for text in parameters.getlist("text") if text.strip())
        plain = {name: parameters.get(name, "").strip() for name in _PLAIN}
        if any(len(text) > MOST_CHARACTERS for text in (*texts, plain["q"])):
            raise UsageError(f"the words are too long; {MOST_CHARACTERS} characters suffice")
        asked = cls(
            likes=_examples(parameters.getlist("like")),
            unlikes=_examples(parameters.getlist("unlike")),
            texts=texts,
            boxes=tuple(parameters.getlist("box")),
            weights=tuple(_weight(text) for text in parameters.getlist("w")),
            **plain,
        )
        if sum(map(len, (asked.likes, asked.unlikes, texts, asked.boxes))) > MOST_EXAMPLES:
            raise UsageError(f"a search takes {MOST_EXAMPLES} examples at most; take some away")
        return asked

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not any((self.likes, self.unlikes, self.texts, self.q, self.map, self.boxes))

    def to_address(self) -> str:
        """Return the parameters that ask for the same."""
        parameters = [("like", each) for each in self.likes]
        parameters += [("unlike", each) for each in self.unlikes]
        parameters += [("text", each) for each in self.texts]
        parameters += [("box", each) for each in self.boxes]
        parameters += [(name, value) for name in _PLAIN if (value := getattr(self, name))]
        parameters += [("w", f"{name}:{weight:g}") for name, weight in self.weights]
        return urlencode(parameters)

    def without(self, example: str) -> "Asked":
        """Return the same without one example."""
        return replace(
            self,
            likes=tuple(each for each in self.likes if each != example),
            unlikes=tuple(each for each in self.unlikes if each != example),
            texts=tuple(each for each in self.texts if each != example),
        )

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
        return query_from_json(self.to_json(collection.card), user)

    def to_json(self, card: ModelCard) -> dict[str, Any]:
        """Return the query as REST takes it: uploads by their tokens."""
        liked = [_example_json(each) for each in self.likes]
        liked += [{"text": text} for text in self.texts]
        content: dict[str, Any] = {
            "positives": liked,
            "negatives": [_example_json(each) for each in self.unlikes],
            "words": self.q,
            "layout": self._layout(card),
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
            raise UsageError("a query over the network cannot name files of the server; send them")
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
    return Query.from_json({**content, **lists})


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
    if example.startswith(UPLOAD):
        return {"upload": example.removeprefix(UPLOAD)}
    return {"id": int(example)}


def _reader(user: User) -> Callable[[str], Example]:
    def read(example: str) -> Example:
        if not example.startswith(UPLOAD):
            return IdExample(int(example))
        pixels = uploads.pixels_of(uploads.find(user, example.removeprefix(UPLOAD)))
        return PixelsExample.of(pixels)

    return read


def _examples(given: Iterable[str]) -> tuple[str, ...]:
    for example in given:
        is_upload = example.startswith(UPLOAD)
        if not is_upload and not (example.isascii() and example.isdigit() and len(example) < 19):
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
