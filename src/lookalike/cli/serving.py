"""The command that starts the web application."""

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.root import app
from lookalike.options import SETTINGS, examples, option
from lookalike.terminal import say


@app.command(
    context_settings=SETTINGS,
    epilog=examples(
        "lookalike serve photos.lookalike",
        "lookalike serve ~/Pictures   (indexes the folder, and shows how it goes)",
        "lookalike serve --port 9000 --no-browser",
    ),
)
def serve(
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[COLLECTION]...", help="Collections, or folders of pictures."),
    ] = None,
    host: Annotated[str, option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, option("--port", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8000,
    home: Annotated[
        Path | None,
        option(
            "--home", show_default="in the data folder", help="Folder of the server's own files."
        ),
    ] = None,
    roots: Annotated[
        list[Path] | None,
        option("--root", help="A folder that may be indexed from the browser; repeatable."),
    ] = None,
    browser: Annotated[
        bool, option("--browser/--no-browser", help="Whether to open the first page.")
    ] = True,
) -> int:
    """Open collections in the browser: search, browse, index.

    The first page opens with a link that lets you in without a password, once. Others need an
    account, which you make under People.
    """
    from lookalike.web.home import ServerHome  # noqa: PLC0415 - keeps --help fast
    from lookalike.web.serving import ServeOptions, free_port, prepare, run  # noqa: PLC0415

    place = home or ServerHome.from_environment().path
    options = ServeOptions(place, host, port or free_port(host), tuple(roots or ()), browser)
    prepared = prepare(options, places or [])
    n = prepared.n_collections
    say(f"serving {n} collection{'' if n == 1 else 's'}; stop with Ctrl-C")
    say(f"http://{host}:{options.port}{prepared.first_page}")
    return run(options, prepared)
