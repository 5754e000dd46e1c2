"""REST: long work asked for, watched, paused, resumed and cancelled."""

from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema

from lookalike.errors import UsageError
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, hosted, person
from lookalike.web.api.schemas import JobOut
from lookalike.web.galleries import open_collections
from lookalike.web.idempotency import id_for
from lookalike.web.models import HostedCollection, Job, Role, ServerBackupJob
from lookalike.web.steering import find, jobs_of, make_once, steer
from lookalike.web.work import MOST_CLUSTERS, grouping_options
from lookalike.web.writing import note

router = Router()


class JobIn(Schema):
    """Long work to be done; the other fields are for clusters and maps."""

    kind: Literal["index", "clusters", "map", "duplicates", "verify"] = "index"
    descriptor: str = Field("", description="What is compared; `content` by default.")
    name: str = Field("", description="Instead: what is there already and takes in new images.")
    k: int | None = Field(None, ge=2, le=MOST_CLUSTERS, description="Clusters; else what fits.")


@router.get("/collections/{name}/jobs", response={200: list[JobOut], **FAULTS}, tags=["jobs"])
def list_jobs(request: HttpRequest, name: str) -> Any:
    """List the last jobs of a collection."""
    return [job_out(job) for job in jobs_of(hosted(request, name), person(request))[:50]]


@router.post("/collections/{name}/jobs", response={200: JobOut, **FAULTS_OF_CHANGES}, tags=["jobs"])
@changing(Role.EDITOR)
def make_job(request: HttpRequest, name: str, sent: JobIn) -> Any:
    """Ask for a collection to be indexed, grouped, laid out, searched for copies or verified."""
    place = hosted(request, name, Role.EDITOR)
    job = make_once(place, person(request), sent.kind, _options(place, sent), id_for(request))
    note(request, place, f"{sent.kind} asked", str(job.pk))
    return job_out(job)


@router.get("/collections/{name}/jobs/{job_id}", response={200: JobOut, **FAULTS}, tags=["jobs"])
def get_job(request: HttpRequest, name: str, job_id: UUID) -> Any:
    """Tell how far a job is."""
    return job_out(find(hosted(request, name), person(request), job_id))


@router.post(
    "/collections/{name}/jobs/{job_id}/{action}",
    response={200: JobOut, **FAULTS_OF_CHANGES},
    tags=["jobs"],
)
@changing(Role.EDITOR)
def steer_job(
    request: HttpRequest, name: str, job_id: UUID, action: Literal["pause", "resume", "cancel"]
) -> Any:
    """Pause, resume or cancel a job; one that is over stays as it is."""
    place = hosted(request, name, Role.EDITOR)
    found = find(place, person(request), job_id)
    steer(found, action)
    note(request, place, f"job {action}", str(found.pk))
    found.refresh_from_db()
    return job_out(found)


def job_out(job: Job | ServerBackupJob) -> dict[str, Any]:
    """Return a job as REST shows it."""
    return {
        "id": job.pk,
        "kind": job.kind,
        "state": job.state,
        "step": job.step,
        "done": job.n_done,
        "expected": job.n_expected,
        "note": job.note,
        "report": job.report,
        "error": job.error,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
    }


def _options(place: HostedCollection, sent: JobIn) -> dict[str, Any]:
    if sent.kind in ("clusters", "map"):
        if sent.kind == "map" and sent.k is not None:
            raise UsageError("a map has no clusters; leave k out")
        k = "" if sent.k is None else str(sent.k)
        given = {"descriptor": sent.descriptor, "name": sent.name, "k": k}
        return grouping_options(given, open_collections.get(place))
    if sent.descriptor or sent.name or sent.k is not None:
        raise UsageError(f"{sent.kind} takes no descriptor, name or k; leave them out")
    if sent.kind == "duplicates":
        return {"anew": True}
    return {"sources": place.sources} if sent.kind == "index" else {}
