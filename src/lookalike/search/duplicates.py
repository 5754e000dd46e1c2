"""Near-duplicates: perceptual hashes propose, embeddings confirm, a person decides.

Two pictures are near-duplicates if their hashes differ in few bits and their `content` is as
similar as hardly any two pictures that are none. Such pairs chain: a crop of a crop of a crop is
another picture in the end. So the chains that hashes make are taken apart again: the best picture
leads, all its own near-duplicates join it, and the next best of the others leads the next group.
Everything in a group is a near-duplicate of the picture that is to be kept, and any two differ in
at most twice the bits that are allowed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.images.perceptual_hash import mirrored
from lookalike.index.base import VectorIndex
from lookalike.index.rows import contains
from lookalike.progress import SILENT, Progress
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.duplicate_chains import Chains, hash_chains, near_each
from lookalike.search.hash_join import check_radius, distances
from lookalike.search.keeping import best_first, reason_to_keep
from lookalike.storage.duplicates import Decisions, DuplicateStore, Prints

THRESHOLD: Final = 20
"""Bits of 128; see docs/duplicates.md for what this finds and what it costs."""

MIN_SCORE: Final = 2.0
"""Of pairs that are no near-duplicates one in a hundred is as similar. More is not always reached:
in a collection of all sorts of pictures even equal ones are not rarer than its pairs can tell."""

GroupKind: TypeAlias = Literal["copies", "mirrored"]

_N_PAIRS: Final = 20_000
_UNLIKE: Final = 40
"""Pairs that differ in so many bits show how similar pictures are that are no near-duplicates."""


@dataclass(frozen=True, slots=True)
class DuplicateOptions:
    """When two pictures are near-duplicates.

    Attributes:
        threshold: Bits of 128 in which their perceptual hashes may differ, from 0 to 23.
        min_score: Rarity of their `content` similarity that is needed, in decades; 0 for none.

    Raises:
        UsageError: If one of them is out of range.
    """

    threshold: int = THRESHOLD
    min_score: int | float = MIN_SCORE

    def __post_init__(self) -> None:
        check_radius(self.threshold)
        if not 0 <= self.min_score < np.inf:
            raise UsageError(f"the least score must be 0 or more, not {self.min_score}")


@dataclass(frozen=True, slots=True)
class Copy:
    """A member of a group beside the one to keep, compared with that one.

    Attributes:
        id: Of the image.
        bits: In how many bits the hashes differ, the mirrored one of this in a mirrored group.
        score: Rarity of the `content` similarity, in decades.
        is_decided: Whether a person has said that it belongs here, or that it is to be kept.
    """

    id: int
    bits: int
    score: float
    is_decided: bool


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Near-duplicates of one picture.

    Attributes:
        kind: `copies`, or `mirrored`: left and right are exchanged.
        keep: The image suggested to be kept, or decided.
        reason: Why, in a few words.
        copies: The others, best first.
        removable: Ids of those that could go: none in mirrored groups, none that are to be kept.
    """

    kind: GroupKind
    keep: int
    reason: str
    copies: tuple[Copy, ...]
    removable: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """All members, the one to keep first."""
        return (self.keep, *(copy.id for copy in self.copies))


@dataclass(frozen=True, slots=True, eq=False)
class Chained:
    """All images with a fingerprint, in chains, and the groups that these are taken apart into.

    Attributes:
        ids: The images, ascending.
        lowest: Of each the lowest id in its chain.
        decisions: What had been decided.
        grouped: Lowest id of the chain, and group; can be gone through once.
    """

    ids: Ids
    lowest: Ids
    decisions: Decisions
    grouped: Iterator[tuple[int, DuplicateGroup]]


class DuplicateFinder:
    """Finds near-duplicates among the images of one state of a collection.

    Args:
        store: Fingerprints and decisions.
        content: The index of `content`; gives the embeddings.
        options: When two pictures are near-duplicates.
    """

    def __init__(
        self,
        store: DuplicateStore,
        content: VectorIndex,
        options: DuplicateOptions = DuplicateOptions(),
    ) -> None:
        self._store = store
        self._content = content
        self._options = options

    def groups(self, progress: Progress = SILENT) -> list[DuplicateGroup]:
        """Return all groups of near-duplicates, the largest first, then by the lowest id kept.

        Memory is bounded: about 200 bytes for each image of the collection, however many pairs
        there are. Plain pictures, whose hash says nothing, come only where a person has said
        `same`; images without fingerprint are left out.
        """
        groups = [group for _, group in self.chained(progress).grouped]
        return sorted(groups, key=lambda group: (-len(group.copies), group.keep))

    def chained(self, progress: Progress = SILENT) -> Chained:
        """Chain all images by their hashes and by what is decided, and form groups chain by chain.

        Args:
            progress: Told of every pass over the hashes, then about every chain.
        """
        decisions = self._store.decisions()
        comparing = self._comparing(self._store.prints(), decisions)
        chains = comparing.chains(progress)
        lowest = chains.lowest(comparing.ids)

        def grouped() -> Iterator[tuple[int, DuplicateGroup]]:
            with progress.task("Near-duplicates", None, "chains") as task:
                for members in chains.of_two_or_more():
                    for group in comparing.groups(comparing.ordered(members)):
                        yield int(lowest[members[0]]), group
                    task.advance()

        return Chained(comparing.ids, lowest, decisions, grouped())

    def chained_to(self, new: Ids, progress: Progress = SILENT) -> Iterator[tuple[int, Ids]]:
        """Give each of the new images with those of all that hashes chain it to directly.

        Faster than `chains` as long as few images are new.
        """
        prints = self._known(self._store.prints())
        yield from near_each(prints, new, self._options.threshold, progress)

    def groups_among(self, ids: Sequence[int]) -> list[DuplicateGroup]:
        """Return the groups among some images: whole chains, with all that is said to be the same.

        They are those of `groups`, whether one chain is given or several at once.
        """
        comparing = self._comparing(self._store.prints(ids), self._store.decisions(ids))
        return list(comparing.groups(comparing.ordered(comparing.everything)))

    def representatives(self, ids: Ids) -> Ids:
        """Return for each image the earliest in `ids` that it is a near-duplicate of, or itself.

        For searches that hide near-duplicates: of hits, best first, those stay whose
        representative they are. Only the images given are compared with each other; mirrored
        pictures count as different.

        Example: if 7 is a copy of 3, `[3, 5, 7]` gives `[3, 5, 3]`.
        """
        comparing = self._comparing(self._store.prints(ids), self._store.decisions(ids))
        leader = {
            member: members[0]
            for members in comparing.led_ids(list(dict.fromkeys(ids.tolist())))
            for member in members
        }
        return np.array([leader.get(image_id, image_id) for image_id in ids.tolist()], np.int64)

    def _comparing(self, prints: Prints, decisions: Decisions) -> "_Comparing":
        known = self._known(prints)
        return _Comparing(known, decisions, self._content, self._calibration, self._options)

    def _known(self, prints: Prints) -> Prints:
        # A writer may have added images since the index was read.
        return prints.take(np.flatnonzero(contains(self._content.ids, prints.ids)))

    @cached_property
    def _calibration(self) -> Calibration:
        """Fit rarity to random pairs whose hashes tell that they are no near-duplicates.

        Unlike a search's, so that it stays the same however many copies a collection holds.
        """
        ids = self._content.ids
        rng = np.random.default_rng(0)
        first, second = rng.choice(ids, (2, _N_PAIRS)) if len(ids) > 1 else np.empty((2, 0), int)
        prints = self._store.prints(np.unique([first, second]))
        is_told = np.isin(first, prints.ids) & np.isin(second, prints.ids)
        first, second = first[is_told], second[is_told]
        a = prints.hashes[np.searchsorted(prints.ids, first)]
        b = prints.hashes[np.searchsorted(prints.ids, second)]
        is_unlike = np.minimum(_apart(a, b), _apart(a, mirrored(b))) >= _UNLIKE
        first, second = first[is_unlike], second[is_unlike]
        pairs = np.vecdot(self._content.vectors(first), self._content.vectors(second))
        return fit_similarities(pairs.astype(np.float64))


class _Comparing:
    """Some images, by position, and how any two of them are compared."""

    def __init__(
        self,
        prints: Prints,
        decisions: Decisions,
        content: VectorIndex,
        calibration: Calibration,
        options: DuplicateOptions,
    ) -> None:
        self._prints = prints
        self._content = content
        self._calibration = calibration
        self._options = options
        self._mirrored = mirrored(prints.hashes)
        self._keeps = self._positions(decisions.keeps)
        self._same = self._partners(decisions.same)
        self._different = self._partners(decisions.different)

    @property
    def ids(self) -> Ids:
        """Image ids, ascending."""
        return self._prints.ids

    def chains(self, progress: Progress) -> Chains:
        """Chain images by hashes and decisions."""
        chains = hash_chains(self._prints, self._options.threshold, progress)
        for at, partners in self._same.items():
            chains.join((np.full(len(partners), at), np.array(sorted(partners), np.int64)))
        return chains

    @property
    def everything(self) -> Int64[ndarray, " images"]:
        """Positions of all images."""
        return np.arange(len(self._prints))

    def ordered(self, members: Int64[ndarray, " images"]) -> Int64[ndarray, " images"]:
        """Return the positions with the best image first."""
        return best_first(self._prints, members, self._keeps)

    def groups(self, chain: Int64[ndarray, " chain"]) -> Iterator[DuplicateGroup]:
        """Take a chain apart: groups of copies, then pairs of what leads them that are mirrored."""
        led = list(self.led(chain))
        yield from (self._group("copies", members) for members in led if len(members) > 1)
        leaders = np.array([members[0] for members in led], np.int64)
        for members in self.led(leaders, "mirrored"):
            if len(members) > 1:
                yield self._group("mirrored", members)

    def led(
        self, order: Int64[ndarray, " images"], kind: GroupKind = "copies"
    ) -> Iterator[list[int]]:
        """Give groups, the leader first: each image that is left leads those like it."""
        left = order
        while len(left):
            leader, left = int(left[0]), left[1:]
            members = self._members(leader, left, kind)
            yield members
            left = left[~np.isin(left, members)]

    def led_ids(self, ids: Sequence[int]) -> Iterator[list[int]]:
        """Give groups of copies as image ids, led in the order given; unknown ids are left out."""
        place = {int(image_id): at for at, image_id in enumerate(self._prints.ids)}
        order = np.array([place[image_id] for image_id in ids if image_id in place], np.int64)
        for members in self.led(order):
            yield self._prints.ids[members].tolist()

    def _members(
        self, leader: int, others: Int64[ndarray, " others"], kind: GroupKind
    ) -> list[int]:
        accepted = [leader]
        same = self._closure(leader) if kind == "copies" else set()
        is_said = np.isin(others, sorted(same))
        like = others[self._is_near(leader, others, kind) | is_said]
        for at in like.tolist():
            if not self._different.get(at, set()).intersection(accepted):
                accepted.append(at)
        return accepted

    def _is_near(self, leader: int, others: Int64[ndarray, " others"], kind: GroupKind) -> ndarray:
        is_near = self._bits(leader, others, kind) <= self._options.threshold
        is_near &= ~self._prints.is_plain[others] & ~self._prints.is_plain[leader]
        near = others[is_near]
        if len(near):
            is_near[is_near] = self._scores(leader, near) >= self._options.min_score
        return is_near

    def _bits(self, leader: int, others: Int64[ndarray, " others"], kind: GroupKind) -> ndarray:
        hashes = self._prints.hashes if kind == "copies" else self._mirrored
        return distances(hashes[others], self._prints.hashes[leader])

    def _scores(
        self, leader: int, others: Int64[ndarray, " others"]
    ) -> Float64[ndarray, " others"]:
        query = self._content.vectors(self._prints.ids[[leader]])
        similarities = self._content.similarities(query, self._prints.ids[others])[0]
        scores: ndarray = np.nan_to_num(self._calibration.scores(similarities), nan=0.0)
        return scores

    def _group(self, kind: GroupKind, members: Sequence[int]) -> DuplicateGroup:
        keep, others = members[0], np.array(members[1:], np.int64)
        bits, scores = self._bits(keep, others, kind), self._scores(keep, others)
        same = self._closure(keep)
        copies = tuple(
            Copy(int(self._prints.ids[at]), int(n), float(score), at in same or at in self._keeps)
            for at, n, score in zip(others.tolist(), bits, scores, strict=True)
        )
        may_go = [at for at in others.tolist() if kind == "copies" and at not in self._keeps]
        return DuplicateGroup(
            kind,
            int(self._prints.ids[keep]),
            reason_to_keep(self._prints, keep, int(others[0]), self._keeps),
            copies,
            tuple(self._prints.ids[may_go].tolist()),
        )

    def _positions(self, ids: frozenset[int]) -> set[int]:
        return set(np.flatnonzero(np.isin(self._prints.ids, sorted(ids))).tolist())

    def _partners(self, pairs: frozenset[tuple[int, int]]) -> dict[int, set[int]]:
        place = {int(id_): at for at, id_ in enumerate(self._prints.ids)} if pairs else {}
        partners: dict[int, set[int]] = {}
        for first, second in pairs:
            if first in place and second in place:
                partners.setdefault(place[first], set()).add(place[second])
                partners.setdefault(place[second], set()).add(place[first])
        return partners

    def _closure(self, at: int) -> set[int]:
        """Return all that are said to be the same, directly or through others."""
        reached, new = set[int](), {at}
        while new:
            reached |= new
            new = set().union(*(self._same.get(one, set()) for one in new)) - reached
        return reached - {at}


def _apart(a: ndarray, b: ndarray) -> Int64[ndarray, " pairs"]:
    apart: ndarray = np.bitwise_count(a ^ b).sum(axis=1, dtype=np.int64)
    return apart
