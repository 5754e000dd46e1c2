"""What comes before labels: the stages of pre-training, and what only they need."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from jaxtyping import Int64
from torch import Generator, Tensor, nn

from lookalike.learning.contrastive import Contrast, build_projection
from lookalike.learning.devices import derive_seed, seeded
from lookalike.learning.hints import BATCH_SIZE, LEARNING_RATE, Hints, open_hints
from lookalike.learning.layerwise import Layer, build_decoders
from lookalike.learning.losses import Scalar
from lookalike.learning.network import Network
from lookalike.learning.stages import Averages, Material, Stage, Steps, make_optimizer
from lookalike.progress import Task


@runtime_checkable
class Objective(Protocol):
    """What is learned without labels."""

    @property
    def network(self) -> Network:
        """What is pre-trained, or of which a part is."""
        ...

    @property
    def trained(self) -> list[nn.Module]:
        """What the loss moves."""
        ...

    def loss(
        self, material: Material, positions: Int64[Tensor, " batch"], generator: Generator
    ) -> Scalar:
        """Return the loss of a batch."""
        ...


class PretrainingStage:
    """A network, or a layer of it, learns something that needs no labels.

    Args:
        name: Name in seeds, checkpoints and the log.
        title: What the progress bar says.
        objective: What is learned.
        material: All training pictures.
        n_epochs: Passes over them.
    """

    def __init__(
        self, name: str, title: str, objective: Objective, material: Material, n_epochs: int
    ) -> None:
        self.name, self.title, self.objective = name, title, objective
        self.material, self.n_epochs = material, n_epochs
        self.optimizer = make_optimizer(objective.trained, material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean loss."""
        self.objective.network.eval()
        for module in self.objective.trained:
            module.train()
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                # A stage yet to come may have frozen it already.
                parameter.requires_grad_(True)
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            loss = self.objective.loss(self.material, positions, generator)
            self._steps.take(loss, step)
            averages.add({"pretraining_loss": loss}, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure nothing: there are no labels yet."""
        return {}

    def finish(self) -> None:
        """Do nothing more."""


def pretraining_stages(
    network: Network, material: Material, teacher: Path | None = None
) -> tuple[nn.Module | None, list[Stage]]:
    """Return the stages that a recipe asks for, and the module that is trained beside the network.

    Args:
        network: What is pre-trained.
        material: All training pictures, whether or not their labels may be used.
        teacher: The trained network that gives hints.

    Returns:
        Decoders or projection, `None` without pre-training; and the stages, possibly none. Their
        weights are drawn from a seed of their own, so they change nothing else of a run.
    """
    recipe = material.recipe
    n_epochs = recipe.pretraining_epochs_for(len(material.pictures))
    with seeded(derive_seed(recipe.seed, "pretraining")):
        if recipe.pretraining == "layerwise":
            decoders = build_decoders(network, recipe.image_size)
            return decoders, _layer_stages(network, decoders, material, n_epochs)
        if recipe.pretraining == "contrastive":
            projection = build_projection(network.content_dim).to(material.device.name)
            title = "Pre-training without labels, by contrast"
            objective = Contrast(network, projection)
            stage = PretrainingStage("contrastive", title, objective, material, n_epochs)
            return projection, [stage]
    if recipe.pretraining == "hints":
        return None, _hint_stages(network, teacher, material, n_epochs)
    return None, []


def _hint_stages(
    network: Network, path: Path | None, material: Material, n_epochs: int
) -> list[Stage]:
    """Return the stage in which layers learn apart, and that in which they stand in a row."""
    teacher = open_hints(path, network, material)
    size = min(BATCH_SIZE, material.recipe.batch_size)
    recipe = replace(material.recipe, batch_size=size, learning_rate=LEARNING_RATE)
    shown = replace(material, recipe=recipe).repeated()
    first = max(1, n_epochs // 2)
    return [
        PretrainingStage(
            "hints apart",
            "Learning layers from a trained network, each apart",
            Hints(network, teacher, is_in_a_row=False),
            shown,
            first,
        ),
        PretrainingStage(
            "hints in a row",
            "Learning layers from a trained network, in a row",
            Hints(network, teacher, is_in_a_row=True),
            shown,
            max(1, n_epochs - first),
        ),
    ]


def _layer_stages(
    network: Network, decoders: nn.ModuleList, material: Material, n_epochs: int
) -> list[Stage]:
    """Return one stage per layer; each has its share of the epochs, at least one."""
    n = len(decoders)
    share = max(1, round(n_epochs / n))
    return [
        PretrainingStage(
            f"layer {index + 1}",
            f"Pre-training layer {index + 1} of {n} without labels",
            Layer(network, index, decoder),
            material,
            share,
        )
        for index, decoder in enumerate(decoders)
    ]
