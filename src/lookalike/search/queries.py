"""What a person asks for, as one unchangeable value that goes into JSON and back.

A search is its query: stored, it can be asked again, and sent, it is a permalink. Examples, words
among them, are the only way to ask so far; further parts (region, colors, filter) become further
fields, each with a default that leaves it out.
"""

import base64
import binascii
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

import numpy as np

from lookalike.arrays import Pixels
from lookalike.errors import UsageError
from lookalike.index.base import Order
from lookalike.search.feedback import Feedback
from lookalike.search.names import Expansion, Reranking
from lookalike.search.second_look import check_expansion, check_reranking

_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class IdExample:
    """An image of the collection.

    Attributes:
        id: Its id.

    Raises:
        UsageError: If it has more digits than ids can have.
    """

    id: int

    def __post_init__(self) -> None:
        if abs(self.id) > _LARGEST_ID:
            raise UsageError(f"there is no image with id {self.id}; ids are shown with every hit")


@dataclass(frozen=True, slots=True)
class FileExample:
    """An image file, in the collection or not.

    Attributes:
        path: Where it is; made by `os.fsdecode`, so that any name goes into JSON and back.
    """

    path: str

    @classmethod
    def of(cls, path: str | bytes | os.PathLike[Any]) -> "FileExample":
        """Return the example for a path of any kind."""
        return cls(os.fsdecode(path))


@dataclass(frozen=True, slots=True)
class PixelsExample:
    """A picture that is no file.

    Attributes:
        data: Red, green and blue of each pixel, row by row, 8 bits each.
        height: Rows of pixels.
        width: Pixels in a row.

    Raises:
        UsageError: If there are not three bytes for each pixel, or no pixels.
    """

    data: bytes
    height: int
    width: int

    def __post_init__(self) -> None:
        expected = 3 * self.height * self.width
        if self.height < 1 or self.width < 1 or len(self.data) != expected:
            raise UsageError(
                f"a picture of {self.height} × {self.width} pixels has {expected} bytes, three "
                f"for each pixel, and not {len(self.data)}"
            )

    @classmethod
    def of(cls, pixels: Pixels) -> "PixelsExample":
        """Return the example for an array of pixels."""
        return cls(pixels.tobytes(), pixels.shape[0], pixels.shape[1])

    @property
    def pixels(self) -> Pixels:
        """The picture as an array."""
        return np.frombuffer(self.data, np.uint8).reshape(self.height, self.width, 3)


@dataclass(frozen=True, slots=True)
class TextExample:
    """Words for what is to be seen; they are compared with the `content` of pictures alone.

    Attributes:
        text: The words.

    Raises:
        UsageError: If there are none.
    """

    text: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageError("the words of a query are empty; say what is to be seen")
        try:
            self.text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the words {self.text!r} are no valid text; give UTF-8") from None


PictureExample: TypeAlias = IdExample | FileExample | PixelsExample
Example: TypeAlias = PictureExample | TextExample

TEXT_DESCRIPTOR: Final = "content"
"""The only descriptor that words say anything of."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a collection.

    Attributes:
        positives: What the hits should be like, one example or more.
        negatives: What they should not be like.
        weights: Weight of each descriptor, 0 or more; those not named have none. `None` weighs
            all descriptors of the collection equally.
        exclude_examples: Whether images given by their id are left out of the hits. Images given
            as files stay in: a file that is in the collection finds itself.
        order: `ranked`, or `list` for k-means clusters as published: see `lookalike.index`.
        feedback: Marks of what was shown. With a relevant one no positive example is needed.
        expand: How the query is moved to its own first hits: see `lookalike.search.second_look`.
        rerank: How the first hits are compared with each other: see the same.

    Raises:
        UsageError: If there is no positive example, none of the kind (picture or words) of a
            negative one, a weight is negative or not finite, all weights are zero, or the order is
            unknown.
    """

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...] = ()
    weights: Mapping[str, int | float] | None = None
    exclude_examples: bool = True
    order: Order = "ranked"
    feedback: Feedback | None = None
    expand: Expansion | None = None
    rerank: Reranking | None = None

    def __post_init__(self) -> None:
        is_liked = self.feedback is not None and bool(self.feedback.relevant)
        if not self.positives and not is_liked and (self.negatives or self.feedback is not None):
            raise UsageError(
                "a query of negative examples alone matches nearly everything; add at least one "
                "image that the hits should be like"
            )
        if not self.positives and not is_liked:
            raise UsageError(
                "the query is empty; give at least one image, as a file or by its id, or words"
            )
        _check_kinds(self)
        _check_order(self.order)
        if self.weights is not None:
            _check_weights(self.weights)
        check_expansion(self.expand)
        check_reranking(self.rerank)
        _check_steering(self)

    @property
    def examples(self) -> tuple[Example, ...]:
        """All examples, positive ones first."""
        return self.positives + self.negatives

    @property
    def text_share(self) -> float:
        """Share of the positive examples that are words, from 0 to 1; likes count as one more."""
        n_texts = sum(isinstance(example, TextExample) for example in self.positives)
        is_liked = self.feedback is not None and bool(self.feedback.relevant)
        return n_texts / (len(self.positives) + is_liked)

    @property
    def has_pictures(self) -> bool:
        """Whether any positive example is a picture."""
        return not all(isinstance(example, TextExample) for example in self.positives)

    @property
    def is_steered(self) -> bool:
        """Whether it needs more than one plain search."""
        return self.feedback is not None or self.expand is not None or self.rerank is not None

    def compared_in(self, descriptors: Iterable[str]) -> list[str]:
        """Return the `descriptors` that the query says anything of: not all, if it is words."""
        return [name for name in descriptors if self.text_share < 1 or name == TEXT_DESCRIPTOR]

    @property
    def excluded_ids(self) -> frozenset[int]:
        """Ids that are not to be found."""
        seen = frozenset[int]() if self.feedback is None else self.feedback.excluded_ids
        if not self.exclude_examples:
            return seen
        return seen.union(each.id for each in self.examples if isinstance(each, IdExample))

    def to_json(self) -> dict[str, Any]:
        """Return the query as JSON knows it; defaults are left out."""
        content: dict[str, Any] = {"positives": [_example_to_json(e) for e in self.positives]}
        if self.negatives:
            content["negatives"] = [_example_to_json(e) for e in self.negatives]
        if self.weights is not None:
            content["weights"] = dict(self.weights)
        if not self.exclude_examples:
            content["exclude_examples"] = False
        if self.order != "ranked":
            content["order"] = self.order
        if self.feedback is not None:
            content["feedback"] = self.feedback.to_json()
        if self.expand is not None:
            content["expand"] = self.expand
        if self.rerank is not None:
            content["rerank"] = self.rerank
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Query":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is no query, or has parts that this program does not know.

        Example:
            >>> Query.from_json({"positives": [{"id": 7}], "order": "list"})
            Query(positives=(IdExample(id=7),), negatives=(), weights=None,
                  exclude_examples=True, order='list', feedback=None, expand=None, rerank=None)
        """
        _check_keys(content, cls.__dataclass_fields__, "a query")
        weights, order = content.get("weights"), content.get("order", "ranked")
        _check_order(order)
        if weights is not None:
            _check_weights(weights)
        check_expansion(content.get("expand"))
        check_reranking(content.get("rerank"))
        return cls(
            positives=_examples_from_json(content.get("positives", ())),
            negatives=_examples_from_json(content.get("negatives", ())),
            weights=weights,
            exclude_examples=bool(content.get("exclude_examples", True)),
            order=order,
            feedback=Feedback.from_json(content["feedback"]) if "feedback" in content else None,
            expand=content.get("expand"),
            rerank=content.get("rerank"),
        )


_EXAMPLE_KEYS: Final = ("id", "file", "pixels", "text")


def _check_kinds(query: Query) -> None:
    texts = [isinstance(example, TextExample) for example in query.negatives]
    if any(texts) and query.text_share == 0:
        raise UsageError(
            "words that the hits should not be like need words that they should be like; "
            "add at least one"
        )
    if not all(texts) and query.text_share == 1:
        raise UsageError(
            "images that the hits should not be like need an image that they should be like, "
            "words are not enough; add at least one image"
        )


def _check_steering(query: Query) -> None:
    if query.is_steered and query.order == "list":
        raise UsageError(
            "the order 'list' is that of clusters as they come, which marks, expansion and "
            "re-ranking cannot change; leave it out"
        )
    if query.feedback is not None and query.feedback.non_relevant and query.text_share == 1:
        raise UsageError(
            "words do not tell what disliked images should be told apart from; like at least one "
            "image too"
        )
    if query.expand is None and query.rerank is None:
        return
    what = "expansion" if query.expand is not None else "re-ranking"
    if query.feedback is not None or query.text_share > 0:
        raise UsageError(
            f"{what} starts from images alone; leave out {what}, or leave out words and marks"
        )


def _check_order(order: object) -> None:
    if order not in get_args(Order):
        raise UsageError(f"unknown order {order!r}; choose 'ranked' or 'list'")


def _check_weights(weights: object) -> None:
    if not isinstance(weights, Mapping):
        raise UsageError(f"weights are an object of descriptors and numbers, not {weights!r}")
    for name, weight in weights.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not math.isfinite(weight) or weight < 0:
            raise UsageError(f"the weight of {name!r} must be a number from 0 on, not {weight!r}")
    if not any(weights.values()):
        named = ", ".join(map(str, weights)) or "none at all"
        raise UsageError(f"all weights are 0 ({named}); give at least one descriptor a weight")


def _check_keys(content: object, known: Sequence[str] | Mapping[str, Any], what: str) -> None:
    if not isinstance(content, Mapping):
        raise UsageError(f"{what} is a JSON object, not {content!r:.60}")
    for key in content:
        if key not in known:
            raise UsageError(f"unknown part {key!r} of {what}; known are: {', '.join(known)}")


def _example_to_json(example: Example) -> dict[str, Any]:
    match example:
        case IdExample(id=image):
            return {"id": image}
        case FileExample(path=path):
            return {"file": path}
        case TextExample(text=words):
            return {"text": words}
        case PixelsExample(data=data, height=height, width=width):
            text = base64.b64encode(data).decode("ascii")
            return {"pixels": {"height": height, "width": width, "data": text}}


def _examples_from_json(content: object) -> tuple[Example, ...]:
    if isinstance(content, str | bytes | Mapping) or not isinstance(content, Sequence):
        raise UsageError(f"examples are a JSON list, not {content!r:.60}")
    return tuple(_example_from_json(example) for example in content)


def _example_from_json(content: Any) -> Example:
    _check_keys(content, _EXAMPLE_KEYS, "an example")
    match dict(content):
        case {"id": int(image)} if len(content) == 1 and not isinstance(image, bool):
            return IdExample(image)
        case {"file": str(path)} if len(content) == 1:
            return FileExample(path)
        case {"text": str(words)} if len(content) == 1:
            return TextExample(words)
        case {"pixels": {"height": int(height), "width": int(width), "data": str(text)}}:
            return PixelsExample(_decoded(text), height, width)
    raise UsageError(
        f"an example is an id, a file, pixels or a text, and one of them only, not {content!r:.60}"
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"the pixels of an example are no base64 text: {error}") from error
