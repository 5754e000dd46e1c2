"""The groups of near-duplicates that the page Duplicates shows: found by a job, kept, followed."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.knowing.deduplicating import removable_paths
from lookalike.knowing.kept_duplicates import KeptDuplicates
from lookalike.search.duplicates import DuplicateGroup
from lookalike.storage.duplicates import Decisions
from lookalike.storage.records import ImageRecord
from lookalike.web import queueing
from lookalike.web.home import ServerHome
from lookalike.web.models import HostedCollection, Job, JobKind, JobState, User

PAGE: Final = 20
"""Groups on a page."""

MOST_DECIDED: Final = 60


def kept_groups(hosted: HostedCollection) -> KeptDuplicates:
    """Return the groups that are kept of a collection."""
    return _kept(str(ServerHome.from_environment().duplicates / f"{hosted.pk}.sqlite"))


@lru_cache(maxsize=64)
def _kept(path: str) -> KeptDuplicates:
    return KeptDuplicates(Path(path))


def ask_for_groups(
    hosted: HostedCollection, person: User | None, *, is_anew: bool = False
) -> Job | None:
    """Let the worker look for groups; `None` if it is going to anyway.

    Args:
        hosted: Where.
        person: Who asks.
        is_anew: Look through everything, and not only at the pictures that came since.
    """
    return queueing.ask(hosted, person, JobKind.DUPLICATES, {"anew": is_anew})


def was_given_up(hosted: HostedCollection) -> bool:
    """Tell whether the last search for groups was stopped or failed, so that none is begun."""
    last = hosted.jobs.filter(kind=JobKind.DUPLICATES).first()
    return last is not None and last.state not in (
        JobState.QUEUED,
        JobState.RUNNING,
        JobState.DONE,
    )


def follow_indexing(hosted: HostedCollection, collection: Collection) -> None:
    """Let pictures that came be compared where groups are kept already."""
    standing = kept_groups(hosted).standing(collection)
    if standing is not None and standing.n_new:
        ask_for_groups(hosted, None)


def told(collection: Collection) -> str:
    """Return in a few characters what was decided: other decisions, other text."""
    decisions = collection.catalog.duplicates.decisions()
    said = (sorted(decisions.keeps), sorted(decisions.same), sorted(decisions.different))
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def shown_groups(collection: Collection, groups: Sequence[DuplicateGroup]) -> list[dict[str, Any]]:
    """Return what is shown of groups: every member beside the one to keep."""
    ids = [image_id for group in groups for image_id in group.ids]
    decisions = collection.catalog.duplicates.decisions(ids)
    decided = {each for pair in decisions.same | decisions.different for each in pair}
    return [
        {
            "kind": group.kind,
            "keep": group.keep,
            "reason": group.reason,
            "ids": group.ids,
            "members": _members(collection, group, decisions),
            "is_decided": bool((decided | decisions.keeps) & set(group.ids)),
        }
        for group in groups
    ]


def _members(
    collection: Collection, group: DuplicateGroup, decisions: Decisions
) -> list[dict[str, Any]]:
    records = collection.images(group.ids)
    measured = [None, *group.copies]
    return [
        {
            "record": record,
            "path": display_path(record.paths[0]),
            "name": display_path(record.paths[0].rpartition(b"/")[2]),
            "copy": copy,
            "is_keep": record.id == group.keep,
            "is_kept": record.id in decisions.keeps,
            "is_removable": record.id in group.removable,
            **_compared(record, records),
        }
        for record, copy in zip(records, measured, strict=True)
    ]


def _compared(record: ImageRecord, records: Sequence[ImageRecord]) -> dict[str, bool]:
    """Tell in what an image is the best of its group, where the others differ."""
    pixels = [each.width * each.height for each in records]
    sizes = [each.n_bytes for each in records]
    own = record.width * record.height
    return {
        "most_pixels": own == max(pixels) > min(pixels),
        "most_bytes": record.n_bytes == max(sizes) > min(sizes),
        "formats_differ": len({each.format for each in records}) > 1,
    }


def decided(collection: Collection) -> tuple[list[dict[str, Any]], int]:
    """Return what was decided about images that are there, some of it, and how much there is."""
    decisions = collection.catalog.duplicates.decisions()
    told: list[tuple[str, tuple[int, ...]]]
    told = [("kept", (each,)) for each in sorted(decisions.keeps)]
    told += [("the same", pair) for pair in sorted(decisions.same)]
    told += [("different", pair) for pair in sorted(decisions.different)]
    shown = [{"verdict": verdict, "ids": ids} for verdict, ids in told[:MOST_DECIDED]]
    return shown, len(told)


def removable_list(collection: Collection, groups: Sequence[DuplicateGroup]) -> bytes:
    """Return the files that could go, one a line, as their names are stored.

    Raises:
        UsageError: If a name has a line break, which would make it two.
    """
    paths = removable_paths(collection, groups)
    for path in paths:
        if b"\n" in path:
            raise UsageError(
                f"{display_path(path)} has a line break in its name and cannot be listed; rename it"
            )
    return b"".join(path + b"\n" for path in paths)
