"""Embeddings as they are stored: one table for each descriptor, one checksummed row for each image.

A vector is stored as little-endian float32. Its checksum also covers the name of the descriptor
and the content hash of the image, so that not only a flipped bit is noticed, but also a vector
that has got into the row of another image.
"""

import re
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import DamagedCollectionError, MismatchError, UsageError
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.records import NewImage

Row: TypeAlias = tuple[bytes, bytes, int]
"""Content hash, vector, checksum."""

StoredRow: TypeAlias = tuple[int, bytes, bytes | None, int | None]
"""Image id, content hash, vector, checksum; the last two are `None` where the row is missing."""

_LITTLE: Final = np.dtype("<f4")
_PREFIX: Final = "embeddings_"
_UNFINISHED: Final = "replacement"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


def create_table(connection: sqlite3.Connection, descriptor: str, dim: int) -> None:
    """Add a descriptor.

    Raises:
        UsageError: If the name is not made of small letters, digits and underscores, or `dim` is
            not positive.
    """
    if not _NAME.fullmatch(descriptor):
        raise UsageError(
            f"descriptor name {descriptor!r} is not made of small letters, digits and underscores"
        )
    if dim < 1:
        raise UsageError(f"descriptor {descriptor} has dimension {dim}; at least 1 is needed")
    connection.execute("INSERT INTO descriptors (name, dim) VALUES (?, ?)", (descriptor, dim))
    connection.execute(
        f"""CREATE TABLE {_table(descriptor)} (
            image_id INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
            vector BLOB NOT NULL,
            checksum INTEGER NOT NULL
        ) STRICT"""
    )


def delete_strays(connection: sqlite3.Connection, descriptor: str) -> None:
    """Delete the rows of images that are not there."""
    connection.execute(
        f"DELETE FROM {_table(descriptor)} WHERE image_id NOT IN (SELECT id FROM images)"
    )


def drop_table(connection: sqlite3.Connection, descriptor: str) -> None:
    """Forget a descriptor and all its vectors."""
    connection.execute("DELETE FROM descriptors WHERE name = ?", (descriptor,))
    connection.execute(f"DROP TABLE {_table(descriptor)}")


def delete(connection: sqlite3.Connection, descriptor: str, image_ids: Iterable[int]) -> None:
    """Delete the vectors of images, which stay."""
    connection.executemany(
        f"DELETE FROM {_table(descriptor)} WHERE image_id = ?", ((id_,) for id_ in image_ids)
    )


def count(connection: sqlite3.Connection, descriptor: str) -> int:
    """Return how many images have a vector."""
    (n,) = connection.execute(f"SELECT count(*) FROM {_table(descriptor)}").fetchone()
    return int(n)


def lacking(descriptor: str) -> str:
    """Return the SQL condition that an image, of a table `images`, has no vector."""
    return f"NOT EXISTS (SELECT 1 FROM {_table(descriptor)} WHERE image_id = images.id)"


def descriptor_of(table: str) -> str | None:
    """Return the descriptor whose vectors lie in `table`; `None` for other tables."""
    return table.removeprefix(_PREFIX) if table.startswith(_PREFIX) else None


def damaged(
    rows: Sequence[StoredRow], descriptor: str, dim: int, *, may_lack: bool = False
) -> list[int]:
    """Return the image ids of those rows that are changed, not finite or, if they must not, lack.

    Args:
        rows: As read.
        descriptor: Whose.
        dim: Length of its vectors.
        may_lack: Whether images may have no vector.
    """
    seed = zlib.crc32(descriptor.encode())
    looked_at = [row for row in rows if not (may_lack and is_lacking(row))]
    return [row[0] for row in looked_at if not is_intact(row, seed, dim) or not _is_finite(row)]


def is_lacking(row: StoredRow) -> bool:
    """Tell whether an image has no vector at all."""
    return row[2] is None and row[3] is None


def pack(
    images: Sequence[NewImage], descriptors: Mapping[str, int], chosen: Collection[str] = ()
) -> dict[str, list[Row]]:
    """Check the embeddings of `images` and return the rows to store, for each descriptor.

    Args:
        images: With their embeddings.
        descriptors: The catalog's, with their dimensions.
        chosen: Those of them that an image may lack.

    Raises:
        MismatchError: If an image has other descriptors than the catalog, or other dimensions.
        UsageError: If a value is not finite.
    """
    for image in images:
        _check_dimensions(image, descriptors, chosen)
    return {
        name: _packed([image for image in images if name in image.embeddings], name)
        for name in descriptors
    }


def checked_rows(hashes: Sequence[bytes], vectors: Embeddings, descriptor: str) -> list[Row]:
    """Return rows to store of images by their content hash.

    Raises:
        UsageError: If a value is not finite.
    """
    if not np.isfinite(vectors).all():
        raise UsageError(f"a {descriptor} embedding holds values that are not finite")
    return _checked_rows(hashes, vectors, descriptor)


def insert(connection: sqlite3.Connection, descriptor: str, rows: Iterable[Row]) -> None:
    """Store rows of images that are stored already."""
    connection.executemany(
        f"INSERT INTO {_table(descriptor)} SELECT id, ?2, ?3 FROM images WHERE hash = ?1",
        rows,
    )


def read_after(
    connection: sqlite3.Connection, descriptor: str, after: int, n: int
) -> list[StoredRow]:
    """Return the rows of the next `n` images with ids above `after`, ascending."""
    return connection.execute(
        f"{_select(descriptor)} WHERE images.id > ? ORDER BY images.id LIMIT ?", (after, n)
    ).fetchall()


def read(
    connection: sqlite3.Connection, descriptor: str, ids: Sequence[int]
) -> Iterator[StoredRow]:
    """Give the rows of `ids` in any order; unknown ids are left out."""
    for chunk in chunked(sorted(set(ids))):
        yield from connection.execute(
            f"{_select(descriptor)} WHERE images.id IN ({placeholders(chunk)})", chunk
        )


def replace_all(
    connection: sqlite3.Connection,
    descriptor: str,
    dim: int,
    change: Callable[[Embeddings], Embeddings],
    batch: int,
) -> None:
    """Put other vectors, of dimension `dim`, in the place of all vectors of a descriptor.

    Args:
        connection: In a transaction.
        descriptor: Whose vectors.
        dim: Length of the new ones.
        change: Gives the new vectors of some old ones, row by row.
        batch: Vectors that are changed at a time.

    Raises:
        DamagedCollectionError: If a vector fails its check.
    """
    [old_dim] = connection.execute(
        "SELECT dim FROM descriptors WHERE name = ?", (descriptor,)
    ).fetchone()
    create_table(connection, _UNFINISHED, dim)
    after = 0
    while rows := read_after(connection, descriptor, after, batch):
        after = rows[-1][0]
        _, old = unpack(rows, descriptor, old_dim)
        hashes = [row[1] for row in rows]
        insert(connection, _UNFINISHED, _checked_rows(hashes, change(old), descriptor))
    connection.execute("DELETE FROM descriptors WHERE name = ?", (_UNFINISHED,))
    connection.execute("UPDATE descriptors SET dim = ? WHERE name = ?", (dim, descriptor))
    connection.execute(f"DROP TABLE {_table(descriptor)}")
    connection.execute(f"ALTER TABLE {_table(_UNFINISHED)} RENAME TO {_table(descriptor)}")


def unpack(rows: Sequence[StoredRow], descriptor: str, dim: int) -> tuple[Ids, Embeddings]:
    """Return ids and vectors of `rows`.

    Raises:
        DamagedCollectionError: If a row fails its check; names the image.
    """
    seed = zlib.crc32(descriptor.encode())
    for row in rows:
        if not is_intact(row, seed, dim):
            raise DamagedCollectionError(
                f"the {descriptor} embedding of image {row[0]} is damaged; "
                "repair it with: lookalike verify --repair COLLECTION, then index again"
            )
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    joined = b"".join(row[2] for row in rows if row[2] is not None)
    return ids, np.frombuffer(joined, _LITTLE).reshape(len(rows), dim).astype(np.float32)


def is_intact(row: StoredRow, seed: int, dim: int) -> bool:
    """Tell whether a row is there, of the right length and as it was stored.

    Args:
        row: As read.
        seed: CRC-32 of the descriptor's name.
        dim: Length of the descriptor's vectors.
    """
    _, content_hash, vector, checksum = row
    if vector is None or len(vector) != _LITTLE.itemsize * dim:
        return False
    return zlib.crc32(vector, zlib.crc32(content_hash, seed)) == checksum


def _is_finite(row: StoredRow) -> bool:
    return bool(np.isfinite(np.frombuffer(row[2] or b"", _LITTLE)).all())


def _check_dimensions(
    image: NewImage, descriptors: Mapping[str, int], chosen: Collection[str]
) -> None:
    found = {name: len(vector) for name, vector in image.embeddings.items()}
    if found | {name: descriptors[name] for name in chosen if name not in found} != descriptors:
        raise MismatchError(
            f"image {image.hash.hex()} has embeddings {_listed(found)}, the collection holds "
            f"{_listed(descriptors)}; use the model that it was made with"
        )


def _listed(dimensions: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({dim})" for name, dim in sorted(dimensions.items())) or "none"


def _packed(images: Sequence[NewImage], descriptor: str) -> list[Row]:
    if not images:
        return []
    vectors = np.stack([image.embeddings[descriptor] for image in images]).astype(_LITTLE)
    is_finite = np.isfinite(vectors).all(axis=1)
    if not is_finite.all():
        image = images[int(np.argmin(is_finite))]
        raise UsageError(
            f"the {descriptor} embedding of image {image.hash.hex()} holds values that are not "
            "finite; look at the model"
        )
    return _checked_rows([image.hash for image in images], vectors, descriptor)


def _checked_rows(hashes: Sequence[bytes], vectors: Embeddings, descriptor: str) -> list[Row]:
    seed = zlib.crc32(descriptor.encode())
    return [
        (hash_, data := row.tobytes(), zlib.crc32(data, zlib.crc32(hash_, seed)))
        for hash_, row in zip(hashes, vectors.astype(_LITTLE), strict=True)
    ]


def _select(descriptor: str) -> str:
    # Left join: an image whose vector is missing must be noticed and not left out.
    return (
        "SELECT images.id, images.hash, vector, checksum "
        f"FROM images LEFT JOIN {_table(descriptor)} ON image_id = images.id"
    )


def _table(descriptor: str) -> str:
    return f"{_PREFIX}{descriptor}"
