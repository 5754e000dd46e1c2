"""What `index` is given: folders, files and data sets, as places to walk and as what is known."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from lookalike.annotating import annotate, notes_of
from lookalike.datasets import needs_opening, open_dataset, picture_files
from lookalike.datasets.opening import is_labeled
from lookalike.errors import DatasetError, UsageError
from lookalike.ingest import Trouble
from lookalike.progress import Progress
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import DATA_SET

AnyPath: TypeAlias = str | os.PathLike[str]


def expanded(path: AnyPath) -> Path:
    """Return a path in which `~` stands for nothing but a home that exists."""
    # Unlike the method of Path, this leaves `~unknown` alone, which then simply does not exist.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def places(source: AnyPath) -> list[bytes]:
    """Turn a source into folders and files: data sets by their words, all else by its path.

    Raises:
        UsageError: If it is empty.
        DatasetError: If it can only be a data set, and is none.
    """
    if not os.fspath(source):
        raise UsageError("an empty source names nothing; give folders, files or data sets")
    if needs_opening(source):
        return [os.fsencode(path) for path in picture_files(open_dataset(source))]
    return [os.fsencode(expanded(source))]


def describe_labeled(
    catalog: Catalog, sources: Sequence[AnyPath], progress: Progress
) -> tuple[Trouble, ...]:
    """Store the captions and labels of those sources that are labeled data sets.

    Folders whose labels are but the names of their subfolders are no such sets here.

    Returns:
        Data sets whose labels cannot be read; their pictures are searched without.
    """
    troubles = []
    for source in sources:
        if not needs_opening(source) and not is_labeled(expanded(source)):
            continue
        spec = source if needs_opening(source) else expanded(source)
        try:
            dataset = open_dataset(spec, progress=progress)
            notes = partial(notes_of, dataset)
            annotate(catalog, notes, DATA_SET, replace=True, progress=progress)
        except (DatasetError, UsageError) as error:
            troubles.append(Trouble(os.fspath(source), f"its labels cannot be read: {error}"))
    return tuple(troubles)
