import math

import pytest
import torch

from lookalike.learning.sparsity import KeepLargest, SparsityPenalty


def test_the_penalty_agrees_with_its_formula():
    activations = torch.tensor([[0.1, 0.9], [0.3, 0.7]])
    expected = 0.0
    for mean in (0.2, 0.8):
        expected += 0.05 * math.log(0.05 / mean) + 0.95 * math.log(0.95 / (1 - mean))
    found = SparsityPenalty(0.05, 3.0, n_cells=64)(activations)
    assert float(found) == pytest.approx(3 * expected / 64, rel=1e-5)


def test_the_penalty_is_zero_at_its_target_and_finite_everywhere():
    assert float(SparsityPenalty(0.2, 3.0)(torch.full((4, 5), 0.2))) == pytest.approx(0, abs=1e-6)
    for extreme in (0.0, 1.0):
        assert math.isfinite(float(SparsityPenalty(0.2, 3.0)(torch.full((4, 5), extreme))))


def test_numbers_that_equal_the_last_kept_are_kept_too():
    code = torch.tensor([[3.0, -1.0, 2.0, 2.0], [-4.0, -1.0, -2.0, -3.0]])
    kept = KeepLargest(2)(code)
    assert kept.tolist() == [[3.0, 0.0, 2.0, 2.0], [0.0, -1.0, -2.0, 0.0]]
