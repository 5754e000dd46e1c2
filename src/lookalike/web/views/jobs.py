"""Long work: watching it, pausing it, taking it up again."""

from http import HTTPStatus
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from lookalike.web.access import person, place, with_collection
from lookalike.web.models import AuditEntry, HostedCollection, Role
from lookalike.web.steering import find

STOP_POLLING = 286
"""What htmx takes as the end of its asking again."""


@require_GET
@with_collection()
def job(request: HttpRequest, hosted: HostedCollection, job_id: UUID) -> HttpResponse:
    """Show a job, or only what changes of it."""
    found = find(hosted, person(request), job_id)
    reload = request.GET.get("reload", "")
    content = {**place(request, hosted), "job": found, "reload": reload}
    if request.headers.get("HX-Request"):
        status = STOP_POLLING if found.is_over else HTTPStatus.OK
        answer = render(request, "web/job_part.html", content, status=status)
        # The page shows what came of it: when it is done, or as soon as there is a collection.
        if (reload and found.is_over) or (reload == "made" and hosted.exists):
            answer["HX-Refresh"] = "true"
        return answer
    return render(request, "web/job.html", content)


@require_POST
@with_collection(Role.EDITOR)
def steer(
    request: HttpRequest, hosted: HostedCollection, job_id: UUID, action: str
) -> HttpResponseBase:
    """Pause, resume or cancel a job."""
    found = find(hosted, person(request), job_id)
    if not found.steer(action):
        raise Http404("there is no such action")
    AuditEntry.write(request, f"job {action}", f"{hosted.slug} {found.pk}")
    return redirect("job", slug=hosted.slug, job_id=job_id)
