"""Routes to judge collections, for those who may change them."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Router

from lookalike.web import evaluating
from lookalike.web.access import hosted
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, person
from lookalike.web.api.learning_schemas import EvaluateIn, EvaluationOut
from lookalike.web.galleries import open_collections
from lookalike.web.idempotency import id_for
from lookalike.web.models import HostedCollection, Job, JobKind, Role, Wish
from lookalike.web.steering import make_once

router = Router(tags=["evaluations"])


def _hosted(request: HttpRequest, name: str) -> HostedCollection:
    return hosted(person(request), name, Role.EDITOR)


def _evaluation_out(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "title": job.report.get("title") or evaluating.title_of(job.options),
        "state": job.state,
        "step": job.step,
        "done": job.n_done,
        "expected": job.n_expected,
        "error": job.error,
        "created": job.created,
        "headline": job.report.get("headline", {}),
    }


@router.get("/collections/{name}/evaluations", response={200: list[EvaluationOut], **FAULTS})
def list_evaluations(request: HttpRequest, name: str) -> Any:
    """List the last evaluations of a collection, those at work among them."""
    jobs = _hosted(request, name).jobs.filter(kind=JobKind.EVALUATE)[:50]
    return [_evaluation_out(job) for job in jobs]


@router.post("/collections/{name}/evaluations", response={200: EvaluationOut, **FAULTS_OF_CHANGES})
@changing(Role.EDITOR)
def start_evaluation(request: HttpRequest, name: str, sent: EvaluateIn) -> Any:
    """Ask for a collection to be judged."""
    collection = _hosted(request, name)
    opened = open_collections.get(collection)
    options = evaluating.evaluation_options(_as_form(sent), opened)
    if sent.weights is not None:
        options["weights"] = evaluating.checked_weights(sent.weights, opened)
    options["without"] = sent.without
    job = make_once(collection, person(request), JobKind.EVALUATE, options, id_for(request))
    return _evaluation_out(job)


def _as_form(sent: EvaluateIn) -> dict[str, str]:
    return {
        "title": sent.title,
        "truth": sent.truth,
        "level": sent.level,
        "queries": "" if sent.queries is None else str(sent.queries),
        "at": ",".join(map(str, sent.at)) or ",",
        "seed": str(sent.seed),
    }


def _job(request: HttpRequest, name: str, job_id: UUID) -> Job:
    found = _hosted(request, name).jobs.filter(kind=JobKind.EVALUATE, pk=job_id).first()
    if found is None:
        raise Http404("there is no such evaluation")
    return found


@router.get("/collections/{name}/evaluations/{job_id}", response={200: EvaluationOut, **FAULTS})
def get_evaluation(request: HttpRequest, name: str, job_id: UUID) -> Any:
    """Tell how far an evaluation is."""
    return _evaluation_out(_job(request, name, job_id))


@router.get("/collections/{name}/evaluations/{job_id}/report", response={200: dict, **FAULTS})
def evaluation_report(request: HttpRequest, name: str, job_id: UUID) -> Any:
    """Give all that an evaluation found: measures as `lookalike evaluate --json` names them."""
    found = evaluating.read_evaluation(_hosted(request, name), job_id)
    if found is None:
        raise Http404("there is no such evaluation, or it is not done")
    return found


@router.post(
    "/collections/{name}/evaluations/{job_id}/cancel",
    response={200: EvaluationOut, **FAULTS_OF_CHANGES},
)
@changing(Role.EDITOR)
def cancel_evaluation(request: HttpRequest, name: str, job_id: UUID) -> Any:
    """End an evaluation before it is done."""
    job = _job(request, name, job_id)
    job.steer(Wish.CANCEL)
    job.refresh_from_db()
    return _evaluation_out(job)
