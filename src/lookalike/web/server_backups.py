"""Copies of the server's own database: people, roles, jobs, saved searches, the audit log.

They are made by the worker, as other long work. Each has the id of its job, so that there is one of
it however often the worker was killed; see `lookalike.web.backups` for where it lies.
"""

import shutil
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.db import connection

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.progress import Progress
from lookalike.storage import backups as copies
from lookalike.storage import database
from lookalike.web.backups import place_of, unfinished_place
from lookalike.web.models import Backup, JobState, ServerBackupJob, User

_FILE: Final = "server.sqlite"
_NAME: Final = "This server"


def ask(user: User, job_id: uuid.UUID | None = None) -> ServerBackupJob:
    """Ask for a copy; with an id that is there already, or while one is waited for, return that.

    Raises:
        UsageError: If the data lie in another database server, which has its own way.
    """
    if connection.vendor != "sqlite":
        raise UsageError(f"the server's data lie in {connection.vendor}; copy them with its tools")
    pk = job_id or uuid.uuid4()
    known = ServerBackupJob.objects.filter(pk=pk).first() or at_work()
    return known or ServerBackupJob.objects.create(pk=pk, created_by=user)


def at_work() -> ServerBackupJob | None:
    """Return the copy that is being made or waits for its turn."""
    states = [JobState.QUEUED, JobState.RUNNING]
    return ServerBackupJob.objects.filter(state__in=states).last()


def shown() -> ServerBackupJob | None:
    """Return what a page shows: what is at work, else the last job if it did not end well."""
    last = ServerBackupJob.objects.first()
    is_left = last is not None and last.state in (JobState.FAILED, JobState.PAUSED)
    return at_work() or (last if is_left else None)


def make(job: ServerBackupJob, progress: Progress) -> dict[str, Any]:
    """Copy the database of the server, and read the copy again.

    Raises:
        EnvironmentFault: If it cannot be written.
        DamagedCollectionError: If SQLite finds anything wrong with what was copied.
    """
    place = place_of(job.pk)
    if not place.is_dir():
        _copy(place, progress)
    found = copies.check_backup(place, progress=progress)
    facts = {"made": datetime.fromisoformat(found.made), "n_bytes": found.n_bytes}
    facts |= {"name": _NAME, "is_of_server": True, "created_by": job.created_by}
    Backup.objects.get_or_create(pk=job.pk, defaults={**facts, "checksum": found.checksum})
    return {"backup": str(job.pk), "bytes": found.n_bytes, "checksum": found.checksum}


def _copy(place: Path, progress: Progress) -> None:
    """Copy one state of the database; what others change meanwhile is in it whole or not at all."""
    unfinished = unfinished_place(place)
    shutil.rmtree(unfinished, ignore_errors=True)  # of a worker that was killed
    with progress.task("Copying the database"):
        try:
            unfinished.mkdir(parents=True)
            connection.ensure_connection()
            source = Path(connection.settings_dict["NAME"])
            opened = database.Database(connection.connection, source, writable=False)
            opened.copy_to(unfinished / _FILE)
            copies.seal(unfinished, "server")
            unfinished.replace(place)
        except OSError as error:
            raise EnvironmentFault(f"{place} could not be written: {error}") from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
