"""The kinds of self-encoder, and which options each of them reads; does not import PyTorch."""

from collections.abc import Mapping
from typing import Any, Final

from lookalike.errors import UsageError

KINDS: Final = (
    "convolutional", "linear", "dense", "denoising", "sparse", "k-sparse", "stacked", "belief",
    "wake-sleep", "binary",
)  # fmt: skip

_DENSE: Final = ("dense", "stacked")
_BELIEF: Final = ("belief", "wake-sleep")
_ONE_HOT: Final = ("linear", *_BELIEF)
_LAYERED: Final = ("stacked", *_BELIEF)

_READ_BY: Final[dict[str, tuple[str, ...]]] = {
    "tied_weights": _DENSE,
    "reconstruction_loss": _DENSE,
    "corruption": ("denoising", "stacked"),
    "sparsity_target": ("sparse", *_BELIEF),
    "sparsity_weight": ("sparse", *_BELIEF),
    "active_units": ("k-sparse",),
    "hidden_layers": _LAYERED,
    "hidden_dim": _LAYERED,
    "layer_epochs": _LAYERED,
    "gibbs_steps": _BELIEF,
    "persistent_chains": _BELIEF,
    "sleep_phase": ("wake-sleep",),
}

_CORRUPTION: Final = 0.25
_SPARSITY_WEIGHT: Final = 3.0


def check_kind_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse options that the chosen kind of self-encoder would not read, or that contradict it.

    Args:
        options: All options of a recipe.
        defaults: The same where nothing is chosen.

    Raises:
        UsageError: If there is one; the message names the kinds that read it.
    """
    kind = options["self_encoder"]
    for name, kinds in _READ_BY.items():
        if options[name] != defaults[name] and kind not in kinds:
            raise UsageError(
                f"{name} means nothing to a self-encoder of kind {kind!r}; leave it out, "
                f"or choose one of: {', '.join(kinds)}"
            )
    _check_map_input(kind, options)
    active, code_dim = options["active_units"], options["code_dim"]
    if active is not None and active > code_dim:
        raise UsageError(
            f"active_units is {active}, but a code has only {code_dim} numbers; "
            f"use at most {code_dim}"
        )


def _check_map_input(kind: str, options: Mapping[str, Any]) -> None:
    needs_one_hot = kind in _ONE_HOT or options["tied_weights"]
    if needs_one_hot and options["map_input"] == "embedding":
        reason = "tied weights" if options["tied_weights"] else f"a self-encoder of kind {kind!r}"
        raise UsageError(
            f"{reason} cannot read map_input 'embedding', since what enters has to leave again; "
            "use 'one-hot' or 'auto'"
        )


def reads_one_hot(options: Mapping[str, Any]) -> bool:
    """Tell whether label maps enter the self-encoder one-hot rather than as learned vectors."""
    if options["map_input"] == "auto":
        return options["self_encoder"] in _ONE_HOT or bool(options["tied_weights"])
    return bool(options["map_input"] == "one-hot")


def corruption_share(kind: str, corruption: float | None) -> float:
    """Return the share of its input that a self-encoder does not get to see while it learns."""
    if corruption is None:
        return _CORRUPTION if kind == "denoising" else 0.0
    return corruption


def sparsity_factor(kind: str, weight: float | None) -> float:
    """Return the weight β of the sparsity penalty."""
    if weight is None:
        return _SPARSITY_WEIGHT if kind == "sparse" else 0.0
    return weight
