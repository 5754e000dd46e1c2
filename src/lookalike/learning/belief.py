"""Restricted Boltzmann machines, and deep belief nets made of them.

A machine gives every pair of visible and hidden units an energy; what has a low energy is probable,
`p(v, h) = exp(−E(v, h)) / Z`. No unit is connected to another of its own side, so that each side
is sampled at once when the other is known.
"""

import itertools
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, cast, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import UsageError
from lookalike.learning.losses import Scalar
from lookalike.learning.sparsity import SparsityPenalty

Units: TypeAlias = Literal["bernoulli", "gaussian"]
"""`bernoulli`: 0 or 1. `gaussian`: real numbers of variance 1; standardize the data first."""

_FIRST_WEIGHTS: Final = 0.01
_LEAST_MEAN: Final = 1e-3
"""Means of visible units are kept so far from 0 and 1 when biases are chosen by them."""


@final
class RestrictedBoltzmannMachine(nn.Module):
    """A restricted Boltzmann machine.

    `E(v, h) = e(v; a) + e(h; b) − vᵀWh`, where `e(x; c)` is `−cᵀx` for Bernoulli units and
    `||x − c||² / 2` for Gaussian ones. So `p(h_j = 1 | v) = σ(b_j + Σ_i v_i W_ij)` or
    `h_j | v ~ N(b_j + Σ_i v_i W_ij, 1)`, and the same the other way.

    Args:
        n_visible: Visible units.
        n_hidden: Hidden units.
        visible: Their kind.
        hidden: Their kind.
        n_chains: Chains of Gibbs sampling that go on from one step of learning to the next; 0
            begins them at the data each time.
        penalty: Sparsity of the hidden units, which must be Bernoulli units then.

    Attributes:
        weight: `W`.
        visible_bias: `a`.
        hidden_bias: `b`.
        chains: Visible units of the chains.

    Raises:
        UsageError: If both sides are Gaussian, as such a machine has no finite `Z`, or real
            numbers are to be sparse.

    References:
        G. Hinton, *Training Products of Experts by Minimizing Contrastive Divergence*, Neural
        Computation 14, 2002; T. Tieleman, *Training Restricted Boltzmann Machines using
        Approximations to the Likelihood Gradient*, ICML 2008 (persistent chains); G. Hinton, *A
        Practical Guide to Training Restricted Boltzmann Machines*, UTML TR 2010-003; G. Hinton,
        R. Salakhutdinov, *Reducing the Dimensionality of Data with Neural Networks*, Science
        313, 2006 (Gaussian units).
    """

    chains: Float[Tensor, "chains visible"]

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        visible: Units = "bernoulli",
        hidden: Units = "bernoulli",
        n_chains: int = 0,
        penalty: SparsityPenalty | None = None,
    ) -> None:
        super().__init__()
        _check_units(visible, hidden, penalty)
        self.visible, self.hidden = visible, hidden
        self.weight = nn.Parameter(_FIRST_WEIGHTS * torch.randn(n_visible, n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.register_buffer("chains", torch.rand(n_chains, n_visible).round())
        self.penalty = penalty

    def hidden_means(
        self, visible: Float[Tensor, "batch visible"]
    ) -> Float[Tensor, "batch hidden"]:
        """Return the mean of each hidden unit; of Bernoulli units the probability of 1."""
        return _means(self.hidden, self.hidden_bias + visible @ self.weight)

    def visible_means(
        self, hidden: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch visible"]:
        """Return the mean of each visible unit; of Bernoulli units the probability of 1."""
        return _means(self.visible, self.visible_bias + hidden @ self.weight.T)

    def sample_hidden(
        self, visible: Float[Tensor, "batch visible"]
    ) -> Float[Tensor, "batch hidden"]:
        """Draw the hidden units."""
        return _sample(self.hidden, self.hidden_means(visible))

    def sample_visible(
        self, hidden: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch visible"]:
        """Draw the visible units."""
        return _sample(self.visible, self.visible_means(hidden))

    @torch.no_grad()
    def gibbs(
        self, visible: Float[Tensor, "batch visible"], n_steps: int
    ) -> Float[Tensor, "batch visible"]:
        """Return what `n_steps` full steps of Gibbs sampling make of visible units."""
        for _ in range(n_steps):
            visible = self.sample_visible(self.sample_hidden(visible))
        return visible

    def free_energy(self, visible: Float[Tensor, "batch visible"]) -> Float[Tensor, " batch"]:
        """Return `F(v) = −ln Σ_h exp(−E(v, h))`; with Gaussian hidden units the integral.

        Constants that depend on no weight are left out: `n_hidden / 2 · ln 2π` for Gaussian ones.
        """
        drive = visible @ self.weight
        if self.hidden == "bernoulli":
            hidden = functional.softplus(self.hidden_bias + drive)
        else:
            hidden = self.hidden_bias * drive + drive.square() / 2
        return self._visible_energy(visible) - hidden.sum(dim=1)

    def energy(
        self, visible: Float[Tensor, "batch visible"], hidden: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, " batch"]:
        """Return `E(v, h)` of each pair."""
        together = ((visible @ self.weight) * hidden).sum(dim=1)
        if self.hidden == "bernoulli":
            alone = -(hidden @ self.hidden_bias)
        else:
            alone = (hidden - self.hidden_bias).square().sum(dim=1) / 2
        return self._visible_energy(visible) + alone - together

    def _visible_energy(self, visible: Float[Tensor, "batch visible"]) -> Float[Tensor, " batch"]:
        if self.visible == "bernoulli":
            return -(visible @ self.visible_bias)
        return (visible - self.visible_bias).square().sum(dim=1) / 2

    def contrast(
        self, visible: Float[Tensor, "batch visible"], n_steps: int = 1
    ) -> tuple[Scalar, Float[Tensor, "samples visible"]]:
        """Return what is to be made small, and the samples the data were contrasted with.

        Its gradient is that of contrastive divergence, CD-k: `⟨v hᵀ⟩_k − ⟨v hᵀ⟩_0` for `W` and so
        on, with probabilities for hidden units, which is the gradient of `F(v_0) − F(v_k)` with
        the samples `v_k` held fixed. With persistent chains `v_k` are the chains, moved on by `k`
        steps, whatever the batch is.

        Args:
            visible: A batch of data.
            n_steps: `k`.
        """
        start = self.chains if len(self.chains) else visible
        samples = self.gibbs(start, n_steps)
        if len(self.chains):
            self.chains.copy_(samples)
        loss = self.free_energy(visible).mean() - self.free_energy(samples).mean()
        if self.penalty is not None:
            loss = loss + self.penalty(self.hidden_means(visible))
        return loss, samples

    @torch.no_grad()
    def reconstruction_error(self, visible: Float[Tensor, "batch visible"]) -> Scalar:
        """Return the mean squared error per visible unit of going up and down once."""
        return functional.mse_loss(self.visible_means(self.hidden_means(visible)), visible)

    @torch.no_grad()
    def start_biases(self, means: Float[Tensor, " visible"]) -> None:
        """Choose visible biases that give the data's own means while weights are small.

        `a_i = ln(m_i / (1 − m_i))` for Bernoulli units, `a_i = m_i` for Gaussian ones.
        """
        if self.visible == "bernoulli":
            means = means.clamp(_LEAST_MEAN, 1 - _LEAST_MEAN).logit()
        self.visible_bias.copy_(means)


def _check_units(visible: Units, hidden: Units, penalty: SparsityPenalty | None) -> None:
    if visible == hidden == "gaussian":
        raise UsageError(
            "visible and hidden units cannot both be 'gaussian'; make one side 'bernoulli'"
        )
    if hidden == "gaussian" and penalty is not None:
        raise UsageError("'gaussian' hidden units cannot be sparse; make them 'bernoulli'")


def _means(units: Units, drive: Tensor) -> Tensor:
    return drive.sigmoid() if units == "bernoulli" else drive


def _sample(units: Units, means: Tensor) -> Tensor:
    if units == "bernoulli":
        return torch.bernoulli(means.detach())
    return means.detach() + torch.randn_like(means)


@final
class DeepBeliefNet(nn.Module):
    """Machines on top of each other, trained one by one: what one hides the next one sees.

    The hidden units of the last may be real numbers, for codes.

    References:
        G. Hinton, S. Osindero, Y.-W. Teh, *A Fast Learning Algorithm for Deep Belief Nets*,
        Neural Computation 18, 2006.
    """

    def __init__(self, machines: Sequence[RestrictedBoltzmannMachine]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(machines)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def machines(self) -> list[RestrictedBoltzmannMachine]:
        """The machines from the bottom up."""
        return [cast(RestrictedBoltzmannMachine, layer) for layer in self.layers]

    @torch.no_grad()
    def up(
        self, visible: Float[Tensor, "batch visible"], n_layers: int
    ) -> Float[Tensor, "batch units"]:
        """Return the means of the units above the first `n_layers` machines."""
        for machine in self.machines[:n_layers]:
            visible = machine.hidden_means(visible)
        return visible

    def upward(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of a net that goes up from the visible units to the code."""
        return [(machine.weight.T, machine.hidden_bias) for machine in self.machines]

    def downward(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of a net that goes down from the code."""
        return [(machine.weight, machine.visible_bias) for machine in reversed(self.machines)]


def belief_layers(
    widths: Sequence[int],
    *,
    has_linear_top: bool = False,
    n_chains: int = 0,
    target: float = 0.05,
    sparsity: float = 0.0,
) -> list[RestrictedBoltzmannMachine]:
    """Return the machines of a deep belief net, weights drawn from the current random state.

    Args:
        widths: Units of each side, visible ones first.
        has_linear_top: Whether the last hidden units are Gaussian.
        n_chains: Persistent chains of each; 0 for none.
        target: Mean activation wanted of hidden units.
        sparsity: Weight of that wish; 0 for none. Gaussian units are left out.
    """
    machines: list[RestrictedBoltzmannMachine] = []
    for n_visible, n_hidden in itertools.pairwise(widths):
        is_linear = has_linear_top and len(machines) == len(widths) - 2
        has_penalty = sparsity > 0 and not is_linear
        machines.append(
            RestrictedBoltzmannMachine(
                n_visible,
                n_hidden,
                hidden="gaussian" if is_linear else "bernoulli",
                n_chains=n_chains,
                penalty=SparsityPenalty(target, sparsity) if has_penalty else None,
            )
        )
    return machines
