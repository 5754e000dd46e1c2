"""REST: copies of the server's own database, for staff; they do not exist for others."""

from typing import Any, Literal
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Router

from lookalike.web import backups, server_backups
from lookalike.web.api.backups import TAR, BackupOut, backup_out
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing_as_staff, staff
from lookalike.web.api.jobs import job_out
from lookalike.web.api.schemas import JobOut
from lookalike.web.idempotency import id_for
from lookalike.web.models import AuditEntry, Backup, ServerBackupJob

router = Router(tags=["server"])


@router.get("/server/backups", response={200: list[BackupOut], **FAULTS})
def list_server_backups(request: HttpRequest) -> Any:
    """List the copies of the server's own database, the last first."""
    staff(request)
    return [backup_out(each) for each in Backup.objects.filter(is_of_server=True)]


@router.post("/server/backups", response={200: JobOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def make_server_backup(request: HttpRequest) -> Any:
    """Ask for a copy, or for the one that is being made; it will have the id of the job."""
    job = server_backups.ask(staff(request), id_for(request))
    AuditEntry.write(request, "server backup asked", str(job.pk))
    return job_out(job)


@router.get("/server/backups/jobs/{job_id}", response={200: JobOut, **FAULTS})
def get_server_job(request: HttpRequest, job_id: UUID) -> Any:
    """Tell how far a copy is."""
    staff(request)
    return job_out(_job(job_id))


@router.post("/server/backups/jobs/{job_id}/{action}", response={200: JobOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def steer_server_job(
    request: HttpRequest, job_id: UUID, action: Literal["pause", "resume", "cancel"]
) -> Any:
    """Pause, resume or cancel; what is over stays as it is."""
    job = _job(job_id)
    job.steer(action)
    AuditEntry.write(request, f"job {action}", f"server backup {job.pk}")
    job.refresh_from_db()
    return job_out(job)


@router.get("/server/backups/{backup_id}/file", response=FAULTS, openapi_extra=TAR)
def get_server_backup_file(request: HttpRequest, backup_id: UUID) -> Any:
    """Give a copy as a tar file; `server.sqlite` in it takes the place of the server's own."""
    staff(request)
    found = _backup(backup_id)
    AuditEntry.write(request, "backup taken along", str(backup_id))
    return backups.sent(found)


@router.delete("/server/backups/{backup_id}", response={200: BackupOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def forget_server_backup(request: HttpRequest, backup_id: UUID) -> Any:
    """Delete a copy for good; tells which it was."""
    found = _backup(backup_id)
    told = backup_out(found)
    backups.delete(found)
    AuditEntry.write(request, "backup deleted", str(backup_id))
    return told


def _job(job_id: UUID) -> ServerBackupJob:
    found = ServerBackupJob.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404("there is no such job")
    return found


def _backup(backup_id: UUID) -> Backup:
    found = Backup.objects.filter(pk=backup_id, is_of_server=True).first()
    if found is None:
        raise Http404("there is no such backup")
    return found
