"""The program's root, and what its commands share."""

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import typer

from lookalike import __version__
from lookalike.terminal import show_json

SOME_FAILED: Final = 1

app = typer.Typer(
    help="Finds pictures by what is in them and where it is.",
    epilog="Every option is also read from the environment: LOOKALIKE_K=3, LOOKALIKE_JSON=1.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@app.callback(invoke_without_command=True)
def _global(
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"lookalike {__version__}\n")
        raise typer.Exit


def show_result(as_json: bool, content: Mapping[str, Any], show: Callable[[], None]) -> None:
    """Print the one JSON object of a command, or what a person wants to see."""
    if as_json:
        show_json(content)
    else:
        show()
