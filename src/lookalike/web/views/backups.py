"""Whether a collection is sound, and copies of it; for staff also copies of the server's data."""

from http import HTTPStatus
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lookalike.errors import LookalikeError, UsageError
from lookalike.web import backups, server_backups
from lookalike.web.access import person, staff_only, with_collection
from lookalike.web.models import (
    AuditEntry,
    Backup,
    HostedCollection,
    JobKind,
    Role,
    ServerBackupJob,
)
from lookalike.web.steering import make_once
from lookalike.web.views.jobs import STOP_POLLING
from lookalike.web.writing import note


@require_POST
@with_collection(Role.EDITOR)
def verify(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for the collection to be read whole and compared with its checksums."""
    return _asked(request, hosted, JobKind.VERIFY)


@require_POST
@with_collection(Role.OWNER)
def make(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for a backup."""
    return _asked(request, hosted, JobKind.BACKUP)


@require_GET
@with_collection(Role.OWNER)
def take_along(request: HttpRequest, hosted: HostedCollection, backup_id: UUID) -> HttpResponseBase:
    """Give a backup as a tar file, made while it is sent."""
    found = _backup(hosted, backup_id)
    note(request, hosted, "backup taken along", str(backup_id))
    return backups.sent(found)


@require_POST
@with_collection(Role.OWNER)
def delete(request: HttpRequest, hosted: HostedCollection, backup_id: UUID) -> HttpResponseBase:
    """Delete a backup for good."""
    found = _backup(hosted, backup_id)
    backups.delete(found)
    note(request, hosted, "backup deleted", str(backup_id))
    messages.success(request, f"The backup of {found.made:%Y-%m-%d %H:%M} is deleted.")
    return redirect("details", slug=hosted.slug)


@require_POST
@with_collection(Role.OWNER)
def restore(request: HttpRequest, hosted: HostedCollection, backup_id: UUID) -> HttpResponseBase:
    """Ask for a new collection of a backup; this one stays as it is."""
    try:
        options = backups.restoring_options(
            _backup(hosted, backup_id), request.POST.get("title", "")
        )
    except UsageError as error:
        messages.error(request, str(error))
        return redirect("details", slug=hosted.slug)
    job = make_once(hosted, person(request), JobKind.RESTORE, options)
    note(request, hosted, "restoring asked", options["title"])
    return redirect("job", slug=hosted.slug, job_id=job.pk)


@require_http_methods(["GET", "POST"])
@staff_only
def server(request: HttpRequest) -> HttpResponseBase:
    """List all backups, with those of the server's own data; ask for one of these."""
    if request.method == "POST":
        try:
            job = server_backups.ask(person(request))
        except LookalikeError as error:
            messages.error(request, str(error))
        else:
            AuditEntry.write(request, "server backup asked", str(job.pk))
        return redirect("server_backups")
    found = Backup.objects.select_related("collection")
    content = {
        "job": server_backups.shown(),
        "of_server": [each for each in found if each.is_of_server],
        "of_collections": [each for each in found if not each.is_of_server],
    }
    return render(request, "web/server_backups.html", content)


@require_GET
@staff_only
def server_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show how far a copy of the server's own data is; the page is shown anew when it is there."""
    job = _server_job(job_id)
    status = STOP_POLLING if job.is_over else HTTPStatus.OK
    answer = render(request, "web/server_job_part.html", {"job": job}, status=status)
    if job.is_over:
        answer["HX-Refresh"] = "true"
    return answer


@require_POST
@staff_only
def steer_server_job(request: HttpRequest, job_id: UUID, action: str) -> HttpResponseBase:
    """Pause, resume or cancel it."""
    job = _server_job(job_id)
    if not job.steer(action):
        raise Http404("there is no such action")
    AuditEntry.write(request, f"job {action}", f"server backup {job.pk}")
    return redirect("server_backups")


def _server_job(job_id: UUID) -> ServerBackupJob:
    found = ServerBackupJob.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404("there is no such job")
    return found


@require_GET
@staff_only
def take_any(request: HttpRequest, backup_id: UUID) -> HttpResponseBase:
    """Give any backup as a tar file."""
    found = _any(backup_id)
    AuditEntry.write(request, "backup taken along", str(backup_id))
    return backups.sent(found)


@require_POST
@staff_only
def delete_any(request: HttpRequest, backup_id: UUID) -> HttpResponse:
    """Delete any backup for good."""
    found = _any(backup_id)
    backups.delete(found)
    AuditEntry.write(request, "backup deleted", str(backup_id))
    messages.success(request, f"The backup of {found.name} is deleted.")
    return redirect("server_backups")


def _asked(request: HttpRequest, hosted: HostedCollection, kind: JobKind) -> HttpResponseBase:
    if not hosted.exists:
        messages.error(request, "Nothing has been indexed yet.")
        return redirect("details", slug=hosted.slug)
    job = make_once(hosted, person(request), kind, {})
    note(request, hosted, f"{kind} asked", str(job.pk))
    return redirect("job", slug=hosted.slug, job_id=job.pk)


def _backup(hosted: HostedCollection, backup_id: UUID) -> Backup:
    found = Backup.objects.filter(collection=hosted, pk=backup_id).first()
    if found is None:
        raise Http404("there is no such backup")
    return found


def _any(backup_id: UUID) -> Backup:
    found = Backup.objects.filter(pk=backup_id).first()
    if found is None:
        raise Http404("there is no such backup")
    return found
