"""The page Evaluate: how well a collection answers, judged by labels."""

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from lookalike.datasets.opening import LEVELS
from lookalike.errors import LookalikeError
from lookalike.web import evaluating, evaluation_report, labeled_sets
from lookalike.web.access import person, place, with_collection
from lookalike.web.galleries import open_collections
from lookalike.web.models import AuditEntry, HostedCollection, Job, JobKind, Role


@require_GET
@with_collection(Role.EDITOR)
def evaluate(request: HttpRequest, hosted: HostedCollection) -> HttpResponse:
    """Show the evaluations of a collection, and what another could be like."""
    if not hosted.exists:
        return render(request, "web/empty.html", place(request, hosted))
    collection = open_collections.get(hosted)
    given = collection.catalog.knowledge.annotations.given()
    content = {
        **place(request, hosted),
        "n_labels": len({label for _, label in given}),
        "n_labeled": len({image_id for image_id, _ in given}),
        "n_images": len(collection),
        "descriptors": list(collection.catalog.descriptors),
        "found": labeled_sets.found_below_roots(),
        "levels": LEVELS,
        "done": evaluating.evaluations_of(hosted),
        "jobs": hosted.jobs.filter(kind=JobKind.EVALUATE).exclude(state="done")[:10],
    }
    return render(request, "web/evaluate.html", content)


@require_POST
@with_collection(Role.EDITOR)
def start(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for an evaluation."""
    sent = {name: str(value) for name, value in request.POST.items()}
    try:
        options = evaluating.evaluation_options(sent, open_collections.get(hosted))
    except LookalikeError as error:
        messages.error(request, str(error))
        return redirect("evaluate", slug=hosted.slug)
    job = Job.objects.create(
        collection=hosted, created_by=person(request), kind=JobKind.EVALUATE, options=options
    )
    AuditEntry.write(request, "evaluation asked", hosted.slug)
    return redirect("job", slug=hosted.slug, job_id=job.pk)


def _read(hosted: HostedCollection, job_id: UUID) -> dict[str, Any]:
    found = evaluating.read_evaluation(hosted, job_id)
    if found is None:
        raise Http404("there is no such evaluation")
    return found


@require_GET
@with_collection(Role.EDITOR)
def evaluation(request: HttpRequest, hosted: HostedCollection, job_id: UUID) -> HttpResponse:
    """Show what an evaluation found, beside another one if one is chosen."""
    content = _read(hosted, job_id)
    done = evaluating.evaluations_of(hosted)
    chosen = next((job for job in done if str(job.pk) == request.GET.get("with")), None)
    other = None if chosen is None else _read(hosted, chosen.pk)
    common = evaluation_report.too_common(content)
    left_out = [*content["options"]["without"], *common]
    shown = {
        **place(request, hosted),
        "job_id": job_id,
        "evaluation": content,
        "options": content["options"],
        "measures": content["measures"],
        "headline": evaluation_report.headline_of(content),
        "charts": evaluation_report.charts_of(content, other),
        "common": common,
        "again": evaluating.as_form(content["options"], without=left_out),
        "other": other,
        "chosen": chosen,
        "comparison": other and evaluation_report.comparison_of(content, other),
        "others": [job for job in done if job.pk != job_id],
    }
    return render(request, "web/evaluation.html", shown)


@require_GET
@with_collection(Role.EDITOR)
def export_evaluation(
    request: HttpRequest, hosted: HostedCollection, job_id: UUID, kind: str
) -> HttpResponseBase:
    """Give an evaluation as a file: `json` for all of it, `csv` for measures, `labels`."""
    content = _read(hosted, job_id)
    if kind == "json":
        text, media, ending = json.dumps(content, indent=2), "application/json", "json"
    elif kind == "csv":
        text, media, ending = evaluation_report.to_csv(content), "text/csv", "csv"
    elif kind == "labels":
        text, media, ending = evaluation_report.labels_to_csv(content), "text/csv", "labels.csv"
    else:
        raise Http404("there is no such kind of file")
    answer = HttpResponse(text, f"{media}; charset=utf-8")
    name = f"{hosted.slug}-evaluation-{str(job_id)[:8]}.{ending}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
