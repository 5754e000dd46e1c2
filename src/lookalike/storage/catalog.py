"""The catalog: images, files, embeddings and labels of a collection in one SQLite file."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.storage import chosen, database, migrations, reading, vectors, writing
from lookalike.storage.chosen import ChosenDescriptors
from lookalike.storage.descriptions import Descriptions
from lookalike.storage.duplicates import DuplicateStore
from lookalike.storage.filtering import Filtering
from lookalike.storage.knowledge import Knowledge
from lookalike.storage.records import Batch, FileRecord, FileState, ImageRecord, RunRecord
from lookalike.storage.regions import RegionStore
from lookalike.storage.vectors import StoredRow
from lookalike.storage.words import WordIndex

PAGE_SIZE: Final = 8192
"""Bytes; seven vectors of 256 dimensions fill a page to nine tenths."""

READ_BATCH: Final = 8192
"""Vectors that are read at a time."""


class Catalog:
    """The truth of a collection; everything else can be made again from it and the pictures.

    Every method that reads sees one state of the catalog, every method that writes makes all its
    changes or none and returns when they are on the disk. Any number of readers go on beside one
    writer; it is the collection's `WriterLock` that keeps a second writer away.

    Use it as a context manager. Reading from several threads is safe, one waits for the other.

    Attributes:
        descriptions: What people, data sets and files say of images.
        words: The full-text index of all that.
        filters: Finds images by it.
        knowledge: Clusters, annotations, maps, subjects and saved searches.
    """

    def __init__(self, opened: database.Database) -> None:
        self._database = opened
        self.knowledge: Final = Knowledge(opened)
        self.duplicates: Final = DuplicateStore(opened)
        self._run: int | None = None
        self.descriptions: Final = Descriptions(opened)
        self.words: Final = WordIndex(opened)
        self.filters: Final = Filtering(opened)
        if opened.writable:
            with opened.noting() as connection:
                writing.create_temporary_tables(connection)

    @classmethod
    def create(cls, path: Path, descriptors: Mapping[str, int]) -> "Catalog":
        """Make a new, empty catalog and open it for writing.

        Args:
            path: File that does not exist yet.
            descriptors: Dimension of each kind of embedding, by name.

        Raises:
            UsageError: If the file exists, or a name or dimension is no good.
            EnvironmentFault: If it cannot be made there.
        """
        opened = database.create(
            path, application_id=migrations.APPLICATION_ID, page_size=PAGE_SIZE
        )
        try:
            failpoint("storage.create.begin")
            migrations.migrate(opened)
            with opened.writing() as connection:
                for name, dim in descriptors.items():
                    vectors.create_table(connection, name, dim)
            failpoint("storage.create.end")
            return cls(opened)
        except BaseException:
            opened.close()
            raise

    @classmethod
    def open(cls, path: Path, *, writable: bool = False) -> "Catalog":
        """Open a catalog; for writing, an older one is brought up to date first.

        Raises:
            NotACollectionError: If there is no such file, or it belongs to another program.
            DamagedCollectionError: If it cannot be read.
            MismatchError: If it is newer than this program, or older and not `writable`.
            EnvironmentFault: If permission is missing.
        """
        return cls(migrations.open_current(path, writable=writable))

    def close(self) -> None:
        """Close the file; closing twice does no harm."""
        self._database.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def descriptors(self) -> dict[str, int]:
        """Dimension of each kind of embedding, by name."""
        with self._database.reading() as connection:
            return reading.descriptors(connection)

    @property
    def chosen(self) -> "ChosenDescriptors":
        """Those kinds of embedding that a person chose, and that images may lack."""
        return ChosenDescriptors(self._database)

    def n_embeddings(self, descriptor: str) -> int:
        """Return how many images have an embedding of this kind."""
        self._dim(descriptor)
        with self._database.reading() as connection:
            return vectors.count(connection, descriptor)

    @property
    def revision(self) -> int:
        """Grows with every commit that changes images or files; 0 when new."""
        with self._database.reading() as connection:
            return reading.revision(connection)

    @property
    def state(self) -> tuple[int, ...]:
        """Equal as long as nothing at all has changed, such as labels; see `Database.state`."""
        return self._database.state

    @property
    def n_images(self) -> int:
        """Number of images."""
        with self._database.reading() as connection:
            (n_images,) = connection.execute("SELECT count(*) FROM images").fetchone()
            return int(n_images)

    @property
    def n_files(self) -> dict[FileState, int]:
        """Number of files in each state, zeros included."""
        with self._database.reading() as connection:
            return reading.count_files(connection)

    @property
    def regions(self) -> RegionStore:
        """What is stored of parts of images."""
        return RegionStore(self._database)

    def roots(self, *, with_images: bool = False) -> list[bytes]:
        """Return the folders and files, ascending, under which the stored files were found.

        Args:
            with_images: Only those under which any file is indexed.
        """
        condition = "WHERE EXISTS (SELECT 1 FROM files WHERE root_id = r.id AND state = 'indexed')"
        query = f"SELECT path FROM roots AS r {condition if with_images else ''} ORDER BY path"
        with self._database.reading() as connection:
            rows = connection.execute(query).fetchall()
        return [path for (path,) in rows]

    def last_run(self) -> RunRecord | None:
        """Return the run begun last; `None` before the first."""
        with self._database.reading() as connection:
            return reading.last_run(connection)

    def files(self, paths: Sequence[bytes]) -> dict[bytes, FileRecord]:
        """Return what is known of those `paths` that are stored."""
        with self._database.reading() as connection:
            return reading.files(connection, paths)

    def failures(self, limit: int | None = None) -> list[FileRecord]:
        """Return the files that failed, by ascending path, at most `limit`."""
        with self._database.reading() as connection:
            return reading.failures(connection, limit)

    def image_ids(self, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """Return the ids of those contents that are stored."""
        with self._database.reading() as connection:
            return reading.image_ids(connection, hashes)

    def ids_of_paths(self, paths: Sequence[bytes]) -> dict[bytes, int]:
        """Return the image ids of those `paths` that are indexed."""
        with self._database.reading() as connection:
            return reading.ids_of_paths(connection, paths)

    def ids(self) -> Ids:
        """Return the ids of all images, ascending."""
        with self._database.reading() as connection:
            return reading.ids(connection, "SELECT id FROM images ORDER BY id")

    def deleted_since(self, revision: int) -> Ids:
        """Return the ids, ascending, of the images deleted after `revision`."""
        query = "SELECT image_id FROM deletions WHERE revision > ? ORDER BY +image_id"
        with self._database.reading() as connection:
            return reading.ids(connection, query, revision)

    def images(self, ids: Sequence[int] | Ids) -> list[ImageRecord]:
        """Return the records of `ids`, in the order asked for; an id may be asked for twice.

        Raises:
            UsageError: If there is no image with such an id.
        """
        wanted = [int(image_id) for image_id in ids]
        with self._database.reading() as connection:
            found = reading.images(connection, wanted)
        _check_known(wanted, found)
        return [found[image_id] for image_id in wanted]

    def embeddings(
        self, descriptor: str, *, after: int = 0, batch: int = READ_BATCH
    ) -> Iterator[tuple[Ids, Embeddings]]:
        """Give the embeddings of all images that have one by ascending id, some at a time.

        Each batch is read by itself, so that a long reading never holds up a writer: images that
        are added or deleted meanwhile may or may not come.

        Args:
            descriptor: Name of the kind of embedding.
            after: Only images with higher ids.
            batch: Largest number at a time.

        Raises:
            UsageError: If there is no such descriptor; when the first batch is asked for.
            DamagedCollectionError: If an embedding is missing or not as it was stored.
        """
        dim = self._dim(descriptor)
        may_lack = descriptor in self.chosen.specs()
        while True:
            with self._database.reading() as connection:
                rows = vectors.read_after(connection, descriptor, after, batch)
            if not rows:
                return
            after = rows[-1][0]
            if may_lack:
                rows = [row for row in rows if not vectors.is_lacking(row)]
            yield vectors.unpack(rows, descriptor, dim)

    def vectors(self, ids: Sequence[int] | Ids, descriptor: str) -> Embeddings:
        """Return the embeddings of `ids`, in the order asked for; an id may be asked for twice.

        Raises:
            UsageError: If there is no image with such an id, or no such descriptor.
            DamagedCollectionError: If an embedding is missing or not as it was stored.
        """
        dim = self._dim(descriptor)
        wanted = [int(image_id) for image_id in ids]
        with self._database.reading() as connection:
            rows = list(vectors.read(connection, descriptor, wanted))
        position = {row[0]: place for place, row in enumerate(rows)}
        _check_known(wanted, position)
        self._check_described(rows, descriptor)
        _, found = vectors.unpack(rows, descriptor, dim)
        return found[np.array([position[image_id] for image_id in wanted], np.int64)]

    def begin_run(self) -> int:
        """Begin a run over the folders, in which no file has been seen yet; return its number."""
        with self._database.writing() as connection:
            self._run = writing.begin_run(connection, time.time())
        failpoint("storage.run.begun")
        return self._run

    def commit(self, batch: Batch, *, run: int) -> None:
        """Store a batch, all of it or nothing.

        Images that are stored already are not stored again, so the same batch may be committed
        twice. What is known of a path is replaced; an image that no file holds any more goes.

        Args:
            batch: Images and files.
            run: The current run; the files count as seen in it.

        Raises:
            UsageError: If the run is not the current one, a value of an embedding is not finite,
                or an image and its file are not stored together.
            MismatchError: If embeddings have other names or dimensions than the catalog's.
            EnvironmentFault: If the disk is full.
        """
        self._check_run(run)
        with self._database.writing() as connection:
            writing.store(
                connection, batch, reading.descriptors(connection), chosen.specs(connection)
            )
        failpoint("storage.commit.done")

    def mark_seen(self, paths: Sequence[bytes], run: int) -> None:
        """Tick off stored files that are unchanged; writes nothing to the disk.

        Raises:
            UsageError: If `run` is not the current one.
        """
        self._check_run(run)
        with self._database.noting() as connection:
            writing.mark_seen(connection, paths)

    def remove_unseen(
        self, run: int, roots: Sequence[bytes], *, except_below: Sequence[bytes] = ()
    ) -> int:
        """End a run: remove the files at or below `roots` that were not seen in it.

        Images without any file left go too, and `deleted_since` tells of them.

        Args:
            run: The current run.
            roots: Absolute paths.
            except_below: Files at or below these stay: folders that could not be looked into.

        Returns:
            Number of files removed.

        Raises:
            UsageError: If `run` is not the current one. A run cannot be ended by another opening
                of the catalog, since that has not seen its files.
        """
        self._check_run(run)
        with self._database.writing() as connection:
            n_removed = writing.remove_unseen(connection, roots, except_below)
            writing.end_run(connection, run, time.time())
        self._run = None
        failpoint("storage.remove.done")
        return n_removed

    def _check_run(self, run: int) -> None:
        self._database.check_writable()
        if run != self._run:
            raise UsageError(
                f"run {run} is not going on (current: {self._run}); begin one with begin_run()"
            )

    def _dim(self, descriptor: str) -> int:
        known = self.descriptors
        if descriptor not in known:
            raise UsageError(
                f"there is no descriptor {descriptor!r}; this collection has: {', '.join(known)}"
            )
        return known[descriptor]

    def _check_described(self, rows: Sequence[StoredRow], descriptor: str) -> None:
        lacking = [row[0] for row in rows if vectors.is_lacking(row)]
        if lacking and descriptor in self.chosen.specs():
            raise UsageError(
                f"image {lacking[0]} has no {descriptor!r} embedding yet; bring the collection up "
                "to date with: lookalike index COLLECTION FOLDER"
            )


def _check_known(wanted: Sequence[int], found: Mapping[int, object]) -> None:
    for image_id in wanted:
        if image_id not in found:
            raise UsageError(f"there is no image {image_id} in the collection")
