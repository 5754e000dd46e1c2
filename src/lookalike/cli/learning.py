"""The commands that learn."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lookalike.cli.root import app, show_result
from lookalike.errors import UsageError
from lookalike.options import SETTINGS, Json, Level, Seed, examples, option
from lookalike.showing import show_card, show_demo
from lookalike.terminal import Bars

if TYPE_CHECKING:
    from lookalike.learning import recipes


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike learn scenes:2000:7 --out scenes-model",
        "lookalike learn 'coco#train' --level supercategories --out coco-model",
        "lookalike learn photos --out plain-model --code-weight 0   (no self-encoding)",
        "lookalike learn coco --out coco-model --resume   (after an interruption)",
        "lookalike learn coco photos --out model --teacher encoder.onnx   (and others, taught)",
        "lookalike learn --recipe default DATA --out model   (what ships with this program)",
    ),
)
def learn(
    context: typer.Context,
    dataset: Annotated[
        list[str],
        typer.Argument(metavar="DATASET...", help="Labeled pictures; of several the first counts."),
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
    from lookalike.datasets.union import join  # noqa: PLC0415
    from lookalike.learning import default_recipe, recipes  # noqa: PLC0415

    bars = Bars()
    if teacher is not None and teacher_weight is None:
        teacher_weight = default_recipe.DEFAULT_RECIPE.teacher_weight
    given: dict[str, Any] = {
        "image_size": image_size,
        "code_dim": code_dim,
        "backbone": backbone,
        "self_encoder": self_encoder,
        "map_input": map_input,
        "code_weight": code_weight,
        "epochs": epochs,
        "self_encoder_epochs": self_encoder_epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "teacher_weight": teacher_weight or 0.0,
        "color_share": color_share,
        "palette_bins": palette_bins,
        "mapped_repeats": mapped_repeats,
        "half_weights": half_weights,
        "seed": seed,
        "device": device,
    }
    if recipe == "default":
        _refuse_with_default(context)
        changes = {name: value for name, value in given.items() if _is_given(context, name)}
        training = default_recipe.default_training(
            Path(_only(dataset)), models, replace(default_recipe.DEFAULT_RECIPE, **changes), bars
        )
        pictures, chosen, guides = training.dataset, training.recipe, training.guides
    else:
        if models is not None:
            raise UsageError("--models is for --recipe default; give --teacher or --segmenter")
        pictures = join([open_dataset(spec, level=level, progress=bars) for spec in dataset])
        chosen = recipes.Recipe(**given)
        guides = recipes.Guides(
            teacher=teacher,
            teacher_normalization=normalization,
            segmenter=_segmenter(
                segmenter, segmenter_labels, segmenter_without, segmenter_for, normalization
            ),
        )
    held_out = open_dataset(validate, level=level, progress=bars) if validate else None
    card = recipes.learn(
        pictures, out, chosen, validate=held_out, guides=guides, resume=resume, progress=bars
    )
    show_result(
        as_json,
        {"model": card.id, "folder": str(out), "measured": dict(card.measured)},
        lambda: show_card(card, out),
    )
    return 0


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


def _only(dataset: list[str]) -> str:
    if len(dataset) != 1:
        raise UsageError(
            f"--recipe default learns from one folder that holds its data sets, got {len(dataset)}"
        )
    return dataset[0]


def _segmenter(
    network: Path | None,
    labels: Path | None,
    without: list[str],
    parts: list[str],
    normalization: str,
) -> "recipes.Segmenter | None":
    from lookalike.learning import recipes  # noqa: PLC0415 - keeps --help fast

    if network is None:
        if labels or without or parts:
            raise UsageError("options of a segmenter need the network: give --segmenter FILE")
        return None
    if labels is None:
        raise UsageError("--segmenter needs the names of its classes: give --segmenter-labels FILE")
    return recipes.Segmenter(
        network=network,
        labels=labels,
        without=tuple(without),
        parts=tuple(parts) or None,
        normalization=normalization,
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
