"""What the stages of learning have in common: material, order, optimizer, learning rate."""

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn

from lookalike.learning.augmentation import jitter_colors, view_pixels
from lookalike.learning.devices import Device, derive_seed
from lookalike.learning.losses import Scalar, label_loss, partial_label_loss
from lookalike.learning.network import Network
from lookalike.learning.optimizers import Muon
from lookalike.learning.pictures import Pictures
from lookalike.learning.recipes import Recipe
from lookalike.progress import Task

_WARM_UP: Final = 0.1
_FINAL_RATE: Final = 0.01
_SECONDS_BETWEEN_NOTES: Final = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is learned from, and how.

    Attributes:
        pictures: The training pictures.
        is_single_label: Whether labels exclude each other.
        recipe: All options.
        device: Where the arithmetic happens.
        positions: What one pass goes over: which of the pictures, and how often.
        mapped: Which of all pictures have a label map.
    """

    pictures: Pictures
    is_single_label: bool
    recipe: Recipe
    device: Device
    positions: Int64[Tensor, " learned"]
    mapped: Int64[Tensor, " mapped"]

    @classmethod
    def of(
        cls, pictures: Pictures, is_single_label: bool, recipe: Recipe, device: Device
    ) -> "Material":
        """Return material of which one pass goes over all pictures once."""
        positions = torch.arange(len(pictures))
        return cls(pictures, is_single_label, recipe, device, positions, pictures.mapped())

    @property
    def batch_size(self) -> int:
        """Pictures per step: those of the recipe, or all there are."""
        return min(self.recipe.batch_size, len(self.positions))

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass."""
        return len(self.positions) // self.batch_size

    @property
    def is_partly_mapped(self) -> bool:
        """Whether some pictures have a label map and others have none."""
        return 0 < len(self.mapped) < len(self.pictures)

    def label_loss(
        self, logits: Float[Tensor, "batch classes"], positions: Int64[Tensor, " batch"]
    ) -> Scalar:
        """Return the classification loss of a batch, each picture judged by what its set knows."""
        device = self.device.name
        labels = self.pictures.take_labels(positions).to(device)
        if len(self.pictures.known) == 1:
            return label_loss(logits, labels, self.is_single_label)
        source = self.pictures.source[positions]
        known, is_single = self.pictures.known[source], self.pictures.is_single[source]
        return partial_label_loss(logits, labels, known.to(device), is_single.to(device))

    def labeled(self) -> "Material":
        """Return the pictures whose labels may be used, drawn by the seed; at least two."""
        n = len(self.pictures)
        if self.recipe.label_share == 1:
            return self
        generator = Generator().manual_seed(derive_seed(self.recipe.seed, "labels"))
        drawn = torch.randperm(n, generator=generator)[: max(2, round(self.recipe.label_share * n))]
        drawn = drawn.sort().values
        return replace(
            self,
            pictures=self.pictures.subset(drawn.numpy()),
            positions=torch.arange(len(drawn)),
            mapped=torch.isin(drawn, self.mapped).nonzero().flatten(),
        )

    def repeated(self) -> "Material":
        """Return the same, but small sets and pictures with a label map as often as wanted."""
        again = self._balanced()
        if self.is_partly_mapped:
            again.append(self.mapped.repeat(self.recipe.mapped_repeats - 1))
        return replace(self, positions=torch.cat([self.positions, *again]))

    def _balanced(self) -> list[Int64[Tensor, " again"]]:
        """Return what has to be added for each of the joined sets: `(largest / n) ** balance`."""
        source = self.pictures.source
        counts = source.bincount()
        times = (counts.max() / counts.clamp(min=1)) ** self.recipe.set_balance
        return [
            (source == number).nonzero().flatten().repeat(round(float(wanted)) - 1)
            for number, wanted in enumerate(times)
        ]

    def mapped_positions(self) -> Int64[Tensor, " learned_with_map"]:
        """Return the positions of one pass that have a label map."""
        return self.positions[torch.isin(self.positions, self.mapped)]

    def of_maps(self) -> "Material":
        """Return the pictures with a label map alone, at least one.

        Where these are few, a pass goes over them several times.
        """
        mapped = self.mapped_positions()
        n_passes = max(1, len(self.positions) // len(mapped))
        return replace(self, positions=mapped.repeat(n_passes))

    def batches(self, generator: Generator) -> Iterator[Int64[Tensor, " batch"]]:
        """Give positions in random order; what fills no batch waits for the next epoch."""
        order = self.positions[torch.randperm(len(self.positions), generator=generator)]
        for step in range(self.steps_per_epoch):
            yield order[step * self.batch_size : (step + 1) * self.batch_size]


@runtime_checkable
class Stage(Protocol):
    """What the training loop asks of a stage.

    Attributes:
        name: Name in seeds, checkpoints and the log.
        title: What the progress bar says.
        n_epochs: Passes over the training pictures.
        material: What it learns from.
        optimizer: What a checkpoint must hold besides the weights.
    """

    name: str
    title: str
    n_epochs: int
    material: Material
    optimizer: torch.optim.Optimizer

    def label(self, epoch: int) -> str:
        """Return the name shown to people for one epoch."""
        ...

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        ...

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure on held-out pictures: the first `limit`, or all."""
        ...

    def finish(self) -> None:
        """Do what follows the last epoch; doing it twice changes nothing."""
        ...


def learning_rate_factor(step: int, n_steps: int) -> float:
    """Return the share of the largest learning rate: up linearly for a tenth, down as a cosine.

    Example:
        >>> [round(learning_rate_factor(step, 100), 2) for step in (0, 9, 55, 99)]
        [0.1, 1.0, 0.51, 0.01]
    """
    warm_up = max(1, round(_WARM_UP * n_steps))
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, n_steps - warm_up)
    return _FINAL_RATE + (1 - _FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def make_optimizer(modules: list[nn.Module], material: Material) -> torch.optim.Optimizer:
    """Return the optimizer of a stage.

    What labels and content are read from is moved by AdamW, and so are depthwise convolutions: the
    filters of different channels have nothing to do with each other.
    """
    recipe = material.recipe
    networks = [module for module in modules if isinstance(module, Network)]
    by_adam: list[nn.Module] = [layer for network in networks for layer in network.read_outs]
    by_adam += [part for module in modules for part in module.modules() if _is_depthwise(part)]
    return Muon(
        modules,
        recipe.learning_rate,
        recipe.weight_decay,
        is_bfloat16=material.device.has_bfloat16,
        by_adam=by_adam,
    )


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1


def view_images(
    material: Material,
    positions: Int64[Tensor, " batch"],
    views: Float[Tensor, "batch 2 3"],
    generator: Generator,
    *,
    jitter: float,
    size: int | None = None,
) -> Float[Tensor, "batch 3 size size"]:
    """Show pictures through `views`, their colors changed with strength `jitter`.

    The images have the size that the network reads, or another one.
    """
    device = material.device.name
    pixels = material.pictures.take_pixels(positions).to(device)
    images = view_pixels(pixels, views.to(device), size or material.recipe.image_size)
    images = jitter_colors(images, jitter, generator)
    return images.contiguous(memory_format=torch.channels_last)


@dataclass(slots=True)
class Steps:
    """Takes optimizer steps along the learning rate schedule."""

    optimizer: torch.optim.Optimizer
    peak: float
    n_steps: int

    def take(self, loss: Scalar, step: int) -> None:
        """Move the weights against the gradient of `loss`."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.peak * learning_rate_factor(step, self.n_steps)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


class Averages:
    """Running means of losses, shown beside the progress bar now and then.

    Sums stay where the losses are: reading one would wait for a graphics processor to finish.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._sums: dict[str, Tensor] = {}
        self._steps: dict[str, int] = defaultdict(int)
        self._next_note = 0.0

    def add(self, losses: dict[str, Scalar], n: int) -> None:
        """Count the losses of a batch of `n` pictures."""
        for name, loss in losses.items():
            value = loss.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._steps[name] += 1
        if time.monotonic() >= self._next_note:
            self._note()
            self._next_note = time.monotonic() + _SECONDS_BETWEEN_NOTES
        self._task.advance(n)

    def means(self) -> dict[str, float]:
        """Return the mean of each loss so far."""
        return {name: float(total) / self._steps[name] for name, total in self._sums.items()}

    def _note(self) -> None:
        shown = (f"{name.removesuffix('_loss')} {mean:.3f}" for name, mean in self.means().items())
        self._task.note("  ".join(shown).replace("_", " "))


def whole_views(n: int, *, is_mirrored: bool = False) -> Float[Tensor, "n 2 3"]:
    """Return views that show whole pictures, mirrored or not."""
    side = -1.0 if is_mirrored else 1.0
    return torch.tensor([[side, 0.0, 0.0], [0.0, 1.0, 0.0]]).expand(n, 2, 3)


def mirrored_views(n: int, generator: Generator) -> Float[Tensor, "n 2 3"]:
    """Return views that show whole pictures, every other one mirrored at random."""
    views = whole_views(n).clone()
    views[torch.rand(n, generator=generator) < 0.5, 0, 0] = -1.0
    return views
