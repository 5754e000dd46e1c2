"""What the options of `learn` say to learn from, and how."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from lookalike.errors import UsageError
from lookalike.learning.guides import Guides, Segmenter
from lookalike.progress import Progress
from lookalike.terminal import say

if TYPE_CHECKING:
    from lookalike.datasets.base import ListedDataset
    from lookalike.learning import default_recipe

RECIPE_OPTIONS: Final = (
    "image_size", "shown_size", "code_dim", "backbone", "self_encoder", "map_input",
    "tied_weights", "reconstruction_loss", "corruption", "sparsity_target",
    "sparsity_weight", "active_units", "hidden_layers", "hidden_dim", "layer_epochs",
    "gibbs_steps", "persistent_chains", "sleep_phase", "code_weight", "pretraining",
    "pretraining_epochs", "is_trunk_frozen", "label_share", "epochs", "self_encoder_epochs",
    "batch_size", "learning_rate", "teacher_weight", "teacher_cells_weight", "mixed_share",
    "tiled_share", "shares_weight", "similar_codes_weight", "set_balance",
    "color_share", "palette_bins", "mapped_repeats", "half_weights", "seed", "device",
)  # fmt: skip
"""Options of the command that are fields of a recipe, under the same names."""


def plain_training(context: typer.Context, progress: Progress) -> "default_recipe.Training":
    """Collect what the options say to learn from."""
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.datasets.union import join  # noqa: PLC0415
    from lookalike.learning import default_recipe, recipes  # noqa: PLC0415

    given = context.params
    options = {name: given[name] for name in RECIPE_OPTIONS}
    if options["teacher_weight"] is None:
        default = default_recipe.DEFAULT_RECIPE.teacher_weight
        options["teacher_weight"] = default if given["teacher"] else 0.0
    level = given["level"]
    parts = [open_dataset(spec, level=level, progress=progress) for spec in given["dataset"]]
    guides = Guides(
        teacher=_path(given["teacher"]),
        teacher_normalization=given["normalization"],
        segmenter=_segmenter(given),
    )
    return default_recipe.Training(join(parts), recipes.Recipe(**options), guides, given["terms"])


def default_training(context: typer.Context, progress: Progress) -> "default_recipe.Training":
    """Collect what the default recipe learns from, with the changes that the options ask for."""
    from lookalike.learning import default_recipe  # noqa: PLC0415 - keeps --help fast

    _refuse_with_default(context)
    given = context.params
    if len(given["dataset"]) != 1:
        raise UsageError(
            "--recipe default learns from one folder that holds its data sets, "
            f"got {len(given['dataset'])}"
        )
    changes = {name: given[name] for name in RECIPE_OPTIONS if _is_given(context, name)}
    recipe = replace(default_recipe.DEFAULT_RECIPE, **changes)
    data = Path(given["dataset"][0])
    return default_recipe.default_training(data, _path(given["models"]), recipe, progress)


def in_time(
    training: "default_recipe.Training",
    out: Path,
    minutes: float,
    validate: "ListedDataset | None",
    *,
    resume: bool,
    progress: Progress,
) -> tuple["default_recipe.Training", dict[str, Any]]:
    """Shorten a training so that it ends in time, and say how; return it, and what JSON tells."""
    from lookalike.learning import limits  # noqa: PLC0415 - keeps --help fast
    from lookalike.learning.budget import is_whole, n_learned  # noqa: PLC0415

    plan = limits.settle(
        training.dataset,
        out,
        training.recipe,
        minutes,
        validate=validate,
        guides=training.guides,
        resume=resume,
        progress=progress,
    )
    if plan.passes:
        n = n_learned(training.dataset, validate)
        counts = ", ".join(f"{passes} of the {part}" for part, passes in plan.passes.items())
        has_all = is_whole(plan, training.recipe, n)
        fits = "all passes of the recipe fit" if has_all else "not all passes of the recipe fit"
        expected = (plan.expected_seconds or 0.0) / 60
        limit = f"{minutes:g} minute{'s' * (minutes != 1)}"
        say(f"{fits} into {limit}: {counts}; they need about {expected:.1f}")
    told = {"minutes": minutes, "passes": dict(plan.passes)}
    return replace(training, recipe=plan.recipe), told


def refuse_without_use(context: typer.Context, *, has_network: bool) -> None:
    """Refuse options that nothing would read, rather than ignore them."""
    is_default = context.params["recipe"] == "default"
    if _is_given(context, "models") and not is_default:
        raise UsageError("--models is for --recipe default; give --teacher or --segmenter")
    if _is_given(context, "normalization") and not (has_network or is_default):
        raise UsageError("--normalization needs a network: give --teacher or --segmenter")
    is_taught = is_default or context.params["teacher"] or context.params["teacher_weight"]
    if _is_given(context, "color_share") and not is_taught:
        raise UsageError("--color-share needs something taught: give --teacher or --teacher-weight")


def _path(given: str | Path | None) -> Path | None:
    # A context holds texts; Typer makes paths of them only for the command itself.
    return None if given is None else Path(given)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def _refuse_with_default(context: typer.Context) -> None:
    """Refuse the options that the default recipe decides, rather than ignore them."""
    decided = (
        *("teacher", "segmenter", "segmenter_labels", "segmenter_without", "segmenter_for"),
        *("normalization", "level", "terms"),
    )
    for name in decided:
        if _is_given(context, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is decided by --recipe default; leave one of them out"
            )


def _segmenter(given: Mapping[str, Any]) -> Segmenter | None:
    labels, without = given["segmenter_labels"], given["segmenter_without"]
    if given["segmenter"] is None:
        if labels or without or given["segmenter_for"]:
            raise UsageError("options of a segmenter need the network: give --segmenter FILE")
        return None
    if labels is None:
        raise UsageError("--segmenter needs the names of its classes: give --segmenter-labels FILE")
    return Segmenter(
        network=Path(given["segmenter"]),
        labels=Path(labels),
        without=tuple(without),
        parts=tuple(given["segmenter_for"]) or None,
        normalization=given["normalization"],
    )
