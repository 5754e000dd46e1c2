"""The commands that learn."""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from lookalike.cli.root import app, show_result
from lookalike.errors import UsageError
from lookalike.options import SETTINGS, Json, Level, Seed, examples, option
from lookalike.progress import Progress
from lookalike.showing import show_card, show_demo
from lookalike.terminal import Bars

if TYPE_CHECKING:
    from lookalike.learning import default_recipe, recipes


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike learn scenes:2000:7 --out scenes-model",
        "lookalike learn 'coco#train' --level supercategories --out coco-model",
        "lookalike learn photos --out plain-model --code-weight 0   (no self-encoding)",
        "lookalike learn coco --out coco-model --resume   (after an interruption)",
        "lookalike learn coco photos --out model --teacher encoder.onnx",
        "lookalike learn --recipe default DATA --out model   (as it ships)",
    ),
)
def learn(
    context: typer.Context,
    dataset: Annotated[
        list[str],
        typer.Argument(metavar="DATASET", help="Labeled pictures; of several the first counts."),
    ],
    out: Annotated[Path, option("--out", metavar="MODEL", help="Model folder to write.")],
    validate: Annotated[
        str | None, option("--validate", show_default="a tenth", help="Pictures to measure on.")
    ] = None,
    recipe: Annotated[
        Literal["plain", "default"],
        option("--recipe", help="Where options not given come from; default: what ships."),
    ] = "plain",
    backbone: Annotated[
        Literal["residual", "residual-wide"], option("--backbone", help="The network.")
    ] = "residual",
    self_encoder: Annotated[
        Literal["convolutional", "dense"],
        option("--self-encoder", help="Kind of self-encoder; dense as published."),
    ] = "convolutional",
    map_input: Annotated[
        Literal["embedding", "one-hot"],
        option("--map-input", help="How a class enters the self-encoder."),
    ] = "embedding",
    code_weight: Annotated[
        float, option("--code-weight", help="λ, weight of the code; 0: no self-encoding.")
    ] = 1.0,
    code_dim: Annotated[int, option("--code-dim", help="Length of the layout code.")] = 128,
    epochs: Annotated[
        int | None, option("--epochs", show_default="by size", help="Passes over the pictures.")
    ] = None,
    self_encoder_epochs: Annotated[
        int | None,
        option("--self-encoder-epochs", show_default="by size", help="Passes over label maps."),
    ] = None,
    image_size: Annotated[int, option("--image-size", help="Pixels of the network's input.")] = 96,
    batch_size: Annotated[int, option("--batch-size", help="Pictures per step.")] = 64,
    learning_rate: Annotated[float, option("--learning-rate", help="Largest of the run.")] = 2e-3,
    teacher: Annotated[
        Path | None, option("--teacher", help="Network (ONNX, TFLite) that content is taught by.")
    ] = None,
    teacher_weight: Annotated[
        float | None,
        option("--teacher-weight", show_default="5 with --teacher", help="Weight of that."),
    ] = None,
    color_share: Annotated[
        float, option("--color-share", help="Share of plain color in what is taught.")
    ] = 0.25,
    palette_bins: Annotated[
        int, option("--palette-bins", help="Bins of a learned color histogram for content.")
    ] = 0,
    segmenter: Annotated[
        Path | None,
        option("--segmenter", help="Network (ONNX, TFLite) that draws label maps where none are."),
    ] = None,
    segmenter_labels: Annotated[
        Path | None, option("--segmenter-labels", help="Its class names, one a line.")
    ] = None,
    segmenter_without: Annotated[
        list[str], option("--segmenter-without", help="A class of it that is not believed.")
    ] = [],  # noqa: B006 - how Typer declares an option that can be given several times
    segmenter_for: Annotated[
        list[str], option("--segmenter-for", help="A data set it draws for, by name; else all.")
    ] = [],  # noqa: B006
    normalization: Annotated[
        Literal["imagenet", "symmetric", "unit", "bytes"],
        option("--normalization", help="What teacher and segmenter read, if not bytes."),
    ] = "imagenet",
    models: Annotated[
        Path | None,
        option(
            "--models",
            show_default="in or beside DATA",
            help="Where the networks of the default recipe are.",
        ),
    ] = None,
    mapped_repeats: Annotated[
        int, option("--mapped-repeats", help="How often pictures with label maps are seen.")
    ] = 1,
    half_weights: Annotated[
        bool, option("--half-weights", help="Store weights in half the space.")
    ] = False,
    level: Level = "names",
    seed: Seed = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], option("--device", help="Where to compute.")
    ] = "auto",
    resume: Annotated[bool, option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Json = False,
) -> int:
    """Learn features from labeled pictures by image self-encoding, and write a model folder."""
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.learning import recipes  # noqa: PLC0415

    bars = Bars()
    _refuse_without_use(context, has_network=bool(teacher or segmenter))
    training = (_default_training if recipe == "default" else _plain_training)(context, bars)
    held_out = open_dataset(validate, level=level, progress=bars) if validate else None
    card = recipes.learn(
        training.dataset,
        out,
        training.recipe,
        validate=held_out,
        guides=training.guides,
        resume=resume,
        progress=bars,
    )
    show_result(
        as_json,
        {"model": card.id, "folder": str(out), "measured": dict(card.measured)},
        lambda: show_card(card, out),
    )
    return 0


_RECIPE_OPTIONS: Final = (
    *("image_size", "code_dim", "backbone", "self_encoder", "map_input", "code_weight", "epochs"),
    *("self_encoder_epochs", "batch_size", "learning_rate", "teacher_weight", "color_share"),
    *("palette_bins", "mapped_repeats", "half_weights", "seed", "device"),
)
"""Options of the command that are fields of a recipe, under the same names."""


def _plain_training(context: typer.Context, progress: Progress) -> "default_recipe.Training":
    """Collect what the options say to learn from."""
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.datasets.union import join  # noqa: PLC0415
    from lookalike.learning import default_recipe, recipes  # noqa: PLC0415

    given = context.params
    options = {name: given[name] for name in _RECIPE_OPTIONS}
    if options["teacher_weight"] is None:
        default = default_recipe.DEFAULT_RECIPE.teacher_weight
        options["teacher_weight"] = default if given["teacher"] else 0.0
    level = given["level"]
    parts = [open_dataset(spec, level=level, progress=progress) for spec in given["dataset"]]
    guides = recipes.Guides(
        teacher=_path(given["teacher"]),
        teacher_normalization=given["normalization"],
        segmenter=_segmenter(given),
    )
    return default_recipe.Training(join(parts), recipes.Recipe(**options), guides)


def _default_training(context: typer.Context, progress: Progress) -> "default_recipe.Training":
    """Collect what the default recipe learns from, with the changes that the options ask for."""
    from lookalike.learning import default_recipe  # noqa: PLC0415 - keeps --help fast

    _refuse_with_default(context)
    given = context.params
    if len(given["dataset"]) != 1:
        raise UsageError(
            "--recipe default learns from one folder that holds its data sets, "
            f"got {len(given['dataset'])}"
        )
    changes = {name: given[name] for name in _RECIPE_OPTIONS if _is_given(context, name)}
    recipe = replace(default_recipe.DEFAULT_RECIPE, **changes)
    data = Path(given["dataset"][0])
    return default_recipe.default_training(data, _path(given["models"]), recipe, progress)


def _refuse_without_use(context: typer.Context, *, has_network: bool) -> None:
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
        *("normalization", "level"),
    )
    for name in decided:
        if _is_given(context, name):
            raise UsageError(
                f"--{name.replace('_', '-')} is decided by --recipe default; leave one of them out"
            )


def _segmenter(given: Mapping[str, Any]) -> "recipes.Segmenter | None":
    from lookalike.learning import recipes  # noqa: PLC0415 - keeps --help fast

    labels, without = given["segmenter_labels"], given["segmenter_without"]
    if given["segmenter"] is None:
        if labels or without or given["segmenter_for"]:
            raise UsageError("options of a segmenter need the network: give --segmenter FILE")
        return None
    if labels is None:
        raise UsageError("--segmenter needs the names of its classes: give --segmenter-labels FILE")
    return recipes.Segmenter(
        network=Path(given["segmenter"]),
        labels=Path(labels),
        without=tuple(without),
        parts=tuple(given["segmenter_for"]) or None,
        normalization=given["normalization"],
    )


@app.command(
    context_settings=SETTINGS,
    epilog=examples("lookalike demo --quick", "lookalike demo --out demo"),
)
def demo(
    out: Annotated[Path, option("--out", help="Folder for everything it makes.")] = Path(
        "lookalike-demo"
    ),
    quick: Annotated[bool, option("--quick", help="A small version, in 90 seconds.")] = False,
    serve: Annotated[
        bool, option("--serve/--no-serve", help="Open the report in the browser when done.")
    ] = True,
    seed: Seed = 0,
    as_json: Json = False,
) -> int:
    """Show the whole idea on generated scenes: learn with and without self-encoding, compare."""
    from lookalike.demo import run_demo  # noqa: PLC0415 - keeps --help fast

    result = run_demo(out, quick=quick, seed=seed, progress=Bars())
    show_result(as_json, result.to_json(), lambda: show_demo(result))
    if serve and not as_json and sys.stdout.isatty():
        typer.launch(str(result.report))
    return 0
