"""What a training run is told, and the one door through which it is started.

Importing this module does not import PyTorch; `learn` does.
"""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from lookalike.datasets.base import Dataset
from lookalike.errors import MissingExtraError, UsageError
from lookalike.model_folder import ModelCard
from lookalike.progress import SILENT, Progress

_CHOICES: Final[dict[str, tuple[str | None, ...]]] = {
    "backbone": ("residual", "residual-wide"),
    "self_encoder": ("convolutional", "dense"),
    "map_input": ("embedding", "one-hot"),
    "code_control": (None, "shuffled", "noise"),
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "float32", "bfloat16"),
}
_RANGES: Final[dict[str, tuple[int | float, int | float]]] = {
    "image_size": (32, 512),
    "grid": (8, 128),
    "code_dim": (2, 1024),
    "content_dim": (2, 4096),
    "code_weight": (0.0, 1000.0),
    "epochs": (1, 100_000),
    "self_encoder_epochs": (1, 100_000),
    "joint_share": (0.0, 1.0),
    "batch_size": (2, 4096),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 10.0),
    "code_noise": (0.0, 10.0),
    "smallest_crop": (0.1, 1.0),
    "color_jitter": (0.0, 1.0),
    "palette_bins": (0, 1024),
    "mapped_repeats": (1, 100),
    "teacher_weight": (0.0, 1000.0),
    "color_share": (0.0, 1.0),
    "seed": (0, 2**63 - 1),
}

_NETWORK_PICTURES: Final = 40_000
_SELF_ENCODER_MAPS: Final = 60_000
"""What network and self-encoder see in all where a recipe leaves the epochs open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All options of a training run.

    Attributes:
        image_size: Side of the square network input in pixels, a multiple of 32.
        grid: Side of the label maps that the self-encoder reads and writes, a multiple of 8.
        code_dim: Length of the `layout` code.
        content_dim: Length of the `content` embedding.
        backbone: Kind of network between the pixels and the heads: `residual`, or
            `residual-wide` with 2.9 instead of 1.9 million parameters at 128 pixels.
        self_encoder: `convolutional`, or `dense`: three layers and sigmoids, as published.
        map_input: How a class enters the self-encoder: `embedding`, a learned vector, or
            `one-hot`.
        code_weight: The λ of `L = L_cls + λ·L_reg`; 0 trains the same network for the same
            number of steps without self-encoding.
        code_control: For experiments: `shuffled` gives each picture the code of another one,
            `noise` gives it random numbers.
        epochs: Passes of the network over the training pictures, joint fine-tuning included;
            `None` chooses by the size of the data set.
        self_encoder_epochs: Passes of the self-encoder over the label maps alone; `None` chooses.
        joint_share: Share of `epochs`, the last ones, in which network and self-encoder are
            trained together.
        batch_size: Pictures per step; smaller data sets use fewer.
        learning_rate: Largest learning rate of Muon; it rises quickly and falls as a cosine.
        weight_decay: Decoupled weight decay of Muon.
        code_noise: Standard deviation of the noise on standardized codes while the convolutional
            self-encoder learns, so that nearby codes mean similar maps.
        smallest_crop: Smallest side of a random crop, as a share of the picture's side.
        color_jitter: Strength of random brightness, contrast, saturation and tint.
        mapped_repeats: How often pictures with a label map are seen for each time that others
            are, where only some have one.
        palette_bins: Bins of a learned color histogram that `content` is read from, beside the
            deep features; 0 for none.
        teacher_weight: Weight of what `content` is taught without labels, by a trained network
            and by color; 0 for none.
        color_share: Share of color in that; without a trained network color is all of it.
        half_weights: Whether exported weights are stored as float16, in half the space.
        seed: Fixes initial weights, order and augmentation.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is any.
        precision: Of matrix products: `float32`, `bfloat16`, or `auto`, which takes bfloat16
            where the processor has it.

    Raises:
        UsageError: If a value is out of range or contradicts another one.
    """

    image_size: int = 96
    grid: int = 32
    code_dim: int = 128
    content_dim: int = 256
    backbone: str = "residual"
    self_encoder: str = "convolutional"
    map_input: str = "embedding"
    code_weight: float = 1.0
    code_control: str | None = None
    epochs: int | None = None
    self_encoder_epochs: int | None = None
    joint_share: float = 0.25
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    code_noise: float = 0.3
    smallest_crop: float = 0.75
    color_jitter: float = 0.3
    mapped_repeats: int = 1
    palette_bins: int = 0
    teacher_weight: float = 0.0
    color_share: float = 0.25
    half_weights: bool = False
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _check_choice(name, getattr(self, name), choices)
        for name, (low, high) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        for name, step in (("image_size", 32), ("grid", 8)):
            if getattr(self, name) % step:
                raise UsageError(
                    f"{name} must be a multiple of {step}, got {getattr(self, name)}; "
                    f"use {max(step, getattr(self, name) // step * step)}"
                )
        if self.code_control is not None and self.code_weight == 0:
            raise UsageError(
                f"code_control={self.code_control!r} needs codes, but code_weight is 0; "
                "use a code_weight above 0 or no code_control"
            )

    @property
    def has_self_encoding(self) -> bool:
        """Whether the network is taught codes at all."""
        return self.code_weight > 0

    def epochs_for(self, n: int) -> int:
        """Return the passes of the network over `n` training pictures."""
        return self.epochs or _passes(_NETWORK_PICTURES, n, 10, 100)

    def self_encoder_epochs_for(self, n: int) -> int:
        """Return the passes of the self-encoder over `n` label maps."""
        return self.self_encoder_epochs or _passes(_SELF_ENCODER_MAPS, n, 10, 200)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmenter:
    """A segmentation network that draws label maps for pictures without.

    Attributes:
        network: Its file, ONNX or TFLite.
        labels: Its class names, one a line.
        without: Classes of it, by its own names, that are taken for background.
        parts: Names of the data sets for whose pictures it draws; `None` for all that have no
            label maps of their own.
        normalization: What brings pixels to what it reads, if it does not read bytes.
    """

    network: Path
    labels: Path
    without: tuple[str, ...] = ()
    parts: tuple[str, ...] | None = None
    normalization: str = "imagenet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """Networks that somebody else trained and that help to learn; none of them is exported.

    Attributes:
        teacher: Network whose embeddings `content` is taught, ONNX or TFLite.
        teacher_normalization: What brings pixels to what it reads, if it does not read bytes.
        segmenter: Draws label maps for pictures without.
    """

    teacher: Path | None = None
    teacher_normalization: str = "imagenet"
    segmenter: Segmenter | None = None


NO_GUIDES: Final = Guides()


def demo_recipe(quick: bool, *, seed: int = 0, code_weight: float = 1.0) -> Recipe:
    """Return the recipe of the demo on generated scenes.

    Args:
        quick: Whether both trainings together have to end within a minute on two cores.
        seed: Fixes initial weights, order and augmentation.
        code_weight: λ; 0 for the comparison without self-encoding.
    """
    if quick:
        return Recipe(
            image_size=64, seed=seed, code_weight=code_weight, epochs=10, self_encoder_epochs=16
        )
    return Recipe(
        image_size=64, seed=seed, code_weight=code_weight, epochs=14, self_encoder_epochs=16
    )


def learn(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    validate: Dataset | None = None,
    guides: Guides = NO_GUIDES,
    resume: bool = False,
    progress: Progress = SILENT,
) -> ModelCard:
    """Train a model on a data set and write its folder.

    Three stages (Girdhar et al., *Learning a Predictable and Generative Vector Representation for
    Objects*, ECCV 2016, which does it with voxels): the self-encoder learns the label maps alone;
    the network learns labels and frozen codes; both are fine-tuned together. Data sets without
    label maps train the labels alone. Checkpoints, one per epoch, lie in `OUT.training` until the
    model is finished; a run that was killed continues there to the very same result.

    Args:
        dataset: What to learn from.
        out: The model folder to make.
        recipe: All options.
        validate: Pictures to measure on; without it a tenth of `dataset`, chosen by a hash of the
            names, is kept out of training. Nothing is chosen by these figures.
        guides: Trained networks that help.
        resume: Continue an unfinished run of the same recipe and data.
        progress: Where progress is shown.

    Raises:
        UsageError: If `out` exists, if there is an unfinished run and `resume` is false, or if
            that run had another recipe or data set.
        DatasetError: If there is too little to learn from, or a label map contradicts the classes.
        EnvironmentFault: If the device is not there or the disk is full.
        ModelError: If the exported model does not compute what the trained one does.
    """
    # Threads that wait for work must sleep: spinning ones slow each other down twentyfold as soon
    # as another program wants the processors. PyTorch's threads read this once, when loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        # PyTorch is an optional extra and slow to import; recipes are read without it.
        from lookalike.learning.training import train  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("torch", "onnx"):
            raise
        raise MissingExtraError(str(error.name), "learn", "learning") from error
    return train(
        dataset, out, recipe, validate=validate, guides=guides, resume=resume, progress=progress
    )


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Name the options in which two recipes differ, with both values.

    Example:
        >>> differences(Recipe(seed=1).to_dict(), Recipe(seed=2).to_dict())
        ['seed 1 and 2']
    """
    names = [field.name for field in fields(Recipe)]
    return [
        f"{name} {first.get(name)} and {second.get(name)}"
        for name in names
        if first.get(name) != second.get(name)
    ]


def _passes(total: int, n: int, fewest: int, most: int) -> int:
    return min(max(round(total / n), fewest), most)


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        known = ", ".join(str(choice) for choice in choices if choice is not None)
        raise UsageError(f"{name} {value!r} is not known; choose one of: {known}")


def _check_range(name: str, value: int | float | None, low: int | float, high: int | float) -> None:
    if value is not None and not low <= value <= high:
        raise UsageError(f"{name} must be between {low:g} and {high:g}, got {value}")
