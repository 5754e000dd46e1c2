"""What perceptual hashes chain together, before anything else is looked at or decided."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.images.perceptual_hash import mirrored
from lookalike.progress import SILENT, Progress
from lookalike.search.hash_join import Pairs, distances, near_pairs
from lookalike.storage.duplicates import Prints


class Chains:
    """What hangs together (union-find; R. E. Tarjan, *Efficiency of a Good But Not Linear Set Union
    Algorithm*, JACM 1975), told in batches of pairs.

    Args:
        n: Number of items.
    """  # noqa: D205

    def __init__(self, n: int) -> None:
        self._parent: Int64[ndarray, " items"] = np.arange(n)

    def join(self, pairs: Pairs) -> None:
        """Chain the first and the second of each pair together."""
        first, second = self._parent[pairs[0]], self._parent[pairs[1]]
        is_new = first != second
        if not is_new.any():
            return
        for a, b in zip(first[is_new].tolist(), second[is_new].tolist(), strict=True):
            low, high = sorted((self._root(a), self._root(b)))
            self._parent[high] = low
        # All point to their roots again, so that most pairs need no more than a look.
        while not np.array_equal(self._parent, flat := self._parent[self._parent]):
            self._parent = flat

    def of_two_or_more(self) -> Iterator[Int64[ndarray, " chain"]]:
        """Give the items of each chain, ascending; single items are left out."""
        order = np.argsort(self._parent, kind="stable")
        starts = np.flatnonzero(np.diff(self._parent[order])) + 1
        yield from (chain for chain in np.split(order, starts) if len(chain) > 1)

    def lowest(self, ids: Ids) -> Ids:
        """Return for each item the lowest id of its chain; `ids` ascend."""
        found: Ids = ids[self._parent]
        return found

    def _root(self, at: int) -> int:
        while (above := int(self._parent[at])) != at:
            at = above
        return at


def hash_chains(prints: Prints, threshold: int, progress: Progress = SILENT) -> Chains:
    """Chain images whose hashes differ in few bits, be it that one is mirrored.

    Plain pictures, whose hash says nothing, hang on none.
    """
    told = np.flatnonzero(~prints.is_plain)
    hashes = prints.hashes[told]
    _, first, same = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    chains = Chains(len(prints))
    chains.join((told, told[first[same.ravel()]]))
    distinct = told[first]
    # The mirrored hashes stand behind the others; what is found among them alone is known.
    both = np.concatenate([prints.hashes[distinct], mirrored(prints.hashes[distinct])])
    for a, b in near_pairs(both, threshold, progress):
        chains.join((distinct[a % len(distinct)], distinct[b % len(distinct)]))
    return chains


def near_each(
    prints: Prints, new: Ids, threshold: int, progress: Progress = SILENT
) -> Iterator[tuple[int, Ids]]:
    """Give each of the new images with all whose hashes are near, by comparing it with each."""
    told = np.flatnonzero(~prints.is_plain)
    hashes, ids = prints.hashes[told], prints.ids[told]
    with progress.task("Comparing new pictures", len(new)) as task:
        for at in np.flatnonzero(np.isin(ids, new)).tolist():
            apart = np.minimum(
                distances(hashes, hashes[at]),
                distances(hashes, mirrored(hashes[[at]])[0]),
            )
            near = ids[apart <= threshold]
            if len(near) > 1:
                yield int(ids[at]), near
            task.advance()
