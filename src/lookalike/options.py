"""How options of the command line are declared, and those that several commands share."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from lookalike.errors import UsageError

SETTINGS: Final = {"help_option_names": ["-h", "--help"]}

LARGEST_RANK: Final = 10_000
"""Nobody looks further; and so many hits of each query are kept."""


def option(flag: str, **settings: Any) -> Any:
    """Declare an option that can also be given in the environment.

    Example:
        >>> option("--image-size", help="Pixels.").envvar
        'LOOKALIKE_IMAGE_SIZE'
    """
    name = flag.partition("/")[0].strip("-").upper().replace("-", "_")
    # Every name follows from its option, so that the help need not be cluttered with them.
    return typer.Option(flag, envvar=f"LOOKALIKE_{name}", show_envvar=False, **settings)


def more_than_nothing(flag: str, value: float) -> float:
    """Return the value of an option for which neither 0 nor infinity makes sense.

    Raises:
        UsageError: If it is one of these, negative, or no number.
    """
    if not 0 < value < math.inf:
        raise UsageError(f"{flag} must be a number above 0, not {value:g}")
    return value


CollectionPath = Annotated[
    Path, typer.Argument(metavar="COLLECTION", help="Folder of the collection.")
]
Json = Annotated[bool, option("--json", help="Print one JSON object and nothing else.")]
Seed = Annotated[
    int,
    option("--seed", min=0, max=2**31 - 1, help="Seed of everything that is drawn at random."),
]
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
    return "\n".join(("Examples:", *lines))


def read_weights(texts: Sequence[str]) -> dict[str, float] | None:
    """Read `content=2` and `layout=0.5` into a mapping; nothing given is `None`.

    Raises:
        UsageError: If a text is something else.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            weights[name] = float(value)
        except ValueError:
            raise UsageError(f"--weight {text!r} is not NAME=VALUE, such as content=2") from None
    return weights or None


def read_pairs(texts: Sequence[str], flag: str) -> dict[str, str]:
    """Read `photographer=Anna` and `taken=2024` into a mapping.

    Raises:
        UsageError: If a text is something else, or a key is there twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        key = key.strip().lower()
        if not sign or not key or key in pairs:
            raise UsageError(
                f"{flag} {text!r} is not KEY=VALUE, or its key is there twice; "
                "write photographer=Anna"
            )
        pairs[key] = value.strip()
    return pairs


def read_example_weights(
    text: str, n_positives: int, n_negatives: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Read `2,1,0.5`: a weight for each example, in the order of the help, those not liked last.

    Those not liked may be left out.

    Raises:
        UsageError: If the text is no list of numbers, or not of so many.
    """
    if not text:
        return (), ()
    try:
        weights = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--example-weights {text!r} is no list of numbers, such as 2,1,0.5"
        ) from None
    if len(weights) not in (n_positives, n_positives + n_negatives):
        raise UsageError(
            f"--example-weights has {len(weights)} numbers for {n_positives + n_negatives} "
            "examples; give one for each"
        )
    return weights[:n_positives], weights[n_positives:]


def read_numbers(
    text: str, flag: str = "--at", *, least: int = 1, most: int = LARGEST_RANK
) -> tuple[int, ...]:
    """Read numbers such as the ranks `2,5,8,10`.

    Args:
        text: What was given.
        flag: The option, for the message.
        least: Smallest number that makes sense.
        most: Largest.

    Raises:
        UsageError: If the text is no such list, or a number is too low or too high.
    """
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{flag} {text!r} is no list of numbers, such as 2,5,8,10") from None
    if min(numbers) < least:
        raise UsageError(f"{flag} {text!r} contains a number below {least}; give higher ones")
    if max(numbers) > most:
        raise UsageError(f"{flag} {text!r} contains a number above {most}; give smaller ones")
    return numbers
