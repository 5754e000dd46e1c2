"""Groups of near-duplicates that are found once and kept, for whoever shows them again and again.

A search through everything takes a while; what comes after it concerns few pictures each time. What
is decided and which images go is followed at once, by forming anew the groups of the chains that it
concerns; images that come are compared when `take_in` is called.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from lookalike.arrays import Ids
from lookalike.collection import Collection
from lookalike.knowing.deduplicating import duplicate_finder
from lookalike.progress import SILENT, Progress
from lookalike.search.duplicates import Copy, DuplicateFinder, DuplicateGroup, DuplicateOptions
from lookalike.shelves.images import Gallery
from lookalike.storage.duplicate_groups import Change, GroupFile, GroupRow, Standing

_MOST_NEW: Final = 0.2
"""Where more images are new, as a share of all, a search through everything is faster."""


class KeptDuplicates:
    """The groups of one collection, kept in a file; any number of threads may ask.

    Args:
        path: The file; it is derived and may be deleted at any time.
        options: When two pictures are near-duplicates.
    """

    def __init__(
        self,
        path: Path,
        options: DuplicateOptions = DuplicateOptions(),  # noqa: B008 - frozen
    ) -> None:
        self._file = GroupFile(path)
        self._options = options
        self._lock = threading.Lock()
        self._finder: tuple[Gallery, DuplicateFinder] | None = None

    def search(self, collection: Collection, progress: Progress = SILENT) -> None:
        """Look through all images and keep what is found.

        Raises:
            UsageError: If the collection has no descriptor `content`.
        """
        revision = collection.catalog.revision
        found = self._finder_of(collection).chained(progress)
        grouped = [(chain, _row(group)) for chain, group in found.grouped]
        standing = Standing(self._key(collection), revision, time.time())
        self._file.replace(standing, (found.ids, found.lowest), grouped, found.decisions)

    def take_in(self, collection: Collection, progress: Progress = SILENT) -> None:
        """Compare the images that came since; searches through everything where that is faster.

        Raises:
            UsageError: If the collection has no descriptor `content`.
        """
        standing = self.standing(collection)
        if standing is None or standing.n_new > _MOST_NEW * len(collection):
            self.search(collection, progress)
            return
        if standing.n_new == 0:
            return
        with self._file.changing() as change:
            known = change.known()
        new = np.setdiff1d(_comparable(collection), known)
        finder = self._finder_of(collection)  # which knows the new ones
        near = list(finder.chained_to(new, progress))
        with self._file.changing() as change:
            change.add(new.tolist())
            for _, chained in near:
                change.join(chained.tolist())
            made = Standing(standing.key, standing.revision, time.time())
            self._follow(collection, change, made, set(new.tolist()))

    def standing(self, collection: Collection) -> Standing | None:
        """Follow what was decided and which images went; return what the groups are of.

        `None` if nothing is kept, or it is not of this collection.
        """
        kept = self._file.standing()
        if kept is None or not self._is_of(collection, kept):
            return None
        catalog = collection.catalog
        if self._file.is_of(catalog.revision, catalog.duplicates.decisions()):
            return kept
        with self._file.changing() as change:
            kept = change.standing()
            if kept is None or not self._is_of(collection, kept):
                return None
            return self._follow(collection, change, kept)

    def count(self) -> tuple[int, int]:
        """Return the number of groups, and of the images that could go."""
        return self._file.count()

    def groups(self, start: int = 0, n: int = -1) -> list[DuplicateGroup]:
        """Return `n` groups, or all, from one on; the largest first, as `find_duplicates` does."""
        return [_group(each) for each in self._file.groups(start, n)]

    def _follow(
        self,
        collection: Collection,
        change: Change,
        kept: Standing,
        new: frozenset[int] | set[int] = frozenset(),
    ) -> Standing:
        catalog = collection.catalog
        decisions = catalog.duplicates.decisions()
        revision = catalog.revision
        if revision != kept.revision:
            told, known = _comparable(collection), change.known()
            change.remove(np.setdiff1d(known, told).tolist())
            n_new = len(np.setdiff1d(told, known))
            kept = replace(kept, revision=revision, n_new=n_new)
        # Of images that were not there yet something may have been decided all the same.
        touched = change.decided_since(decisions) | new
        for pair in decisions.same:
            if touched.intersection(pair):
                change.join(pair)
        change.touch(touched)
        change.finish(kept, decisions, lambda ids: self._rows(collection, ids))
        return kept

    def _rows(self, collection: Collection, ids: Sequence[int]) -> Iterator[GroupRow]:
        return map(_row, self._finder_of(collection).groups_among(ids))

    def _finder_of(self, collection: Collection) -> DuplicateFinder:
        """Return what compares; it holds for as long as the collection is searched as it is."""
        with self._lock:
            gallery = collection.gallery
            if self._finder is None or self._finder[0] is not gallery:
                self._finder = gallery, duplicate_finder(collection, self._options)
            return self._finder[1]

    def _is_of(self, collection: Collection, kept: Standing) -> bool:
        # A collection that was restored from a backup is younger than what was found in it.
        return kept.key == self._key(collection) and kept.revision <= collection.catalog.revision

    def _key(self, collection: Collection) -> str:
        dim, options = collection.catalog.descriptors.get("content", 0), self._options
        made = collection.manifest.created
        return f"{made} {collection.manifest.model} {dim} {options.threshold} {options.min_score}"


def _comparable(collection: Collection) -> Ids:
    return collection.catalog.duplicates.told(collection.catalog.ids())


def _row(group: DuplicateGroup) -> GroupRow:
    return GroupRow(group.keep, len(group.copies), len(group.removable), asdict(group))


def _group(content: dict[str, Any]) -> DuplicateGroup:
    copies = tuple(Copy(**each) for each in content["copies"])
    return DuplicateGroup(
        content["kind"], content["keep"], content["reason"], copies, tuple(content["removable"])
    )
