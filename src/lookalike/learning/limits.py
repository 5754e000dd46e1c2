"""A training that has to end in time: its passes are settled once, and kept until it is finished.

Importing this module does not import PyTorch.
"""

import json
from dataclasses import replace
from pathlib import Path

from lookalike.atomic import write_atomically
from lookalike.datasets.base import ListedDataset
from lookalike.errors import UsageError
from lookalike.learning.budget import Plan, fitted, remove_trial
from lookalike.learning.checks import check_place
from lookalike.learning.guides import NO_GUIDES, Guides
from lookalike.learning.recipes import Recipe
from lookalike.model_folder import CARD, read_card
from lookalike.progress import SILENT, Progress


def settle(
    dataset: ListedDataset,
    out: Path,
    recipe: Recipe,
    minutes: float,
    *,
    validate: ListedDataset | None = None,
    guides: Guides = NO_GUIDES,
    resume: bool = False,
    progress: Progress = SILENT,
) -> Plan:
    """Return how many passes fit into `minutes`, for a model that will be written to `out`.

    See `lookalike.learning.budget.fitted`. The answer is kept beside `out` until `forget`, so that
    a run that goes on after an interruption has the passes it began with.

    Raises:
        UsageError: If not even one pass fits, `minutes` is not above 0, something is at `out`, or
            a run is to go on that had another limit or none.
    """
    if not minutes > 0:
        raise UsageError(f"{minutes:g} minutes are no time to learn in; give more than 0")
    check_place(out, resume=resume)
    if resume and (begun := _begun(out, recipe, minutes)) is not None:
        return begun
    place = out.with_name(f"{out.name}.trial")
    try:
        plan = fitted(
            dataset, recipe, minutes, place, validate=validate, guides=guides, progress=progress
        )
    finally:
        remove_trial(place)
    content = json.dumps({**plan.to_json(), "minutes": minutes})
    write_atomically(_kept(out), content.encode())
    return plan


def forget(out: Path) -> None:
    """Remove what `settle` kept, once the model is there."""
    _kept(out).unlink(missing_ok=True)


def _kept(out: Path) -> Path:
    return out.with_name(f"{out.name}.plan.json")


def _begun(out: Path, recipe: Recipe, minutes: float) -> Plan | None:
    """Return the plan of a run that goes on; `None` if none was begun."""
    if (out / CARD).is_file():
        learned = read_card(out).recipe
        epochs, maps = learned.get("epochs"), learned.get("self_encoder_epochs")
        return Plan(replace(recipe, epochs=epochs, self_encoder_epochs=maps), {}, {})
    if not _kept(out).is_file():
        if out.with_name(f"{out.name}.training").exists():
            raise UsageError(f"the training of {out} was begun without --minutes; leave it out")
        return None
    content = json.loads(_kept(out).read_text(encoding="utf-8"))
    before = content.pop("minutes")
    if before != minutes:
        raise UsageError(
            f"the training of {out} was begun with --minutes {before:g}, which settled its passes; "
            "resume with the same, or choose another place for the model"
        )
    plan = Plan.from_json(content)
    epochs, maps = plan.recipe.epochs, plan.recipe.self_encoder_epochs
    return replace(plan, recipe=replace(recipe, epochs=epochs, self_encoder_epochs=maps))
