"""Machines against every state written out."""

import math

import numpy as np
import pytest
import torch
from exact_machines import all_states, energy, joint, log_likelihood, shares_of
from small_runs import box_maps

from lookalike.errors import UsageError
from lookalike.learning.belief import (
    DeepBeliefNet,
    RestrictedBoltzmannMachine,
    belief_layers,
)
from lookalike.learning.sparsity import SparsityPenalty


def machine_of(n_visible: int = 4, n_hidden: int = 3, seed: int = 0, **options):
    torch.manual_seed(seed)
    machine = RestrictedBoltzmannMachine(n_visible, n_hidden, **options)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return machine


def test_energies_are_those_written_out():
    machine = machine_of()
    for v in all_states(4).tolist():
        for h in all_states(3).tolist():
            found = machine.energy(torch.tensor([v]), torch.tensor([h])).detach()
            assert float(found) == pytest.approx(energy(machine, v, h), abs=1e-5)


def test_free_energies_give_the_probabilities_of_all_visible_states():
    machine = machine_of()
    with torch.no_grad():
        found = (-machine.free_energy(all_states(4))).double().softmax(dim=0)
    torch.testing.assert_close(found, joint(machine).sum(dim=1), atol=1e-6, rtol=1e-5)


def test_conditional_probabilities_are_those_of_the_joint_distribution():
    machine, table = machine_of(), joint(machine_of())
    visible, hidden = all_states(4), all_states(3)
    given_visible = (table / table.sum(dim=1, keepdim=True)).float() @ hidden
    given_hidden = (table / table.sum(dim=0)).float().T @ visible
    with torch.no_grad():
        torch.testing.assert_close(machine.hidden_means(visible), given_visible)
        torch.testing.assert_close(machine.visible_means(hidden), given_hidden)


def test_gibbs_sampling_ends_in_the_joint_distribution():
    machine = machine_of()
    torch.manual_seed(1)
    samples = machine.gibbs(torch.zeros(20_000, 4), 20)
    expected = joint(machine).sum(dim=1)
    torch.testing.assert_close(shares_of(samples), expected, atol=0.012, rtol=0)


def exact_gradient(machine, data):
    """Gradient of the log-likelihood by the machine's own free energy and all states."""
    loss = (machine.free_energy(data)).mean()
    model = joint(machine).sum(dim=1).float()
    loss = loss - (model * machine.free_energy(all_states(data.shape[1]))).sum()
    return torch.autograd.grad(-loss, list(machine.parameters()))


def test_gradients_are_those_of_finite_differences():
    machine, data = machine_of(), all_states(4)[[1, 3, 3, 12]]
    gradients = exact_gradient(machine, data)
    for parameter, gradient in zip(machine.parameters(), gradients, strict=True):
        flat, step = parameter.data.view(-1), 1e-2
        for place in range(0, len(flat), 3):
            value = float(flat[place])
            ends = []
            for moved in (value + step, value - step):
                flat[place] = moved
                ends.append(log_likelihood(machine, shares_of(data)))
            flat[place] = value
            slope = (ends[0] - ends[1]) / (2 * step)
            assert float(gradient.view(-1)[place]) == pytest.approx(slope, abs=1e-3)


def test_many_steps_of_contrastive_divergence_give_the_exact_gradient():
    machine = machine_of()
    data = all_states(4)[[1, 3, 3, 12]]
    torch.manual_seed(2)
    loss, _ = machine.contrast(data.repeat(5_000, 1), n_steps=20)
    found = torch.autograd.grad(-loss, list(machine.parameters()))
    for one, other in zip(found, exact_gradient(machine, data), strict=True):
        torch.testing.assert_close(one, other, atol=0.015, rtol=0)


def four_patterns():
    """Rows of two pairs of bits; the bits of a pair are always equal."""
    rows = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]])
    return rows.float().repeat(16, 1)


@pytest.mark.parametrize(("n_chains", "n_steps"), [(0, 1), (256, 2)])
def test_learning_raises_the_exact_likelihood_nearly_to_its_bound(n_chains, n_steps):
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(4, 4, n_chains=n_chains)
    data, shares = four_patterns(), shares_of(four_patterns())
    optimizer = torch.optim.SGD(machine.parameters(), 0.3, momentum=0.5)
    before = log_likelihood(machine, shares)
    for _ in range(400):
        optimizer.zero_grad()
        machine.contrast(data, n_steps)[0].backward()
        optimizer.step()
    after = log_likelihood(machine, shares)
    assert before == pytest.approx(-4 * math.log(2), abs=0.01)
    assert -1.75 < after < -2 * math.log(2)  # four patterns, equally often, can do no better


def test_persistent_chains_go_on_where_they_were():
    machine = machine_of(n_chains=5)
    first = machine.chains.clone()
    torch.manual_seed(3)
    _, samples = machine.contrast(torch.zeros(9, 4), 1)
    assert torch.equal(machine.chains, samples)
    assert samples.shape == (5, 4)
    torch.manual_seed(3)
    assert torch.equal(machine.gibbs(first, 1), samples)


def test_gaussian_visible_units_have_the_density_of_the_integral():
    machine = machine_of(1, 3, visible="gaussian")
    grid = torch.linspace(-12, 12, 4001).unsqueeze(1)
    with torch.no_grad():
        found = (-machine.free_energy(grid)).exp().double()
        by_states = sum(
            (-machine.energy(grid, h.expand(len(grid), 3))).exp().double() for h in all_states(3)
        )
        torch.testing.assert_close(found, by_states, atol=1e-5, rtol=1e-5)
        # Given the hidden units the mean of that density is what the machine says.
        h = all_states(3)[5].expand(len(grid), 3)
        weights = (-machine.energy(grid, h)).exp().double()
        mean = float((weights * grid[:, 0]).sum() / weights.sum())
        assert float(machine.visible_means(h[:1])) == pytest.approx(mean, abs=1e-4)


def test_gaussian_hidden_units_are_integrated():
    machine = machine_of(4, 1, hidden="gaussian")
    grid = torch.linspace(-15, 15, 6001).unsqueeze(1)
    width = float(grid[1] - grid[0])
    for v in all_states(4):
        rows = v.expand(len(grid), 4)
        with torch.no_grad():
            weights = (-machine.energy(rows, grid)).exp().double()
            integral = float(weights.sum()) * width
            free = float(machine.free_energy(v[None]))
            mean = float((weights * grid[:, 0]).sum() / weights.sum())
            assert float(machine.hidden_means(v[None])) == pytest.approx(mean, abs=1e-3)
        assert -math.log(integral) + math.log(2 * math.pi) / 2 == pytest.approx(free, abs=1e-3)


def test_gaussian_visible_units_learn_two_heaps():
    rng = np.random.default_rng(0)
    heaps = rng.choice([-2.0, 2.0], size=(512, 1)) * np.array([1.0, -1.0])
    data = torch.from_numpy(heaps + 0.5 * rng.normal(size=(512, 2))).float()
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(2, 4, visible="gaussian")
    optimizer = torch.optim.SGD(machine.parameters(), 0.03, momentum=0.9)
    for _ in range(300):
        optimizer.zero_grad()
        machine.contrast(data, 1)[0].backward()
        optimizer.step()
    places = torch.tensor([[2.0, -2.0], [-2.0, 2.0], [2.0, 2.0], [0.0, 0.0]])
    with torch.no_grad():
        free = machine.free_energy(places)
    assert max(free[:2]) < min(free[2:]) - 1


def test_sparse_hidden_units_are_seldom_active():
    torch.manual_seed(0)
    data = (torch.rand(128, 20) < 0.4).float()
    means = []
    for weight in (0.0, 1.0):
        torch.manual_seed(0)
        penalty = SparsityPenalty(0.05, weight) if weight else None
        machine = RestrictedBoltzmannMachine(20, 10, penalty=penalty)
        optimizer = torch.optim.SGD(machine.parameters(), 0.1, momentum=0.5)
        for _ in range(60):
            optimizer.zero_grad()
            machine.contrast(data, 1)[0].backward()
            optimizer.step()
        means.append(float(machine.hidden_means(data).detach().mean()))
    assert means[1] < 0.1 < means[0]


def test_biases_start_at_the_means_of_the_data():
    for kind in ("bernoulli", "gaussian"):
        machine = RestrictedBoltzmannMachine(3, 2, visible=kind)
        machine.start_biases(torch.tensor([0.2, 0.5, 0.9]))
        torch.nn.init.zeros_(machine.weight)
        found = machine.visible_means(torch.ones(1, 2))
        torch.testing.assert_close(found[0], torch.tensor([0.2, 0.5, 0.9]))


def test_impossible_units_are_refused():
    with pytest.raises(UsageError, match="cannot both be 'gaussian'; make one side 'bernoulli'"):
        RestrictedBoltzmannMachine(3, 2, visible="gaussian", hidden="gaussian")
    with pytest.raises(UsageError, match="'gaussian' hidden units cannot be sparse"):
        RestrictedBoltzmannMachine(3, 2, hidden="gaussian", penalty=SparsityPenalty(0.1, 1.0))


def test_a_net_passes_on_what_its_machines_hide():
    torch.manual_seed(0)
    layers = belief_layers([6, 5, 4], has_linear_top=True, n_chains=2, sparsity=1.0)
    assert [tuple(layer.weight.shape) for layer in layers] == [(6, 5), (5, 4)]
    assert [layer.hidden for layer in layers] == ["bernoulli", "gaussian"]
    assert [layer.penalty is None for layer in layers] == [False, True]
    net, visible = DeepBeliefNet(layers), torch.rand(3, 6)
    with torch.no_grad():
        expected = layers[1].hidden_means(layers[0].hidden_means(visible))
    assert torch.equal(net.up(visible, 0), visible)
    torch.testing.assert_close(net.up(visible, 2), expected)


def test_label_maps_become_more_probable_than_noise():
    maps = torch.nn.functional.one_hot(box_maps(60).long(), 4).permute(0, 3, 1, 2).flatten(1)
    data = maps.float()
    torch.manual_seed(0)
    machine = RestrictedBoltzmannMachine(data.shape[1], 24)
    machine.start_biases(data.mean(dim=0))
    noise = torch.bernoulli(data.mean(dim=0).expand_as(data))
    optimizer = torch.optim.SGD(machine.parameters(), 0.1, momentum=0.5)
    before = machine.reconstruction_error(data)
    for _ in range(100):
        optimizer.zero_grad()
        machine.contrast(data, 1)[0].backward()
        optimizer.step()
    assert machine.reconstruction_error(data) < 0.6 * before
    with torch.no_grad():
        assert machine.free_energy(data).mean() < machine.free_energy(noise).mean() - 50
