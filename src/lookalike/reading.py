"""Pictures that a person names: from files, from the collection, or given as pixels."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike.arrays import Pixels
from lookalike.datasets import needs_opening, open_dataset, picture_files
from lookalike.errors import ImageError, UsageError
from lookalike.images.decoding import Box, Decoded, check_box, decode, read_file, stretch
from lookalike.images.scanning import display_path
from lookalike.search.queries import FileExample, IdExample, PixelsExample, RegionExample

MARGIN: Final = 0.35
MOST_MARGIN: Final = 0.09
"""A box is seen with its surroundings: on each side this share of its own length, but not more than
this share of the picture's. Both were chosen on photographs, see `docs/regions.md`."""


def network_input(
    example: FileExample | PixelsExample | RegionExample,
    side: int,
    files: Callable[[int], Sequence[Path]],
) -> Pixels:
    """Read the picture of an example, or its part with what lies around, as the network takes it.

    Args:
        example: The picture.
        side: Of the square that the network takes, in pixels.
        files: Gives the files that hold an image of the collection.

    Raises:
        ImageError: If it cannot be read; the message names the file.
        UsageError: If a box does not lie in its picture.
    """
    if not isinstance(example, RegionExample):
        return decoded(example, side, files).pixels
    whole = example.example
    if isinstance(whole, PixelsExample):
        check_box(example.box, whole.width, whole.height)
        box = with_surroundings(example.box, whole.width, whole.height)
        return stretch(whole.pixels, (side, side), box)
    path, data = _first(whole, files)
    with named(path):
        size = decode(data, (1, 1))
        check_box(example.box, size.width, size.height)
        box = with_surroundings(example.box, size.width, size.height)
        return decode(data, (side, side), box=box).pixels


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


def file_bytes(path: Path) -> bytes:
    """Read a file that a person named.

    Raises:
        ImageError: If that is impossible.
    """
    try:
        # A link that a person names is meant; one that lies in a folder is not followed.
        place = expanded(path).resolve()
    except RuntimeError as error:
        name = display_path(os.fsencode(path))
        raise ImageError("links that lead in a circle", name) from error
    return read_file(place)


def expanded(path: str | os.PathLike[str]) -> Path:
    """Put the folder of a user in the place of a leading `~`."""
    # Unlike the method of Path, this leaves `~unknown` alone, which then simply does not exist.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def places(source: str | os.PathLike[str]) -> list[bytes]:
    """Turn a source into folders and files: data sets by their words, all else by its path."""
    if not os.fspath(source):
        raise UsageError("an empty source names nothing; give folders, files or data sets")
    if needs_opening(source):
        return [os.fsencode(path) for path in picture_files(open_dataset(source))]
    return [os.fsencode(expanded(source))]


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Name the file in errors about its picture."""
    try:
        yield
    except ImageError as error:
        raise ImageError(error.reason, display_path(os.fsencode(path))) from error


def _first(
    example: IdExample | FileExample, files: Callable[[int], Sequence[Path]]
) -> tuple[Path, bytes]:
    """Return the first file of a picture that can be read."""
    if isinstance(example, FileExample):
        path = Path(example.path)
        return path, file_bytes(path)
    *others, last = files(example.id)
    for path in others:
        try:
            return path, file_bytes(path)
        except ImageError:
            continue
    return last, file_bytes(last)


def _widened(start: int | float, length: int | float, whole: int) -> tuple[float, float]:
    margin = min(MARGIN * length, MOST_MARGIN * whole)
    return max(0.0, start - margin), min(float(whole), start + length + margin)
