"""Saved searches and the tree of subjects."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database


@dataclass(frozen=True, slots=True, eq=False)
class SavedSearch:
    """A search that can be asked again.

    Attributes:
        name: By which it is found.
        query: The query as JSON knows it.
        k: Number of hits.
        made: Seconds since 1970.
    """

    name: str
    query: Mapping[str, Any]
    k: int
    made: float


class SavedSearches:
    """All saved searches of a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, name: str, query: Mapping[str, Any], k: int) -> None:
        """Keep a search, in the place of one that has the same name.

        Raises:
            UsageError: If the name is empty or has characters that lists of names part by.
        """
        if not name or name != name.strip() or any(mark in name for mark in "\"'()\n\t"):
            raise UsageError(
                f"{name!r} is no name for a search; give letters without quotes, brackets and "
                "without blanks at its ends"
            )
        with self._database.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO saved_searches VALUES (?, ?, ?, ?)",
                (name, json.dumps(dict(query)), k, time.time()),
            )
            failpoint("knowledge.search.saved")

    def all(self) -> list[SavedSearch]:
        """Return every saved search, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(f"{_SEARCHES} ORDER BY name").fetchall()
        return [_search(row) for row in rows]

    def open(self, name: str) -> SavedSearch:
        """Return a saved search; UsageError if there is none of that name."""
        with self._database.reading() as connection:
            row = connection.execute(f"{_SEARCHES} WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = ", ".join(search.name for search in self.all()) or "none"
            raise UsageError(
                f"there is no saved search {name!r}; there are: {known}; "
                "keep one with: lookalike search … --save-as NAME"
            )
        return _search(row)

    def delete(self, name: str) -> None:
        """Forget a saved search; UsageError if there is none of that name."""
        self.open(name)
        with self._database.writing() as connection:
            connection.execute("DELETE FROM saved_searches WHERE name = ?", (name,))


_SEARCHES: Final = "SELECT name, query, k, made FROM saved_searches"


def _search(row: tuple[Any, ...]) -> SavedSearch:
    return SavedSearch(row[0], json.loads(row[1]), row[2], row[3])


class Subjects:
    """The tree of subjects of a catalog, and which images have which labels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, nodes: Iterable[tuple[str, str | None]]) -> None:
        """Store a tree, name and parent of each node, in the place of the one that was there."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM subjects")
            connection.executemany(
                "INSERT INTO subjects VALUES (?, ?, ?)",
                ((name, parent, place) for place, (name, parent) in enumerate(nodes)),
            )
            failpoint("knowledge.subjects.end")

    def nodes(self) -> list[tuple[str, str | None]]:
        """Return name and parent of each node, in the order in which they were stored."""
        with self._database.reading() as connection:
            return connection.execute("SELECT name, parent FROM subjects ORDER BY place").fetchall()

    def labels(self) -> list[str]:
        """Return the names of all labels that any image has, sorted."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name FROM labels WHERE EXISTS "
                "(SELECT 1 FROM image_labels WHERE label_id = labels.id) ORDER BY name"
            ).fetchall()
        return [name for (name,) in rows]

    def believed(self, least: float, ids: Sequence[int]) -> list[tuple[int, tuple[str, ...]]]:
        """Return the labels of images that are at least so probable, image by image.

        What a person says counts before everything else; then the largest probability.

        Args:
            least: Probability from which on a label counts, above 0.
            ids: Images; those without any such label are left out of the answer.
        """
        found: list[tuple[int, tuple[str, ...]]] = []
        with self._database.reading() as connection:
            for chunk in chunked(ids):
                rows = connection.execute(_BELIEVED.format(placeholders(chunk)), (*chunk, least))
                found += [(image_id, tuple(json.loads(names))) for image_id, names in rows]
        return found


_BELIEVED: Final = """
    SELECT image_id, json_group_array(name) FROM (
        SELECT image_id, name,
               coalesce(max(CASE provenance WHEN 'person' THEN probability END),
                        max(probability)) AS believed
        FROM image_labels JOIN labels ON labels.id = label_id
        WHERE image_id IN ({}) GROUP BY image_id, label_id
    ) WHERE believed >= ? GROUP BY image_id
"""
