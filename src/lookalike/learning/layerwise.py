"""Pre-training layer by layer: each layer learns to restore what the layers below give.

Stacked denoising autoencoders (P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P. Manzagol,
*Stacked Denoising Autoencoders*, JMLR 2010), convolutional where the layers are (J. Masci,
U. Meier, D. Cireşan, J. Schmidhuber, *Stacked Convolutional Auto-Encoders*, ICANN 2011). Labels and
label maps are not looked at.
"""

from collections.abc import Sequence
from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from lookalike.learning.augmentation import random_views
from lookalike.learning.losses import Scalar
from lookalike.learning.network import Network
from lookalike.learning.stages import Averages, Material, Steps, make_optimizer, view_images
from lookalike.progress import Task

_MASKED: Final = 0.25
"""Share of a layer's input that is set to 0 before it is encoded."""


class LayerStage:
    """One layer learns to restore its input from a quarter-masked copy.

    `h = f(x̃)`, `L = ||g(h) − x||² / ||x − mean(x)||²`, where `x` is what the layers below give,
    which stay as they are, `f` the layer, and `g` a decoder that is thrown away afterwards. 1 is
    what the mean of all numbers would cost.

    Args:
        network: What is pre-trained.
        index: Which of its layers, counted from 0 at the bottom.
        decoder: `g`.
        material: All training pictures.
        n_epochs: Passes over them.
    """

    def __init__(
        self, network: Network, index: int, decoder: nn.Module, material: Material, n_epochs: int
    ) -> None:
        layers = layers_of(network)
        self.network, self.decoder, self.material = network, decoder, material
        self.below, self.layer = layers[:index], layers[index]
        self.n_epochs = n_epochs
        self.name = f"layer {index + 1}"
        self.title = f"Pre-training layer {index + 1} of {len(layers)} without labels"
        self.optimizer = make_optimizer([self.layer, decoder], material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        self.network.eval()
        self.layer.train()
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            loss = self._loss(positions, generator)
            self._steps.take(loss, step)
            averages.add({"pretraining_loss": loss}, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure nothing: what a layer restores is of no use to anyone."""
        return {}

    def finish(self) -> None:
        """Do nothing more."""

    def _loss(self, positions: Int64[Tensor, " batch"], generator: Generator) -> Scalar:
        recipe, device = self.material.recipe, self.material.device
        views = random_views(len(positions), recipe.smallest_crop, generator)
        images = view_images(self.material, positions, views, generator, jitter=recipe.color_jitter)
        with device.autocast():
            with torch.no_grad():
                clean = self.network.normalize(images)
                for layer in self.below:
                    clean = layer(clean)
            kept = torch.rand(clean.shape, generator=generator).to(device.name) >= _MASKED
            restored = self.decoder(self.layer(clean * kept))
        return relative_error(restored.float(), clean.float())


class MapDecoder(nn.Module):
    """Feature map → the larger one below: nearest neighbor, then a 3×3 convolution."""

    def __init__(self, n_in: int, n_out: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.convolution = nn.Conv2d(n_in, n_out, 3, 1, 1)

    def forward(
        self, feature_map: Float[Tensor, "batch n_in cells cells"]
    ) -> Float[Tensor, "batch n_out side side"]:
        """Return the restored feature map."""
        larger = functional.interpolate(feature_map, size=(self.side, self.side))
        restored: Tensor = self.convolution(larger)
        return restored


class DenseDecoder(nn.Module):
    """Hidden units → the shape below."""

    def __init__(self, n_in: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, int(torch.tensor(shape).prod()))
        self.shape = shape

    def forward(self, hidden: Float[Tensor, "batch n_in"]) -> Float[Tensor, "batch ..."]:
        """Return what was below."""
        restored: Tensor = self.linear(hidden).unflatten(1, self.shape)
        return restored


def layers_of(network: Network) -> list[nn.Module]:
    """Return the layers that are pre-trained in turn, bottom first: all but what reads them out."""
    return [*network.backbone.layers, *network.content.layers]


@torch.no_grad()
def build_decoders(network: Network, image_size: int) -> nn.ModuleList:
    """Build a decoder for each layer, with weights from the current random state."""
    network.eval()
    weights = next(network.parameters())
    x: Tensor = torch.zeros(1, 3, image_size, image_size, device=weights.device)
    decoders: list[nn.Module] = []
    for layer in layers_of(network):
        above = layer(x)
        decoders.append(_decoder(x.shape[1:], above.shape[1:]))
        x = above
    return nn.ModuleList(decoders).to(weights.device)


def layer_stages(
    network: Network, decoders: nn.ModuleList, material: Material, n_epochs: int
) -> Sequence[LayerStage]:
    """Return one stage per layer; each has its share of the epochs, at least one."""
    share = max(1, round(n_epochs / len(decoders)))
    return [
        LayerStage(network, index, decoder, material, share)
        for index, decoder in enumerate(decoders)
    ]


def relative_error(
    restored: Float[Tensor, "batch ..."], clean: Float[Tensor, "batch ..."]
) -> Scalar:
    """Return `||restored − clean||² / ||clean − mean(clean)||²`; 0 stays finite if all are equal.

    Example:
        >>> float(relative_error(torch.tensor([[1.0], [1.0]]), torch.tensor([[0.0], [2.0]])))
        1.0
    """
    return functional.mse_loss(restored, clean) / clean.var(correction=0).clamp(min=1e-6)


def _decoder(below: torch.Size, above: torch.Size) -> nn.Module:
    if len(above) == 3:
        return MapDecoder(above[0], below[0], below[1])
    return DenseDecoder(above[0], tuple(below))
