"""A search that goes on: hits are shown, marked, searched again, and a round can be taken back.

with Collection.open("photos.lookalike") as photos:
    session = Session(photos, Query((IdExample(17),)))
    session.hits(10)
    session.mark({42: RELEVANT, 5: NON_RELEVANT})
    session.hits(10)
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from lookalike.arrays import NO_ID
from lookalike.asking.answers import make_query
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import LookalikeError, UsageError
from lookalike.index.base import Hits
from lookalike.search.feedback import (
    HIGHLY_NON_RELEVANT,
    HIGHLY_RELEVANT,
    NO_OPINION,
    NON_RELEVANT,
    RELEVANT,
    Feedback,
)
from lookalike.search.names import Method
from lookalike.search.queries import Query

VERSION: Final = 1
"""Version of session files."""

_LARGEST_FILE: Final = 64 * 2**20


@final
class Session:
    """A query with what was said of its hits, round after round.

    Images that were shown and not marked have no opinion: they too have been seen.

    Args:
        collection: What is searched.
        query: The first question, with or without feedback; `None` where the first marks are it.
        shown: Ids of the hits that were shown last.

    Attributes:
        collection: What is searched.
    """

    def __init__(
        self, collection: Collection, query: Query | None = None, shown: Sequence[int] = ()
    ) -> None:
        self.collection: Final = collection
        self._query = query
        self._shown = tuple(shown)

    @property
    def query(self) -> Query:
        """What is asked now; it can be stored and sent like any other.

        Raises:
            UsageError: If nothing was asked or liked yet.
        """
        if self._query is None:
            return Query(())
        return self._query

    @property
    def feedback(self) -> Feedback:
        """What was said so far."""
        if self._query is None or self._query.feedback is None:
            return Feedback()
        return self._query.feedback

    @property
    def n_rounds(self) -> int:
        """Rounds of marks that count."""
        return len(self.feedback.rounds)

    def mark(self, marks: Mapping[int, int]) -> None:
        """Add a round: levels by image id, see `lookalike.search.feedback`.

        Raises:
            UsageError: If nothing is marked, an id is not in the collection, or a level is none.
        """
        seen = dict.fromkeys(sorted(set(self._shown) - set(self.feedback.marks)), NO_OPINION)
        marked = self.feedback.mark({**seen, **marks} if marks else {})
        check_known(self.collection, marks)
        self._take(marked)
        self._shown = ()

    def undo(self) -> None:
        """Take the last round back.

        Raises:
            UsageError: If there is none, or nothing would be left to ask.
        """
        self._take(self.feedback.undo())
        self._shown = ()

    def hits(self, k: int = 10) -> Hits:
        """Search as things stand, and remember what was shown."""
        hits = self.collection.search(self.query, k)
        self.show(int(image) for image in hits.ids[0] if image != NO_ID)
        return hits

    def show(self, ids: Iterable[int]) -> None:
        """Remember which images were shown."""
        self._shown = tuple(ids)

    def steer(self, method: Method | None = None, *, exclude_seen: bool | None = None) -> None:
        """Change what is made of marks, or whether seen images are left out; `None` keeps it.

        Raises:
            UsageError: If there is no such method, or nothing was asked yet.
        """
        changed = self.feedback
        if method is not None:
            changed = replace(changed, method=method)
        if exclude_seen is not None:
            changed = replace(changed, exclude_seen=exclude_seen)
        self._take(changed)

    def change(self, given: Mapping[str, Any]) -> None:
        """Change fields of the query, for instance its weights; marks stay.

        Args:
            given: Fields of `Query`; a default counts as not given.

        Raises:
            UsageError: If they make no sense.
        """
        self._query = make_query(given, self._query)

    def save(self, file: Path) -> None:
        """Write the session into a JSON file; it is wholly there or as it was before.

        Raises:
            EnvironmentFault: If it cannot be written.
        """
        content = {"session": VERSION, "query": self.query.to_json(), "shown": list(self._shown)}
        write_atomically(file, (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def load(cls, collection: Collection, file: Path) -> "Session":
        """Read what `save` wrote.

        Raises:
            UsageError: If the file is no session.
        """
        content = _read(file)
        shown = content.get("shown", [])
        if not isinstance(shown, list) or not all(type(image) is int for image in shown):
            raise UsageError(f"{file} is no session: `shown` is not a list of ids")
        try:
            return cls(collection, Query.from_json(content["query"]), shown)
        except LookalikeError as error:
            raise UsageError(f"{file} is no session that can be read: {error}") from error

    def _take(self, feedback: Feedback) -> None:
        kept = None if feedback == Feedback() else feedback
        query = self._query
        self._query = Query((), feedback=kept) if query is None else replace(query, feedback=kept)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of hits in the words of a command.

    Attributes:
        marks: A round.
        undo: Whether the last round is taken back first.
        method: What is made of marks; `None` leaves it.
        exclude_seen: Whether marked images are left out; `None` leaves it.
    """

    marks: Mapping[int, int] = field(default_factory=dict)
    undo: bool = False
    method: Method | None = None
    exclude_seen: bool | None = None


def open_session(
    collection: Collection,
    given: Mapping[str, Any],
    said: Said,
    file: Path | None = None,
    *,
    saved: Query | None = None,
) -> Session:
    """Go on with the session in a file, or with a query that was saved, or begin one.

    Args:
        collection: What is searched.
        given: Fields of `Query`; those that are not given stay as they were.
        said: What is said of hits.
        file: Where the session is kept; `None` keeps none. It is not written here.
        saved: A query that was saved.

    Raises:
        UsageError: If there is nothing to ask or to undo, or both a session and a saved query.
    """
    is_kept = file is not None and file.exists()
    if is_kept and saved is not None:
        raise UsageError(f"{file} already holds a query; leave out --query, or name another file")
    if file is not None and is_kept:
        return _told(Session.load(collection, file), given, said)
    if saved is not None:
        return _told(Session(collection, saved), given, said)
    if said.undo:
        raise UsageError(
            "there is no round to undo; --undo needs --session with a file that a search has made"
        )
    return _begun(collection, given, said)


def _told(session: Session, given: Mapping[str, Any], said: Said) -> Session:
    if said.undo:
        session.undo()
    session.change(given)
    if said.marks:
        session.mark(said.marks)
    if said.method is not None or said.exclude_seen is not None:
        session.steer(said.method, exclude_seen=said.exclude_seen)
    return session


def _begun(collection: Collection, given: Mapping[str, Any], said: Said) -> Session:
    rounds = (dict(said.marks),) if said.marks else ()
    feedback = Feedback(rounds, said.method or "auto", said.exclude_seen is not False)
    check_known(collection, said.marks)
    marked = {} if feedback == Feedback() else {"feedback": feedback}
    return Session(collection, make_query({**given, **marked}))


def make_marks(
    liked: Sequence[int],
    disliked: Sequence[int],
    loved: Sequence[int] = (),
    hated: Sequence[int] = (),
) -> dict[int, int]:
    """Put the marks of a round together.

    Raises:
        UsageError: If an image has two marks.

    Example:
        >>> make_marks([7], [3], loved=[5])
        {5: 3, 7: 1, 3: -1}
    """
    marks: dict[int, int] = {}
    levels = {
        HIGHLY_RELEVANT: loved,
        RELEVANT: liked,
        NON_RELEVANT: disliked,
        HIGHLY_NON_RELEVANT: hated,
    }
    for level, ids in levels.items():
        for image in ids:
            if marks.get(image, level) != level:
                raise UsageError(f"image {image} has two different marks; give it one of them")
            marks[image] = level
    return marks


def check_known(collection: Collection, ids: Iterable[int]) -> None:
    """Refuse ids of images that a collection does not hold.

    Raises:
        UsageError: If there is one; it is named.
    """
    collection.images(list(ids))


def _read(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{file} is too large to be a session")
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the session {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file} is no session: it is no JSON") from error
    if not isinstance(content, Mapping) or "session" not in content or "query" not in content:
        raise UsageError(f"{file} is no session; one is made by: lookalike search --session {file}")
    if content["session"] != VERSION:
        raise UsageError(
            f"{file} is a session of version {content['session']!r:.20}, this program reads "
            f"version {VERSION}; start another one"
        )
    return content
