"""Proposes images of a collection for a label, and remembers how its groupings served.

What is remembered lies in the collection's folder, in `groupings.json`: by grouping how many of the
images that it proposed were found right and wrong. It knows no image and no label, so that it stays
true when images come and go; without the file everything works as at first.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.images.scanning import display_path
from lookalike.search.foureyes import LabelProposal, Pool, Votes, make_pool, propose, vote
from lookalike.storage.lock import WriterLock

VERSION: Final = 1
"""Version of the file."""


@final
class Proposer:
    """Proposes images for labels from groupings of one collection, opened for reading.

    The groupings are made once, when the first label asks for them.

    Args:
        collection: What is looked through.
        seed: Of the clusters.
    """

    def __init__(self, collection: Collection, seed: int = 0) -> None:
        self._collection = collection
        self._seed = seed
        self._pool: Pool | None = None

    def propose(self, positives: Sequence[int], negatives: Sequence[int] = ()) -> LabelProposal:
        """Propose images for a label that some images have and others have not.

        Raises:
            UsageError: If no image has it, an id is unknown, or one is both.
        """
        return propose(self.pool, positives, negatives, self.votes())

    def remember(self, proposal: LabelProposal, judged: Mapping[int, bool]) -> Votes:
        """Let a judgment of proposed images count from now on; return all votes.

        Args:
            proposal: What was proposed.
            judged: By image id whether it has the label.

        Raises:
            UsageError: If an image was not proposed.
            CollectionLockedError: If another process is writing to the collection.
        """
        strange = sorted(set(judged) - set(proposal.ids.tolist()))
        if strange:
            raise UsageError(
                f"image {strange[0]} was not proposed for the label, so that it cannot be right or "
                "wrong; like or dislike it instead"
            )
        with WriterLock(self._collection.path):
            votes = vote(proposal, judged, self.votes())
            content = {"version": VERSION, **votes.to_json()}
            write_atomically(self._file, (json.dumps(content, indent=1) + "\n").encode())
        return votes

    def votes(self) -> Votes:
        """Return what is remembered.

        Raises:
            DamagedCollectionError: If the file is no longer what was written.
        """
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Votes()
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        if not isinstance(content, dict) or content.get("version") != VERSION:
            raise self._damaged("not of this version")
        try:
            return Votes.from_json(content)
        except DamagedCollectionError as error:
            raise self._damaged(error) from error

    @property
    def pool(self) -> Pool:
        """The groupings: clusters of every descriptor, of all images that have them all."""
        if self._pool is None:
            indexes = self._collection.gallery.indexes
            ids = np.sort(next(iter(indexes.values())).ids)
            for index in indexes.values():
                ids = np.intersect1d(ids, index.ids)
            rows = {name: index.vectors(ids) for name, index in indexes.items()}
            self._pool = make_pool(ids, rows, seed=self._seed)
        return self._pool

    @property
    def _file(self) -> Path:
        return self._collection.path / "groupings.json"

    def _damaged(self, reason: object) -> DamagedCollectionError:
        return DamagedCollectionError(
            f"{self._file} cannot be read ({reason}); delete it, and what was learned "
            "of earlier labels is learned anew"
        )


def propose_round(
    collection: Collection,
    liked: Sequence[int],
    disliked: Sequence[int],
    right: Sequence[int] = (),
    wrong: Sequence[int] = (),
    k: int = 20,
) -> dict[str, Any]:
    """Propose images, after the judgment of earlier ones if there is one; as plain values.

    Args:
        collection: What is looked through.
        liked: Ids of images that have the label.
        disliked: Ids of images that have not.
        right: Ids of those proposed from these that have it too.
        wrong: Ids of those proposed that have not.
        k: Proposals wanted.

    Raises:
        UsageError: If no image has the label, or an id is unknown or contradicts another.
    """
    if k < 1:
        raise UsageError(f"the number of proposals (-k) must be 1 or more, not {k}")
    proposer = Proposer(collection)
    proposal = proposer.propose(liked, disliked)
    if right or wrong:
        judged = {**dict.fromkeys(right, True), **dict.fromkeys(wrong, False)}
        if len(judged) < len(set(right)) + len(set(wrong)):
            raise UsageError("an image is both right and wrong; give it once")
        proposer.remember(proposal, judged)
        proposal = proposer.propose([*liked, *right], [*disliked, *wrong])
    return _answer(collection, proposal, k)


def _answer(collection: Collection, proposal: LabelProposal, k: int) -> dict[str, Any]:
    records = collection.images(proposal.ids[:k])
    rows = zip(records, proposal.confidences.tolist(), proposal.sources.tolist(), strict=False)
    return {
        "proposals": [
            {
                "id": record.id,
                "path": display_path(record.paths[0]),
                "confidence": confidence,
                "grouping": proposal.groups[source].grouping,
            }
            for record, confidence, source in rows
        ],
        "n_proposed": len(proposal.ids),
        "uncovered": list(proposal.uncovered),
    }
