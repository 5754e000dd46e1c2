"""The commands that learn."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lookalike.cli.root import app, show_result
from lookalike.cli.trainings import (
    default_training,
    in_time,
    plain_training,
    refuse_without_use,
)
from lookalike.options import SETTINGS, Json, Level, Seed, examples, option
from lookalike.showing import show_card, show_demo
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike learn scenes:2000:7 --out scenes-model",
        "lookalike learn 'coco#train' --level supercategories --out coco-model",
        "lookalike learn photos --out plain-model --code-weight 0   (no self-encoding)",
        "lookalike learn coco --out coco-model --resume   (after an interruption)",
        "lookalike learn coco --out coco-model --minutes 30   (what fits)",
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
        str, option("--backbone", metavar="NAME|FILE.onnx", help="The network, or an encoder.")
    ] = "residual",
    self_encoder: Annotated[
        Literal[
            "convolutional",
            "dense",
            "denoising",
            "sparse",
            "linear",
            "k-sparse",
            "stacked",
            "belief",
            "wake-sleep",
            "binary",
        ],
        option("--self-encoder", help="Kind of self-encoder; dense as published."),
    ] = "convolutional",
    map_input: Annotated[
        Literal["auto", "embedding", "one-hot"],
        option("--map-input", help="How a class enters the self-encoder."),
    ] = "auto",
    tied_weights: Annotated[
        bool, option("--tied-weights", help="dense, stacked: decode with transposed weights.")
    ] = False,
    reconstruction_loss: Annotated[
        Literal["cross-entropy", "squared"],
        option("--reconstruction-loss", help="dense, stacked: what is made small."),
    ] = "cross-entropy",
    corruption: Annotated[
        float | None,
        option("--corruption", show_default="by kind", help="denoising, stacked: share hidden."),
    ] = None,
    sparsity_target: Annotated[
        float, option("--sparsity-target", help="sparse, belief nets: ρ, mean activation.")
    ] = 0.05,
    sparsity_weight: Annotated[
        float | None,
        option("--sparsity-weight", show_default="by kind", help="The same: β of the penalty."),
    ] = None,
    active_units: Annotated[
        int | None,
        option("--active-units", show_default="a quarter", help="k-sparse: numbers kept."),
    ] = None,
    hidden_layers: Annotated[
        int, option("--hidden-layers", help="stacked, belief nets: layers below the code.")
    ] = 2,
    hidden_dim: Annotated[int, option("--hidden-dim", help="The same: units in each.")] = 256,
    layer_epochs: Annotated[
        int | None,
        option("--layer-epochs", show_default="by size", help="The same: passes of each alone."),
    ] = None,
    gibbs_steps: Annotated[
        int, option("--gibbs-steps", help="belief nets: the k of contrastive divergence.")
    ] = 1,
    persistent_chains: Annotated[
        bool, option("--persistent-chains", help="belief nets: sampling goes on between steps.")
    ] = False,
    sleep_phase: Annotated[
        Literal["contrastive", "fantasy"],
        option("--sleep-phase", help="wake-sleep: where fantasies begin."),
    ] = "contrastive",
    code_weight: Annotated[
        float, option("--code-weight", help="λ, weight of the code; 0: no self-encoding.")
    ] = 1.0,
    code_dim: Annotated[int, option("--code-dim", help="Length of the layout code.")] = 128,
    pretraining: Annotated[
        Literal["layerwise", "contrastive", "hints"] | None,
        option("--pretraining", help="Prepare the network without labels.", show_default="none"),
    ] = None,
    pretraining_epochs: Annotated[
        int | None,
        option("--pretraining-epochs", show_default="by size", help="Passes without labels."),
    ] = None,
    is_trunk_frozen: Annotated[
        bool, option("--frozen-trunk", help="Only heads learn codes; after hints, labels too.")
    ] = False,
    label_share: Annotated[
        float, option("--label-share", help="Share of pictures whose labels are used.")
    ] = 1.0,
    epochs: Annotated[
        int | None, option("--epochs", show_default="by size", help="Passes over the pictures.")
    ] = None,
    self_encoder_epochs: Annotated[
        int | None,
        option("--self-encoder-epochs", show_default="by size", help="Passes over label maps."),
    ] = None,
    image_size: Annotated[int, option("--image-size", help="Pixels of the network's input.")] = 96,
    shown_size: Annotated[
        int | None,
        option(
            "--shown-size",
            show_default="as learned",
            help="Pixels of what the learned network reads, if more.",
        ),
    ] = None,
    batch_size: Annotated[int, option("--batch-size", help="Pictures per step.")] = 64,
    learning_rate: Annotated[float, option("--learning-rate", help="Largest of the run.")] = 2e-3,
    teacher: Annotated[
        Path | None, option("--teacher", help="Network (ONNX, TFLite) that content is taught by.")
    ] = None,
    teacher_weight: Annotated[
        float | None,
        option("--teacher-weight", show_default="5 with --teacher", help="Weight of that."),
    ] = None,
    teacher_cells_weight: Annotated[
        float,
        option("--teacher-cells-weight", help="Weight of teaching what the network sees where."),
    ] = 0.0,
    mixed_share: Annotated[
        float, option("--mixed-share", help="Share of pictures laid over others, for the teacher.")
    ] = 0.0,
    tiled_share: Annotated[
        float,
        option("--tiled-share", help="Scenes of four pictures with label maps, for each picture."),
    ] = 0.0,
    shares_weight: Annotated[
        float,
        option("--shares-weight", help="linear: weight of telling what each cell holds."),
    ] = 0.0,
    similar_codes_weight: Annotated[
        float,
        option("--similar-codes-weight", help="Weight of codes alike where label maps agree."),
    ] = 0.0,
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
    set_balance: Annotated[
        float, option("--set-balance", help="How far small data sets are seen more often, 0 to 1.")
    ] = 0.0,
    half_weights: Annotated[
        bool, option("--half-weights", help="Store weights in half the space.")
    ] = False,
    terms: Annotated[
        str, option("--terms", help="On which terms the pictures may be used, for the card.")
    ] = "",
    level: Level = "names",
    seed: Seed = 0,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], option("--device", help="Where to compute.")
    ] = "auto",
    minutes: Annotated[
        float | None,
        option("--minutes", show_default="no limit", help="Fewer passes, so that it ends in time."),
    ] = None,
    resume: Annotated[bool, option("--resume", help="Go on with an interrupted run.")] = False,
    as_json: Json = False,
) -> int:
    """Learn features from labeled pictures by image self-encoding, and write a model folder."""
    from lookalike.datasets import open_dataset  # noqa: PLC0415 - keeps --help fast
    from lookalike.learning import limits, recipes  # noqa: PLC0415

    bars = Bars()
    refuse_without_use(context, has_network=bool(teacher or segmenter))
    training = (default_training if recipe == "default" else plain_training)(context, bars)
    held_out = open_dataset(validate, level=level, progress=bars) if validate else None
    told: dict[str, Any] = {}
    if minutes is not None:
        training, told = in_time(training, out, minutes, held_out, resume=resume, progress=bars)
    card = recipes.learn(
        training.dataset,
        out,
        training.recipe,
        validate=held_out,
        guides=training.guides,
        terms=training.terms,
        resume=resume,
        progress=bars,
    )
    limits.forget(out)
    show_result(
        as_json,
        {"model": card.id, "folder": str(out), "measured": dict(card.measured), **told},
        lambda: show_card(card, out),
    )
    return 0


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
