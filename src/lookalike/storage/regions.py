"""Regions of images: rows of one table, and one more for each image that has been looked at.

The id of a region is 64 times that of its image and its place among that image's regions, so that
it tells the image without a look-up and is never used again. Vectors are little-endian float16;
the checksum of a row covers them, the outline, and the content hash of the image.
"""

import sqlite3
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import numpy as np
from jaxtyping import Float32, Int64, UInt64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.failpoints import failpoint
from lookalike.storage import reading
from lookalike.storage.chunks import chunked, placeholders
from lookalike.storage.database import Database

PER_IMAGE: Final = 64
"""Ids that are kept for the regions of one image."""

TABLES: Final = ("region_images", "regions")
VECTORS: Final = ("content", "color", "texture")

_HALF: Final = np.dtype("<f2")
_OUTLINE: Final = struct.Struct("<5dq")
_BATCH: Final = 4096
_LARGEST: Final = 2**63 - 1

_TABLES: Final = (
    # Which images have regions, of which version of the rules, since which revision.
    """CREATE TABLE region_images (
        image_id INTEGER PRIMARY KEY REFERENCES images (id) ON DELETE CASCADE,
        version INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        n_regions INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX region_images_by_revision ON region_images (revision)",
    f"""CREATE TABLE regions (
        id INTEGER PRIMARY KEY,
        image_id INTEGER NOT NULL REFERENCES region_images (image_id) ON DELETE CASCADE,
        label TEXT,
        x REAL NOT NULL,
        y REAL NOT NULL,
        width REAL NOT NULL CHECK (width > 0),
        height REAL NOT NULL CHECK (height > 0),
        area REAL NOT NULL,
        mask INTEGER NOT NULL,
        content BLOB NOT NULL,
        color BLOB NOT NULL,
        texture BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        CHECK (id / {PER_IMAGE} = image_id)
    ) STRICT""",
    "CREATE INDEX regions_of_image ON regions (image_id)",
)

_INSERT: Final = "INSERT INTO regions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_OUTLINES: Final = (
    "SELECT id, x, y, width, height, area, mask, label FROM regions WHERE id > ?1 AND (?2 < 0 OR "
    "image_id IN (SELECT image_id FROM region_images WHERE revision > ?2)) ORDER BY id LIMIT ?3"
)

Row: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class NewRegion:
    """A region as it is stored.

    Attributes:
        box: Left, top, width and height, as shares of the picture's width and height.
        area: Share of the picture that it covers.
        mask: Bits of 8 × 8 cells of the box, row by row, the lowest bit first.
        label: Name of the class seen there, if any.
        vectors: `content`, `color` and `texture`.
    """

    box: tuple[float, float, float, float]
    area: float
    mask: int
    label: str | None
    vectors: Mapping[str, Float32[ndarray, " dim"]]


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Where many regions are, one row each by ascending id.

    Attributes:
        ids: Their ids; divided by 64 those of their images.
        boxes: Left, top, width and height as shares of the picture.
        areas: Share of the picture that each covers.
        masks: Bits as in `NewRegion`.
        labels: Position of each one's label in `names`; -1 without.
        names: The labels there are.
    """

    ids: Ids
    boxes: Float32[ndarray, "regions 4"]
    areas: Float32[ndarray, " regions"]
    masks: UInt64[ndarray, " regions"]
    labels: Int64[ndarray, " regions"]
    names: tuple[str, ...]


def create_tables(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    for statement in _TABLES:
        connection.execute(statement)


@final
class RegionStore:
    """The regions in a catalog; all that was said of `Catalog` holds for it too."""

    def __init__(self, opened: Database) -> None:
        self._database = opened

    @property
    def is_used(self) -> bool:
        """Whether any image has regions."""
        with self._database.reading() as connection:
            (found,) = connection.execute("SELECT EXISTS (SELECT 1 FROM region_images)").fetchone()
        return bool(found)

    def counts(self, version: int) -> tuple[int, int, int]:
        """Return how many images have regions of this version, how many do not, all regions."""
        with self._database.reading() as connection:
            (n_images,) = connection.execute("SELECT count(*) FROM images").fetchone()
            n_done, n_regions = connection.execute(
                "SELECT count(*), coalesce(sum(n_regions), 0) FROM region_images WHERE version = ?",
                (version,),
            ).fetchone()
        return n_done, n_images - n_done, n_regions

    def lacking(self, version: int, after: int, n: int) -> list[int]:
        """Return the next `n` images with ids above `after` without regions of this version."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT id FROM images WHERE id > ? AND NOT EXISTS (SELECT 1 FROM region_images "
                "WHERE image_id = images.id AND version = ?) ORDER BY id LIMIT ?",
                (after, version, n),
            ).fetchall()
        return [image_id for (image_id,) in rows]

    def store(self, regions: Mapping[int, Sequence[NewRegion]], version: int) -> None:
        """Store all regions of some images in place of those that they had, or nothing.

        Raises:
            UsageError: If an image has more regions than there are ids, or a value is not finite.
            EnvironmentFault: If the disk is full.
        """
        with self._database.writing() as connection:
            failpoint("storage.regions.begin")
            revision = reading.revision(connection) + 1
            hashes = _hashes(connection, list(regions))
            for image_id, content_hash in hashes.items():
                _replace(connection, image_id, content_hash, regions[image_id], version, revision)
            connection.execute("UPDATE state SET revision = ?", (revision,))
            failpoint("storage.regions.end")
        failpoint("storage.regions.done")

    def changed_since(self, revision: int) -> Ids:
        """Return the ids of the images, ascending, whose regions are newer than `revision`."""
        query = "SELECT image_id FROM region_images WHERE revision > ? ORDER BY +image_id"
        with self._database.reading() as connection:
            return reading.ids(connection, query, revision)

    def vectors(
        self, name: str, dim: int, *, since: int = -1, batch: int = _BATCH
    ) -> Iterator[tuple[Ids, Embeddings]]:
        """Give the vectors of all regions by ascending id, some at a time; see `Catalog`.

        Args:
            name: One of `VECTORS`.
            dim: Its length.
            since: Only those of images whose regions are newer than this revision.
            batch: Largest number at a time.

        Raises:
            DamagedCollectionError: If a row is not as it was stored.
        """
        after = -1
        while True:
            with self._database.reading() as connection:
                rows = _read_after(connection, after, since, batch)
            if not rows:
                return
            after = rows[-1][0]
            yield unpack(rows, name, dim)

    def outlines(self, *, since: int = -1) -> Outlines:
        """Return where all regions are; only those of images newer than a revision if given."""
        position: dict[str | None, int] = {None: -1}
        chunks = list(self.outline_batches(position, since=since))
        return _joined(chunks, label_names(position))

    def outline_batches(
        self, position: dict[str | None, int], *, since: int = -1, batch: int = _BATCH
    ) -> Iterator[Outlines]:
        """Give where regions are by ascending id, some at a time; see `vectors`.

        Args:
            position: Numbers the labels; those that are met first are added. `{None: -1}` at first;
                see `label_names`.
            since: Only those of images whose regions are newer than this revision.
            batch: Largest number at a time.
        """
        after = -1
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(_OUTLINES, (after, since, batch)).fetchall()
            if not rows:
                return
            after = rows[-1][0]
            yield _arrays(rows, position)


def label_names(position: Mapping[str | None, int]) -> tuple[str, ...]:
    """Return the labels by ascending number, as `outline_batches` numbered them."""
    return tuple(name for name in sorted(position, key=position.__getitem__) if name is not None)


def damaged(connection: sqlite3.Connection, content_dim: int) -> Iterator[int]:
    """Give the images, ascending, whose regions are missing or changed; reads all of them."""
    yield from reading.ids(
        connection,
        "SELECT image_id FROM region_images WHERE n_regions <> "
        "(SELECT count(*) FROM regions WHERE regions.image_id = region_images.image_id) "
        "ORDER BY image_id",
    ).tolist()
    after, last = -1, -1
    while rows := _read_after(connection, after, -1, _BATCH):
        after = rows[-1][0]
        for row in rows:
            is_sound = _is_intact(row) and len(row[9]) == _HALF.itemsize * content_dim
            if not is_sound and row[1] != last:
                last = row[1]
                yield last


def forget(connection: sqlite3.Connection, image_ids: Sequence[int]) -> None:
    """Delete the regions of images, which lack them then."""
    for chunk in chunked(image_ids):
        marks = placeholders(chunk)
        connection.execute(f"DELETE FROM regions WHERE image_id IN ({marks})", chunk)
        connection.execute(f"DELETE FROM region_images WHERE image_id IN ({marks})", chunk)


def replace_content(
    connection: sqlite3.Connection, dim: int, change: Callable[[Embeddings], Embeddings]
) -> None:
    """Put other `content` vectors in the place of all; `change` is given those of length `dim`.

    Raises:
        DamagedCollectionError: If a row is not as it was stored.
    """
    after = -1
    while rows := _read_after(connection, after, -1, _BATCH):
        after = rows[-1][0]
        changed = change(unpack(rows, "content", dim)[1]).astype(_HALF)
        connection.executemany(
            "UPDATE regions SET content = ?, checksum = ? WHERE id = ?",
            [
                (content, _checksum((*row[:9], content, *row[10:])), row[0])
                for row, content in zip(rows, map(bytes, changed), strict=True)
            ],
        )


def unpack(rows: Sequence[Row], name: str, dim: int) -> tuple[Ids, Embeddings]:
    """Return ids and the vectors `name` of rows.

    Raises:
        DamagedCollectionError: If a row fails its check; names the image.
    """
    at = 9 + VECTORS.index(name)
    for row in rows:
        if not _is_intact(row) or len(row[at]) != _HALF.itemsize * dim:
            raise DamagedCollectionError(
                f"the regions of image {row[1]} are damaged; repair them with: "
                "lookalike verify --repair COLLECTION, then index again"
            )
    ids = np.fromiter((row[0] for row in rows), np.int64, len(rows))
    joined = b"".join(row[at] for row in rows)
    return ids, np.frombuffer(joined, _HALF).reshape(len(rows), dim).astype(np.float32)


def _hashes(connection: sqlite3.Connection, image_ids: Sequence[int]) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for chunk in chunked(sorted(image_ids)):
        query = f"SELECT id, hash FROM images WHERE id IN ({placeholders(chunk)})"
        found.update(connection.execute(query, chunk))
    return found


def _replace(
    connection: sqlite3.Connection,
    image_id: int,
    content_hash: bytes,
    regions: Sequence[NewRegion],
    version: int,
    revision: int,
) -> None:
    if len(regions) > PER_IMAGE:
        raise UsageError(f"image {image_id} has {len(regions)} regions, more than {PER_IMAGE}")
    forget(connection, [image_id])
    connection.execute(
        "INSERT INTO region_images VALUES (?, ?, ?, ?)",
        (image_id, version, revision, len(regions)),
    )
    failpoint("storage.regions.image")
    rows = [
        _packed(PER_IMAGE * image_id + place, image_id, content_hash, region)
        for place, region in enumerate(regions)
    ]
    connection.executemany(_INSERT, rows)


def _packed(region_id: int, image_id: int, content_hash: bytes, region: NewRegion) -> Row:
    vectors = [region.vectors[name].astype(_HALF) for name in VECTORS]
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise UsageError(f"a region of image {image_id} has values that are not finite")
    mask = region.mask - 2**64 if region.mask > _LARGEST else region.mask
    fields = (region_id, image_id, region.label, *map(float, region.box), float(region.area), mask)
    blobs = tuple(vector.tobytes() for vector in vectors)
    return (*fields, *blobs, _checksum((*fields, *blobs, content_hash)))


def _read_after(connection: sqlite3.Connection, after: int, since: int, n: int) -> list[Row]:
    return connection.execute(
        "SELECT r.id, r.image_id, label, x, y, r.width, r.height, area, mask, content, color, "
        "texture, hash, checksum FROM regions AS r JOIN images ON images.id = r.image_id "
        "WHERE r.id > ?1 AND (?2 < 0 OR r.image_id IN "
        "(SELECT image_id FROM region_images WHERE revision > ?2)) ORDER BY r.id LIMIT ?3",
        (after, since, n),
    ).fetchall()


def _is_intact(row: Row) -> bool:
    return bool(_checksum(row[:13]) == row[13])


def _checksum(row: Row) -> int:
    """CRC-32 of a row: id, image, label, outline, vectors, content hash of the image."""
    _, _, label, *outline = row[:9]
    check = zlib.crc32((label or "").encode(), zlib.crc32(_OUTLINE.pack(*outline)))
    for blob in (*row[9:12], row[12]):
        check = zlib.crc32(blob, check)
    return check


def _arrays(rows: Sequence[Row], position: dict[str | None, int]) -> Outlines:
    """Turn rows into arrays; `position` numbers the labels as they are met."""
    for row in rows:
        position.setdefault(row[7], len(position) - 1)
    n = len(rows)
    numbers = np.array([row[1:6] for row in rows], np.float32).reshape(n, 5)
    return Outlines(
        ids=np.fromiter((row[0] for row in rows), np.int64, n),
        boxes=numbers[:, :4],
        areas=numbers[:, 4],
        masks=np.fromiter((row[6] for row in rows), np.int64, n).view(np.uint64),
        labels=np.fromiter((position[row[7]] for row in rows), np.int64, n),
        names=(),
    )


def _joined(chunks: Sequence[Outlines], names: tuple[str, ...]) -> Outlines:
    parts = [_arrays([], {}), *chunks]
    return Outlines(
        ids=np.concatenate([part.ids for part in parts]),
        boxes=np.concatenate([part.boxes for part in parts]),
        areas=np.concatenate([part.areas for part in parts]),
        masks=np.concatenate([part.masks for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        names=names,
    )
