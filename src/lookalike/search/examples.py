"""The examples of a query: pictures and words, as values that go into JSON and back."""

import base64
import binascii
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lookalike.arrays import Pixels
from lookalike.errors import UsageError
from lookalike.images.decoding import Box

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


@dataclass(frozen=True, slots=True)
class UrlExample:
    """A picture on the web; fetched only by `lookalike.search.urls`, and only if that is allowed.

    Attributes:
        url: Its address.
    """

    url: str


@dataclass(frozen=True, slots=True)
class RegionExample:
    """A part of a picture.

    Attributes:
        example: The picture.
        box: Left, top, width and height in pixels of the picture seen upright. That it lies within
            the picture is found out when that is read.

    Raises:
        UsageError: If the box is none.
    """

    example: IdExample | FileExample | PixelsExample
    box: Box

    def __post_init__(self) -> None:
        are_numbers = len(self.box) == 4 and all(
            _is_number(number) and math.isfinite(number) for number in self.box
        )
        if not are_numbers or min(self.box) < 0 or min(self.box[2:]) < 1:
            raise UsageError(
                "a box is left, top, width and height in pixels, at least one wide and high, "
                f"such as 40,20,100,80; not {','.join(map(str, self.box))}"
            )


PictureExample: TypeAlias = IdExample | FileExample | PixelsExample | UrlExample | RegionExample
Example: TypeAlias = PictureExample | TextExample

_EXAMPLE_KEYS: Final = ("id", "file", "url", "pixels", "text", "box", "weight")


def check_keys(content: object, known: Sequence[str] | Mapping[str, Any], what: str) -> None:
    """Refuse what is no JSON object or has other keys than those known."""
    if not isinstance(content, Mapping):
        raise UsageError(f"{what} is a JSON object, not {content!r:.60}")
    for key in content:
        if key not in known:
            raise UsageError(f"unknown part {key!r} of {what}; known are: {', '.join(known)}")


def check_example_weights(examples: Sequence[Example], weights: Sequence[int | float]) -> None:
    """Refuse weights that are not one number above 0 for each example; none at all is fine."""
    if weights and len(weights) != len(examples):
        raise UsageError(
            f"{len(weights)} weights for {len(examples)} examples; give one for each, or none"
        )
    for weight in weights:
        if not _is_number(weight) or not 0 < weight < math.inf:
            raise UsageError(f"the weight of an example must be above 0, not {weight!r}")


def examples_to_json(
    examples: Sequence[Example], weights: Sequence[int | float]
) -> list[dict[str, Any]]:
    """Return examples as JSON knows them, each with its weight if there are any."""
    content = [example_to_json(example) for example in examples]
    if weights:
        for each, weight in zip(content, weights, strict=True):
            each["weight"] = weight
    return content


def examples_from_json(content: object) -> tuple[tuple[Example, ...], tuple[int | float, ...]]:
    """Read what `examples_to_json` gave: examples, and weights unless all are left out.

    Raises:
        UsageError: If it is something else.
    """
    if isinstance(content, str | bytes | Mapping) or not isinstance(content, Sequence):
        raise UsageError(f"examples are a JSON list, not {content!r:.60}")
    for each in content:
        check_keys(each, _EXAMPLE_KEYS, "an example")
    bare = [{key: each[key] for key in each if key != "weight"} for each in content]
    examples = tuple(example_from_json(each) for each in bare)
    if not any("weight" in each for each in content):
        return examples, ()
    return examples, tuple(each.get("weight", 1.0) for each in content)


def example_to_json(example: Example) -> dict[str, Any]:
    """Return one example as JSON knows it."""
    match example:
        case RegionExample(example=whole, box=box):
            return {**example_to_json(whole), "box": list(box)}
        case IdExample(id=image):
            return {"id": image}
        case FileExample(path=path):
            return {"file": path}
        case UrlExample(url=url):
            return {"url": url}
        case TextExample(text=words):
            return {"text": words}
        case PixelsExample(data=data, height=height, width=width):
            text = base64.b64encode(data).decode("ascii")
            return {"pixels": {"height": height, "width": width, "data": text}}


def example_from_json(content: Mapping[str, Any]) -> Example:
    """Read what `example_to_json` gave.

    Raises:
        UsageError: If it is something else.
    """
    if isinstance(content, Mapping) and "box" in content:
        return _region_from_json(content)
    check_keys(content, _EXAMPLE_KEYS, "an example")
    match dict(content):
        case {"id": int(image)} if len(content) == 1 and not isinstance(image, bool):
            return IdExample(image)
        case {"file": str(path)} if len(content) == 1:
            return FileExample(path)
        case {"url": str(url)} if len(content) == 1:
            return UrlExample(url)
        case {"text": str(words)} if len(content) == 1:
            return TextExample(words)
        case {"pixels": {"height": int(height), "width": int(width), "data": str(text)}}:
            return PixelsExample(_decoded(text), height, width)
    raise UsageError(
        "an example is an id, a file, a url, pixels or a text, and one of them only, "
        f"not {content!r:.60}"
    )


def _region_from_json(content: Mapping[str, Any]) -> RegionExample:
    whole = example_from_json({key: value for key, value in content.items() if key != "box"})
    box = content["box"]
    if not isinstance(whole, IdExample | FileExample | PixelsExample):
        raise UsageError("a box needs a picture given by its id, as a file or by its pixels")
    if isinstance(box, str) or not isinstance(box, Sequence) or len(box) != 4:
        raise UsageError(f"a box is a JSON list of left, top, width and height, not {box!r:.60}")
    if not all(map(_is_number, box)):
        raise UsageError(f"a box is a JSON list of four numbers, not {box!r:.60}")
    return RegionExample(whole, (box[0], box[1], box[2], box[3]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"the pixels of an example are no base64 text: {error}") from error
