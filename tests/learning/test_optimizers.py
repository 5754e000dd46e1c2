import numpy as np
import pytest
import torch
from torch import nn

from lookalike.learning.optimizers import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 8)])
def test_orthogonalized_matrices_keep_their_directions_and_lose_their_sizes(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalize(matrix)
    u, _, vh = np.linalg.svd(matrix.numpy(), full_matrices=False)
    assert np.linalg.svd(found.numpy(), compute_uv=False) == pytest.approx(1, abs=0.35)
    cosine = (found.numpy() * (u @ vh)).sum() / np.linalg.norm(found) / np.linalg.norm(u @ vh)
    assert cosine > 0.97


def test_stacked_matrices_are_orthogonalized_each_by_itself():
    matrices = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(2))
    expected = torch.stack([orthogonalize(matrix) for matrix in matrices])
    torch.testing.assert_close(orthogonalize(matrices), expected, atol=1e-4, rtol=0)


def test_a_gradient_of_zeros_moves_nothing():
    assert not orthogonalize(torch.zeros(3, 4)).any()


def test_tables_and_vectors_take_the_steps_of_adamw():
    torch.manual_seed(0)
    table, twin = nn.Embedding(4, 3), nn.Embedding(4, 3)
    twin.load_state_dict(table.state_dict())
    ours = Muon([table], learning_rate=0.01, weight_decay=0.3)
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0)
    for step in range(5):
        for module, optimizer in ((table, ours), (twin, theirs)):
            optimizer.zero_grad()
            module.weight[step % 4].square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(table.weight, twin.weight)


def test_a_step_of_a_matrix_has_the_size_of_the_rule_and_decays():
    torch.manual_seed(0)
    linear = nn.Linear(5, 3, bias=False)
    before = linear.weight.detach().clone()
    optimizer = Muon([linear], learning_rate=0.1, weight_decay=0.5)
    linear(torch.randn(7, 5)).square().sum().backward()
    direction = orthogonalize(linear.weight.grad * 1.95)
    optimizer.step()
    expected = before * (1 - 0.1 * 0.5) - 0.1 * 0.6 * 5**0.5 * direction
    torch.testing.assert_close(linear.weight.detach(), expected)


def test_convolutions_are_matrices_of_their_filters():
    torch.manual_seed(0)
    optimizer = Muon([nn.Conv2d(3, 4, 3)], learning_rate=0.1, weight_decay=0.0)
    matrices, read_outs, others = (group["params"] for group in optimizer.param_groups)
    assert [p.shape for p in matrices] == [(4, 3, 3, 3)]
    assert read_outs == []
    assert [p.shape for p in others] == [(4,)]


def test_matrices_may_be_left_to_adamw_with_weight_decay():
    torch.manual_seed(0)
    linear, twin = nn.Linear(5, 3, bias=False), nn.Linear(5, 3, bias=False)
    twin.load_state_dict(linear.state_dict())
    ours = Muon([nn.Sequential(linear)], learning_rate=0.1, weight_decay=0.5, by_adam=[linear])
    theirs = torch.optim.AdamW(twin.parameters(), lr=0.1, weight_decay=0.5)
    inputs = torch.randn(7, 5)
    for module, optimizer in ((linear, ours), (twin, theirs)):
        module(inputs).square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(linear.weight, twin.weight)


def test_what_needs_no_gradient_is_left_alone():
    frozen = nn.Linear(2, 2).requires_grad_(False)
    optimizer = Muon([frozen, nn.Linear(2, 2)], learning_rate=0.1, weight_decay=0.0)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
