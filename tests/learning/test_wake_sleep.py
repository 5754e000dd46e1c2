"""Wake–sleep on a net so small that its distribution can be written out."""

import pytest
import torch
from exact_machines import divergence, generated, shares_of

from lookalike.learning.belief import DeepBeliefNet, belief_layers
from lookalike.learning.wake_sleep import WakeSleepNet


def net_of(widths, *, is_contrastive, seed=0):
    torch.manual_seed(seed)
    net = WakeSleepNet(DeepBeliefNet(belief_layers(widths)), is_contrastive=is_contrastive)
    net.untie()
    return net


def known_data():
    """Either the first two bits or the last two, the latter three times as often."""
    rows = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]])
    return rows.float().repeat(32, 1)


@pytest.mark.parametrize("is_contrastive", [False, True], ids=["fantasy", "contrastive"])
def test_the_net_learns_a_known_distribution(is_contrastive):
    net = net_of([4, 4, 3], is_contrastive=is_contrastive)
    data, shares = known_data(), shares_of(known_data())
    optimizer = torch.optim.SGD(net.refined(), 0.6)
    before = divergence(shares, generated(net))
    for _ in range(600):
        optimizer.zero_grad()
        torch.stack(list(net.losses(data, 3).values())).sum().backward()
        optimizer.step()
    after = divergence(shares, generated(net))
    assert before > 2
    assert after < 0.25


def test_each_phase_teaches_the_other_weights():
    net = net_of([4, 3, 2], is_contrastive=True)
    losses = net.losses(known_data())
    taught = {
        "wake_loss": (net.generation, net.recognition),
        "sleep_loss": (net.recognition, net.generation),
    }
    for name, (learns, stays) in taught.items():
        gradients = torch.autograd.grad(
            losses[name],
            [*learns.parameters(), *stays.parameters()],
            allow_unused=True,
            retain_graph=True,
        )
        n = len(list(learns.parameters()))
        assert all(gradient.abs().sum() > 0 for gradient in gradients[:n])
        assert all(gradient is None for gradient in gradients[n:])


def test_gradients_are_the_delta_rules():
    net = net_of([4, 3], is_contrastive=False)
    data = known_data()
    torch.manual_seed(4)
    losses = net.losses(data)
    found = torch.autograd.grad(losses["wake_loss"], net.generation[0].weight)[0]
    torch.manual_seed(4)
    below = torch.bernoulli(data)
    above = net._recognize(below)[1]
    with torch.no_grad():
        surprise = below - net.generation[0](above).sigmoid()
    expected = torch.zeros(4, 3)
    for row in range(len(data)):
        expected += torch.outer(surprise[row], above[row]) / len(data)
    torch.testing.assert_close(-found, expected)


@pytest.mark.parametrize("is_contrastive", [False, True])
def test_untied_weights_begin_as_those_of_the_machines(is_contrastive):
    net = net_of([5, 4, 3], is_contrastive=is_contrastive)
    belief = net.belief
    for (weight, bias), (own, own_bias) in zip(net.upward(), belief.upward(), strict=True):
        assert torch.equal(weight, own)
        assert torch.equal(bias, own_bias)
    for (weight, bias), (own, own_bias) in zip(net.downward(), belief.downward(), strict=True):
        assert torch.equal(weight, own)
        assert torch.equal(bias, own_bias)
