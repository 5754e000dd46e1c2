"""The first stage: the self-encoder learns the label maps alone."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from lookalike.arrays import VOID
from lookalike.learning.augmentation import random_views, view_label_maps
from lookalike.learning.corruption import corrupt
from lookalike.learning.held_out import HeldOut
from lookalike.learning.losses import Scalar, value_weights
from lookalike.learning.pictures import Pictures, blocks
from lookalike.learning.self_encoders import SelfEncoder
from lookalike.learning.stages import Averages, Material, Steps, make_optimizer, whole_views
from lookalike.learning.tiles import draw_tiles
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
        is_denoising = material.recipe.self_encoder == "denoising"
        self._corruption = material.recipe.corruption_share if is_denoising else 0.0

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        self.self_encoder.train()
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            losses = self._losses(random_label_maps(self.material, positions, generator), generator)
            self._steps.take(self._total(losses), step)
            averages.add(losses, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure the reconstruction of held-out label maps."""
        return self.held_out.measure_self_encoder(self.self_encoder, limit)

    def finish(self) -> None:
        """Fix the z-score to the training set."""
        calibrate(self.self_encoder, self.material)

    def _losses(
        self, shown: UInt8[Tensor, "batch grid grid"], generator: Generator
    ) -> dict[str, Scalar]:
        device, given = self.material.device, shown
        if self._corruption > 0:
            n_values = len(self.self_encoder.weights)
            # Chance comes from the CPU.
            given = corrupt(shown.cpu(), self._corruption, n_values, generator).to(device.name)
        with device.autocast():
            _, losses = self.self_encoder.losses(given, shown)
        return losses

    def _total(self, losses: dict[str, Scalar]) -> Scalar:
        weights = {"similar_codes_loss": self.material.recipe.similar_codes_weight}
        return torch.stack([loss * weights.get(name, 1.0) for name, loss in losses.items()]).sum()


def random_label_maps(
    material: Material, positions: Int64[Tensor, " batch"], generator: Generator
) -> UInt8[Tensor, "shown grid grid"]:
    """Return random views of label maps, on the device, and those of the scenes tiled of others."""
    views = random_views(len(positions), material.recipe.smallest_crop, generator)
    shown = _view(material, positions, views)
    if material.recipe.tiled_share == 0:
        return shown
    tiles = draw_tiles(material, len(positions), generator)
    return torch.cat([shown, tiles.label_maps(material)])


def over_training_maps(
    material: Material, function: Callable[[Tensor], Tensor]
) -> Iterator[Tensor]:
    """Give what a function makes of all training maps, batch by batch.

    Maps are shown whole and, as that is learned too, mirrored.
    """
    for block in blocks(len(material.mapped)):
        for is_mirrored in (False, True):
            views = whole_views(len(block), is_mirrored=is_mirrored)
            yield function(_view(material, material.mapped[block], views))


def _view(
    material: Material, positions: Int64[Tensor, " batch"], views: Float[Tensor, "batch 2 3"]
) -> UInt8[Tensor, "batch grid grid"]:
    device = material.device.name
    label_maps = material.pictures.take_label_maps(positions).to(device)
    return view_label_maps(label_maps, views.to(device), material.recipe.grid)


@torch.no_grad()
def calibrate(
    self_encoder: SelfEncoder, material: Material
) -> tuple[Float[Tensor, " code_dim"], Float[Tensor, " code_dim"]]:
    """Z-score codes over the training maps and their mirror images.

    Returns:
        Mean and deviation that the codes had before.
    """
    self_encoder.eval()
    codes = list(over_training_maps(material, self_encoder.encode))
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
