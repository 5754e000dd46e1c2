"""Routes to learn models, for staff; they do not exist for others."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Query, Router

from lookalike.web import labeled_sets, learned_models, trainings
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing_as_staff, staff
from lookalike.web.api.learning_schemas import (
    DatasetOut,
    LearnIn,
    MadeOut,
    RunOut,
    RunSummary,
    UseIn,
)
from lookalike.web.idempotency import id_for
from lookalike.web.models import LearningRun

router = Router(tags=["learning"])


def _found(run_id: UUID) -> LearningRun:
    found = LearningRun.objects.filter(pk=run_id).first()
    if found is None:
        raise Http404("there is no such model")
    return found


def _summary(run: LearningRun) -> dict[str, Any]:
    return {
        "id": run.pk,
        "title": run.title,
        "dataset": run.options["dataset"],
        "state": run.state,
        "created": run.created,
        "finished": run.finished,
    }


def _run_out(run: LearningRun) -> dict[str, Any]:
    rows = trainings.history_of(run)
    pace = trainings.pace_of(run, rows)
    return {
        **_summary(run),
        "recipe": run.options["recipe"],
        "minutes": run.options["minutes"],
        "step": run.step,
        "done": run.n_done,
        "expected": run.n_expected,
        "note": run.note,
        "error": run.error,
        "passes": pace.passes,
        "planned_passes": pace.planned,
        "seconds_left": pace.seconds_left if run.state == "running" else None,
        "report": run.report,
        "history": rows,
    }


@router.get("/learning", response={200: list[RunSummary], **FAULTS})
def list_learning(request: HttpRequest) -> Any:
    """List the models that were learned or are being learned, the latest first."""
    staff(request)
    return [_summary(run) for run in LearningRun.objects.all()[:200]]


@router.get("/learning/dataset", response={200: DatasetOut, **FAULTS})
def look_at_dataset(request: HttpRequest, dataset: str, level: Query[str] = "names") -> Any:
    """Tell what labeled pictures hold, before anything is learned from them."""
    staff(request)
    checked, kind = labeled_sets.checked(dataset), labeled_sets.checked_level(level)
    found = labeled_sets.looks_in_time.get(checked, kind)
    if found is None:
        return 503, {"error": "the list of its labels is still being read; ask again in a moment"}
    return {
        "name": found.name,
        "pictures": found.n,
        "learned_from": found.n_learned,
        "held_out": found.n_held_out,
        "classes": list(found.classes),
        "has_label_maps": found.has_label_maps,
        "is_single_label": found.is_single_label,
    }


@router.post("/learning", response={200: RunOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def start_learning(request: HttpRequest, sent: LearnIn) -> Any:
    """Ask for a model to be learned."""
    user = staff(request)
    words = {name: str(value) for name, value in sent.changes.items()}
    words |= {"title": sent.title, "dataset": sent.dataset, "level": sent.level}
    words |= {"preset": sent.recipe, "minutes": "" if sent.minutes is None else str(sent.minutes)}
    return _run_out(learned_models.begin(user, words, id_for(request)))


@router.get("/learning/{run_id}", response={200: RunOut, **FAULTS})
def get_learning(request: HttpRequest, run_id: UUID) -> Any:
    """Tell how far a model is, with the figures of every pass; at last the report."""
    staff(request)
    return _run_out(_found(run_id))


@router.delete("/learning/{run_id}", response={200: RunSummary, **FAULTS_OF_CHANGES})
@changing_as_staff
def delete_learned(request: HttpRequest, run_id: UUID) -> Any:
    """Delete a model that is not being learned; collections made with it keep it."""
    run = _found(run_id)
    told = _summary(run)
    learned_models.delete(run)
    return told


@router.post("/learning/{run_id}/use", response={200: MadeOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def use_learned(request: HttpRequest, run_id: UUID, sent: UseIn) -> Any:
    """Make a collection whose pictures are described by a model that was learned."""
    user = staff(request)
    made = learned_models.make_collection(user, _found(run_id), sent.title, sent.source)
    return {"name": made.slug, "job": made.jobs.get().pk}


@router.post("/learning/{run_id}/{action}", response={200: RunOut, **FAULTS_OF_CHANGES})
@changing_as_staff
def steer_learning(request: HttpRequest, run_id: UUID, action: str) -> Any:
    """Pause, resume or cancel: `action` is one of these words."""
    run = _found(run_id)
    if not run.steer(action):
        raise Http404("there is no such action; the actions are pause, resume, cancel")
    run.refresh_from_db()
    return _run_out(run)
