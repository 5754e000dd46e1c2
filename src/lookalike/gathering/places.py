"""Paths as a person writes them: home folders, links, and the words that name data sets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from lookalike.datasets import needs_opening, open_dataset, picture_files
from lookalike.errors import ImageError, UsageError
from lookalike.images.decoding import read_file
from lookalike.images.scanning import display_path

AnyPath: TypeAlias = str | os.PathLike[str]


def expanded(path: AnyPath) -> Path:
    """Return the path with `~` replaced by the home folder."""
    # Unlike the method of Path, this leaves `~unknown` alone, which then simply does not exist.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def content(path: Path) -> bytes:
    """Read a file that a person names.

    Raises:
        ImageError: If it cannot be read; the message names it.
    """
    try:
        # A link that a person names is meant; one that lies in a folder is not followed.
        place = expanded(path).resolve()
    except RuntimeError as error:
        name = display_path(os.fsencode(path))
        raise ImageError("links that lead in a circle", name) from error
    return read_file(place)


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Add the name of the file to what goes wrong with a picture inside."""
    try:
        yield
    except ImageError as error:
        raise ImageError(error.reason, display_path(os.fsencode(path))) from error


def sources(source: AnyPath) -> list[bytes]:
    """Turn a source into folders and files: data sets by their words, all else by its path.

    Raises:
        UsageError: If it is empty.
    """
    if not os.fspath(source):
        raise UsageError("an empty source names nothing; give folders, files or data sets")
    if needs_opening(source):
        return [os.fsencode(path) for path in picture_files(open_dataset(source))]
    return [os.fsencode(expanded(source))]
