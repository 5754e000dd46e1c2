"""What comes before a deep self-encoder learns as a whole: its layers learn one by one.

Layers of autoencoders (`stacked`) stand in their final places from the start. Belief nets learn as
machines of their own; then encoder and decoder take their weights over: the net is unrolled.
"""

from collections.abc import Iterator
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Generator, Tensor, nn
from torch.nn import functional

from lookalike.learning.augmentation import view_label_maps
from lookalike.learning.belief import DeepBeliefNet, RestrictedBoltzmannMachine
from lookalike.learning.corruption import corrupt, drop_units
from lookalike.learning.dense import Rescale, layers_down, layers_up
from lookalike.learning.held_out import HeldOut
from lookalike.learning.losses import Scalar
from lookalike.learning.pictures import blocks
from lookalike.learning.self_encoders import SelfEncoder
from lookalike.learning.self_encoding import over_training_maps, random_label_maps
from lookalike.learning.stages import (
    Averages,
    Material,
    Stage,
    Steps,
    make_optimizer,
    whole_views,
)
from lookalike.learning.wake_sleep import WakeSleepNet
from lookalike.progress import Task

_RATES: Final = {"bernoulli": 0.1, "gaussian": 0.01}
"""Learning rates of machines by their hidden units: for Bernoulli ones that of Hinton's guide of
2010, for Gaussian ones ten times as much, with which codes of label maps are reconstructed better.
"""
_FULL_RATE_UNITS: Final = 1024
"""Visible units up to which they hold. A hidden unit is driven by all visible ones at once, so with
more of them the same rate drives it too far: all become alike.
"""
_CHAIN_RATE: Final = 0.25
"""Share of the rate with persistent chains, which have to keep up with the weights."""
_MOMENTA: Final = (0.5, 0.9)
"""In the first fifth of the epochs, and then; persistent chains diverge with the second."""
_WEIGHT_DECAY: Final = 2e-4
_WAKE_SLEEP_RATE: Final = 0.02


def layer_stages(self_encoder: SelfEncoder, material: Material, held_out: HeldOut) -> list[Stage]:
    """Return the stages in which single layers learn; none for kinds that have no such stages."""
    n_epochs = material.recipe.layer_epochs_for(len(material.positions))
    if material.recipe.self_encoder == "stacked":
        n_layers = len(layers_up(self_encoder.encoder))
        return [LayerStage(self_encoder, i, material, n_epochs) for i in range(n_layers)]
    net = self_encoder.net
    if net is None:
        return []
    belief = net.belief if isinstance(net, WakeSleepNet) else net
    machines: list[Stage] = [
        MachineStage(self_encoder, belief, i, material, held_out, n_epochs)
        for i in range(len(belief))
    ]
    if isinstance(net, WakeSleepNet):
        machines.append(WakeSleepStage(self_encoder, net, material, n_epochs))
    return machines


class LayerStage:
    """One layer of a stacked autoencoder learns to reconstruct the output of the one below.

    The first reconstructs label maps with the loss of the whole self-encoder; the others
    reconstruct activations by cross-entropy. A share of the input can be hidden (Y. Bengio and
    others, *Greedy Layer-Wise Training of Deep Networks*, NIPS 2006; P. Vincent and others,
    *Stacked Denoising Autoencoders*, JMLR 11, 2010).
    """

    def __init__(
        self, self_encoder: SelfEncoder, index: int, material: Material, n_epochs: int
    ) -> None:
        self.self_encoder, self.index, self.material = self_encoder, index, material
        self.n_epochs = n_epochs
        up = layers_up(self_encoder.encoder)
        self.name, self.title = _names(index, len(up))
        self._below, self._up = up[:index], up[index]
        self._down = layers_down(self_encoder.decoder)[len(up) - 1 - index]
        self._is_last = index == len(up) - 1
        parts: list[nn.Module] = [self._up, self._down]
        parts += [self_encoder.table] if index == 0 else []
        # In one list, since tied layers share their weights.
        self.optimizer = make_optimizer([nn.ModuleList(parts)], material)
        n_steps = n_epochs * material.steps_per_epoch
        self._steps = Steps(self.optimizer, material.recipe.learning_rate, n_steps)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean loss."""
        averages = Averages(task)
        first = epoch * self.material.steps_per_epoch
        for step, positions in enumerate(self.material.batches(generator), start=first):
            shown = random_label_maps(self.material, positions, generator)
            with self.material.device.autocast():
                loss = self._loss(shown, generator)
            self._steps.take(loss, step)
            averages.add({"layer_loss": loss}, len(positions))
        return averages.means()

    def _loss(self, shown: UInt8[Tensor, "batch grid grid"], generator: Generator) -> Scalar:
        share, device = self.material.recipe.corruption_share, self.material.device.name
        if self.index == 0:
            n_values = len(self.self_encoder.weights)
            given = corrupt(shown.cpu(), share, n_values, generator).to(device)
            hidden = self._up(self.self_encoder.inputs(given).flatten(1)).sigmoid()
            logits = self._down(hidden).float().view(len(shown), n_values, *shown.shape[1:])
            return self.self_encoder.loss(logits, shown)
        below = self._activations(shown)
        hidden = self._up(drop_units(below, share, generator)).sigmoid()
        return functional.binary_cross_entropy_with_logits(self._down(hidden).float(), below)

    @torch.no_grad()
    def _activations(self, shown: UInt8[Tensor, "batch grid grid"]) -> Float[Tensor, "batch units"]:
        activations = self.self_encoder.inputs(shown).flatten(1)
        for layer in self._below:
            activations = layer(activations).sigmoid()
        return activations.float()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Nothing: a layer alone makes no label map of a code."""
        return {}

    def finish(self) -> None:
        """After the last layer, let the decoder undo the standardization of the code."""
        if self._is_last:
            settle(self.self_encoder, self.material)


class MachineStage:
    """One machine of a deep belief net learns what the machines below it hide."""

    def __init__(
        self,
        self_encoder: SelfEncoder,
        belief: DeepBeliefNet,
        index: int,
        material: Material,
        held_out: HeldOut,
        n_epochs: int,
    ) -> None:
        self.self_encoder, self.belief, self.index = self_encoder, belief, index
        self.material, self.held_out, self.n_epochs = material, held_out, n_epochs
        self._held_out_maps = held_out.pictures.mapped()
        self.name, self.title = _names(index, len(belief))
        machine = self.machine
        self._has_chains = len(machine.chains) > 0
        rate = _RATES[machine.hidden] * (_CHAIN_RATE if self._has_chains else 1.0)
        rate *= min(1.0, _FULL_RATE_UNITS / len(machine.visible_bias))
        groups: list[dict[str, Any]] = [
            {"params": [machine.weight], "weight_decay": _WEIGHT_DECAY},
            {"params": [machine.visible_bias, machine.hidden_bias]},
        ]
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(groups, rate, _MOMENTA[0])

    @property
    def machine(self) -> RestrictedBoltzmannMachine:
        """The machine that learns."""
        return self.belief.machines[self.index]

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch of contrastive divergence and return the mean reconstruction error."""
        if epoch == 0:
            self.machine.start_biases(_mean(over_training_maps(self.material, self._visible)))
        for group in self.optimizer.param_groups:
            is_late = 5 * epoch >= self.n_epochs and not self._has_chains
            group["momentum"] = _MOMENTA[is_late]
        averages = Averages(task)
        for positions in self.material.batches(generator):
            shown = random_label_maps(self.material, positions, generator)
            visible = self._visible(shown)
            loss, _ = self.machine.contrast(visible, self.material.recipe.gibbs_steps)
            _descend(self.optimizer, loss)
            error = self.machine.reconstruction_error(visible)
            averages.add({"reconstruction_error": error}, len(positions))
        return averages.means()

    @torch.no_grad()
    def _visible(self, shown: UInt8[Tensor, "batch grid grid"]) -> Float[Tensor, "batch units"]:
        return self.belief.up(self.self_encoder.inputs(shown).flatten(1), self.index)

    @torch.no_grad()
    def measure(self, limit: int | None) -> dict[str, float]:
        """Measure by how much held-out maps are less probable than training maps.

        Returns:
            `free_energy_gap`, the difference of their mean free energies: overfitting makes it
            grow. Empty without held-out label maps.
        """
        held_out, learned = self._held_out_maps, self.material.mapped
        n = min(len(held_out), len(learned), limit or len(held_out))
        if n == 0:
            return {}
        gap = self._free_energy(self.held_out.pictures.take_label_maps(held_out[:n]))
        label_maps = self.material.pictures.take_label_maps(learned[:n])
        views = whole_views(n).to(label_maps.device)
        whole = view_label_maps(label_maps, views, self.material.recipe.grid)
        return {"free_energy_gap": gap - self._free_energy(whole)}

    def _free_energy(self, label_maps: UInt8[Tensor, "batch grid grid"]) -> float:
        parts = [label_maps[positions] for positions in blocks(len(label_maps))]
        device = self.material.device.name
        energies = [self.machine.free_energy(self._visible(part.to(device))) for part in parts]
        return float(torch.cat(energies).mean())

    def finish(self) -> None:
        """After the last machine, unroll the net, unless wake–sleep is to refine it first."""
        if self.index == len(self.belief) - 1 and self.self_encoder.net is self.belief:
            unroll(self.self_encoder, self.belief, self.material)


class WakeSleepStage:
    """All layers of a belief net learn together without being unrolled."""

    name = "wake-sleep"
    title = "Waking and sleeping"

    def __init__(
        self, self_encoder: SelfEncoder, net: WakeSleepNet, material: Material, n_epochs: int
    ) -> None:
        self.self_encoder, self.net, self.material = self_encoder, net, material
        self.n_epochs = n_epochs
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(net.refined(), _WAKE_SLEEP_RATE)

    def label(self, epoch: int) -> str:
        """Return the name shown to people."""
        return self.name

    def run_epoch(self, epoch: int, generator: Generator, task: Task) -> dict[str, float]:
        """Train one epoch and return its mean losses."""
        if epoch == 0:
            self.net.untie()
        averages = Averages(task)
        for positions in self.material.batches(generator):
            shown = random_label_maps(self.material, positions, generator)
            visible = self.self_encoder.inputs(shown).flatten(1)
            losses = self.net.losses(visible, self.material.recipe.gibbs_steps)
            _descend(self.optimizer, torch.stack(list(losses.values())).sum())
            shown_losses = {name: losses[name] for name in ("wake_loss", "sleep_loss")}
            averages.add(shown_losses, len(positions))
        return averages.means()

    def measure(self, limit: int | None) -> dict[str, float]:
        """Nothing: the net is not unrolled yet."""
        return {}

    def finish(self) -> None:
        """Unroll the net: recognition weights go up, generative ones come down."""
        unroll(self.self_encoder, self.net, self.material)


@torch.no_grad()
def unroll(
    self_encoder: SelfEncoder, net: DeepBeliefNet | WakeSleepNet, material: Material
) -> None:
    """Let encoder and decoder take over the weights of a net (G. Hinton, R. Salakhutdinov, 2006).

    What was sampled becomes its probability. Doing it twice changes nothing.
    """
    layers = [*layers_up(self_encoder.encoder), *layers_down(self_encoder.decoder)]
    weights = [*net.upward(), *net.downward()]
    for layer, (weight, bias) in zip(layers, weights, strict=True):
        if isinstance(layer, nn.Linear):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
    settle(self_encoder, material)


@torch.no_grad()
def settle(self_encoder: SelfEncoder, material: Material) -> None:
    """Standardize codes over the training maps, and let the decoder undo just that.

    Weights that were learned one layer at a time expect the code as the encoder gives it.
    """
    codes = torch.cat(list(over_training_maps(material, self_encoder.raw_codes))).double()
    mean, variance = codes.mean(dim=0).float(), codes.var(dim=0, correction=0).float()
    norm = self_encoder.standardize
    eps = 0.0
    if isinstance(norm, nn.BatchNorm1d):
        eps = norm.eps
        norm.load_state_dict({"running_mean": mean, "running_var": variance}, strict=False)
    for module in self_encoder.decoder.modules():
        if isinstance(module, Rescale):
            module.scale.copy_((variance + eps).sqrt())
            module.shift.copy_(mean)


def _names(index: int, n_layers: int) -> tuple[str, str]:
    name = f"map layer {index + 1}"
    return name, f"Learning label maps, layer {index + 1} of {n_layers}"


def _mean(batches: Iterator[Float[Tensor, "batch units"]]) -> Float[Tensor, " units"]:
    """Return the mean of all rows without holding them."""
    n, total = 0, torch.zeros((), dtype=torch.float64)
    for batch in batches:
        n, total = n + len(batch), total.to(batch.device) + batch.double().sum(dim=0)
    return (total / n).float()


def _descend(optimizer: torch.optim.Optimizer, loss: Scalar) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
