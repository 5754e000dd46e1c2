"""What a person says of the pictures that were shown, round after round.

Marks have the five levels of MARS (Y. Rui, T. S. Huang, M. Ortega, S. Mehrotra, *Relevance
Feedback: A Power Tool for Interactive Content-Based Image Retrieval*, IEEE Transactions on
Circuits and Systems for Video Technology 8(5), 1998): highly relevant 3, relevant 1, no opinion 0,
non-relevant -1, highly non-relevant -3. What is made of them is in `lookalike.search.steering`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, get_args

from lookalike.errors import UsageError
from lookalike.search.names import Method

HIGHLY_RELEVANT: Final = 3
RELEVANT: Final = 1
NO_OPINION: Final = 0
NON_RELEVANT: Final = -1
HIGHLY_NON_RELEVANT: Final = -3

LEVELS: Final = (HIGHLY_RELEVANT, RELEVANT, NO_OPINION, NON_RELEVANT, HIGHLY_NON_RELEVANT)

Round: TypeAlias = Mapping[int, int]
"""Image id → level of its mark."""

_LARGEST_ID: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Feedback:
    """All that was said so far.

    Attributes:
        rounds: Marks by image id, first round first. A later mark of an image replaces an earlier
            one.
        method: What is made of them.
        exclude_seen: Whether images that have a mark, of whatever level, are left out of the hits.

    Raises:
        UsageError: If a mark is none of the five levels, an id is none, or the method is unknown.
    """

    rounds: tuple[Round, ...] = ()
    method: Method = "auto"
    exclude_seen: bool = True

    def __post_init__(self) -> None:
        _check_method(self.method)
        for marks in self.rounds:
            _check_marks(marks)

    @property
    def marks(self) -> dict[int, int]:
        """The last mark of each image, by ascending id."""
        merged = {image: level for marks in self.rounds for image, level in marks.items()}
        return dict(sorted(merged.items()))

    @property
    def relevant(self) -> dict[int, int]:
        """The marks above 0."""
        return {image: level for image, level in self.marks.items() if level > 0}

    @property
    def non_relevant(self) -> dict[int, int]:
        """The marks below 0."""
        return {image: level for image, level in self.marks.items() if level < 0}

    @property
    def excluded_ids(self) -> frozenset[int]:
        """Ids that are not to be found because they have been seen."""
        return frozenset(self.marks) if self.exclude_seen else frozenset()

    def mark(self, marks: Round) -> "Feedback":
        """Return the feedback with one round more.

        Raises:
            UsageError: If nothing is marked, or a mark makes no sense.

        Example:
            >>> Feedback().mark({7: RELEVANT}).mark({7: NON_RELEVANT, 3: RELEVANT}).marks
            {3: 1, 7: -1}
        """
        if not marks:
            raise UsageError("a round needs at least one mark; mark an image as liked or disliked")
        return replace(self, rounds=(*self.rounds, dict(marks)))

    def undo(self) -> "Feedback":
        """Return the feedback without its last round.

        Raises:
            UsageError: If there is no round.
        """
        if not self.rounds:
            raise UsageError("there is no round of feedback to undo")
        return replace(self, rounds=self.rounds[:-1])

    def before(self, at: int) -> "Feedback":
        """Return the feedback as it was before the round at a position."""
        return replace(self, rounds=self.rounds[:at])

    def to_json(self) -> dict[str, Any]:
        """Return the feedback as JSON knows it; defaults are left out.

        Example:
            >>> Feedback(({7: 1, 3: -3},), "rocchio").to_json()
            {'rounds': [{'7': 1, '3': -3}], 'method': 'rocchio'}
        """
        content: dict[str, Any] = {
            "rounds": [{str(image): level for image, level in r.items()} for r in self.rounds]
        }
        if self.method != "auto":
            content["method"] = self.method
        if not self.exclude_seen:
            content["exclude_seen"] = False
        return content

    @classmethod
    def from_json(cls, content: Any) -> "Feedback":
        """Read what `to_json` gave.

        Raises:
            UsageError: If it is something else.
        """
        if not isinstance(content, Mapping):
            raise UsageError(f"feedback is a JSON object, not {content!r:.60}")
        known = cls.__dataclass_fields__
        for key in content:
            if key not in known:
                raise UsageError(f"unknown part {key!r} of feedback; known are: {', '.join(known)}")
        exclude = content.get("exclude_seen", True)
        if not isinstance(exclude, bool):
            raise UsageError(f"exclude_seen of feedback is true or false, not {exclude!r:.60}")
        method = content.get("method", "auto")
        _check_method(method)
        return cls(_rounds_from_json(content.get("rounds", ())), method, exclude)


def _check_method(method: Any) -> None:
    if method not in get_args(Method):
        raise UsageError(
            f"there is no feedback method {method!r:.60}; choose one of: "
            f"{', '.join(get_args(Method))}"
        )


def _check_marks(marks: Round) -> None:
    for image, level in marks.items():
        if isinstance(image, bool) or abs(image) > _LARGEST_ID:
            raise UsageError(f"there is no image with id {image}; ids are shown with every hit")
        if isinstance(level, bool) or level not in LEVELS:
            raise UsageError(
                f"the mark of image {image} is {level!r}; marks are 3 (highly relevant), 1, "
                "0 (no opinion), -1 and -3 (highly non-relevant)"
            )


def _rounds_from_json(content: Any) -> tuple[Round, ...]:
    if isinstance(content, str | bytes | Mapping) or not isinstance(content, Sequence):
        raise UsageError(f"the rounds of feedback are a JSON list, not {content!r:.60}")
    return tuple(_round_from_json(marks) for marks in content)


def _round_from_json(content: Any) -> Round:
    if not isinstance(content, Mapping):
        raise UsageError(f"a round of feedback is an object of ids and marks, not {content!r:.60}")
    marks: dict[int, int] = {}
    for image, level in content.items():
        if not isinstance(level, int):
            raise UsageError(f"the mark of image {image} is {level!r:.60}; marks are whole numbers")
        try:
            marks[int(image)] = level
        except ValueError:
            raise UsageError(f"{image!r:.60} is no image id; ids are whole numbers") from None
    return marks
