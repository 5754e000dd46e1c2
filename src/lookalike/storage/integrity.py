"""Reading a whole collection to tell whether it is sound, and remaking what is derived.

Nothing is ever deleted that cannot be made again: damaged embeddings are forgotten, so that the
next `index` reads their pictures again; index files and thumbnails are deleted, since they are
made from the catalog. The model, the manifest and the originals are left alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lookalike.errors import MismatchError
from lookalike.model_folder import check_files, read_card
from lookalike.progress import SILENT, Progress
from lookalike.storage import derived, migrations
from lookalike.storage.catalog import Catalog
from lookalike.storage.checks import Problem, ProblemKind, check_catalog
from lookalike.storage.folder import CollectionFolder, Manifest, check_model, open_folder
from lookalike.storage.lock import WriterLock, is_locked

__all__ = ["Problem", "ProblemKind", "VerifyReport", "verify"]

MOST_LISTED: Final = 1000
"""Problems of one kind that are told one by one; the others are only counted."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found.

    Attributes:
        problems: All that is wrong, or was before it was repaired.
        checked: Numbers of images, files, embeddings, model files and index files looked at.
        leftovers: What killed writers left; harmless, and deleted by the next writer.
    """

    problems: tuple[Problem, ...]
    checked: Mapping[str, int]
    leftovers: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong, or nothing any more."""
        return all(problem.repaired for problem in self.problems)


def verify(path: Path, *, repair: bool = False, progress: Progress = SILENT) -> VerifyReport:
    """Read all of the collection at `path` and tell what is wrong.

    Without `repair` nothing is changed, and a writer may go on meanwhile: one state of the catalog
    is looked at, and index files only while nobody writes.

    Args:
        path: The collection's folder.
        repair: Also delete what is damaged and can be made again, and bring an older catalog up to
            date.
        progress: Told about every embedding.

    Raises:
        NotACollectionError: If there is no collection.
        DamagedCollectionError: If its manifest is missing or cannot be read.
        CollectionLockedError: If it is to be repaired while another process writes.
    """
    folder, manifest = open_folder(path)
    with ExitStack() as stack:
        if repair:
            stack.enter_context(WriterLock(path))
            folder, manifest = open_folder(path)  # as the last writer left it
        return _Verification(folder, manifest, repair, progress).run()


class _Verification:
    """State of one verification."""

    def __init__(
        self, folder: CollectionFolder, manifest: Manifest, repair: bool, progress: Progress
    ) -> None:
        self._folder = folder
        self._manifest = manifest
        self._repair = repair
        self._progress = progress
        self._problems: list[Problem] = []
        self._told: Counter[tuple[ProblemKind, bool]] = Counter()
        self._checked: dict[str, int] = {}

    def run(self) -> VerifyReport:
        self._check_model()
        revision = self._check_catalog()
        left: list[Path] = []
        if self._repair or not is_locked(self._folder.path):
            self._checked["index_files"] = derived.n_index_files(self._folder.index)
            self._tell(derived.check_index(self._folder.index, revision, repair=self._repair))
            self._tell(derived.check_thumbnails(self._folder.thumbnails, repair=self._repair))
            left = self._folder.sweep() if self._repair else self._folder.leftovers()
        self._count_untold()
        return VerifyReport(tuple(self._problems), self._checked, tuple(map(str, left)))

    def _check_model(self) -> None:
        try:
            card = read_card(self._folder.model)
            self._checked["model_files"] = len(card.files)
            check_model(self._folder, self._manifest)
            check_files(self._folder.model, card)
        except MismatchError as error:
            self._tell([Problem("model", str(error))])

    def _check_catalog(self) -> int | None:
        """Check the catalog; return its revision if it can be read at all."""
        try:
            opened = migrations.open_current(self._folder.catalog, writable=self._repair)
            with closing(opened), self._progress.task("Verifying", unit="embeddings") as task:
                catalog = Catalog(opened)
                self._count(catalog)
                task.expect(self._checked["embeddings"])
                self._tell(check_catalog(opened, catalog.descriptors, task, repair=self._repair))
                return catalog.revision
        except MismatchError as error:
            self._tell([Problem("catalog", str(error))])
            return None

    def _count(self, catalog: Catalog) -> None:
        expected = {name: spec.dim for name, spec in self._manifest.descriptors.items()}
        found = catalog.descriptors
        chosen = catalog.chosen.specs()
        of_model = {name: dim for name, dim in found.items() if name not in chosen}
        if of_model != expected:
            detail = f"the catalog holds {of_model}, {self._folder.manifest.name} says {expected}"
            self._tell([Problem("catalog", detail)])
        self._checked["images"] = catalog.n_images
        self._checked["files"] = sum(catalog.n_files.values())
        self._checked["embeddings"] = sum(catalog.n_embeddings(name) for name in found)

    def _tell(self, problems: Iterable[Problem]) -> None:
        for problem in problems:
            self._told[problem.kind, problem.repaired] += 1
            if self._told[problem.kind, problem.repaired] <= MOST_LISTED:
                self._problems.append(problem)

    def _count_untold(self) -> None:
        for (kind, repaired), n in self._told.items():
            if n > MOST_LISTED:
                self._problems.append(Problem(kind, f"and {n - MOST_LISTED} more", repaired))
