"""Pre-training by contrast: two views of a picture alike, views of different pictures apart."""

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

_TEMPERATURE: Final = 0.2
_PROJECTED: Final = 128
_SMALLEST_CROP: Final = 0.4
_JITTER: Final = 0.6
"""Views are smaller and their colors stronger changed than for labels: two nearly whole views of a
picture could be matched by their colors alone, and nothing else would be learned."""


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """Backbone and `content` learn without labels (SimCLR).

    T. Chen, S. Kornblith, M. Norouzi, G. Hinton, *A Simple Framework for Contrastive Learning of
    Visual Representations*, ICML 2020: views of the same kind as later for labels, but from crops
    of at least 0.4 of the side and with colors changed up to 0.6; a hidden layer and a projection
    to 128 numbers on top of `content`, both thrown away afterwards; temperature 0.2.

    Attributes:
        network: What is pre-trained.
        projection: `content` → what is compared.
    """

    network: Network
    projection: nn.Module

    @property
    def trained(self) -> list[nn.Module]:
        """What the loss moves; the heads get no gradient."""
        return [self.network, self.projection]

    def loss(
        self, material: Material, positions: Int64[Tensor, " batch"], generator: Generator
    ) -> Scalar:
        """Return the loss of a batch."""
        n = len(positions)
        views = random_views(2 * n, _SMALLEST_CROP, generator)
        images = view_images(material, positions.repeat(2), views, generator, jitter=_JITTER)
        network = self.network
        with material.device.autocast():
            normalized = network.normalize(images)
            content = network.read_content(network.backbone(normalized), normalized)
            projected = self.projection(content).float()
        return contrastive_loss(projected[:n], projected[n:])


def build_projection(content_dim: int) -> nn.Module:
    """Build what is compared of `content`, with weights from the current random state."""
    return nn.Sequential(
        nn.Linear(content_dim, content_dim), nn.ReLU(), nn.Linear(content_dim, _PROJECTED)
    )


def contrastive_loss(
    first: Float[Tensor, "batch dim"],
    second: Float[Tensor, "batch dim"],
    temperature: float = _TEMPERATURE,
) -> Scalar:
    """Return the normalized temperature-scaled cross-entropy (NT-Xent) of two views of a batch.

    `L = −(1/2n) Σ_i ln [ exp(s(i, i*)/τ) / Σ_{j≠i} exp(s(i, j)/τ) ]` over all `2n` views, `i*` is
    the other view of the same picture and `s` the cosine.

    Args:
        first: One view of each picture.
        second: The other, in the same order.
        temperature: `τ`, above 0.

    References:
        Chen and others, 2020, equation 1.
    """
    n = len(first)
    units = functional.normalize(torch.cat([first, second]), dim=1)
    scores = units @ units.T / temperature
    scores = scores.masked_fill(
        torch.eye(2 * n, dtype=torch.bool, device=scores.device), -torch.inf
    )
    partners = torch.arange(2 * n, device=scores.device).roll(n)
    return functional.cross_entropy(scores, partners)
