"""The page Learn: choosing pictures and a recipe, watching a model learn, using it.

Learning reads folders of the server and takes its processors for hours, and what is learned may be
used for every collection: it is for staff, like making collections.
"""

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from lookalike.datasets.opening import LEVELS
from lookalike.errors import LookalikeError, UsageError
from lookalike.web import labeled_sets, learned_models, trainings
from lookalike.web.access import person, staff_only
from lookalike.web.home import allowed_roots
from lookalike.web.learning_report import charts_of, figures_of, time_left
from lookalike.web.models import AuditEntry, HostedCollection, LearningRun
from lookalike.web.views.jobs import STOP_POLLING

_ADVICE: Final = {
    "quick": "Small pictures, a few passes: to see whether it works.",
    "small": "Small pictures, twenty passes: as in the demonstration.",
    "standard": "96 pixels, as many passes as fit the number of pictures.",
}


def found_run(run_id: UUID) -> LearningRun:
    """Return a run.

    Raises:
        Http404: If there is none.
    """
    found = LearningRun.objects.filter(pk=run_id).first()
    if found is None:
        raise Http404("there is no such model")
    return found


@require_GET
@staff_only
def learn(request: HttpRequest) -> HttpResponse:
    """Show the models that were learned, and what to learn from; or a look into that."""
    spec = request.GET.get("dataset", "")
    if spec:
        try:
            return _look(request, spec)
        except LookalikeError as error:
            messages.error(request, str(error))
    content = {
        "runs": LearningRun.objects.select_related("created_by")[:50],
        "found": labeled_sets.found_below_roots(),
        "missing": trainings.missing_extra(),
        "roots": [str(root) for root in allowed_roots()],
        "given": spec,
    }
    return render(request, "web/learn.html", content)


def _look(request: HttpRequest, spec: str) -> HttpResponse:
    checked = labeled_sets.checked(spec)
    level = labeled_sets.checked_level(request.GET.get("level", ""))
    seen = labeled_sets.looks_in_time.get(checked, level)
    content: dict[str, Any] = {"spec": spec, "level": level, "look": seen}
    if seen is None:
        return render(request, "web/learn_looking.html", content)
    content |= {
        "levels": LEVELS,
        "shown_classes": seen.classes[:24],
        "missing": trainings.missing_extra(),
        "presets": [(name, _ADVICE[name], name == "small") for name in trainings.PRESETS],
        "standard": trainings.PRESETS["standard"],
        "choices": learned_models.CHOICES,
        "sent": request.GET,
        "title": request.GET.get("title") or learned_models.unused_title(seen.name),
    }
    return render(request, "web/learn_order.html", content)


@require_POST
@staff_only
def start(request: HttpRequest) -> HttpResponseBase:
    """Order a model to be learned."""
    sent = {name: str(value) for name, value in request.POST.items()}
    try:
        run = learned_models.begin(person(request), sent)
    except UsageError as error:
        messages.error(request, str(error))
        kept = {name: text for name, text in sent.items() if name != "csrfmiddlewaretoken"}
        return redirect(f"{reverse('learn')}?{urlencode(kept)}")
    AuditEntry.write(request, "learning asked", run.title)
    return redirect("learning_run", run_id=run.pk)


@require_GET
@staff_only
def run_page(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Show how far a run is and what came of it, or only what changes of it."""
    run = found_run(run_id)
    rows = trainings.history_of(run)
    pace = trainings.pace_of(run, rows)
    content = {
        "run": run,
        "pace": pace,
        "time_left": time_left(run, pace),
        "share": None if not pace.planned else min(1.0, pace.passes / pace.planned),
        "charts": charts_of(rows),
        "latest": rows[-1] if rows else None,
    }
    if request.headers.get("HX-Request"):
        status = STOP_POLLING if run.is_over else 200
        part = render(request, "web/learning_run_part.html", content, status=status)
        if run.is_over:  # the report is on the page alone
            part["HX-Refresh"] = "true"
        return part
    card = trainings.card_of(run)
    content |= {
        "card": card,
        "figures": figures_of(card),
        "has_examples": learned_models.examples_of(run) is not None,
        "roots": [str(root) for root in allowed_roots()],
        "filled": [each for each in HostedCollection.objects.all() if each.sources],
        "uses": learned_models.uses_of(run),
        "recipe": run.options.get("recipe", {}),
    }
    return render(request, "web/learning_run.html", content)


@require_POST
@staff_only
def steer_run(request: HttpRequest, run_id: UUID, action: str) -> HttpResponseBase:
    """Pause, resume or cancel a run."""
    run = found_run(run_id)
    if not run.steer(action):
        raise Http404("there is no such action")
    AuditEntry.write(request, f"learning {action}", run.title)
    return redirect("learning_run", run_id=run.pk)


@require_POST
@staff_only
def delete_run(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """Delete a run with its model."""
    run = found_run(run_id)
    try:
        learned_models.delete(run)
    except UsageError as error:
        messages.error(request, str(error))
        return redirect("learning_run", run_id=run_id)
    AuditEntry.write(request, "model deleted", run.title)
    messages.success(request, f"{run.title} is deleted.")
    return redirect("learn")


@require_POST
@staff_only
def use(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """Make a collection with the model that was learned."""
    run = found_run(run_id)
    try:
        hosted = learned_models.make_collection(
            person(request), run, request.POST.get("title", ""), request.POST.get("source", "")
        )
    except UsageError as error:
        messages.error(request, str(error))
        return redirect("learning_run", run_id=run.pk)
    AuditEntry.write(request, "collection made", f"{hosted.slug} with {run.title}"[:200])
    return redirect("search", slug=hosted.slug)


@require_GET
@staff_only
def examples(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """Give the picture of what the model sees."""
    place = learned_models.examples_of(found_run(run_id))
    if place is None:
        raise Http404("there is no such picture")
    return HttpResponse(place.read_bytes(), "image/webp")


@require_GET
@staff_only
def history(request: HttpRequest, run_id: UUID) -> HttpResponseBase:
    """Give the figures of every pass as CSV."""
    run = found_run(run_id)
    text = trainings.history_text_of(run)
    if text is None:
        raise Http404("no pass has been finished yet")
    answer = HttpResponse(text, "text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{run.pk}-history.csv"'
    return answer
