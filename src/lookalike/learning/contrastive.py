"""Pre-training by contrast: two views of a picture alike, views of different pictures apart."""

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

_TEMPERATURE: Final = 0.2
_PROJECTED: Final = 128
_SMALLEST_CROP: Final = 0.4
_JITTER: Final = 0.6
"""Views are smaller and their colors stronger changed than for labels: two nearly whole views of a
picture could be matched by their colors alone, and nothing else would be learned."""


class ContrastiveStage:
    """Backbone and `content` learn without labels (SimCLR).

    T. Chen, S. Kornblith, M. Norouzi, G. Hinton, *A Simple Framework for Contrastive Learning of
    Visual Representations*, ICML 2020: views of the same kind as later for labels, but from crops
    of at least 0.4 of the side and with colors changed up to 0.6; a hidden layer and a projection
    to 128 numbers on top of `content`, both thrown away afterwards; temperature 0.2.

    Args:
        network: What is pre-trained.
        projection: `content` → what is compared.
        material: All training pictures.
        n_epochs: Passes over them.
    """

    name = "contrastive"
    title = "Pre-training without labels, by contrast"

    def __init__(
        self, network: Network, projection: nn.Module, material: Material, n_epochs: int
    ) -> None:
        self.network, self.projection, self.material = network, projection, material
        self.n_epochs = n_epochs
        self.optimizer = make_optimizer([network, projection], material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        self.network.train()
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            loss = self._loss(positions, generator)
            self._steps.take(loss, step)
            averages.add({"pretraining_loss": loss}, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure nothing: there are no labels yet."""
        return {}

    def finish(self) -> None:
        """Do nothing more."""

    def _loss(self, positions: Int64[Tensor, " batch"], generator: Generator) -> Scalar:
        n = len(positions)
        twice = positions.repeat(2)
        views = random_views(2 * n, _SMALLEST_CROP, generator)
        images = view_images(self.material, twice, views, generator, jitter=_JITTER)
        network = self.network
        with self.material.device.autocast():
            content = network.content(network.backbone(network.normalize(images)))
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
