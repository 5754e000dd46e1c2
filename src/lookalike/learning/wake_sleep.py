"""Wake–sleep: weights that recognize and weights that generate, each taught by the other.

Awake, the net is driven by data from the bottom up with the recognition weights, and the
*generative* weights learn to predict each layer from the one above. Asleep, it dreams from the top
down with the generative weights, and the *recognition* weights learn to find the causes of the
dream, which are known. Each phase trains the other set of weights.
"""

from typing import TypeAlias, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.learning.belief import DeepBeliefNet, RestrictedBoltzmannMachine
from lookalike.learning.losses import Scalar

_Layer: TypeAlias = Float[Tensor, "_ _"]


@final
class WakeSleepNet(nn.Module):
    """A deep belief net whose weights below the top are untied and refined by wake–sleep.

    All units are binary. With `is_contrastive` the topmost machine stays an undirected memory; a
    dream begins with a few steps of Gibbs sampling in it, which begin at what the data gave. That
    is the up–down algorithm. Without, every layer is directed, the top has a bias for each unit,
    and a dream begins with a draw from these, as wake–sleep was published first.

    Args:
        belief: The net to be refined; the topmost machine is shared with it.
        is_contrastive: Which of both.

    References:
        G. Hinton, P. Dayan, B. Frey, R. Neal, *The "Wake-Sleep" Algorithm for Unsupervised Neural
        Networks*, Science 268, 1995; G. Hinton, S. Osindero, Y.-W. Teh, *A Fast Learning
        Algorithm for Deep Belief Nets*, Neural Computation 18, 2006, appendix B (up–down).
    """

    def __init__(self, belief: DeepBeliefNet, *, is_contrastive: bool) -> None:
        super().__init__()
        self.belief = belief
        self.is_contrastive = is_contrastive
        machines = belief.machines
        self.top: RestrictedBoltzmannMachine | None = machines[-1] if is_contrastive else None
        directed = machines[:-1] if is_contrastive else machines
        sizes = [tuple(machine.weight.shape) for machine in directed]
        self.recognition = nn.ModuleList(nn.Linear(below, above) for below, above in sizes)
        self.generation = nn.ModuleList(nn.Linear(above, below) for below, above in sizes)
        self.top_bias = nn.Parameter(torch.zeros(machines[-1].weight.shape[1]))
        self.top_bias.requires_grad_(not is_contrastive)

    @torch.no_grad()
    def untie(self) -> None:
        """Begin with the weights that the machines have learned, the same up and down."""
        machines = self.belief.machines
        for machine, up, down in zip(machines, self._up(), self._down(), strict=False):
            up.weight.copy_(machine.weight.T)
            up.bias.copy_(machine.hidden_bias)
            down.weight.copy_(machine.weight)
            down.bias.copy_(machine.visible_bias)
        self.top_bias.copy_(machines[-1].hidden_bias)

    def losses(
        self, visible: Float[Tensor, "batch visible"], n_steps: int = 1
    ) -> dict[str, Scalar]:
        """Go through one wake and one sleep phase.

        Args:
            visible: A batch of data, 0 to 1; each unit is drawn with that probability.
            n_steps: Steps of Gibbs sampling in the topmost machine.

        Returns:
            `wake_loss`, `−Σ ln p(layer below | layer above)` under the generative weights;
            `sleep_loss`, `−Σ ln q(layer above | layer below)` of the dream under the recognition
            weights; `top_loss`, for the topmost machine or biases. The states are fixed, so the
            gradients are the delta rules: `Δw = ε · (state above) · (state below − probability)`.
        """
        awake = self._recognize(torch.bernoulli(visible))
        top_loss, dreamt = self._top(awake[-1], n_steps)
        asleep = self._dream(dreamt)
        return {
            "wake_loss": _surprise(self._down(), awake[1:], awake[:-1]),
            "sleep_loss": _surprise(self._up(), asleep[:-1], asleep[1:]),
            "top_loss": top_loss,
        }

    def _up(self) -> list[nn.Linear]:
        return [cast(nn.Linear, layer) for layer in self.recognition]

    def _down(self) -> list[nn.Linear]:
        return [cast(nn.Linear, layer) for layer in self.generation]

    @torch.no_grad()
    def _recognize(self, visible: Float[Tensor, "batch visible"]) -> list[_Layer]:
        """Draw the states of all directed layers from the bottom up."""
        states = [visible]
        for layer in self._up():
            states.append(torch.bernoulli(layer(states[-1]).sigmoid()))
        return states

    @torch.no_grad()
    def _dream(self, top: _Layer) -> list[_Layer]:
        """Draw the states of all directed layers from the top down; the lowest comes first."""
        states = [top]
        for layer in reversed(self._down()):
            states.insert(0, torch.bernoulli(layer(states[0]).sigmoid()))
        return states

    def _top(self, states: _Layer, n_steps: int) -> tuple[Scalar, _Layer]:
        if self.top is not None:
            return self.top.contrast(states, n_steps)
        expected = self.top_bias.expand_as(states)
        dreamt = torch.bernoulli(expected.detach().sigmoid())
        return _cross_entropy(expected, states), dreamt

    def refined(self) -> list[nn.Parameter]:
        """Return everything that learns."""
        top = [self.top_bias] if self.top is None else list(self.top.parameters())
        return [*self.recognition.parameters(), *self.generation.parameters(), *top]

    def upward(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of a net that goes up from the visible units to the code."""
        layers: list[tuple[Tensor, Tensor]] = []
        layers += [(layer.weight, layer.bias) for layer in self._up()]
        if self.top is not None:
            layers.append((self.top.weight.T, self.top.hidden_bias))
        return layers

    def downward(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of a net that goes down from the code."""
        layers: list[tuple[Tensor, Tensor]] = []
        layers += [(layer.weight, layer.bias) for layer in reversed(self._down())]
        if self.top is not None:
            layers.insert(0, (self.top.weight, self.top.visible_bias))
        return layers


def _surprise(layers: list[nn.Linear], causes: list[_Layer], effects: list[_Layer]) -> Scalar:
    """Return `−Σ ln p(effect | cause)` over all layers, mean over the batch."""
    pairs = zip(layers, causes, effects, strict=True)
    return torch.stack([_cross_entropy(layer(c), e) for layer, c, e in pairs]).sum()


def _cross_entropy(logits: Tensor, states: Tensor) -> Scalar:
    total = functional.binary_cross_entropy_with_logits(logits, states, reduction="sum")
    return total / len(states)
