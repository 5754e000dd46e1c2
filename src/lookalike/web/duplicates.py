"""The groups of near-duplicates that the page Duplicates shows, found beside the requests."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Final, TypeAlias

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.knowing.deduplicating import find_duplicates, removable_paths
from lookalike.search.duplicates import DuplicateGroup
from lookalike.storage.duplicates import Decisions
from lookalike.storage.records import ImageRecord
from lookalike.web.models import HostedCollection

PAGE: Final = 20
"""Groups on a page."""

MOST_DECIDED: Final = 60
_REMEMBERED: Final = 16
_PATIENCE_SECONDS: Final = 3.0

_Key: TypeAlias = tuple[str, int, Decisions]
Groups: TypeAlias = list[DuplicateGroup]


class GroupsInTime:
    """Finds the groups of a collection in a thread of its own, once for each state of it."""

    def __init__(self, patience: float = _PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._working = ThreadPoolExecutor(1, thread_name_prefix="duplicates")
        self._found: OrderedDict[_Key, Future[Groups]] = OrderedDict()

    def get(self, hosted: HostedCollection, collection: Collection) -> Groups | None:
        """Return the groups; `None` while they are still being looked for."""
        decisions = collection.catalog.duplicates.decisions()
        key = (hosted.path, collection.catalog.revision, decisions)
        with self._lock:
            if key not in self._found:
                self._found[key] = self._working.submit(find_duplicates, collection)
                while len(self._found) > _REMEMBERED:
                    self._found.popitem(last=False)[1].cancel()
            self._found.move_to_end(key)
            future = self._found[key]
        try:
            return future.result(self._patience)
        except NotYet:
            return None
        except Exception:
            with self._lock:
                self._found.pop(key, None)
            raise


groups_in_time: Final = GroupsInTime()


def groups_of(hosted: HostedCollection, collection: Collection) -> Groups | None:
    """Return all groups, the largest first; `None` while they are being looked for."""
    if len(collection) == 0:
        return []
    return groups_in_time.get(hosted, collection)


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
