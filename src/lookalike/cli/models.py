"""The commands about models that others have trained."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, Json, examples, option
from lookalike.showing import show_imported
from lookalike.terminal import Bars

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
