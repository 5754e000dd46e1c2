"""The command that tells the colors of a picture."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.root import app, show_result
from lookalike.options import SETTINGS, Json, examples, option
from lookalike.showing import show_palette


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike palette holiday.jpg",
        "lookalike palette photos.lookalike --id 17 --n-colors 3",
    ),
)
def palette(
    picture: Annotated[
        Path, typer.Argument(metavar="PICTURE", help="A picture file, or a collection with --id.")
    ],
    image_id: Annotated[
        int | None, option("--id", help="The picture of the collection with this id.")
    ] = None,
    n_colors: Annotated[int, option("--n-colors", help="At most so many, up to 16.")] = 5,
    as_json: Json = False,
) -> int:
    """Tell the main colors of a picture: how much each covers, and what it is called.

    The line at the end is what `search --colors` takes.
    """
    from lookalike.asking.palettes import tell_palette  # noqa: PLC0415 - keeps --help fast

    found = tell_palette(picture, image_id, n_colors)
    show_result(as_json, found, lambda: show_palette(found))
    return 0
