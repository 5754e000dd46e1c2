"""Maps: a place on a plane for each image, under a name."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray

from lookalike.arrays import Ids
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage.database import Database

Points: TypeAlias = Float64[ndarray, "items 2"]


@dataclass(frozen=True, slots=True, eq=False)
class MapPoints:
    """Images and their places.

    Attributes:
        ids: Image ids.
        points: Across and down, each from 0 to 1.
        is_fixed: Which were embedded together; all others were placed by these.
    """

    ids: Ids
    points: Points
    is_fixed: Bool[ndarray, " items"]


class Maps:
    """All maps of a catalog; writing needs a catalog that is open for writing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> list[str]:
        """Return the names of all maps, sorted."""
        with self._database.reading() as connection:
            return [n for (n,) in connection.execute("SELECT name FROM maps ORDER BY name")]

    def save(self, name: str, descriptor: str, facts: Mapping[str, Any], points: MapPoints) -> None:
        """Store a map, in the place of one that has the same name."""
        with self._database.writing() as connection:
            failpoint("knowledge.map.begin")
            connection.execute("DELETE FROM maps WHERE name = ?", (name,))
            key = connection.execute(
                "INSERT INTO maps (name, descriptor, facts) VALUES (?, ?, ?)",
                (name, descriptor, json.dumps(dict(facts))),
            ).lastrowid
            _insert(connection, int(key or 0), points)
            failpoint("knowledge.map.end")

    def place(self, name: str, points: MapPoints) -> None:
        """Add images to a map; those that are on it stay where they are."""
        with self._database.writing() as connection:
            _insert(connection, _row(connection, name)[0], points)

    def facts(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the descriptor of a map and how it was made; UsageError if there is none."""
        with self._database.reading() as connection:
            _, descriptor, facts = _row(connection, name)
        return descriptor, json.loads(facts)

    def points(self, name: str) -> MapPoints:
        """Return the places of all images on a map, by ascending id; UsageError if none."""
        with self._database.reading() as connection:
            key, _, _ = _row(connection, name)
            rows = connection.execute(
                "SELECT image_id, x, y, is_fixed FROM map_points WHERE map_id = ? "
                "ORDER BY image_id",
                (key,),
            ).fetchall()
        table = np.array(rows, np.float64).reshape(-1, 4)
        ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        return MapPoints(ids, table[:, 1:3].copy(), table[:, 3] > 0)

    def unplaced(self, name: str) -> Ids:
        """Return the ids, ascending, of images that are not on a map yet."""
        with self._database.reading() as connection:
            key, _, _ = _row(connection, name)
            rows = connection.execute(
                "SELECT id FROM images WHERE id NOT IN "
                "(SELECT image_id FROM map_points WHERE map_id = ?) ORDER BY id",
                (key,),
            ).fetchall()
        return np.fromiter((row[0] for row in rows), np.int64, len(rows))


def _row(connection: sqlite3.Connection, name: str) -> tuple[int, str, str]:
    row = connection.execute(
        "SELECT id, descriptor, facts FROM maps WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no map {name!r}; make one with: lookalike map COLLECTION")
    return row[0], row[1], row[2]


def _insert(connection: sqlite3.Connection, key: int, points: MapPoints) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO map_points VALUES (?, ?, ?, ?, ?)",
        (
            (key, image_id, x, y, int(is_fixed))
            for image_id, (x, y), is_fixed in zip(
                points.ids.tolist(), points.points.tolist(), points.is_fixed.tolist(), strict=True
            )
        ),
    )
