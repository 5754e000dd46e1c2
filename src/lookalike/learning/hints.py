"""Pre-training by hints: each layer of the backbone learns what a trained network has there.

Romero and others, *FitNets: Hints for Thin Deep Nets*, ICLR 2015, with a hint for every layer
instead of one. At first each layer learns apart (as the blocks of Li and others, *Blockwisely
Supervised Neural Architecture Search with Knowledge Distillation*, CVPR 2020): it is given what the
teacher's layer below gives and learns what the teacher's own layer makes of it. These are shallow
problems in which every cell of every picture is an example; all are solved side by side, within a
thousand steps from random weights. Then the layers stand in a row, each on what the one below has
learned, and errors that would add up are learned away.

No labels are needed, and any pictures will do. What is learned are functions: no weight of the
teacher is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from lookalike.errors import UsageError
from lookalike.learning.augmentation import mix_images, random_views
from lookalike.learning.losses import Scalar
from lookalike.learning.network import Network
from lookalike.learning.stages import Material, view_images
from lookalike.learning.tflite_graph import TfliteGraph, before_pooling

BATCH_SIZE: Final = 64
"""Pictures per step at most; each gives hundreds of cells."""
LEARNING_RATE: Final = 1e-2
_SMALLEST_VARIANCE: Final = 0.02
"""Of a channel, as a share of the mean over channels: those that hardly vary count little."""


@runtime_checkable
class Layered(Protocol):
    """A trained network that shows what its layers see."""

    def layers(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch channels rows columns"]]:
        """Return the maps after each layer, bottom first, for images with values to 255."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Hints:
    """The layers of a backbone learn from a teacher's.

    Attributes:
        network: Its backbone is pre-trained.
        teacher: The trained network, cut before its last pooling.
        is_in_a_row: Whether each layer reads what the one below gives, and not what the teacher's
            layer below does.
    """

    network: Network
    teacher: Layered
    is_in_a_row: bool

    @property
    def trained(self) -> list[nn.Module]:
        """What the loss moves."""
        return [self.network.get_submodule("backbone")]

    def loss(
        self, material: Material, positions: Int64[Tensor, " batch"], generator: Generator
    ) -> Scalar:
        """Return the loss of a batch of views; some of them are laid over each other."""
        recipe = material.recipe
        views = random_views(len(positions), recipe.smallest_crop, generator)
        images = view_images(material, positions, views, generator, jitter=recipe.color_jitter)
        images = mix_images(images, int(recipe.mixed_share * len(images)), generator)
        with material.device.autocast():
            wanted = self.teacher.layers(images)
            given = self.network.normalize(images)
            losses = (
                self._in_a_row(given, wanted) if self.is_in_a_row else self._apart(given, wanted)
            )
        # The last map is all that is read later.
        return losses.mean() + losses[-1]

    def _in_a_row(self, given: Tensor, wanted: Sequence[Tensor]) -> Float[Tensor, " layers"]:
        losses = []
        for layer, hint in zip(self.network.backbone.layers, wanted, strict=True):
            given = layer(given)
            losses.append(hint_loss(given, hint))
        return torch.stack(losses)

    def _apart(self, given: Tensor, wanted: Sequence[Tensor]) -> Float[Tensor, " layers"]:
        losses = []
        for layer, hint in zip(self.network.backbone.layers, wanted, strict=True):
            # Large maps have cells enough in few pictures.
            n = max(2, len(hint) * wanted[-1].shape[-1] // hint.shape[-1])
            losses.append(hint_loss(layer(given[:n]), hint[:n]))
            given = hint
        return torch.stack(losses)


def hint_loss(
    told: Float[Tensor, "batch channels rows columns"],
    wanted: Float[Tensor, "batch channels rows columns"],
) -> Scalar:
    """Mean squared error, each channel in units of its variance over the batch.

    1 for whoever tells the mean of each channel everywhere, 0 for whoever tells all.

    Example:
        >>> wanted = torch.tensor([0.0, 2.0]).view(2, 1, 1, 1)
        >>> round(float(hint_loss(torch.ones(2, 1, 1, 1), wanted)), 2)
        0.98
    """
    wanted = wanted.float()
    variance = wanted.var(dim=(0, 2, 3), correction=0, keepdim=True)
    floor = _SMALLEST_VARIANCE * variance.mean() + torch.finfo(torch.float32).tiny
    return ((told.float() - wanted).square() / (variance + floor)).mean()


def open_hints(path: Path | None, network: Network, material: Material) -> TfliteGraph:
    """Open the network that gives hints.

    Raises:
        UsageError: If there is none, or its layers are others than those of the backbone.
    """
    if path is None:
        raise UsageError(
            "pretraining='hints' needs a trained network to learn from; give a teacher, "
            "or leave pre-training out"
        )
    if path.suffix.lower() != ".tflite":
        raise UsageError(
            f"{path} gives no hints: layers are read from .tflite files only; "
            "give one, or leave pre-training out"
        )
    teacher = TfliteGraph(path, before_pooling(path)).to(material.device.name).eval()
    side = material.recipe.image_size
    gray = torch.full((2, 3, side, side), 128.0, device=material.device.name)
    theirs = [tuple(maps.shape[1:]) for maps in teacher.layers(gray)]
    _check_alike(path, _shapes(network, gray), theirs)
    return teacher


@torch.no_grad()
def _shapes(network: Network, images: Tensor) -> list[tuple[int, ...]]:
    """Return channels, rows and columns after each layer of the backbone."""
    network.eval()
    given, shapes = network.normalize(images), []
    for layer in network.backbone.layers:
        given = layer(given)
        shapes.append(tuple(given.shape[1:]))
    return shapes


def _check_alike(path: Path, ours: list[tuple[int, ...]], theirs: list[tuple[int, ...]]) -> None:
    """Refuse a teacher whose layers give other numbers than those of the backbone."""
    if ours == theirs:
        return
    what = f"{len(theirs)} layers, the backbone {len(ours)}"
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False), start=1):
        if our != their:
            their_size, our_size = ("×".join(map(str, shape)) for shape in (their, our))
            what = f"{their_size} numbers in layer {number}, the backbone {our_size}"
            break
    raise UsageError(
        f"{path} has {what}; hints need the same layers: "
        "choose another backbone ('separable' for MobileNetV1), or leave pre-training out"
    )
