"""REST: copies of collections, for their owners."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Router, Schema

from lookalike.web import backups
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, hosted, person
from lookalike.web.api.jobs import job_out
from lookalike.web.api.schemas import JobOut
from lookalike.web.idempotency import id_for
from lookalike.web.models import Backup, HostedCollection, JobKind, Role
from lookalike.web.steering import make_once
from lookalike.web.writing import note

router = Router()

TAR: Final[dict[str, Any]] = {
    "responses": {
        200: {
            "description": "The backup as a tar file.",
            "content": {"application/x-tar": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
}


class BackupOut(Schema):
    """A copy that was read again and found sound."""

    id: UUID
    made: datetime
    images: int
    bytes: int
    checksum: str


class RestoreIn(Schema):
    """Name of the collection that is made."""

    title: str = ""


@router.get(
    "/collections/{name}/backups", response={200: list[BackupOut], **FAULTS}, tags=["backups"]
)
def list_backups(request: HttpRequest, name: str) -> Any:
    """List the backups of a collection, the last first."""
    place = hosted(request, name, Role.OWNER)
    return [backup_out(each) for each in Backup.objects.filter(collection=place)]


@router.post(
    "/collections/{name}/backups", response={200: JobOut, **FAULTS_OF_CHANGES}, tags=["backups"]
)
@changing(Role.OWNER)
def make_backup(request: HttpRequest, name: str) -> Any:
    """Ask for a backup; it will have the id of the job."""
    place = hosted(request, name, Role.OWNER)
    job = make_once(place, person(request), JobKind.BACKUP, {}, id_for(request))
    note(request, place, "backup asked", str(job.pk))
    return job_out(job)


@router.get(
    "/collections/{name}/backups/{backup_id}/file",
    response=FAULTS,
    openapi_extra=TAR,
    tags=["backups"],
)
def get_backup_file(request: HttpRequest, name: str, backup_id: UUID) -> Any:
    """Give a backup as a tar file; unpacked it can be opened or restored."""
    place = hosted(request, name, Role.OWNER)
    found = _backup(place, backup_id)
    note(request, place, "backup taken along", str(backup_id))
    return backups.sent(found)


@router.delete(
    "/collections/{name}/backups/{backup_id}",
    response={200: BackupOut, **FAULTS_OF_CHANGES},
    tags=["backups"],
)
@changing(Role.OWNER)
def forget_backup(request: HttpRequest, name: str, backup_id: UUID) -> Any:
    """Delete a backup for good; tells which it was."""
    place = hosted(request, name, Role.OWNER)
    found = _backup(place, backup_id)
    told = backup_out(found)
    backups.delete(found)
    note(request, place, "backup deleted", str(backup_id))
    return told


@router.post(
    "/collections/{name}/backups/{backup_id}/restore",
    response={200: JobOut, **FAULTS_OF_CHANGES},
    tags=["backups"],
)
@changing(Role.OWNER)
def restore_from(request: HttpRequest, name: str, backup_id: UUID, sent: RestoreIn) -> Any:
    """Ask for a new collection of a backup; it is shown once it is whole."""
    place = hosted(request, name, Role.OWNER)
    options = backups.restoring_options(_backup(place, backup_id), sent.title)
    job = make_once(place, person(request), JobKind.RESTORE, options, id_for(request))
    note(request, place, "restoring asked", options["title"])
    return job_out(job)


def _backup(place: HostedCollection, backup_id: UUID) -> Backup:
    found = Backup.objects.filter(collection=place, pk=backup_id).first()
    if found is None:
        raise Http404("there is no such backup")
    return found


def backup_out(backup: Backup) -> dict[str, Any]:
    """Return a backup as REST shows it."""
    return {
        "id": backup.pk,
        "made": backup.made,
        "images": backup.n_images or 0,
        "bytes": backup.n_bytes,
        "checksum": backup.checksum,
    }
