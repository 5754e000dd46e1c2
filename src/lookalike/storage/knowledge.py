"""What people and programs have found out about a collection beside its embeddings.

Clusterings, annotations, maps, subjects and saved searches, each in a module of its own. What a
person has said of a picture is kept by the content of the picture, so that it holds again when a
picture that had gone comes back.
"""

import sqlite3
from typing import Final

from lookalike.storage.annotations import Annotations
from lookalike.storage.clusterings import Clusterings
from lookalike.storage.database import Database
from lookalike.storage.keeping import SavedSearches, Subjects
from lookalike.storage.maps import Maps

_TABLES: Final = (
    """CREATE TABLE clusterings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        descriptor TEXT NOT NULL,
        facts TEXT NOT NULL
    ) STRICT""",
    # `spread` is the mean squared distance of the members to the center.
    """CREATE TABLE clusters (
        clustering_id INTEGER NOT NULL REFERENCES clusterings (id) ON DELETE CASCADE,
        cluster INTEGER NOT NULL,
        center BLOB NOT NULL,
        spread REAL NOT NULL,
        PRIMARY KEY (clustering_id, cluster)
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE cluster_members (
        clustering_id INTEGER NOT NULL REFERENCES clusterings (id) ON DELETE CASCADE,
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        cluster INTEGER NOT NULL,
        similarity REAL NOT NULL,
        PRIMARY KEY (clustering_id, image_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX members_of_cluster ON cluster_members (clustering_id, cluster, similarity)",
    "CREATE INDEX clusters_of_image ON cluster_members (image_id)",
    """CREATE TABLE actions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        made REAL NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT""",
    # By content, not by image: it outlives the image. The latest action on a label holds.
    """CREATE TABLE annotations (
        hash BLOB NOT NULL,
        label TEXT NOT NULL,
        action_id INTEGER NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
        holds INTEGER NOT NULL CHECK (holds IN (0, 1)),
        PRIMARY KEY (hash, label, action_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX annotations_of_action ON annotations (action_id)",
    """CREATE TABLE maps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        descriptor TEXT NOT NULL,
        facts TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE map_points (
        map_id INTEGER NOT NULL REFERENCES maps (id) ON DELETE CASCADE,
        image_id INTEGER NOT NULL REFERENCES images (id) ON DELETE CASCADE,
        x REAL NOT NULL,
        y REAL NOT NULL,
        is_fixed INTEGER NOT NULL CHECK (is_fixed IN (0, 1)),
        PRIMARY KEY (map_id, image_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX points_of_image ON map_points (image_id)",
    """CREATE TABLE subjects (
        name TEXT PRIMARY KEY,
        parent TEXT,
        place INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE saved_searches (
        name TEXT PRIMARY KEY,
        query TEXT NOT NULL,
        k INTEGER NOT NULL CHECK (k > 0),
        made REAL NOT NULL
    ) STRICT, WITHOUT ROWID""",
)


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables of this package's knowledge."""
    for statement in _TABLES:
        connection.execute(statement)


_COUNTS: Final = {
    "captions": "descriptions WHERE kind = 'caption'",
    "labels": "descriptions WHERE kind = 'label'",
    "attributes": "descriptions WHERE kind = 'attribute'",
    "marks of labels": "annotations",
    "decisions about copies": "(SELECT 1 FROM duplicate_verdicts UNION ALL "
    "SELECT 1 FROM duplicate_keeps)",
    "clusterings": "clusterings",
    "maps": "maps",
    "subjects": "subjects",
    "saved searches": "saved_searches",
}


class Knowledge:
    """What is known of a collection beside its embeddings.

    Attributes:
        clusterings: K-means clusters of the images.
        annotations: What a person has said of pictures, and what follows for the others.
        maps: Places of the images on a plane.
        subjects: The tree of subjects.
        searches: Saved searches.
    """

    def __init__(self, database: Database) -> None:
        self.clusterings: Final = Clusterings(database)
        self.annotations: Final = Annotations(database)
        self.maps: Final = Maps(database)
        self.subjects: Final = Subjects(database)
        self.searches: Final = SavedSearches(database)
        self._database: Final = database

    def counts(self) -> dict[str, int]:
        """Return how much of each kind is known; what models predict and files say not counted."""
        query = ", ".join(f"(SELECT count(*) FROM {source})" for source in _COUNTS.values())
        with self._database.reading() as connection:
            found = connection.execute(f"SELECT {query}").fetchone()
        return dict(zip(_COUNTS, found, strict=True))
