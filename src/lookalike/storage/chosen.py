"""Descriptors that a person chose: what they are, which images lack them, and filling them in.

The model's descriptors belong to every image. Those chosen beside them may be added to a
collection that is there already; images that lack one are found no differently, have no evidence
in it, and get it in the next run. The catalog alone says which are chosen, so that choosing is one
transaction; the manifest names those of the model.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.arrays import Embeddings
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage import reading, vectors
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database


@dataclass(frozen=True, slots=True)
class ChosenSpec:
    """A descriptor that was chosen.

    Attributes:
        version: Of the descriptor that made the vectors.
        dim: Length of its vectors.
        filled: Revision at which older images last got or lost vectors; indexes of an earlier one
            do not know them.
    """

    version: int
    dim: int
    filled: int


@dataclass(frozen=True, slots=True)
class LackingImage:
    """An image that lacks the vectors of some descriptors.

    Attributes:
        id: Of the image.
        hash: Content hash.
        height: Pixels, as it is seen.
        width: Pixels, as it is seen.
        paths: Files that hold it.
        lacks: Names of the descriptors.
    """

    id: int
    hash: bytes
    height: int
    width: int
    paths: tuple[bytes, ...]
    lacks: tuple[str, ...]


class ChosenDescriptors:
    """The descriptors of a catalog that a person chose."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    def specs(self) -> dict[str, ChosenSpec]:
        """Return what was chosen, by name."""
        with self._database.reading() as connection:
            return specs(connection)

    def choose(self, wanted: Mapping[str, tuple[int, int]]) -> None:
        """Have exactly these descriptors from now on.

        Vectors of descriptors that are no longer wanted go, and so do those of another version or
        dimension; all images lack the new ones then.

        Args:
            wanted: Version and dimension by name.

        Raises:
            UsageError: If a name is no good or is that of one of the model's descriptors.
        """
        with self._database.writing() as connection:
            held = specs(connection)
            revision = reading.revision(connection) + 1
            failpoint("storage.choose.begin")
            gone = [n for n, s in held.items() if wanted.get(n) != (s.version, s.dim)]
            new = {n: spec for n, spec in wanted.items() if n not in held or n in gone}
            for name in gone:
                vectors.drop_table(connection, name)
            for name, (version, dim) in new.items():
                _create(connection, name, version, dim, revision)
            if gone or new:
                connection.execute("UPDATE state SET revision = ?", (revision,))
            failpoint("storage.choose.end")
        failpoint("storage.choose.done")

    def lacking(self, after: int, n: int) -> list[LackingImage]:
        """Return the next `n` images with ids above `after` that lack any, ascending."""
        with self._database.reading() as connection:
            return _lacking(connection, after, n)

    def n_lacking(self) -> dict[str, int]:
        """Return how many images lack each chosen descriptor."""
        with self._database.reading() as connection:
            (n_images,) = connection.execute("SELECT count(*) FROM images").fetchone()
            return {name: n_images - vectors.count(connection, name) for name in specs(connection)}

    def fill(self, rows: Mapping[str, tuple[Sequence[bytes], Embeddings]]) -> None:
        """Store vectors of images that lack them, all of them or nothing.

        Args:
            rows: Content hashes and vectors, by descriptor.

        Raises:
            UsageError: If a value is not finite.
            EnvironmentFault: If the disk is full.
        """
        with self._database.writing() as connection:
            revision = reading.revision(connection) + 1
            failpoint("storage.fill.begin")
            for name, (hashes, embeddings) in rows.items():
                vectors.insert(connection, name, vectors.checked_rows(hashes, embeddings, name))
                connection.execute(
                    "UPDATE descriptors SET filled = ? WHERE name = ?", (revision, name)
                )
                failpoint("storage.fill.descriptor")
            connection.execute("UPDATE state SET revision = ?", (revision,))
            failpoint("storage.fill.end")
        failpoint("storage.fill.done")


def specs(connection: sqlite3.Connection) -> dict[str, ChosenSpec]:
    """Return what was chosen, by name."""
    rows = connection.execute(
        "SELECT name, version, dim, filled FROM descriptors WHERE is_chosen ORDER BY name"
    )
    return {name: ChosenSpec(version, dim, filled) for name, version, dim, filled in rows}


def _create(
    connection: sqlite3.Connection, name: str, version: int, dim: int, revision: int
) -> None:
    if name in reading.descriptors(connection):
        raise UsageError(f"{name!r} comes from the model and cannot be chosen beside it")
    vectors.create_table(connection, name, dim)
    connection.execute(
        "UPDATE descriptors SET version = ?, is_chosen = 1, filled = ? WHERE name = ?",
        (version, revision, name),
    )


def _lacking(connection: sqlite3.Connection, after: int, n: int) -> list[LackingImage]:
    names = list(specs(connection))
    if not names:
        return []
    conditions = [vectors.lacking(name) for name in names]
    rows = connection.execute(
        f"SELECT id, hash, height, width, {', '.join(conditions)} FROM images "
        f"WHERE id > ? AND ({' OR '.join(conditions)}) ORDER BY id LIMIT ?",
        (after, n),
    ).fetchall()
    paths = _paths(connection, [row[0] for row in rows])
    return [
        LackingImage(
            image_id,
            content_hash,
            height,
            width,
            tuple(paths[image_id]),
            tuple(name for name, lacks in zip(names, lacking, strict=True) if lacks),
        )
        for image_id, content_hash, height, width, *lacking in rows
    ]


def _paths(connection: sqlite3.Connection, image_ids: Sequence[int]) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {image_id: [] for image_id in image_ids}
    for chunk in chunked(image_ids):
        rows = connection.execute(
            f"SELECT image_id, path FROM files WHERE image_id IN ({placeholders(chunk)}) "
            "ORDER BY path",
            chunk,
        )
        for image_id, path in rows:
            found[image_id].append(path)
    return found
