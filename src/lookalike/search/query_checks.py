"""Whether plain values of a query, such as JSON or a person gave them, make sense."""

import math
from collections.abc import Mapping, Sequence

from lookalike.errors import UsageError


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Check that a value is one of a few words.

    Raises:
        UsageError: If it is not; the message lists them.
    """
    if value not in choices:
        *first, last = (repr(choice) for choice in choices)
        raise UsageError(f"unknown {name} {value!r}; choose {', '.join(first)} or {last}")


def check_min_score(value: object) -> None:
    """Check that the lowest score is a number or `None`.

    Raises:
        UsageError: If it is neither, or not finite.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and math.isfinite(float(str(value)))):
        raise UsageError(f"the lowest score must be a number, such as 2, not {value!r}")


def ids_from_json(content: object) -> tuple[int, ...]:
    """Read ids from a list of JSON.

    Raises:
        UsageError: If it is no list, or holds anything but whole numbers.
    """
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        ids = tuple(each for each in content if type(each) is int)
        if len(ids) == len(content):
            return ids
    raise UsageError(f"excluded ids are a JSON list of numbers, not {content!r:.60}")


def check_weights(weights: object) -> None:
    """Check that weights are numbers from 0 on, not all of them 0.

    Raises:
        UsageError: If they are not; the message names the descriptor.
    """
    if not isinstance(weights, Mapping):
        raise UsageError(f"weights are an object of descriptors and numbers, not {weights!r}")
    for name, weight in weights.items():
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not is_number or not math.isfinite(weight) or weight < 0:
            raise UsageError(f"the weight of {name!r} must be a number from 0 on, not {weight!r}")
    if not any(weights.values()):
        named = ", ".join(map(str, weights)) or "none at all"
        raise UsageError(f"all weights are 0 ({named}); give at least one descriptor a weight")
