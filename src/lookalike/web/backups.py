"""Copies of collections and of the server's own database, in the server's home.

Each lies in a folder `backups/ID` that is there when it is whole and was read again, see
`lookalike.storage.backups`; its row in the database comes after it. A job that is killed between
both finds the folder and adds the row. Folders that nobody knows of are deleted after a day.
"""

import shutil
import tarfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone

from lookalike.atomic import PARTIAL
from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    LookalikeError,
    UsageError,
)
from lookalike.progress import Progress
from lookalike.storage import backups as copies
from lookalike.storage.folder import delete_part
from lookalike.web.home import ServerHome
from lookalike.web.models import (
    Backup,
    HostedCollection,
    Job,
    Membership,
    Role,
    ServerBackupJob,
)
from lookalike.web.models.jobs import OVER
from lookalike.web.naming import stem_of, unused_slug

MOST_TITLE: Final = 120
_KEPT_SECONDS: Final = 86_400.0
_CHUNK: Final = 2**20
_BLOCK: Final = 512


def place_of(backup_id: uuid.UUID) -> Path:
    """Return the folder of a backup."""
    return ServerHome.from_environment().backups / str(backup_id)


def make(job: Job, progress: Progress) -> dict[str, Any]:
    """Back a collection up; the backup has the id of the job, so that there is one of it."""
    place = place_of(job.pk)
    if place.is_dir():
        found = copies.check_backup(place, progress=progress)
    else:
        with _cleared_where_it_fails(place):
            found = copies.back_up(job.collection.folder, place, progress=progress)
    kept, _ = Backup.objects.get_or_create(
        pk=job.pk,
        defaults={
            "collection": job.collection,
            "created_by": job.created_by,
            "name": job.collection.title,
            "made": datetime.fromisoformat(found.made),
            "n_images": found.images,
            "n_bytes": found.n_bytes,
            "checksum": found.checksum,
        },
    )
    return {**found.to_json(), "collection": kept.name, "backup": str(kept.pk)}


@contextmanager
def _cleared_where_it_fails(place: Path) -> Iterator[None]:
    """Give the room back that an unfinished folder takes, since nobody goes on with it."""
    try:
        yield
    except CollectionLockedError:
        raise  # another worker is at it
    except LookalikeError:
        shutil.rmtree(unfinished_place(place), ignore_errors=True)
        raise


def unfinished_place(place: Path) -> Path:
    """Return where a backup lies until it is whole."""
    return place.with_name(f".{place.name}{PARTIAL}")


def restoring_options(backup: Backup, title: str) -> dict[str, str]:
    """Return the options of a job of kind `restore`.

    Raises:
        UsageError: If the new collection has no fitting name.
    """
    title = " ".join(title.split()) or f"{backup.name} {backup.made:%Y-%m-%d}"[:MOST_TITLE]
    if len(title) > MOST_TITLE or not title.isprintable():
        raise UsageError(f"give the new collection a name of at most {MOST_TITLE} characters")
    return {"backup": str(backup.pk), "title": title}


def restore(job: Job, progress: Progress) -> dict[str, Any]:
    """Make a new collection of a backup; it is shown once it is whole."""
    backup = Backup.objects.filter(pk=job.options["backup"], collection=job.collection).first()
    if backup is None:
        raise UsageError("that backup was deleted; choose another")
    target = ServerHome.from_environment().created / f"restored-{job.pk}.lookalike"
    if not (target / "collection.json").is_file():
        with _cleared_where_it_fails(target):
            copies.restore(place_of(backup.pk), target, progress=progress)
    made = _shown(job, target)
    return {"name": made.slug, "title": made.title, "images": backup.n_images}


@transaction.atomic
def _shown(job: Job, place: Path) -> HostedCollection:
    found = HostedCollection.objects.filter(path=str(place)).first()
    if found is None:
        title = job.options["title"]
        found = HostedCollection.objects.create(
            slug=unused_slug(title), title=title, path=str(place), sources=job.collection.sources
        )
        if job.created_by is not None:
            owner = {"collection": found, "user": job.created_by, "role": Role.OWNER}
            Membership.objects.create(**owner)
    return found


def delete(backup: Backup) -> None:
    """Delete a backup for good."""
    place = place_of(backup.pk)
    backup.delete()
    delete_part(place)


def delete_strays() -> int:
    """Delete folders that no backup and no job at work knows of; return how many."""
    known = {str(each) for each in Backup.objects.values_list("pk", flat=True)}
    for jobs in (Job.objects, ServerBackupJob.objects):
        at_work = jobs.exclude(state__in=OVER)
        known |= {str(each) for each in at_work.values_list("pk", flat=True)}
    old = time.time() - _KEPT_SECONDS
    folder = ServerHome.from_environment().backups
    strays = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.strip(".").removesuffix(PARTIAL) not in known and path.stat().st_mtime < old
    ]
    for path in strays:
        shutil.rmtree(path, ignore_errors=True)
    return len(strays)


class Archive:
    """A backup as one tar file, made while it is sent.

    Args:
        backup: Which one.

    Raises:
        DamagedCollectionError: If it cannot be read.
    """

    def __init__(self, backup: Backup) -> None:
        self._place = place_of(backup.pk)
        made = timezone.localtime(backup.made)
        stem = "server" if backup.is_of_server else stem_of(backup.name)
        self.name: Final = f"{stem}-{made:%Y%m%d-%H%M%S}"
        files = copies.read_backup(self._place).files
        card = (self._place / copies.CARD).stat().st_size
        sizes = {copies.CARD: card, **{name: each.size for name, each in files.items()}}
        self._headers: Final = [
            (name, size, self._header(name, size, made)) for name, size in sizes.items()
        ]

    @property
    def n_bytes(self) -> int:
        """Length of the whole file."""
        inner = sum(len(header) + size + _padding(size) for _, size, header in self._headers)
        return inner + 2 * _BLOCK

    def __iter__(self) -> Iterator[bytes]:
        for name, size, header in self._headers:
            yield header
            left = size
            with (self._place / name).open("rb") as file:
                while left and (chunk := file.read(min(_CHUNK, left))):
                    left -= len(chunk)
                    yield chunk
            if left:
                raise DamagedCollectionError(f"{self._place / name} is shorter than it was")
            yield bytes(_padding(size))
        yield bytes(2 * _BLOCK)

    def _header(self, name: str, size: int, made: datetime) -> bytes:
        info = tarfile.TarInfo(f"{self.name}/{name}")
        info.size, info.mtime = size, int(made.timestamp())
        return info.tobuf(tarfile.PAX_FORMAT)


def sent(backup: Backup) -> StreamingHttpResponse:
    """Return a backup as an answer that is made while it is sent."""
    packed = Archive(backup)
    answer = StreamingHttpResponse(packed, content_type="application/x-tar")
    answer["Content-Disposition"] = f'attachment; filename="{packed.name}.tar"'
    answer["Content-Length"] = str(packed.n_bytes)
    answer["Content-Encoding"] = "identity"  # so that its length stays known
    return answer


def _padding(size: int) -> int:
    return -size % _BLOCK
