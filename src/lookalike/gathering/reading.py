"""Pictures that a person names: from files, from the collection, or given as pixels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lookalike.arrays import Pixels
from lookalike.errors import ImageError
from lookalike.gathering.places import content, named
from lookalike.images.decoding import Box, Decoded, check_box, decode, stretch
from lookalike.search.queries import FileExample, IdExample, PixelsExample, RegionExample

MARGIN: Final = 0.35
MOST_MARGIN: Final = 0.09
"""A box is seen with its surroundings: on each side this share of its own length, but not more than
this share of the picture's. Both were chosen on photographs, see `docs/regions.md`."""


def network_input(
    example: FileExample | PixelsExample | RegionExample,
    side: int,
    files: Callable[[int], Sequence[Path]],
) -> Decoded:
    """Read the picture of an example, or its part with what lies around, as the network takes it.

    Width and height that come with it are those of the picture, or of the part.

    Args:
        example: The picture.
        side: Of the square that the network takes, in pixels.
        files: Gives the files that hold an image of the collection.

    Raises:
        ImageError: If it cannot be read; the message names the file.
        UsageError: If a box does not lie in its picture.
    """
    if not isinstance(example, RegionExample):
        return decoded(example, side, files)
    whole = example.example
    if isinstance(whole, PixelsExample):
        check_box(example.box, whole.width, whole.height)
        box = with_surroundings(example.box, whole.width, whole.height)
        pixels = stretch(whole.pixels, (side, side), box)
        return Decoded(pixels, round(box[2]), round(box[3]), "")
    path, data = _first(whole, files)
    with named(path):
        size = decode(data, (1, 1))
        check_box(example.box, size.width, size.height)
        box = with_surroundings(example.box, size.width, size.height)
        part = decode(data, (side, side), box=box)
        return replace(part, width=round(box[2]), height=round(box[3]))


def decoded(
    example: IdExample | FileExample | PixelsExample,
    side: int,
    files: Callable[[int], Sequence[Path]],
) -> Decoded:
    """Read the whole picture of an example, stretched to a square.

    Raises:
        ImageError: If it cannot be read; the message names the file.
    """
    if isinstance(example, PixelsExample):
        pixels = stretch(example.pixels, (side, side))
        return Decoded(pixels, example.width, example.height, "")
    path, data = _first(example, files)
    with named(path):
        return decode(data, (side, side))


def with_surroundings(box: Box, width: int, height: int) -> Box:
    """Widen a box by what lies around it, within a picture of this width and height.

    Example:
        >>> with_surroundings((0, 40, 20, 20), width=200, height=100)
        (0.0, 33.0, 27.0, 34.0)
    """
    left, end = _widened(box[0], box[2], width)
    top, bottom = _widened(box[1], box[3], height)
    return left, top, end - left, bottom - top


def read_picture(path: Path, longer_side: int) -> Pixels:
    """Read any picture in its own proportions, its longer side at most so many pixels.

    Raises:
        ImageError: If it cannot be read; the message names the file.
    """
    data = content(path)
    with named(path):
        source = decode(data, (1, 1))
        shrink = min(1.0, longer_side / max(source.width, source.height))
        size = (round(source.height * shrink) or 1, round(source.width * shrink) or 1)
        return decode(data, size).pixels


def _first(
    example: IdExample | FileExample, files: Callable[[int], Sequence[Path]]
) -> tuple[Path, bytes]:
    """Return the first file of a picture that can be read."""
    if isinstance(example, FileExample):
        path = Path(example.path)
        return path, content(path)
    *others, last = files(example.id)
    for path in others:
        try:
            return path, content(path)
        except ImageError:
            continue
    return last, content(last)


def _widened(start: int | float, length: int | float, whole: int) -> tuple[float, float]:
    margin = min(MARGIN * length, MOST_MARGIN * whole)
    return max(0.0, start - margin), min(float(whole), start + length + margin)
