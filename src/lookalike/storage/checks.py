"""What can be wrong inside a catalog, found by reading all of it, and how it is put right.

Repairs delete only what can be made again from the pictures, and have those pictures read again.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from lookalike.failpoints import failpoint
from lookalike.images.scanning import display_path
from lookalike.progress import Task
from lookalike.storage import chosen, duplicates, regions, vectors, words, writing
from lookalike.storage.catalog import READ_BATCH
from lookalike.storage.database import Database

ProblemKind: TypeAlias = Literal[
    "catalog",
    "embedding",
    "fingerprint",
    "region",
    "image",
    "file",
    "words",
    "model",
    "index",
    "thumbnails",
]

READ_AGAIN: Final = "what was stored of it was damaged; the next index reads it again"
"""Why a file is not indexed after a repair."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        kind: What it concerns.
        detail: One line that names it.
        repaired: Whether it was put right; lost embeddings come back with the next `index`.
    """

    kind: ProblemKind
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Findings:
    """What is wrong in a catalog.

    Attributes:
        malformed: What SQLite says of the file itself.
        dangling: Double rows and rows that refer to nothing, for which no repair is known.
        damaged: Descriptor and image of each embedding that is missing or changed.
        lost: Images that files refer to and that are not there.
        unheld: Images that no file holds.
        regions: Images whose regions are missing or changed.
        strays: Descriptors that have embeddings of images that are not there.
        chosen: Descriptors that images may lack; what is deleted of them is filled in again.
        words: What is wrong with the full-text index, which is made again as a whole.
        marred: Images whose fingerprint is changed.
        has_stray_prints: Whether there are fingerprints of images that are not there.
    """

    malformed: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    damaged: list[tuple[str, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    regions: list[int] = field(default_factory=list)
    unheld: list[int] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    marred: list[int] = field(default_factory=list)
    has_stray_prints: bool = False


def check_catalog(
    opened: Database, descriptors: Mapping[str, int], task: Task, *, repair: bool
) -> Iterator[Problem]:
    """Read everything and tell what is wrong; `task` advances by one for each embedding."""
    with opened.reading() as connection:
        found = _examine(connection, descriptors, task)
        described = _described(connection, found)
    if repair and any(described.values()):
        with opened.writing() as connection:
            failpoint("storage.repair.begin")
            _repair(connection, found)
            failpoint("storage.repair.end")
    for kind, details in described.items():
        yield from (Problem(kind, detail, repaired=repair) for detail in details)
    is_remade = repair and bool(found.malformed) and _rebuild_indices(opened)
    yield from (Problem("catalog", detail, repaired=is_remade) for detail in found.malformed)
    yield from (Problem("catalog", detail) for detail in found.dangling)


def _examine(
    connection: sqlite3.Connection, descriptors: Mapping[str, int], task: Task
) -> Findings:
    found = Findings(malformed=_malformed(connection), words=words.problems(connection))
    _find_dangling(connection, found)
    found.unheld = _column(
        connection,
        "SELECT id FROM images WHERE id NOT IN "
        "(SELECT image_id FROM files WHERE image_id IS NOT NULL)",
    )
    # The index on hashes may be what is damaged, so it is not asked.
    doubles = connection.execute(
        "SELECT hex(hash), count(*) FROM images NOT INDEXED GROUP BY hash HAVING count(*) > 1"
    )
    found.dangling += [f"content {content} is stored {n} times" for content, n in doubles]
    found.chosen = sorted(chosen.specs(connection))
    found.marred = duplicates.damaged(connection)
    for name, dim in descriptors.items():
        may_lack = name in found.chosen
        for rows in _pages(connection, name):
            damaged = vectors.damaged(rows, name, dim, may_lack=may_lack)
            found.damaged += [(name, image) for image in damaged]
            task.advance(len(rows))
    torn = regions.damaged(connection, descriptors.get("content", 0))
    found.regions = sorted({*found.regions, *torn})
    return found


def _find_dangling(connection: sqlite3.Connection, found: Findings) -> None:
    strays: set[str] = set()
    lost: set[int] = set()
    for table, row_id, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchall():
        descriptor = vectors.descriptor_of(table)
        if descriptor is not None:
            strays.add(descriptor)
        elif table == duplicates.TABLE:
            found.has_stray_prints = True
        elif (table, parent) == ("files", "images"):
            lost.update(_column(connection, "SELECT image_id FROM files WHERE id = ?", row_id))
        elif table in regions.TABLES:
            query = f"SELECT image_id FROM {table} WHERE rowid = ?"
            found.regions.extend(_column(connection, query, row_id))
        else:
            found.dangling.append(f"a row of {table} refers to one of {parent} that is not there")
    found.strays, found.lost = sorted(strays), sorted(lost)


def _described(connection: sqlite3.Connection, found: Findings) -> dict[ProblemKind, list[str]]:
    return {
        "embedding": [
            f"the {name} embedding of image {image} ({_first_path(connection, image)}) is damaged"
            for name, image in found.damaged
        ]
        + [f"there are {name} embeddings of images that are not there" for name in found.strays],
        "region": [
            f"the regions of image {image} ({_first_path(connection, image)}) are damaged"
            for image in found.regions
        ],
        "fingerprint": [
            f"the fingerprint of image {image} ({_first_path(connection, image)}) is damaged"
            for image in found.marred
        ]
        + ["there are fingerprints of images that are not there"] * found.has_stray_prints,
        "file": [
            f"{_first_path(connection, image)} is said to hold image {image}, which is not there"
            for image in found.lost
        ],
        "image": [f"no file holds image {image}" for image in found.unheld],
        "words": found.words,
    }


def _repair(connection: sqlite3.Connection, found: Findings) -> None:
    if found.words:
        words.clear(connection)  # first, as deleting images deletes their words
    for name in found.strays:
        vectors.delete_strays(connection, name)
    for name in found.chosen:
        vectors.delete(connection, name, [image for of, image in found.damaged if of == name])
    regions.forget(connection, found.regions)
    required = {image for name, image in found.damaged if name not in found.chosen}
    images = required | {*found.lost, *found.unheld}
    duplicates.delete_damaged(connection, found.marred)
    if images:
        writing.forget_images(connection, sorted(images), READ_AGAIN)
    if found.words:
        words.fill(connection)


def _rebuild_indices(opened: Database) -> bool:
    """Remake SQLite's own indices; tell whether that was all that was wrong."""
    try:
        with opened.writing() as connection:
            connection.execute("REINDEX")
            return not _malformed(connection)
    except sqlite3.IntegrityError:
        return False  # rows are there twice


def _malformed(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA integrity_check").fetchall()
    return [text for (text,) in rows if text != "ok"]


def _first_path(connection: sqlite3.Connection, image_id: int) -> str:
    row = connection.execute(
        "SELECT path FROM files WHERE image_id = ? ORDER BY path LIMIT 1", (image_id,)
    ).fetchone()
    return "no file" if row is None else display_path(row[0])


def _pages(connection: sqlite3.Connection, descriptor: str) -> Iterator[list[vectors.StoredRow]]:
    after = 0
    while rows := vectors.read_after(connection, descriptor, after, READ_BATCH):
        yield rows
        after = rows[-1][0]


def _column(connection: sqlite3.Connection, query: str, *values: int) -> list[int]:
    return [value for (value,) in connection.execute(query, values)]
