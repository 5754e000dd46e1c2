"""Clusterings: which cluster each image lies in, under a name by which it is found again."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage.database import Database

_LITTLE: Final = np.dtype("<f4")


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """Images and the cluster that each lies in.

    Attributes:
        ids: Image ids.
        clusters: Cluster of each, counted from 0.
        similarities: Cosine of each to the center of its cluster.
    """

    ids: Ids
    clusters: Int64[ndarray, " items"]
    similarities: Float64[ndarray, " items"]


@dataclass(frozen=True, slots=True, eq=False)
class StoredClustering:
    """A clustering as it was made.

    Attributes:
        name: By which it is found.
        descriptor: Whose embeddings were clustered.
        facts: How it was made.
        centers: Unit centers, one row for each cluster.
        spreads: Mean squared distance of the members of each cluster to its center.
    """

    name: str
    descriptor: str
    facts: Mapping[str, Any]
    centers: Float32[ndarray, "clusters dim"]
    spreads: Float64[ndarray, " clusters"]


class Clusterings:
    """All clusterings of a catalog; writing needs a catalog that is open for writing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return the names of all clusterings, sorted."""
        with self._database.reading() as connection:
            return [n for (n,) in connection.execute("SELECT name FROM clusterings ORDER BY name")]

    def save(self, made: StoredClustering, members: Members) -> None:
        """Store a clustering with its members, in the place of one that has the same name.

        Members that are no longer stored are left out.
        """
        with self._database.writing() as connection:
            failpoint("knowledge.clusters.begin")
            connection.execute("DELETE FROM clusterings WHERE name = ?", (made.name,))
            key = connection.execute(
                "INSERT INTO clusterings (name, descriptor, facts) VALUES (?, ?, ?)",
                (made.name, made.descriptor, json.dumps(dict(made.facts))),
            ).lastrowid
            connection.executemany(
                "INSERT INTO clusters VALUES (?, ?, ?, ?)",
                (
                    (key, number, center.astype(_LITTLE).tobytes(), float(spread))
                    for number, (center, spread) in enumerate(
                        zip(made.centers, made.spreads, strict=True)
                    )
                ),
            )
            _insert_members(connection, int(key or 0), members)
            failpoint("knowledge.clusters.end")

    def open(self, name: str) -> StoredClustering:
        """Return a clustering.

        Raises:
            UsageError: If there is none of that name.
        """
        with self._database.reading() as connection:
            key, descriptor, facts = _row(connection, name)
            rows = connection.execute(
                "SELECT center, spread FROM clusters WHERE clustering_id = ? ORDER BY cluster",
                (key,),
            ).fetchall()
        centers = np.stack([np.frombuffer(center, _LITTLE) for center, _ in rows])
        spreads = np.array([spread for _, spread in rows], np.float64)
        return StoredClustering(
            name, descriptor, json.loads(facts), centers.astype(np.float32), spreads
        )

    def delete(self, name: str) -> None:
        """Forget a clustering; UsageError if there is none of that name."""
        with self._database.writing() as connection:
            key, _, _ = _row(connection, name)
            connection.execute("DELETE FROM clusterings WHERE id = ?", (key,))

    def unplaced(self, name: str) -> Ids:
        """Return the ids, ascending, of images that lie in no cluster yet."""
        return self._ids(
            name,
            "SELECT id FROM images WHERE id NOT IN (SELECT image_id FROM cluster_members "
            "WHERE clustering_id = ?) ORDER BY id",
        )

    def place(self, name: str, members: Members) -> None:
        """Put images that lie in no cluster yet into theirs; the others stay where they are."""
        with self._database.writing() as connection:
            _insert_members(connection, _row(connection, name)[0], members)

    def members(self, name: str) -> Members:
        """Return all members, by ascending id."""
        with self._database.reading() as connection:
            key, _, _ = _row(connection, name)
            rows = connection.execute(
                "SELECT image_id, cluster, similarity FROM cluster_members "
                "WHERE clustering_id = ? ORDER BY image_id",
                (key,),
            ).fetchall()
        table = np.array(rows, np.float64).reshape(-1, 3)
        return Members(
            np.fromiter((row[0] for row in rows), np.int64, len(rows)),
            table[:, 1].astype(np.int64),
            table[:, 2].copy(),
        )

    def nearest(self, name: str, cluster: int, n: int, *, offset: int = 0) -> Ids:
        """Return the ids of `n` members of a cluster, nearest to its center first.

        Raises:
            UsageError: If there is no such clustering or cluster.
        """
        with self._database.reading() as connection:
            _check_cluster(connection, name, cluster)
        return self._ids(
            name,
            "SELECT image_id FROM cluster_members WHERE clustering_id = ? AND cluster = ? "
            "ORDER BY similarity DESC, image_id LIMIT ? OFFSET ?",
            cluster,
            n,
            offset,
        )

    def label_counts(self, name: str, least: float) -> list[tuple[int, str, int]]:
        """Return cluster, label and how many members of the cluster have it at least so probably.

        What a person says counts before everything else; then the largest probability.
        """
        with self._database.reading() as connection:
            key, _, _ = _row(connection, name)
            return connection.execute(_LABEL_COUNTS, (key, least)).fetchall()

    def _ids(self, name: str, query: str, *values: int) -> Ids:
        with self._database.reading() as connection:
            key, _, _ = _row(connection, name)
            rows = connection.execute(query, (key, *values)).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))


_LABEL_COUNTS: Final = """
    SELECT cluster, labels.name, count(*) FROM cluster_members JOIN (
        SELECT image_id, label_id,
               coalesce(max(CASE provenance WHEN 'person' THEN probability END),
                        max(probability)) AS believed
        FROM image_labels GROUP BY image_id, label_id
    ) AS known USING (image_id) JOIN labels ON labels.id = label_id
    WHERE clustering_id = ? AND believed >= ? GROUP BY cluster, label_id
"""


def _row(connection: sqlite3.Connection, name: str) -> tuple[int, str, str]:
    row = connection.execute(
        "SELECT id, descriptor, facts FROM clusterings WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        known = [n for (n,) in connection.execute("SELECT name FROM clusterings ORDER BY name")]
        raise UsageError(
            f"there is no clustering {name!r}; there are: {', '.join(known) or 'none'}; "
            "make one with: lookalike clusters COLLECTION"
        )
    return row[0], row[1], row[2]


def _check_cluster(connection: sqlite3.Connection, name: str, cluster: int) -> None:
    key, _, _ = _row(connection, name)
    (n,) = connection.execute(
        "SELECT count(*) FROM clusters WHERE clustering_id = ?", (key,)
    ).fetchone()
    if not 0 <= cluster < n:
        raise UsageError(f"there is no cluster {cluster} in {name!r}; they go from 0 to {n - 1}")


def _insert_members(connection: sqlite3.Connection, key: int, members: Members) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO cluster_members SELECT ?1, id, ?3, ?4 FROM images WHERE id = ?2",
        (
            (key, *row)
            for row in zip(
                members.ids.tolist(),
                members.clusters.tolist(),
                members.similarities.tolist(),
                strict=True,
            )
        ),
    )
