"""What is known of the pictures of labeled data sets that are indexed."""

import os
from collections.abc import Sequence
from functools import partial

from lookalike.datasets import needs_opening, open_dataset
from lookalike.datasets.opening import is_labeled
from lookalike.errors import DatasetError, UsageError
from lookalike.gathering.annotating import annotate, notes_of
from lookalike.gathering.ingest import Trouble
from lookalike.gathering.places import AnyPath, expanded
from lookalike.progress import Progress
from lookalike.storage.catalog import Catalog
from lookalike.storage.records import DATA_SET


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
