"""What a training run is told, and the one door through which it is started.

Importing this module does not import PyTorch; `learn` does.
"""

import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from lookalike.datasets.base import Dataset
from lookalike.errors import MissingExtraError
from lookalike.learning.checks import check_options, is_external
from lookalike.learning.guides import NO_GUIDES, Guides
from lookalike.learning.kinds import corruption_share, reads_one_hot, sparsity_factor
from lookalike.model_folder import ModelCard
from lookalike.progress import SILENT, Progress

_NETWORK_PICTURES: Final = 40_000
_SELF_ENCODER_MAPS: Final = 60_000
"""What network and self-encoder see in all where a recipe leaves the epochs open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All options of a training run.

    Attributes:
        image_size: Side of the square network input in pixels, a multiple of 32; 227 is allowed
            for `alexnet`, and any side for an external encoder.
        shown_size: Side of the pictures that the network is shown once it has been learned, also to
            measure it; `None` for `image_size`. Crops show things larger than whole pictures do,
            so a network that learned from crops knows them better in larger pictures (Touvron,
            Vedaldi, Douze, Jégou, Fixing the train-test resolution discrepancy, NeurIPS 2019).
            Embedding takes longer by the square.
        grid: Side of the label maps that the self-encoder reads and writes, a multiple of 8.
        code_dim: Length of the `layout` code.
        content_dim: Length of the `content` embedding: 256 if `None`. In published networks it is
            the width of the last hidden layer, and `None` is 4096 from 192 pixels on, 1024 below,
            1024 in `nin`.
        backbone: Kind of network between the pixels and the heads: `residual`; `residual-wide`
            with 2.9 instead of 1.9 million parameters at 128 pixels; `resnet18`, `resnet50`,
            `mobilenet-v3-large`, `mobilenet-v3-small`; `separable`, which is MobileNetV1; the
            published `alexnet`, `cnn-f`, `cnn-m`, `cnn-s`, `nin`, `zf`; or the path of an ONNX
            file, an external encoder that is used as it is.
        self_encoder: Kind of self-encoder: `convolutional`; `linear`, whose code is linear in what
            the cells hold, with a convolutional decoder; `dense`, three layers and sigmoids,
            as published; `denoising`, `sparse`, `k-sparse` and `binary`, which are convolutional;
            `stacked`, `belief` and `wake-sleep`, dense layers trained one by one at first.
        map_input: How a class enters the self-encoder: `embedding`, a learned vector, or
            `one-hot`; `auto` takes `embedding` wherever the kind can learn it.
        tied_weights: Whether each layer of the decoder is the transpose of the encoder's.
        reconstruction_loss: What `dense` and `stacked` make small: `cross-entropy` of sigmoids,
            or the `squared` error of linear outputs.
        corruption: Share of a label map that the `denoising` self-encoder does not get to see,
            and of the input of each layer of a `stacked` one while it learns alone; `None` takes
            a quarter for `denoising` and nothing for `stacked`. Codes that the network learns are
            always those of whole maps.
        sparsity_target: ρ, the mean activation each unit of a sparse code is drawn to.
        sparsity_weight: β of the penalty `β Σ KL(ρ‖ρ̂)`; `None` takes 3 for `sparse` and nothing
            for belief nets.
        active_units: Numbers of a `k-sparse` code that are kept; `None` takes a quarter of them.
        hidden_layers: Layers between label map and code of a self-encoder trained layer by layer.
        hidden_dim: Units in each of them.
        layer_epochs: Passes of each layer alone; `None` takes half of the self-encoder's.
        gibbs_steps: The k of contrastive divergence, CD-k.
        persistent_chains: Whether the chains of Gibbs sampling go on from batch to batch.
        sleep_phase: Where the fantasies of `wake-sleep` come from: `contrastive`, some steps in
            the topmost two layers from the data on (up–down), or `fantasy`, the net alone, as
            published first.
        code_weight: The λ of `L = L_cls + λ·L_reg`; 0 trains the same network for the same
            number of steps without self-encoding.
        code_control: For experiments: `shuffled` gives each picture the code of another one,
            `noise` gives it random numbers.
        pretraining: How the network is prepared without labels: `layerwise`, each layer as a
            denoising autoencoder of the one below; `contrastive`, two views of a picture alike
            and those of others apart; `hints`, each layer learns what the teacher's layer of the
            same shape gives, in steps of at most 64 pictures and with a learning rate of 0.01;
            `None` leaves it out.
        pretraining_epochs: Passes of that over all training pictures, divided among the layers,
            or between learning from hints apart and in a row; `None` chooses by their number.
        label_share: Share of the training pictures whose labels and label maps are used, drawn by
            the seed; pre-training sees all pictures.
        code_target: For experiments: `pooled-masks` regresses the label map averaged over 8 × 8
            cells and reduced to `code_dim` principal components; nothing is learned by a
            self-encoder then, and there are no joint epochs.
        segmentation_weight: For experiments: weight of an auxiliary head that predicts the label
            map itself, in place of the code; its probabilities, averaged over 8 × 8 cells, are
            the `layout`.
        is_trunk_frozen: The backbone learns from labels alone, for `epochs`, and is then frozen;
            labels and codes are learned on it by the heads for as long again. What it has learned
            from `hints` it keeps, and learns nothing from labels.
        epochs: Passes of the network over the training pictures, joint fine-tuning included;
            `None` chooses by the size of the data set.
        self_encoder_epochs: Passes of the self-encoder over the label maps alone; `None` chooses.
        joint_share: Share of `epochs`, the last ones, in which network and self-encoder are
            trained together. More than a tenth costs the self-encoder what it reconstructs.
        batch_size: Pictures per step; smaller data sets use fewer.
        learning_rate: Largest learning rate of Muon; it rises quickly and falls as a cosine.
        weight_decay: Decoupled weight decay of Muon.
        code_noise: Standard deviation of the noise on standardized codes while the convolutional
            self-encoder learns, so that nearby codes mean similar maps.
        smallest_crop: Smallest side of a random crop, as a share of the picture's side.
        color_jitter: Strength of random brightness, contrast, saturation and tint.
        mapped_repeats: How often pictures with a label map are seen for each time that others
            are, where only some have one.
        set_balance: How far small ones among joined data sets are seen more often: pictures of a
            set that is a k-th of the largest one `k ** set_balance` times, rounded. 0: all alike;
            1: all sets equally often.
        palette_bins: Bins of a learned color histogram that `content` is read from, beside the
            deep features; 0 for none.
        teacher_weight: Weight of what `content` is taught without labels, by a trained network
            and by color; 0 for none.
        teacher_cells_weight: Weight of teaching each cell of the feature map what the trained
            network sees there, before its last average pooling; 0 for none. `content` is then
            taught the mean over its cells.
        color_share: Share of color in that; without a trained network color is all of it.
        mixed_share: Share of each batch in which two pictures are laid over each other; only a
            trained network can say what these show, so labels and codes are learned from the rest.
        tiled_share: For each picture of a batch, this many more that are tiled of four pictures
            with label maps: many things, and small ones. Teacher and code are learned from them.
        shares_weight: Weight of telling which share of each of 8 × 8 cells every class has. The
            code of a `linear` self-encoder is then read from these shares as they are; when
            learning ends they are fitted anew, by ridge regression. 0: codes are read from
            features of the cells.
        similar_codes_weight: Weight, while the self-encoder learns, of codes being near each other
            where their label maps agree; 0 for none.
        half_weights: Whether exported weights are stored as float16, in half the space.
        seed: Fixes initial weights, order and augmentation.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is any.
        precision: Of matrix products: `float32`, `bfloat16`, or `auto`, which takes bfloat16
            where the processor has it.

    Raises:
        UsageError: If a value is out of range or contradicts another one.
    """

    image_size: int = 96
    shown_size: int | None = None
    grid: int = 32
    code_dim: int = 128
    content_dim: int | None = None
    backbone: str = "residual"
    self_encoder: str = "convolutional"
    map_input: str = "auto"
    tied_weights: bool = False
    reconstruction_loss: str = "cross-entropy"
    corruption: float | None = None
    sparsity_target: float = 0.05
    sparsity_weight: float | None = None
    active_units: int | None = None
    hidden_layers: int = 2
    hidden_dim: int = 256
    layer_epochs: int | None = None
    gibbs_steps: int = 1
    persistent_chains: bool = False
    sleep_phase: str = "contrastive"
    code_weight: float = 1.0
    code_control: str | None = None
    pretraining: str | None = None
    pretraining_epochs: int | None = None
    label_share: float = 1.0
    code_target: str = "self-encoder"
    segmentation_weight: float = 0.0
    is_trunk_frozen: bool = False
    epochs: int | None = None
    self_encoder_epochs: int | None = None
    joint_share: float = 0.1
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    code_noise: float = 0.3
    smallest_crop: float = 0.75
    color_jitter: float = 0.3
    mapped_repeats: int = 1
    set_balance: float = 0.0
    palette_bins: int = 0
    teacher_weight: float = 0.0
    teacher_cells_weight: float = 0.0
    color_share: float = 0.25
    mixed_share: float = 0.0
    tiled_share: float = 0.0
    shares_weight: float = 0.0
    similar_codes_weight: float = 0.0
    half_weights: bool = False
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        check_options(self.to_dict(), {field.name: field.default for field in fields(self)})

    @property
    def input_size(self) -> int:
        """Side of the pictures that the learned network reads."""
        return self.shown_size or self.image_size

    @property
    def has_one_hot_maps(self) -> bool:
        """Whether label maps enter the self-encoder one-hot."""
        return reads_one_hot(self.to_dict())

    @property
    def corruption_share(self) -> float:
        """Share of the input that is hidden from the self-encoder while it learns."""
        return corruption_share(self.self_encoder, self.corruption)

    @property
    def sparsity_factor(self) -> float:
        """The β of the sparsity penalty."""
        return sparsity_factor(self.self_encoder, self.sparsity_weight)

    @property
    def kept_units(self) -> int:
        """Numbers of a k-sparse code that are kept."""
        return self.active_units or max(1, self.code_dim // 4)

    @property
    def has_self_encoding(self) -> bool:
        """Whether the network is taught codes at all."""
        return self.code_weight > 0

    @property
    def has_external_encoder(self) -> bool:
        """Whether the backbone is a file."""
        return is_external(self.backbone)

    def pretraining_epochs_for(self, n: int) -> int:
        """Return the passes of pre-training over `n` training pictures."""
        return self.pretraining_epochs or _passes(_NETWORK_PICTURES, n, 10, 100)

    @property
    def needs_label_maps(self) -> bool:
        """Whether label maps are learned from in any way, where there are any."""
        return self.code_weight > 0 or self.segmentation_weight > 0

    @property
    def learns_self_encoder(self) -> bool:
        """Whether the codes are learned by a self-encoder, and not those of pooled masks."""
        return self.has_self_encoding and self.code_target == "self-encoder"

    def epochs_for(self, n: int) -> int:
        """Return the passes of the network over `n` training pictures."""
        return self.epochs or _passes(_NETWORK_PICTURES, n, 10, 100)

    def self_encoder_epochs_for(self, n: int) -> int:
        """Return the passes of the self-encoder over `n` label maps."""
        return self.self_encoder_epochs or _passes(_SELF_ENCODER_MAPS, n, 10, 200)

    def layer_epochs_for(self, n: int) -> int:
        """Return the passes of each layer alone over `n` label maps."""
        return self.layer_epochs or max(1, self.self_encoder_epochs_for(n) // 2)

    def to_dict(self) -> dict[str, Any]:
        """Return all options as plain JSON values."""
        return asdict(self)


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
        image_size=64, seed=seed, code_weight=code_weight, epochs=20, self_encoder_epochs=20
    )


def learn(
    dataset: Dataset,
    out: Path,
    recipe: Recipe,
    *,
    validate: Dataset | None = None,
    guides: Guides = NO_GUIDES,
    terms: str = "",
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
        terms: On which terms the pictures may be used; written on the card.
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
        dataset,
        out,
        recipe,
        validate=validate,
        guides=guides,
        terms=terms,
        resume=resume,
        progress=progress,
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
