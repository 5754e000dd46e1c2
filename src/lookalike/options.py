"""How options of the command line are declared, and those that several commands share."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

SETTINGS: Final = {"help_option_names": ["-h", "--help"]}


def option(flag: str, **settings: Any) -> Any:
    """Declare an option that can also be given in the environment.

    Example:
        >>> option("--image-size", help="Pixels.").envvar
        'LOOKALIKE_IMAGE_SIZE'
    """
    name = flag.partition("/")[0].strip("-").upper().replace("-", "_")
    return typer.Option(flag, envvar=f"LOOKALIKE_{name}", **settings)


CollectionPath = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection.")
]
Json = Annotated[bool, option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[int, option("--seed", help="Seed of everything that is drawn at random.")]
Level = Annotated[
    Literal["names", "supercategories"],
    option("--level", help="Which names of COCO classes to take."),
]
Weights = Annotated[
    list[str],
    option("--weight", metavar="NAME=VALUE", help="Weight of a descriptor: content=2, layout=0."),
]


def examples(*lines: str) -> str:
    """Lay out examples of a command for the end of its help."""
    return "Examples:\n\n" + "\n\n".join(f"  {line}" for line in lines)
