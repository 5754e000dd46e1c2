"""What a person asks for, as one unchangeable value that goes into JSON and back.

A search is its query: stored, it can be asked again, and sent, it is a permalink. Every way to ask
is a field with a default that leaves it out, so that one query can mix them all. What a field of
its own kind means is told by the module of the kind.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, Literal, TypeAlias, get_args

from lookalike.errors import UsageError
from lookalike.index.base import Order
from lookalike.search.clauses import Composition, composition_from_json
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.drawings import Drawing
from lookalike.search.examples import (
    Example,
    FileExample,
    IdExample,
    PictureExample,
    PixelsExample,
    RegionExample,
    TextExample,
    UrlExample,
    check_example_weights,
    check_keys,
    examples_from_json,
    examples_to_json,
)
from lookalike.search.feedback import Feedback
from lookalike.search.layouts import PaintedLayout
from lookalike.search.names import Expansion, Reranking
from lookalike.search.query_checks import (
    check_choice,
    check_min_score,
    check_weights,
    ids_from_json,
)
from lookalike.search.second_look import check_expansion, check_reranking

__all__ = [
    "TEXT_DESCRIPTOR",
    "Cut",
    "Example",
    "FileExample",
    "IdExample",
    "Multipoint",
    "PictureExample",
    "PixelsExample",
    "Query",
    "RegionExample",
    "Sort",
    "TextExample",
    "UrlExample",
]

TEXT_DESCRIPTOR: Final = "content"
"""The only descriptor that words say anything of."""

Sort: TypeAlias = Literal["score", "date", "name"]
Cut: TypeAlias = Literal["none", "auto"]
Multipoint: TypeAlias = Literal["no", "yes", "auto"]


@dataclass(frozen=True, slots=True)
class Query:
    """One question to a collection.

    Attributes:
        positives: What the hits should be like, one example or more; none is fine where the query
            has any other part.
        negatives: What they should not be like.
        weights: Weight of each descriptor, 0 or more; those not named have none. `None` weighs
            all descriptors of the collection equally. Other parts of the query count 1 unless they
            are named.
        exclude_examples: Whether images given by their id are left out of the hits. Images given
            as files stay in: a file that is in the collection finds itself.
        order: `ranked`, or `list` for k-means clusters as published: see `lookalike.index`.
        positive_weights: Weight of each positive example, above 0; empty if all count the same.
        negative_weights: The same of the negative ones.
        multipoint: Whether several positive examples stay several points, to the best of which an
            image is compared, rather than their mean: see `lookalike.search.multipoint`.
        exclude_ids: Further images that are not to be found.
        layout: What is to be where: see `lookalike.search.painting`.
        colors: How much of which color: see `lookalike.search.colors`.
        painted_colors: Colors painted where they are to be.
        sketch: A line drawing, compared with the edges of pictures.
        texture: A swatch, compared with their texture.
        shape: A filled shape, compared with the outline of what stands out of them.
        words: Words to be found in captions, labels and names.
        filter: What images must have to be found, such as `width:>1000`.
        min_score: Hits with a lower score are left out.
        cut: `auto` leaves out hits behind the knee: see `lookalike.search.knee`.
        sort: Order of the hits that are left; by date newest first.
        hide_duplicates: Whether of nearly equal images only the best one is found.
        composition: What the regions of an image should be like, one clause for each region.
        feedback: Marks of what was shown. With a relevant one no positive example is needed.
        expand: How the query is moved to its own first hits: see `lookalike.search.second_look`.
        rerank: How the first hits are compared with each other: see the same.

    Raises:
        UsageError: If there is nothing to be like, no positive example of the kind (picture or
            words) of a negative one, a weight is negative or not finite, all weights are zero, or
            a choice is unknown.
    """

    positives: tuple[Example, ...] = ()
    negatives: tuple[Example, ...] = ()
    weights: Mapping[str, int | float] | None = None
    exclude_examples: bool = True
    order: Order = "ranked"
    positive_weights: tuple[int | float, ...] = ()
    negative_weights: tuple[int | float, ...] = ()
    multipoint: Multipoint = "no"
    exclude_ids: tuple[int, ...] = ()
    layout: PaintedLayout | None = None
    colors: ColorShares | None = None
    painted_colors: PaintedColors | None = None
    sketch: Drawing | None = None
    texture: Drawing | None = None
    shape: Drawing | None = None
    words: str = ""
    filter: str = ""
    min_score: int | float | None = None
    cut: Cut = "none"
    sort: Sort = "score"
    hide_duplicates: bool = False
    composition: Composition | None = None
    feedback: Feedback | None = None
    expand: Expansion | None = None
    rerank: Reranking | None = None

    def __post_init__(self) -> None:
        if not self.positives and not self.is_liked and self._is_disliked:
            raise UsageError(
                "a query of negative examples alone matches nearly everything; add at least one "
                "image that the hits should be like"
            )
        if not self.positives and not self.is_liked and not self.has_parts and not self.filter:
            raise UsageError(
                "the query is empty; give at least one image, as a file or by its id, or words"
            )
        _check_kinds(self)
        check_example_weights(self.positives, self.positive_weights)
        check_example_weights(self.negatives, self.negative_weights)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        check_min_score(self.min_score)
        if self.weights is not None:
            check_weights(self.weights)
        check_expansion(self.expand)
        check_reranking(self.rerank)
        _check_steering(self)

    @property
    def examples(self) -> tuple[Example, ...]:
        """All examples, positive ones first."""
        return self.positives + self.negatives

    @property
    def is_liked(self) -> bool:
        """Whether any hit was marked as relevant."""
        return self.feedback is not None and bool(self.feedback.relevant)

    @property
    def _is_disliked(self) -> bool:
        return bool(self.negatives or (self.feedback is not None and self.feedback.non_relevant))

    @property
    def has_pictures(self) -> bool:
        """Whether any positive example is a picture."""
        return not all(isinstance(example, TextExample) for example in self.positives)

    @property
    def is_steered(self) -> bool:
        """Whether it needs more than one plain search."""
        return self.feedback is not None or self.expand is not None or self.rerank is not None

    @property
    def has_parts(self) -> bool:
        """Whether more is asked for than to be like whole examples."""
        has_box = any(isinstance(example, RegionExample) for example in self.positives)
        return (
            has_box
            or "region" in (self.weights or {})
            or any(
                getattr(self, field.name) != field.default
                for field in fields(self)
                if field.name not in _NO_PARTS
            )
        )

    @property
    def is_shaped(self) -> bool:
        """Whether anything but the score decides which images are shown, and in which order."""
        return bool(
            self.filter
            or self.min_score is not None
            or self.cut != "none"
            or self.sort != "score"
            or self.hide_duplicates
        )

    @property
    def text_share(self) -> float:
        """Share of the positive examples that are words, by weight; likes count as one more."""
        if not self.positives:
            return 0.0
        weights = self.positive_weights or (1.0,) * len(self.positives)
        are_texts = [isinstance(example, TextExample) for example in self.positives]
        of_texts = sum(w for w, is_text in zip(weights, are_texts, strict=True) if is_text)
        return of_texts / (sum(weights) + self.is_liked)

    @property
    def picture_share(self) -> float:
        """Share of the positive examples that are pictures; 0 where there are none at all."""
        return 1 - self.text_share if self.positives or self.is_liked else 0.0

    @property
    def is_multipoint(self) -> bool:
        """Whether there are several positive pictures, and they stay several points."""
        n_pictures = sum(not isinstance(example, TextExample) for example in self.positives)
        return self.multipoint != "no" and n_pictures > 1

    def compared_in(self, descriptors: Iterable[str]) -> list[str]:
        """Return the `descriptors` that the examples say anything of: not all, if it is words."""
        if not self.positives and not self.is_liked:
            return []
        return [name for name in descriptors if self.text_share < 1 or name == TEXT_DESCRIPTOR]

    @property
    def excluded_ids(self) -> frozenset[int]:
        """Ids that are not to be found."""
        seen = () if self.feedback is None else self.feedback.excluded_ids
        if not self.exclude_examples:
            return frozenset((*self.exclude_ids, *seen))
        clauses = self.composition.examples if self.composition else ()
        asked = (
            each.example if isinstance(each, RegionExample) else each
            for each in (*self.examples, *clauses)
        )
        ids = (each.id for each in asked if isinstance(each, IdExample))
        return frozenset((*self.exclude_ids, *seen, *ids))

    def to_json(self) -> dict[str, Any]:
        """Return the query as JSON knows it; defaults are left out."""
        content: dict[str, Any] = {}
        if self.positives:
            content["positives"] = examples_to_json(self.positives, self.positive_weights)
        if self.negatives:
            content["negatives"] = examples_to_json(self.negatives, self.negative_weights)
        if self.weights is not None:
            content["weights"] = dict(self.weights)
        if self.exclude_ids:
            content["exclude_ids"] = list(self.exclude_ids)
        for name in _VALUES:
            if (value := getattr(self, name)) is not None:
                content[name] = value.to_json()
        for name in _PLAIN_FIELDS:
            if getattr(self, name) != _default(name):
                content[name] = getattr(self, name)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Query":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is no query, or has parts that this program does not know.

        Example:
            >>> Query.from_json({"positives": [{"id": 7}], "order": "list"}).order
            'list'
        """
        known = [name for name in cls.__dataclass_fields__ if not name.endswith("tive_weights")]
        check_keys(content, known, "a query")
        plain = {name: content[name] for name in _PLAIN_FIELDS if name in content}
        for name, value in plain.items():
            _check_plain(name, value)
        values = {name: read(content[name]) for name, read in _VALUES.items() if name in content}
        if (weights := content.get("weights")) is not None:
            check_weights(weights)
        positives, positive_weights = examples_from_json(content.get("positives", ()))
        negatives, negative_weights = examples_from_json(content.get("negatives", ()))
        check_example_weights(positives, positive_weights)
        check_example_weights(negatives, negative_weights)
        return cls(
            positives=positives,
            negatives=negatives,
            weights=weights,
            positive_weights=positive_weights,
            negative_weights=negative_weights,
            exclude_ids=ids_from_json(content.get("exclude_ids", ())),
            **values,
            **plain,
        )


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "order": get_args(Order),
    "multipoint": get_args(Multipoint),
    "cut": get_args(Cut),
    "sort": get_args(Sort),
}
"""Fields that take one of a few words."""

_PLAIN_FIELDS: Final = (
    *("exclude_examples", "order", "multipoint", "words", "filter", "min_score", "cut", "sort"),
    *("hide_duplicates", "expand", "rerank"),
)
"""Fields whose values are what JSON knows already."""

_VALUES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "layout": PaintedLayout.from_json,
    "colors": ColorShares.from_json,
    "painted_colors": PaintedColors.from_json,
    "sketch": Drawing.from_json,
    "texture": Drawing.from_json,
    "shape": Drawing.from_json,
    "composition": composition_from_json,
    "feedback": Feedback.from_json,
}
"""Fields of a kind of their own, which knows its way into JSON and back."""

_NO_PARTS: Final = frozenset(
    {
        *("positives", "negatives", "weights", "exclude_examples", "order", "positive_weights"),
        *("negative_weights", "multipoint", "exclude_ids", "filter", "min_score", "cut", "sort"),
        *("hide_duplicates", "feedback", "expand", "rerank"),
    }
)
"""Fields that are examples or say what is done with them; all others are parts of their own."""


def _default(name: str) -> Any:
    default = Query.__dataclass_fields__[name].default
    return None if default is MISSING else default


def _check_plain(name: str, value: object) -> None:
    if name in _CHOICES:
        check_choice(name, value, _CHOICES[name])
    elif name == "min_score":
        check_min_score(value)
    elif name == "expand":
        check_expansion(value)
    elif name == "rerank":
        check_reranking(value)
    elif not isinstance(value, type(_default(name))):
        raise UsageError(f"{name!r} of a query is a {type(_default(name)).__name__}, not {value!r}")


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
    if query.is_steered and query.is_multipoint:
        raise UsageError(
            "examples that stay several points can be neither marked nor looked at again; leave "
            "multipoint out; the feedback method 'multipoint' keeps liked images apart"
        )
    is_disliked = query.feedback is not None and bool(query.feedback.non_relevant)
    if is_disliked and query.picture_share == 0:
        raise UsageError(
            "there is no image that disliked ones should be told apart from; like at least one too"
        )
    if query.expand is not None or query.rerank is not None:
        _check_second_look(query)


def _check_second_look(query: Query) -> None:
    what = "expansion" if query.expand is not None else "re-ranking"
    if query.feedback is not None or query.picture_share < 1 or query.has_parts:
        raise UsageError(
            f"{what} starts from example images alone; leave out {what}, or all but images"
        )
