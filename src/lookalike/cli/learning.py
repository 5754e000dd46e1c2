"""The commands that learn."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, Json, Level, Seed, examples, option
from lookalike.showing import show_card, show_demo, show_imported
from lookalike.terminal import Bars


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike learn scenes:2000:7 --out scenes-model",
        "lookalike learn 'coco#train' --level supercategories --out coco-model",
        "lookalike learn photos --out plain-model --code-weight 0   (no self-encoding)",
        "lookalike learn coco --out coco-model --resume   (after an interruption)",
    ),
)
def learn(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Labeled pictures.")],
    out: Annotated[Path, option("--out", metavar="MODEL", help="Model folder to write.")],
    validate: Annotated[
        str | None, option("--validate", show_default="a tenth", help="Pictures to measure on.")
    ] = None,
    backbone: Annotated[
        str, option("--backbone", metavar="NAME|FILE.onnx", help="The network, or an encoder.")
    ] = "residual",
    self_encoder: Annotated[
        Literal[
            "convolutional",
            "dense",
            "denoising",
            "sparse",
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
        Literal["layerwise", "contrastive"] | None,
        option("--pretraining", help="Prepare the network without labels.", show_default="none"),
    ] = None,
    pretraining_epochs: Annotated[
        int | None,
        option("--pretraining-epochs", show_default="by size", help="Passes without labels."),
    ] = None,
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
    batch_size: Annotated[int, option("--batch-size", help="Pictures per step.")] = 64,
    learning_rate: Annotated[float, option("--learning-rate", help="Largest of the run.")] = 2e-3,
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

    recipe = recipes.Recipe(
        image_size=image_size,
        code_dim=code_dim,
        backbone=backbone,
        self_encoder=self_encoder,
        map_input=map_input,
        tied_weights=tied_weights,
        reconstruction_loss=reconstruction_loss,
        corruption=corruption,
        sparsity_target=sparsity_target,
        sparsity_weight=sparsity_weight,
        active_units=active_units,
        hidden_layers=hidden_layers,
        hidden_dim=hidden_dim,
        layer_epochs=layer_epochs,
        gibbs_steps=gibbs_steps,
        persistent_chains=persistent_chains,
        sleep_phase=sleep_phase,
        code_weight=code_weight,
        pretraining=pretraining,
        pretraining_epochs=pretraining_epochs,
        label_share=label_share,
        epochs=epochs,
        self_encoder_epochs=self_encoder_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
    )
    bars = Bars()
    pictures = open_dataset(dataset, level=level, progress=bars)
    held_out = open_dataset(validate, level=level, progress=bars) if validate else None
    card = recipes.learn(pictures, out, recipe, validate=held_out, resume=resume, progress=bars)
    show_result(
        as_json,
        {"model": card.id, "folder": str(out), "measured": dict(card.measured)},
        lambda: show_card(card, out),
    )
    return 0


models = typer.Typer(
    help="Models that others have trained.",
    no_args_is_help=True,
    context_settings=SETTINGS,
    rich_markup_mode="rich",
)
app.add_typer(models, name="model")


@models.callback()
def _models() -> None:
    """Models that others have trained."""


@models.command(
    "import",
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike model import clip-vit-base-patch32 --out clip",
        "lookalike model import facebook/dinov2-small --download --out dinov2",
    ),
)
def import_(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder of a model saved by Transformers.")
    ],
    out: Annotated[Path, option("--out", metavar="MODEL", help="Model folder to write.")],
    download: Annotated[
        bool, option("--download", help="SOURCE is a name on the Hugging Face hub: fetch it.")
    ] = False,
    image_size: Annotated[
        int | None,
        option("--image-size", min=1, show_default="the model's", help="Pixels of the input."),
    ] = None,
    no_text: Annotated[bool, option("--no-text", help="Leave the text side out.")] = False,
    as_json: Json = False,
) -> int:
    """Make a model folder of a model such as DINOv2, CLIP or SigLIP; see docs/importing.md."""
    from lookalike.learning.importing import import_model  # noqa: PLC0415 - keeps --help fast

    card = import_model(
        source,
        out,
        image_size=image_size,
        with_text=not no_text,
        download=download,
        progress=Bars(),
    )
    show_result(
        as_json,
        {
            "model": card.id,
            "folder": str(out),
            "image_size": card.image_size,
            "content_dim": card.content_dim,
            "has_text": card.has_text,
            "measured": dict(card.measured),
            "origin": dict(card.origin),
        },
        lambda: show_imported(card, out),
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
