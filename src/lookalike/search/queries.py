"""What a person asks: one value that holds a whole question, and can be written down."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

from lookalike.errors import UsageError
from lookalike.index.base import Order


@dataclass(frozen=True, slots=True)
class IdExample:
    """An image of the collection, by its id."""

    id: int


@dataclass(frozen=True, slots=True)
class FileExample:
    """A picture in a file, whether the collection holds it or not."""

    path: Path


Example: TypeAlias = IdExample | FileExample


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a collection.

    Attributes:
        positives: What hits shall be like; at least one.
        negatives: What they shall not be like.
        weights: Weight of each descriptor; those left out count 0. `None`: all count the same.
        exclude_examples: Whether images given by id are kept out of their own hits.
        order: `ranked`, or `list` for the order of the method as published: cluster by cluster,
            nearest first, each in stored order. A list needs a single weighted descriptor.

    Raises:
        UsageError: If there is no positive example, or weights or order make no sense.
    """

    positives: tuple[Example, ...]
    negatives: tuple[Example, ...] = ()
    weights: Mapping[str, float] | None = None
    exclude_examples: bool = True
    order: Order = "ranked"

    def __post_init__(self) -> None:
        if not self.positives:
            raise UsageError(
                "a search needs at least one positive example, what hits shall be like; "
                "give --image FILE or --id ID"
            )
        if self.order not in get_args(Order):
            known = " or ".join(get_args(Order))
            raise UsageError(f"there is no order {self.order!r} of hits; choose {known}")
        if self.weights is not None:
            _check_weights(self.weights)
            object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def to_json(self) -> str:
        """Write the question down as JSON.

        Example:
            >>> Query((IdExample(7),), weights={"layout": 2.0}).to_json()
            '{"positives": [{"id": 7}], "weights": {"layout": 2.0}}'
        """
        content: dict[str, Any] = {"positives": [_to_json(example) for example in self.positives]}
        if self.negatives:
            content["negatives"] = [_to_json(example) for example in self.negatives]
        if self.weights is not None:
            content["weights"] = dict(self.weights)
        if not self.exclude_examples:
            content["exclude_examples"] = False
        if self.order != "ranked":
            content["order"] = self.order
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> "Query":
        """Read what `to_json` wrote.

        Raises:
            UsageError: If it is no such text.
        """
        try:
            content = json.loads(text)
            positives = tuple(map(_from_json, content.pop("positives")))
            negatives = tuple(map(_from_json, content.pop("negatives", ())))
            return cls(positives, negatives, **content)
        except UsageError:
            raise
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UsageError(
                f"this is no query ({type(error).__name__}: {error}); "
                'it looks like {"positives": [{"id": 7}]}'
            ) from error


def _check_weights(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise UsageError(f"the weight of {name!r} is {weight}; give a number from 0 up")
    if not any(weights.values()):
        raise UsageError("all weights are 0; give at least one descriptor a weight above 0")


def _to_json(example: Example) -> dict[str, Any]:
    if isinstance(example, IdExample):
        return {"id": example.id}
    return {"path": str(example.path)}


def _from_json(content: Mapping[str, Any]) -> Example:
    if set(content) == {"id"} and isinstance(content["id"], int):
        return IdExample(content["id"])
    if set(content) == {"path"}:
        return FileExample(Path(content["path"]))
    raise UsageError(f'{dict(content)} is no example; give {{"id": …}} or {{"path": …}}')
