"""Tiny machines and nets with every state written out: slow, exact."""

import itertools
import math

import torch

from lookalike.learning.belief import RestrictedBoltzmannMachine
from lookalike.learning.wake_sleep import WakeSleepNet


def all_states(n: int) -> torch.Tensor:
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))


@torch.no_grad()
def energy(machine: RestrictedBoltzmannMachine, v: list[float], h: list[float]) -> float:
    """`−aᵀv − bᵀh − vᵀWh`, term by term."""
    total = 0.0
    for i, vi in enumerate(v):
        total -= float(machine.visible_bias[i]) * vi
        for j, hj in enumerate(h):
            total -= vi * float(machine.weight[i, j]) * hj
    for j, hj in enumerate(h):
        total -= float(machine.hidden_bias[j]) * hj
    return total


def joint(machine: RestrictedBoltzmannMachine) -> torch.Tensor:
    """Probability of every pair of visible and hidden states."""
    n_visible, n_hidden = machine.weight.shape
    table = [
        [math.exp(-energy(machine, v, h)) for h in all_states(n_hidden).tolist()]
        for v in all_states(n_visible).tolist()
    ]
    weights = torch.tensor(table, dtype=torch.float64)
    return weights / weights.sum()


def log_likelihood(machine: RestrictedBoltzmannMachine, shares: torch.Tensor) -> float:
    """Mean log-probability of data whose visible states have these shares."""
    return float((shares * joint(machine).sum(dim=1).log()).sum())


def shares_of(data: torch.Tensor) -> torch.Tensor:
    """Share of each visible state in binary data."""
    places = 2 ** torch.arange(data.shape[1] - 1, -1, -1)
    counts = (data.long() @ places).bincount(minlength=2 ** data.shape[1])
    return counts.double() / len(data)


@torch.no_grad()
def generated(net: WakeSleepNet) -> torch.Tensor:
    """Probability of each visible state of a net, summed over all hidden states."""
    if net.top is not None:
        shares = joint(net.top).sum(dim=1)
        states = all_states(net.top.weight.shape[0])
    else:
        states = all_states(len(net.top_bias))
        shares = _probabilities(net.top_bias.expand_as(states), states).double()
    for layer in reversed(list(net.generation)):
        below = all_states(layer.out_features)
        logits = layer(states)
        table = torch.stack([_probabilities(logits, s.expand_as(logits)) for s in below], dim=1)
        shares, states = shares @ table.double(), below
    return shares


def _probabilities(logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    means = logits.sigmoid()
    return torch.where(states > 0, means, 1 - means).prod(dim=1)


def divergence(shares: torch.Tensor, model: torch.Tensor) -> float:
    """`KL(shares ‖ model)` in nats."""
    seen = shares > 0
    return float((shares[seen] * (shares[seen] / model[seen]).log()).sum())
