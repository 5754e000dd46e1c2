"""The first stage: the self-encoder learns the label maps alone."""

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from lookalike.arrays import VOID
from lookalike.learning.augmentation import random_views, view_label_maps
from lookalike.learning.held_out import HeldOut
from lookalike.learning.losses import value_weights
from lookalike.learning.pictures import Pictures, blocks
from lookalike.learning.self_encoders import SelfEncoder
from lookalike.learning.stages import Averages, Material, Steps, make_optimizer, whole_views
from lookalike.progress import Task


class SelfEncoderStage:
    """The self-encoder learns the label maps alone; afterwards its codes are z-scored."""

    name = "self-encoder"
    title = "Learning label maps"

    def __init__(
        self, self_encoder: SelfEncoder, material: Material, held_out: HeldOut, n_epochs: int
    ) -> None:
        self.self_encoder, self.material, self.held_out = self_encoder, material, held_out
        self.n_epochs = n_epochs
        self.optimizer = make_optimizer([self_encoder], material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        self.self_encoder.train()
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            shown = self._views(positions, generator)
            with self.material.device.autocast():
                _, logits = self.self_encoder(shown)
            loss = self.self_encoder.loss(logits, shown)
            self._steps.take(loss, step)
            averages.add({"map_loss": loss}, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure the reconstruction of held-out label maps."""
        return self.held_out.measure_self_encoder(self.self_encoder, limit)

    def finish(self) -> None:
        """Fix the z-score to the training set."""
        calibrate(self.self_encoder, self.material)

    def _views(self, positions: Int64[Tensor, " batch"], generator: Generator) -> Tensor:
        recipe = self.material.recipe
        views = random_views(len(positions), recipe.smallest_crop, generator)
        label_maps = self.material.pictures.take_label_maps(positions)
        device = self.material.device.name
        return view_label_maps(label_maps.to(device), views.to(device), recipe.grid)


@torch.no_grad()
def calibrate(
    self_encoder: SelfEncoder, material: Material
) -> tuple[Float[Tensor, " code_dim"], Float[Tensor, " code_dim"]]:
    """Z-score codes over the training maps and, as they are learned too, their mirror images.

    Returns:
        Mean and deviation that the codes had before.
    """
    self_encoder.eval()
    grid = material.recipe.grid
    codes = []
    device = material.device.name
    for block in blocks(len(material.mapped)):
        label_maps = material.pictures.take_label_maps(material.mapped[block]).to(device)
        for is_mirrored in (False, True):
            views = whole_views(len(block), is_mirrored=is_mirrored).to(device)
            codes.append(self_encoder.encode(view_label_maps(label_maps, views, grid)))
    return self_encoder.calibrate(torch.cat(codes))


def count_values(pictures: Pictures, n_classes: int) -> Int64[Tensor, " values"]:
    """Count the cells of each label map value, void left out."""
    counts = torch.zeros(VOID + 1, dtype=torch.int64)
    for positions in blocks(len(pictures)):
        label_maps = pictures.take_label_maps(positions).cpu()
        counts += label_maps.flatten().bincount(minlength=VOID + 1)
    return counts[: n_classes + 1]


def weigh_values(self_encoder: SelfEncoder, pictures: Pictures, n_classes: int) -> None:
    """Give the self-encoder's loss the weights of the label map values in these pictures."""
    self_encoder.weights.copy_(value_weights(count_values(pictures, n_classes)))
