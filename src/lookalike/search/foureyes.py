"""Labels for many images from a few examples: which of many groupings does a person mean?

No one way of grouping images fits every label, so that a pool of them is kept: k-means clusters of
every descriptor at several numbers of clusters, and any that people made. From images that have a
label and images that do not, those groups are chosen that together cover the positive ones and
touch no negative one; the other images in them are proposed for the label (R. W. Picard,
T. P. Minka, *Vision Texture for Annotation*, Multimedia Systems 3(1), 1995; T. P. Minka,
R. W. Picard, *Interactive Learning Using a Society of Models*, Pattern Recognition 30(4), 1997).

How far a group is trusted is learned from label to label. When a person judges a proposed image,
the grouping that proposed it gets a vote: for it if the image has the label, against it if not.
Votes are kept apart by the number of known positives in the group (one, two, three or more), since
a group that holds several says more. The confidence that an image in such a group has the label is

    (votes for + 1) / (votes for + votes against + 2)

Groups are chosen greedily, as in V. Chvátal, *A Greedy Heuristic for the Set-Covering Problem*,
Mathematics of Operations Research 4(3), 1979: always the one with the most positives not covered
yet, times the confidence in it; of equal ones the smallest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.index.kmeans import assign_clusters

SIZES: Final = (4, 16, 64, 256)
"""Numbers of clusters of each descriptor."""

_IMAGES_PER_CLUSTER: Final = 4
"""Finer clusters than so many images each are not made: they would hold the examples alone."""

_MOST_COUNTED: Final = 3
"""More known positives in a group are not told apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """One way of putting images into groups.

    Attributes:
        name: As it is remembered: `content/64`.
        groups: Number of the group of each image of the pool; below 0 for images in none.
    """

    name: str
    groups: Int64[ndarray, " images"]


@dataclass(frozen=True, slots=True)
class Votes:
    """How groupings served the labels so far.

    Attributes:
        right: By grouping and number of positives (`content/64:2`) how many proposed images had the
            label.
        wrong: How many had not.
    """

    right: Mapping[str, int] = field(default_factory=dict)
    wrong: Mapping[str, int] = field(default_factory=dict)

    def confidence(self, grouping: str, n_positives: int) -> float:
        """Return how likely an image has the label whose group holds so many that have.

        Example:
            >>> Votes().confidence("content/4", 1)
            0.5
            >>> Votes(right={"content/4:2": 2}).confidence("content/4", 2)
            0.75
        """
        name = _case(grouping, n_positives)
        right, wrong = self.right.get(name, 0), self.wrong.get(name, 0)
        return (right + 1) / (right + wrong + 2)

    def to_json(self) -> dict[str, Any]:
        """Return the votes as JSON knows them."""
        return {"right": dict(self.right), "wrong": dict(self.wrong)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Votes":
        """Read what `to_json` gave.

        Raises:
            DamagedCollectionError: If it is something else.
        """
        try:
            right = {str(name): int(votes) for name, votes in content["right"].items()}
            wrong = {str(name): int(votes) for name, votes in content["wrong"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamagedCollectionError(f"votes cannot be read: {error!r}") from error
        if not all(votes >= 0 for votes in (*right.values(), *wrong.values())):
            raise DamagedCollectionError("votes are below 0")
        return cls(right, wrong)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Images and the ways they can be grouped.

    Attributes:
        ids: The images, ascending.
        groupings: Any number.
    """

    ids: Ids
    groupings: Sequence[Grouping]


@dataclass(frozen=True, slots=True)
class Group:
    """A group that was chosen.

    Attributes:
        grouping: Name of its grouping.
        number: Its number there.
        n_images: Images in it.
        n_positives: Those among them that have the label.
        confidence: That an image in it has the label.
    """

    grouping: str
    number: int
    n_images: int
    n_positives: int
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class LabelProposal:
    """Images that may have the label.

    Attributes:
        ids: Most confident first, equal ones by id; marked images are left out.
        confidences: From 0 to 1.
        sources: For each image the position of its group in `groups`.
        groups: The groups they come from, in the order in which they were chosen.
        uncovered: Positive ids that lie in no group without a negative one.
    """

    ids: Ids
    confidences: Float64[ndarray, " images"]
    sources: Int64[ndarray, " images"]
    groups: tuple[Group, ...]
    uncovered: tuple[int, ...]


def make_pool(
    ids: Ids, embeddings: Mapping[str, Embeddings], *, seed: int = 0, more: Iterable[Grouping] = ()
) -> Pool:
    """Cluster images by each descriptor, coarsely to finely.

    Args:
        ids: The images, ascending.
        embeddings: Their rows in each descriptor.
        seed: Same seed, same clusters.
        more: Groupings from elsewhere, for instance made by hand.
    """
    most = max(1, len(ids) // _IMAGES_PER_CLUSTER)
    made = [
        Grouping(f"{name}/{size}", assign_clusters(rows, size, seed=seed))
        for name, rows in embeddings.items()
        for size in SIZES
        if size <= most
    ]
    return Pool(ids, [*made, *more])


def vote(proposal: LabelProposal, judged: Mapping[int, bool], votes: Votes | None = None) -> Votes:
    """Let a person's judgment of proposed images count; return the votes with it.

    Args:
        proposal: What was proposed.
        judged: By image id whether it has the label. Images that were not proposed do not count.
        votes: Of earlier labels.
    """
    known = votes or Votes()
    sums = {True: dict(known.right), False: dict(known.wrong)}
    for image, source in zip(proposal.ids.tolist(), proposal.sources.tolist(), strict=True):
        if image in judged:
            group = proposal.groups[source]
            name, counts = _case(group.grouping, group.n_positives), sums[judged[image]]
            counts[name] = counts.get(name, 0) + 1
    return Votes(sums[True], sums[False])


def propose(
    pool: Pool, positives: Sequence[int], negatives: Sequence[int], votes: Votes | None = None
) -> LabelProposal:
    """Propose images for a label.

    Args:
        pool: What can be chosen from.
        positives: Ids of images that have the label, one or more.
        negatives: Ids of images that have not.
        votes: Of earlier labels.

    Raises:
        UsageError: If there is no positive one, an id is not in the pool, or one is both.
    """
    if not positives:
        raise UsageError("labels are proposed from at least one image that has the label")
    both = sorted(set(positives) & set(negatives))
    if both:
        raise UsageError(f"image {both[0]} cannot both have the label and not have it")
    liked, disliked = _places(pool, positives), _places(pool, negatives)
    chosen, left = _cover(_candidates(pool, votes or Votes(), liked, disliked), liked)
    confidences, sources = _confidences(pool, chosen)
    confidences[liked] = confidences[disliked] = 0.0
    order = np.lexsort((pool.ids, -confidences))[: int((confidences > 0).sum())]
    uncovered = tuple(sorted(int(pool.ids[place]) for place in left))
    return LabelProposal(
        pool.ids[order], confidences[order], sources[order], tuple(chosen), uncovered
    )


def _confidences(
    pool: Pool, chosen: Sequence[Group]
) -> tuple[Float64[ndarray, " images"], Int64[ndarray, " images"]]:
    """Return for each image the confidence of the best chosen group that holds it, and which."""
    confidences, sources = np.zeros(len(pool.ids)), np.zeros(len(pool.ids), np.int64)
    by_name = {grouping.name: grouping for grouping in pool.groupings}
    for at, group in enumerate(chosen):
        inside = by_name[group.grouping].groups == group.number
        is_better = inside & (group.confidence > confidences)
        confidences[is_better], sources[is_better] = group.confidence, at
    return confidences, sources


def _cover(
    candidates: Sequence[tuple[Group, set[int]]], liked: Int64[ndarray, " liked"]
) -> tuple[list[Group], set[int]]:
    """Choose groups until all positives are covered that can be; return those that cannot."""
    left, chosen = set(liked.tolist()), list[Group]()
    while left:
        gains = [
            (len(left & places) * group.confidence, -group.n_images) for group, places in candidates
        ]
        if not gains or max(gains)[0] == 0:
            break
        group, places = candidates[gains.index(max(gains))]
        chosen.append(group)
        left -= places
    return chosen, left


def _candidates(
    pool: Pool,
    votes: Votes,
    liked: Int64[ndarray, " liked"],
    disliked: Int64[ndarray, " disliked"],
) -> list[tuple[Group, set[int]]]:
    """Return groups with a positive and without a negative image, and the positives in each."""
    found = []
    for grouping in pool.groupings:
        of_liked = grouping.groups[liked]
        for number in np.setdiff1d(of_liked, grouping.groups[disliked]):
            if number < 0:
                continue
            places = set(liked[of_liked == number].tolist())
            n_images = int((grouping.groups == number).sum())
            confidence = votes.confidence(grouping.name, len(places))
            group = Group(grouping.name, int(number), n_images, len(places), confidence)
            found.append((group, places))
    return found


def _case(grouping: str, n_positives: int) -> str:
    return f"{grouping}:{min(n_positives, _MOST_COUNTED)}"


def _places(pool: Pool, ids: Sequence[int]) -> Int64[ndarray, " ids"]:
    wanted = np.array(ids, np.int64)
    places = np.minimum(np.searchsorted(pool.ids, wanted), max(0, len(pool.ids) - 1))
    is_known = np.isin(wanted, pool.ids)
    if not is_known.all():
        image = int(wanted[np.argmin(is_known)])
        raise UsageError(f"there is no image with id {image}; ids are shown with every hit")
    found: Int64[ndarray, " ids"] = places.astype(np.int64)
    return found
