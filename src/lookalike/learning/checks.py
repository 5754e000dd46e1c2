"""What the options of a recipe may be, alone and together; does not import PyTorch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lookalike.errors import UsageError
from lookalike.learning.kinds import KINDS, check_kind_options
from lookalike.model_folder import CARD

_CHOICES: Final[dict[str, tuple[str | None, ...]]] = {
    "pretraining": (None, "layerwise", "contrastive", "hints"),
    "self_encoder": KINDS,
    "map_input": ("auto", "embedding", "one-hot"),
    "reconstruction_loss": ("cross-entropy", "squared"),
    "sleep_phase": ("contrastive", "fantasy"),
    "code_target": ("self-encoder", "pooled-masks"),
    "code_control": (None, "shuffled", "noise"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "float32", "bfloat16"),
}
_POOLED: Final = (
    "residual", "residual-wide", "resnet18", "resnet50", "mobilenet-v3-large", "mobilenet-v3-small",
    "separable",
)  # fmt: skip
"""Backbones whose `content` is pooled from a feature map, and from colors where that is wanted."""
_BACKBONES: Final = (*_POOLED, "alexnet", "cnn-f", "cnn-m", "cnn-s", "nin", "zf")
_OWN_SIZES: Final = {"alexnet": 227}
"""Sides of the input that were published and are no multiple of 32."""
_RANGES: Final[dict[str, tuple[int | float, int | float]]] = {
    "image_size": (32, 512),
    "shown_size": (32, 512),
    "grid": (8, 128),
    "code_dim": (2, 1024),
    "content_dim": (2, 4096),
    "pretraining_epochs": (1, 100_000),
    "code_weight": (0.0, 1000.0),
    "segmentation_weight": (0.0, 1000.0),
    "epochs": (1, 100_000),
    "self_encoder_epochs": (1, 100_000),
    "joint_share": (0.0, 1.0),
    "batch_size": (2, 4096),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 10.0),
    "code_noise": (0.0, 10.0),
    "label_share": (0.0, 1.0),
    "corruption": (0.0, 0.9),
    "sparsity_target": (1e-4, 0.9),
    "sparsity_weight": (0.0, 1000.0),
    "active_units": (1, 1024),
    "hidden_layers": (1, 8),
    "hidden_dim": (2, 8192),
    "layer_epochs": (1, 100_000),
    "gibbs_steps": (1, 1000),
    "smallest_crop": (0.1, 1.0),
    "color_jitter": (0.0, 1.0),
    "palette_bins": (0, 1024),
    "mapped_repeats": (1, 100),
    "teacher_weight": (0.0, 1000.0),
    "teacher_cells_weight": (0.0, 1000.0),
    "color_share": (0.0, 1.0),
    "mixed_share": (0.0, 0.9),
    "tiled_share": (0.0, 1.0),
    "shares_weight": (0.0, 1000.0),
    "similar_codes_weight": (0.0, 1000.0),
    "set_balance": (0.0, 1.0),
    "seed": (0, 2**63 - 1),
}


def check_options(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Refuse options that are out of range, contradict each other, or would not be read.

    Args:
        options: All options of a recipe.
        defaults: The same where nothing is chosen.

    Raises:
        UsageError: If there is one; the message says what to do.
    """
    for name, choices in _CHOICES.items():
        _check_choice(name, options[name], choices)
    for name, (low, high) in _RANGES.items():
        _check_range(name, options[name], low, high)
    _check_backbone(options)
    _check_shown_size(options)
    _check_multiple("grid", options["grid"], 8)
    check_kind_options(options, defaults)
    if options["label_share"] == 0:
        raise UsageError("label_share must be above 0, got 0; use 1 for all labels")
    _check_pretraining(options)
    for name in ("mixed_share", "tiled_share"):
        if options[name] and is_external(options["backbone"]):
            raise UsageError(
                f"{name} is {options[name]:g}, but {options['backbone']} has seen every picture by "
                "itself before; use 0 or another backbone"
            )
    for name in ("teacher_cells_weight", "mixed_share"):
        if options[name] and not options["teacher_weight"]:
            raise UsageError(
                f"{name} is {options[name]:g}, but teacher_weight is 0 and nothing is taught; "
                "give a teacher_weight above 0 or leave it out"
            )
    _check_codes(options, defaults)


def is_external(backbone: str) -> bool:
    """Tell whether a backbone is the file of an external encoder."""
    return backbone.endswith(".onnx")


def _check_backbone(options: Mapping[str, Any]) -> None:
    backbone = options["backbone"]
    if not is_external(backbone):
        _check_choice("backbone", backbone, (*_BACKBONES, "FILE.onnx"))
        if options["image_size"] != _OWN_SIZES.get(backbone):
            _check_multiple("image_size", options["image_size"], 32)
    if options["palette_bins"] and backbone not in _POOLED:
        raise UsageError(
            f"palette_bins is {options['palette_bins']}, but backbone {backbone!r} reads no "
            f"palette; use 0 or one of: {', '.join(_POOLED)}"
        )


def _check_shown_size(options: Mapping[str, Any]) -> None:
    shown = options["shown_size"]
    if shown is None:
        return
    _check_multiple("shown_size", shown, 32)
    if shown < options["image_size"]:
        raise UsageError(
            f"shown_size is {shown}, below image_size {options['image_size']}; "
            "use at least as many pixels as were learned from"
        )
    if options["backbone"] not in _POOLED or options["segmentation_weight"] > 0:
        raise UsageError(
            f"shown_size is {shown}, but a segmentation head, an external encoder or a published "
            "network reads pictures of one size; leave shown_size out or use one of: "
            f"{', '.join(_POOLED)}"
        )


def _check_pretraining(options: Mapping[str, Any]) -> None:
    pretraining, n_epochs = options["pretraining"], options["pretraining_epochs"]
    if pretraining is not None and is_external(options["backbone"]):
        raise UsageError(
            f"pretraining={pretraining!r} trains the backbone, but {options['backbone']} is "
            "used as it is; leave pre-training out or choose another backbone"
        )
    if pretraining is None and n_epochs is not None:
        raise UsageError(
            f"pretraining_epochs is {n_epochs}, but there is no pretraining; "
            "choose layerwise, contrastive or hints, or leave the epochs out"
        )


def _check_codes(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    needing = ["code_control", "code_target"]
    if options["pretraining"] != "hints":
        needing.append("is_trunk_frozen")
    for name in needing:
        if options[name] != defaults[name] and options["code_weight"] == 0:
            raise UsageError(
                f"{name}={options[name]!r} needs codes, but code_weight is 0; "
                f"use a code_weight above 0 or leave {name} out"
            )
    if options["shares_weight"] and options["backbone"] not in _POOLED:
        raise UsageError(
            f"shares_weight is {options['shares_weight']:g}, but backbone {options['backbone']!r} "
            f"gives no map of cells; use 0 or one of: {', '.join(_POOLED)}"
        )
    is_linear = options["self_encoder"] == "linear" and options["code_target"] == "self-encoder"
    if options["shares_weight"] and not is_linear:
        raise UsageError(
            f"shares_weight is {options['shares_weight']:g}, but codes of {options['code_target']} "
            f"of kind {options['self_encoder']!r} are not linear in shares; use 0, or a "
            "self-encoder of kind 'linear'"
        )
    for name in ("tiled_share", "shares_weight", "similar_codes_weight"):
        if options[name] and (options["code_weight"] == 0 or options["code_control"] is not None):
            raise UsageError(
                f"{name} is {options[name]:g}, but no picture learns the code of its own label "
                f"map; use a code_weight above 0 without code_control, or leave {name} out"
            )
    if options["segmentation_weight"] > 0 and options["code_weight"] > 0:
        raise UsageError(
            f"segmentation_weight={options['segmentation_weight']} puts a segmentation head in "
            f"the place of the code, but code_weight is {options['code_weight']}; use a "
            "code_weight of 0"
        )


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice is not None)
        raise UsageError(f"{name} {value!r} is not known; choose one of: {known}")


def _check_multiple(name: str, value: int, step: int) -> None:
    if value % step:
        raise UsageError(
            f"{name} must be a multiple of {step}, got {value}; "
            f"use {max(step, value // step * step)}"
        )


def _check_range(name: str, value: int | float | None, low: int | float, high: int | float) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"{name} must be between {low:g} and {high:g}, got {value}")


def check_place(out: Path, *, resume: bool) -> None:
    """Refuse to write a model where something is; one that was just finished may be resumed.

    Raises:
        UsageError: Then.
    """
    if resume and (out / CARD).is_file():
        return
    if out.exists():
        raise UsageError(f"{out} exists already; choose another place for the model or remove it")
    folder = out.with_name(f"{out.name}.training")
    if folder.exists() and not resume:
        raise UsageError(
            f"{folder} holds an unfinished training; continue it with resume (--resume), "
            "or delete that folder to start again"
        )
