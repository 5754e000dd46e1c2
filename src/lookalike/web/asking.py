"""A search as it stands in an address: every state of the search page is a link.

| parameter | meaning |
|---|---|
| `like`, `unlike` | an image by its id, or `up.TOKEN` for a picture that was sent; repeatable |
| `text` | words for what is to be seen; repeatable |
| `w` | weight of a descriptor, `content:2`; repeatable |
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.http import QueryDict

from lookalike.errors import UsageError
from lookalike.search.queries import (
    Example,
    IdExample,
    PixelsExample,
    Query,
    TextExample,
    example_to_json,
)
from lookalike.web import uploads
from lookalike.web.models import User

UPLOAD: Final = "up."
MOST_EXAMPLES: Final = 50
MOST_CHARACTERS: Final = 500
MOST_HITS: Final = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for.

    Attributes:
        likes: Images by id, or uploads, that hits should be like.
        unlikes: … and should not be like.
        texts: Words for what is to be seen.
        weights: Weight of each descriptor that was moved.
    """

    likes: tuple[str, ...] = ()
    unlikes: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    weights: tuple[tuple[str, float], ...] = ()

    @classmethod
    def of(cls, parameters: QueryDict) -> "Asked":
        """Read an address.

        Raises:
            UsageError: If it asks for too much, or for something that makes no sense.
        """
        texts = tuple(text.strip() for text in parameters.getlist("text") if text.strip())
        if any(len(text) > MOST_CHARACTERS for text in texts):
            raise UsageError(f"the words are too long; {MOST_CHARACTERS} characters suffice")
        asked = cls(
            likes=_examples(parameters.getlist("like")),
            unlikes=_examples(parameters.getlist("unlike")),
            texts=texts,
            weights=tuple(_weight(text) for text in parameters.getlist("w")),
        )
        if len(asked.likes) + len(asked.unlikes) + len(texts) > MOST_EXAMPLES:
            raise UsageError(f"a search takes {MOST_EXAMPLES} examples at most; take some away")
        return asked

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.likes or self.unlikes or self.texts)

    def to_address(self) -> str:
        """Return the parameters that ask for the same."""
        parameters: list[tuple[str, str]] = [("like", each) for each in self.likes]
        parameters += [("unlike", each) for each in self.unlikes]
        parameters += [("text", each) for each in self.texts]
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

    def to_query(self, user: User, descriptors: Iterable[str]) -> Query:
        """Return the query value that every way of asking shares.

        Raises:
            UsageError: If an upload has expired or the query makes no sense.
        """
        read = _reader(user)
        weights = dict(self.weights)
        known = {name: weights.get(name) for name in descriptors}
        chosen = {name: weight for name, weight in known.items() if weight is not None}
        return Query(
            positives=(*map(read, self.likes), *map(TextExample, self.texts)),
            negatives=tuple(map(read, self.unlikes)),
            weights=chosen or None,
        )


def query_from_json(content: Mapping[str, Any], user: User) -> Query:
    """Read the query value of a request; uploads go by their token, files are not reached.

    Raises:
        UsageError: If it is no query, or names files of the server.
    """
    read = _reader(user)

    def resolved(example: Any) -> Any:
        if isinstance(example, Mapping) and "file" in example:
            raise UsageError("a query over the network cannot name files of the server; send them")
        if isinstance(example, Mapping) and isinstance(example.get("upload"), str):
            return example_to_json(read(UPLOAD + example["upload"]))
        return example

    lists = {
        name: [resolved(example) for example in content[name]]
        for name in ("positives", "negatives")
        if isinstance(content.get(name), list)
    }
    if sum(map(len, lists.values())) > MOST_EXAMPLES:
        raise UsageError(f"a search takes {MOST_EXAMPLES} examples at most; take some away")
    return Query.from_json({**content, **lists})


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
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no weight, such as content:2") from None
