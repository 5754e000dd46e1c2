"""What a person says of pictures, action by action, and the probabilities that follow.

An action is what a person does at once: it is stored whole and can be undone whole. What it says
is kept by content hash; `image_labels` repeats it for the images that are stored, with provenance
`person` and probability 1 (the label holds) or 0 (it does not). Probabilities that were worked out
for all other images have provenance `propagated`.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage import descriptions, words
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database

PERSON: Final = "person"
"""Provenance of labels that a person gave."""

PROPAGATED: Final = "propagated"
"""Provenance of labels that follow from those of a person."""

ActionKind: TypeAlias = Literal["label", "check", "propagate"]
"""`label`: some labels of some pictures. `check`: all labels of a picture, so that those it was not
given do not hold. `propagate`: probabilities worked out for all pictures."""

_CURRENT: Final = """
    SELECT hash, label, holds, max(action_id) AS action_id FROM annotations
    WHERE action_id <= ? GROUP BY hash, label
"""


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """Something done at once.

    Attributes:
        id: Ascending with time.
        made: Seconds since 1970.
        kind: What was done.
        detail: With which options.
        n: Statements about pictures that it made.
    """

    id: int
    made: float
    kind: ActionKind
    detail: Mapping[str, Any]
    n: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person says of one image.

    Attributes:
        image_id: The image.
        label: The word.
        holds: Whether the image shows it.
        is_checked: Whether the person named all labels of the image.
    """

    image_id: int
    label: str
    holds: bool
    is_checked: bool = False


class Annotations:
    """All annotations of a catalog; writing needs a catalog that is open for writing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, kind: ActionKind, detail: Mapping[str, Any], statements: Sequence[Statement]
    ) -> int:
        """Store an action with what it says; return its number.

        Raises:
            UsageError: If a label is empty or an image is not in the collection.
        """
        for statement in statements:
            check_label(statement.label)
        with self._database.writing() as connection:
            failpoint("knowledge.label.begin")
            action = _insert_action(connection, kind, detail)
            _insert_statements(connection, action, statements)
            failpoint("knowledge.label.said")
            _refresh(connection, _pairs_of(connection, action))
            failpoint("knowledge.label.end")
        return action

    def propagate(
        self,
        detail: Mapping[str, Any],
        batches: Iterable[tuple[Ids, Sequence[str], Float64[ndarray, "items labels"]]],
        least: float,
        *,
        is_new: bool = True,
    ) -> int:
        """Store the probabilities of all images, in the place of those that were there.

        Args:
            detail: How they were worked out; the action is done again from it when a later one
                is undone.
            batches: Ids, labels, and a probability of each for each.
            least: Lower probabilities are not stored.
            is_new: Whether this is an action of its own, or an earlier one done again.

        Returns:
            Number of probabilities stored.
        """
        with self._database.writing() as connection:
            failpoint("knowledge.propagate.begin")
            if is_new:
                _insert_action(connection, "propagate", detail)
            before = forget_propagated(connection)
            n = sum(_insert_propagated(connection, *batch, least) for batch in batches)
            words.refresh(connection, sorted({*before, *_propagated_ids(connection)}))
            failpoint("knowledge.propagate.end")
        return n

    def statements(self, *, until: int | None = None) -> list[Statement]:
        """Return what holds now, or held after action `until`, of the images that are stored."""
        with self._database.reading() as connection:
            last = _last_id(connection) if until is None else until
            rows = connection.execute(
                f"SELECT images.id, label, holds, kind = 'check' FROM ({_CURRENT}) AS said "
                "JOIN images ON images.hash = said.hash "
                "JOIN actions ON actions.id = said.action_id ORDER BY images.id, label",
                (last,),
            ).fetchall()
        return [Statement(image_id, label, bool(y), bool(c)) for image_id, label, y, c in rows]

    def history(self) -> list[Action]:
        """Return all actions that were not undone, the latest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id, made, kind, detail, "
                "(SELECT count(*) FROM annotations WHERE action_id = actions.id) "
                "FROM actions ORDER BY id DESC"
            ).fetchall()
        return [Action(key, made, kind, json.loads(d), n) for key, made, kind, d, n in rows]

    def undo(self) -> Action:
        """Take back the latest action whole; probabilities that were worked out go with it.

        Whoever calls this works out the probabilities again that the last propagation left gave.

        Raises:
            UsageError: If nothing was done.
        """
        done = self.history()
        if not done:
            raise UsageError("there is nothing to be undone")
        with self._database.writing() as connection:
            failpoint("knowledge.undo.begin")
            pairs = _pairs_of(connection, done[0].id)
            connection.execute("DELETE FROM actions WHERE id = ?", (done[0].id,))
            _refresh(connection, pairs)
            if done[0].kind == "propagate":
                words.refresh(connection, forget_propagated(connection))
            failpoint("knowledge.undo.end")
        return done[0]

    def counts(self) -> list[tuple[str, str, int]]:
        """Return label, provenance and number of images that are more likely than not."""
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT name, provenance, count(*) FROM image_labels "
                "JOIN labels ON labels.id = label_id WHERE probability >= 0.5 "
                "GROUP BY label_id, provenance ORDER BY name, provenance"
            ).fetchall()

    def given(self) -> list[tuple[int, str]]:
        """Return image and label for all labels that were given and hold, by image and label.

        Those of data sets and persons count, and a person counts before a data set; what a model
        predicts or was propagated does not.
        """
        with self._database.reading() as connection:
            return connection.execute(_GIVEN).fetchall()

    def doubtful(
        self, n: int, *, label: str | None = None, offset: int = 0
    ) -> list[tuple[int, str, float]]:
        """Return images, labels and probabilities that were worked out, nearest to one half first.

        Those of which a person has spoken since are left out.

        Args:
            n: At most so many.
            label: Only this one; all if not given.
            offset: So many are passed over first.
        """
        with self._database.reading() as connection:
            return connection.execute(_DOUBTFUL, (label, label, n, offset)).fetchall()

    def find(self, label: str, k: int, least: float) -> list[tuple[int, float, str]]:
        """Return image, probability and provenance of the `k` most probable images of a label.

        What a person says counts before everything else; then the largest probability.

        Raises:
            UsageError: If no image has that label.
        """
        with self._database.reading() as connection:
            row = connection.execute("SELECT id FROM labels WHERE name = ?", (label,)).fetchone()
            if row is None:
                raise UsageError(
                    f"no image has the label {label!r}; `lookalike label list` shows all"
                )
            return connection.execute(_FIND, (row[0], least, k)).fetchall()


_DOUBTFUL: Final = """
    SELECT image_id, name, probability FROM image_labels AS guessed
    JOIN labels ON labels.id = label_id
    WHERE provenance = 'propagated' AND (? IS NULL OR name = ?) AND NOT EXISTS (
        SELECT 1 FROM image_labels AS said WHERE said.image_id = guessed.image_id
        AND said.label_id = guessed.label_id AND said.provenance = 'person'
    ) ORDER BY abs(probability - 0.5), image_id, name LIMIT ? OFFSET ?
"""

_GIVEN: Final = """
    SELECT image_id, name FROM (
        SELECT image_id, label_id, probability,
               row_number() OVER (PARTITION BY image_id, label_id
                   ORDER BY provenance <> 'person') AS place
        FROM image_labels WHERE provenance IN ('person', 'data set')
    ) JOIN labels ON labels.id = label_id WHERE place = 1 AND probability >= 0.5
    ORDER BY image_id, name
"""

_FIND: Final = """
    SELECT image_id, believed, provenance FROM (
        SELECT image_id, provenance, probability AS believed,
               row_number() OVER (PARTITION BY image_id
                   ORDER BY provenance <> 'person', probability DESC) AS place
        FROM image_labels WHERE label_id = ?
    ) WHERE place = 1 AND believed >= ?
    ORDER BY believed DESC, provenance <> 'person', image_id LIMIT ?
"""


def check_label(label: str) -> None:
    """Raise UsageError if a label is empty, has blanks at its ends, or is no valid text."""
    if not label or label != label.strip() or not label.isprintable():
        raise UsageError(
            f"{label!r} is no label; give one or more words without blanks at their ends"
        )


def restore(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> None:
    """Give images that were just stored the labels that a person once gave their contents."""
    for chunk in chunked(hashes):
        pairs = connection.execute(
            f"SELECT DISTINCT hash, label FROM annotations WHERE hash IN ({placeholders(chunk)})",
            chunk,
        ).fetchall()
        _refresh(connection, pairs)


def forget_propagated(connection: sqlite3.Connection) -> list[int]:
    """Delete all probabilities that were worked out; return the images that had any."""
    ids = _propagated_ids(connection)
    connection.execute("DELETE FROM image_labels WHERE provenance = ?", (PROPAGATED,))
    return ids


def _propagated_ids(connection: sqlite3.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT DISTINCT image_id FROM image_labels WHERE provenance = ?", (PROPAGATED,)
    )
    return [image_id for (image_id,) in rows]


def _insert_action(
    connection: sqlite3.Connection, kind: ActionKind, detail: Mapping[str, Any]
) -> int:
    row = connection.execute(
        "INSERT INTO actions (made, kind, detail) VALUES (?, ?, ?)",
        (time.time(), kind, json.dumps(dict(detail))),
    )
    return int(row.lastrowid or 0)


def _insert_statements(
    connection: sqlite3.Connection, action: int, statements: Sequence[Statement]
) -> None:
    wanted = sorted({statement.image_id for statement in statements})
    hashes: dict[int, bytes] = {}
    for chunk in chunked(wanted):
        hashes.update(
            connection.execute(
                f"SELECT id, hash FROM images WHERE id IN ({placeholders(chunk)})", chunk
            )
        )
    for image_id in wanted:
        if image_id not in hashes:
            raise UsageError(f"there is no image {image_id} in the collection")
    connection.executemany(
        "INSERT OR REPLACE INTO annotations VALUES (?, ?, ?, ?)",
        ((hashes[s.image_id], s.label, action, int(s.holds)) for s in statements),
    )


def _pairs_of(connection: sqlite3.Connection, action: int) -> list[tuple[bytes, str]]:
    return connection.execute(
        "SELECT hash, label FROM annotations WHERE action_id = ?", (action,)
    ).fetchall()


def _refresh(connection: sqlite3.Connection, pairs: Sequence[tuple[bytes, str]]) -> None:
    """Make `image_labels` say of these contents and labels what the latest action says."""
    connection.executemany(
        "INSERT OR IGNORE INTO labels (name) VALUES (?)",
        ((label,) for label in sorted({label for _, label in pairs})),
    )
    connection.executemany(
        "DELETE FROM image_labels WHERE provenance = 'person' AND "
        "image_id = (SELECT id FROM images WHERE hash = ?) AND "
        "label_id = (SELECT id FROM labels WHERE name = ?)",
        pairs,
    )
    connection.executemany(
        "INSERT INTO image_labels SELECT images.id, labels.id, 'person', holds "
        "FROM annotations JOIN images USING (hash) JOIN labels ON labels.name = label "
        "WHERE hash = ? AND label = ? ORDER BY action_id DESC LIMIT 1",
        pairs,
    )
    # Where no action says anything any more, what was said otherwise holds again.
    descriptions.materialize(connection, [content_hash for content_hash, _ in pairs])


def _insert_propagated(
    connection: sqlite3.Connection,
    ids: Ids,
    labels: Sequence[str],
    probabilities: Float64[ndarray, "items labels"],
    least: float,
) -> int:
    connection.executemany(
        "INSERT OR IGNORE INTO labels (name) VALUES (?)", ((label,) for label in labels)
    )
    rows, columns = np.nonzero(probabilities >= least)
    connection.executemany(
        "INSERT INTO image_labels SELECT ?, id, 'propagated', ? FROM labels WHERE name = ?",
        (
            (int(ids[row]), float(probabilities[row, column]), labels[column])
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ),
    )
    return len(rows)


def _last_id(connection: sqlite3.Connection) -> int:
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM actions").fetchone()
    return int(last)
