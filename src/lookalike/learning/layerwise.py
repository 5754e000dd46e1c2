"""Pre-training layer by layer: each layer learns to restore what the layers below give.

Stacked denoising autoencoders (P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio, P. Manzagol,
*Stacked Denoising Autoencoders*, JMLR 2010), convolutional where the layers are (J. Masci,
U. Meier, D. Cireşan, J. Schmidhuber, *Stacked Convolutional Auto-Encoders*, ICANN 2011). Labels and
label maps are not looked at.
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from lookalike.learning.augmentation import random_views
from lookalike.learning.losses import Scalar
from lookalike.learning.network import Network
from lookalike.learning.stages import Material, view_images

_MASKED: Final = 0.25
"""Share of a layer's input that is set to 0 before it is encoded."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer that learns to restore its input from a quarter-masked copy.

    `h = f(x̃)`, `L = ||g(h) − x||² / ||x − mean(x)||²`, where `x` is what the layers below give,
    which stay as they are, `f` the layer, and `g` a decoder that is thrown away afterwards. 1 is
    what the mean of all numbers would cost.

    Attributes:
        network: What is pre-trained.
        index: Which of its layers, counted from 0 at the bottom.
        decoder: `g`.
    """

    network: Network
    index: int
    decoder: nn.Module

    @property
    def trained(self) -> list[nn.Module]:
        """What the loss moves."""
        return [layers_of(self.network)[self.index], self.decoder]

    def loss(
        self, material: Material, positions: Int64[Tensor, " batch"], generator: Generator
    ) -> Scalar:
        """Return the loss of a batch."""
        recipe, device = material.recipe, material.device
        views = random_views(len(positions), recipe.smallest_crop, generator)
        images = view_images(material, positions, views, generator, jitter=recipe.color_jitter)
        *below, layer = layers_of(self.network)[: self.index + 1]
        with device.autocast():
            with torch.no_grad():
                clean = self.network.normalize(images)
                for lower in below:
                    clean = lower(clean)
            kept = torch.rand(clean.shape, generator=generator).to(device.name) >= _MASKED
            restored = self.decoder(layer(clean * kept))
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
