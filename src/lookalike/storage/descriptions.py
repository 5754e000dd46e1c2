"""What is known of pictures beside what a model predicts: captions, labels, attributes, colors.

What a person or a data set says is keyed by content, in `descriptions`, and outlives the image: a
picture that is deleted and comes back is described as before. While the image is there, its labels
also stand among those of the model, with their provenance, and its attributes in
`image_attributes`, where the file's own come in too. Colors come from the pixels alone.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage import words
from lookalike.storage.attributes import number_of
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database
from lookalike.storage.records import (
    DATA_SET,
    PERSON,
    Described,
    Description,
    ImageDetails,
    Known,
)

_TABLES: Final = (
    # The truth of what people and data sets say; `key` is that of an attribute, else empty.
    """CREATE TABLE descriptions (
        hash BLOB NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('caption', 'label', 'attribute')),
        provenance TEXT NOT NULL CHECK (provenance IN ('person', 'data set')),
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (hash, kind, provenance, key, value)
    ) STRICT, WITHOUT ROWID""",
    # The effective value of a key is that of its most trusted provenance.
    """CREATE TABLE image_attributes (
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        provenance TEXT NOT NULL,
        value TEXT NOT NULL,
        number REAL,
        is_effective INTEGER NOT NULL CHECK (is_effective IN (0, 1)),
        PRIMARY KEY (image_id, key, provenance)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX attributes_by_number ON image_attributes (key, number) WHERE is_effective = 1",
    "CREATE INDEX attributes_by_value ON image_attributes (key, value) WHERE is_effective = 1",
    """CREATE TABLE image_colors (
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        share REAL NOT NULL CHECK (share BETWEEN 0 AND 1),
        PRIMARY KEY (image_id, name)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX colors_by_share ON image_colors (name, share)",
)

_TRUST: Final = (
    "CASE provenance WHEN 'person' THEN 0 WHEN 'data set' THEN 1 WHEN 'file' THEN 2 ELSE 3 END"
)

_INSERT_ATTRIBUTE: Final = """
    INSERT INTO image_attributes (image_id, key, provenance, value, number, is_effective)
    VALUES (?, ?, ?, ?, ?, 0)
    ON CONFLICT (image_id, key, provenance) DO UPDATE SET
        value = excluded.value, number = excluded.number
"""


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    for statement in _TABLES:
        connection.execute(statement)


class Descriptions:
    """What is known of the pictures of one catalog."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    def change(self, changes: Sequence[Description]) -> int:
        """Make all changes or none; return how many statements became other than they were.

        Contents that are not in the catalog are described for when they come.

        Raises:
            UsageError: If the catalog was opened for reading only.
        """
        with self._database.writing() as connection:
            failpoint("storage.annotate.begin")
            n_changed = sum(_change(connection, change) for change in changes)
            failpoint("storage.annotate.stored")
            materialize(connection, [change.hash for change in changes])
            failpoint("storage.annotate.end")
        return n_changed

    def of_images(self, ids: Sequence[int]) -> list[Described]:
        """Return what is known of images, in the order asked for.

        Raises:
            UsageError: If there is no image with such an id.
        """
        with self._database.reading() as connection:
            found = {image_id: _described(connection, image_id) for image_id in set(ids)}
        return [found[image_id] for image_id in ids]


def materialize(connection: sqlite3.Connection, hashes: Sequence[bytes]) -> None:
    """Bring labels, attributes and words of those contents that are images up to date."""
    for chunk in chunked(list(dict.fromkeys(hashes))):
        marks = placeholders(chunk)
        rows = connection.execute(f"SELECT id FROM images WHERE hash IN ({marks})", chunk)
        ids = [image_id for (image_id,) in rows]
        _materialize_labels(connection, ids)
        _materialize_attributes(connection, ids)
        words.refresh(connection, ids)


def store_details(connection: sqlite3.Connection, details: Sequence[ImageDetails]) -> None:
    """Store what files say of themselves; what was stored of them before is replaced."""
    for each in details:
        row = connection.execute("SELECT id FROM images WHERE hash = ?", (each.hash,)).fetchone()
        if row is None:
            continue
        [image_id] = row
        connection.execute(
            "DELETE FROM image_attributes WHERE image_id = ? "
            "AND provenance NOT IN ('person', 'data set')",
            (image_id,),
        )
        connection.executemany(
            _INSERT_ATTRIBUTE,
            ((image_id, a.key, a.provenance, a.value, number_of(a)) for a in each.attributes),
        )
        connection.execute("DELETE FROM image_colors WHERE image_id = ?", (image_id,))
        connection.executemany(
            "INSERT INTO image_colors VALUES (?, ?, ?)",
            ((image_id, name, share) for name, share in each.colors),
        )


def _change(connection: sqlite3.Connection, change: Description) -> int:
    n_changed = 0
    _forget_labels(connection, change.hash)
    for kind, values in (("caption", change.remove_captions), ("label", change.remove_labels)):
        n_changed += _delete(connection, change, kind, values)
    if change.replace:
        # What comes again below is not told as a change.
        kept = [*change.captions, *change.labels]
        n_changed += connection.execute(
            "DELETE FROM descriptions WHERE hash = ? AND provenance = ? AND kind <> 'attribute' "
            f"AND value NOT IN ({placeholders(kept)})",
            (change.hash, change.provenance, *kept),
        ).rowcount
    for key in (*change.remove_attributes, *change.attributes):
        n_changed += connection.execute(
            "DELETE FROM descriptions WHERE hash = ? AND provenance = ? AND kind = 'attribute' "
            "AND key = ? AND value IS NOT ?",
            (change.hash, change.provenance, key, change.attributes.get(key)),
        ).rowcount
    rows = [("caption", "", text) for text in change.captions]
    rows += [("label", "", name) for name in change.labels]
    rows += [("attribute", key, value) for key, value in change.attributes.items()]
    n_changed += connection.executemany(
        "INSERT OR IGNORE INTO descriptions (hash, provenance, kind, key, value) "
        "VALUES (?, ?, ?, ?, ?)",
        ((change.hash, change.provenance, *row) for row in rows),
    ).rowcount
    return n_changed


def _delete(
    connection: sqlite3.Connection, change: Description, kind: str, values: Iterable[str]
) -> int:
    """Delete captions or labels that were given, from whomever; those of the model stay."""
    n_deleted = 0
    for value in values:
        n = connection.execute(
            "DELETE FROM descriptions WHERE hash = ? AND kind = ? AND value = ?",
            (change.hash, kind, value),
        ).rowcount
        if n == 0:
            raise UsageError(
                f"the picture has no given {kind} {value!r}, so it cannot be taken away; "
                "look at what it has with: lookalike describe"
            )
        n_deleted += n
    return n_deleted


def _materialize_labels(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    marks = placeholders(ids)
    connection.execute(
        "INSERT OR IGNORE INTO labels (name) SELECT value FROM descriptions "
        f"JOIN images USING (hash) WHERE kind = 'label' AND images.id IN ({marks})",
        ids,
    )
    # Others may say things of labels in the name of a person, too: what they say stays.
    connection.execute(
        "INSERT OR IGNORE INTO image_labels (image_id, label_id, provenance, probability) "
        "SELECT images.id, labels.id, provenance, 1.0 FROM descriptions JOIN images USING (hash) "
        f"JOIN labels ON labels.name = value WHERE kind = 'label' AND images.id IN ({marks})",
        ids,
    )


def _forget_labels(connection: sqlite3.Connection, content_hash: bytes) -> None:
    """Take the labels that are given to a content from its image, before they change."""
    connection.execute(
        "DELETE FROM image_labels WHERE (image_id, label_id, provenance) IN "
        "(SELECT images.id, labels.id, provenance FROM descriptions JOIN images USING (hash) "
        "JOIN labels ON labels.name = value WHERE kind = 'label' AND hash = ?)",
        (content_hash,),
    )


def _materialize_attributes(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    marks = placeholders(ids)
    connection.execute(
        f"DELETE FROM image_attributes WHERE image_id IN ({marks}) AND provenance IN (?, ?)",
        (*ids, PERSON, DATA_SET),
    )
    rows = connection.execute(
        "SELECT images.id, key, value, provenance FROM descriptions JOIN images USING (hash) "
        f"WHERE kind = 'attribute' AND images.id IN ({marks})",
        ids,
    ).fetchall()
    connection.executemany(
        _INSERT_ATTRIBUTE,
        (
            (image_id, key, provenance, value, number_of(Known(key, value, provenance)))
            for image_id, key, value, provenance in rows
        ),
    )
    connection.execute(
        f"UPDATE image_attributes AS a SET is_effective = ({_TRUST} = (SELECT min({_TRUST}) "
        "FROM image_attributes AS b WHERE b.image_id = a.image_id AND b.key = a.key)) "
        f"WHERE image_id IN ({marks})",
        ids,
    )


def _described(connection: sqlite3.Connection, image_id: int) -> Described:
    row = connection.execute("SELECT hash FROM images WHERE id = ?", (image_id,)).fetchone()
    if row is None:
        raise UsageError(f"there is no image {image_id} in the collection")
    captions = connection.execute(
        "SELECT value, provenance FROM descriptions WHERE hash = ? AND kind = 'caption' "
        "ORDER BY provenance DESC, value",
        row,
    )
    labels = connection.execute(
        "SELECT name, provenance, probability FROM image_labels "
        "JOIN labels ON labels.id = label_id WHERE image_id = ? "
        "ORDER BY provenance DESC, probability DESC, name",
        (image_id,),
    )
    attributes = connection.execute(
        f"SELECT key, value, provenance FROM image_attributes WHERE image_id = ? "
        f"ORDER BY key, {_TRUST}",
        (image_id,),
    )
    colors = connection.execute(
        "SELECT name, share FROM image_colors WHERE image_id = ? ORDER BY share DESC, name",
        (image_id,),
    )
    return Described(
        image_id,
        captions=tuple(captions.fetchall()),
        labels=tuple(labels.fetchall()),
        attributes=tuple(Known(*attribute) for attribute in attributes),
        colors=tuple(colors.fetchall()),
    )
