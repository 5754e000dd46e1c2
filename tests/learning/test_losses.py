import math

import numpy as np
import pytest
import torch

from lookalike.learning.losses import (
    code_loss,
    label_loss,
    map_loss,
    partial_label_loss,
    sigmoid_map_loss,
    similar_codes_loss,
    squared_map_loss,
    value_weights,
)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


@pytest.fixture
def maps(generator):
    label_maps = torch.randint(0, 4, (3, 4, 4), generator=generator, dtype=torch.uint8)
    label_maps[0, 0, :3] = 255
    return label_maps


def softmax(logits):
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def test_label_loss_is_the_mean_binary_cross_entropy(generator):
    logits = torch.randn(5, 3, generator=generator)
    labels = torch.rand(5, 3, generator=generator) > 0.5
    expected = 0.0
    for row, truth in zip(logits.tolist(), labels.tolist(), strict=True):
        for logit, is_present in zip(row, truth, strict=True):
            probability = 1 / (1 + math.exp(-logit))
            expected -= math.log(probability if is_present else 1 - probability) / 15
    assert float(label_loss(logits, labels, False)) == pytest.approx(expected, rel=1e-5)


def test_labels_that_exclude_each_other_cost_the_cross_entropy_of_a_softmax(generator):
    logits = torch.randn(4, 3, generator=generator)
    labels = torch.eye(3, dtype=torch.bool)[torch.tensor([0, 2, 1, 1])]
    rows = zip(logits.numpy(), (0, 2, 1, 1), strict=True)
    expected = -np.mean([math.log(softmax(row)[label]) for row, label in rows])
    assert float(label_loss(logits, labels, True)) == pytest.approx(expected, rel=1e-5)


def test_code_loss_is_the_squared_error_per_dimension():
    predicted = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    code = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert float(code_loss(predicted, code)) == pytest.approx((4 + 9) / 4)


def test_predicting_the_mean_of_standardized_codes_costs_one(generator):
    codes = torch.randn(1000, 6, generator=generator)
    codes = (codes - codes.mean(0)) / codes.std(0, correction=0)
    assert float(code_loss(torch.zeros_like(codes), codes)) == pytest.approx(1, rel=1e-4)


def test_map_loss_agrees_with_a_loop_and_ignores_void(generator, maps):
    logits = torch.randn(3, 4, 4, 4, generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    total, cells = 0.0, 0
    for picture in range(3):
        for y in range(4):
            for x in range(4):
                value = int(maps[picture, y, x])
                if value != 255:
                    share = softmax(logits[picture, :, y, x].numpy())[value]
                    total -= float(weights[value]) * math.log(share)
                    cells += 1
    assert cells == 45
    assert float(map_loss(logits, maps, weights)) == pytest.approx(total / cells, rel=1e-5)


def test_sigmoid_map_loss_agrees_with_a_loop_and_ignores_void(generator, maps):
    logits = torch.randn(3, 4, 4, 4, generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    total, cells = 0.0, 0
    for picture in range(3):
        for y in range(4):
            for x in range(4):
                value = int(maps[picture, y, x])
                if value == 255:
                    continue
                cells += 1
                for c in range(4):
                    share = 1 / (1 + math.exp(-float(logits[picture, c, y, x])))
                    right = share if c == value else 1 - share
                    total -= float(weights[value]) * math.log(right)
    found = sigmoid_map_loss(logits, maps, weights)
    assert float(found) == pytest.approx(total / cells, rel=1e-5)


def test_squared_map_loss_agrees_with_a_loop_and_ignores_void(generator, maps):
    outputs = torch.randn(3, 4, 4, 4, generator=generator)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0])
    total = n = 0
    for picture in range(3):
        for row in range(4):
            for column in range(4):
                true = int(maps[picture, row, column])
                if true == 255:
                    continue
                n += 1
                for value in range(4):
                    found = float(outputs[picture, value, row, column])
                    total += float(weights[true]) * ((value == true) - found) ** 2
    found = squared_map_loss(outputs, maps, weights)
    assert float(found) == pytest.approx(total / n, rel=1e-5)


@pytest.mark.parametrize("loss", [map_loss, sigmoid_map_loss, squared_map_loss])
def test_gradients_of_map_losses_are_right_in_double_precision(generator, maps, loss):
    logits = torch.randn(3, 4, 4, 4, generator=generator, dtype=torch.float64)
    weights = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    logits.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: loss(x, maps, weights), (logits,))


def test_gradients_of_label_and_code_losses_are_right_in_double_precision(generator):
    logits = torch.randn(3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.eye(4, dtype=torch.bool)[:3]
    code = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    for is_single in (False, True):
        assert torch.autograd.gradcheck(lambda x, s=is_single: label_loss(x, labels, s), (logits,))
    assert torch.autograd.gradcheck(lambda x: code_loss(x, code), (logits,))


@pytest.mark.parametrize("loss", [map_loss, sigmoid_map_loss, squared_map_loss])
def test_maps_of_nothing_but_void_cost_nothing(loss):
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    found = loss(logits, torch.full((1, 4, 4), 255, dtype=torch.uint8), torch.ones(2))
    found.backward()
    assert float(found.detach()) == 0
    assert not logits.grad.any()


def test_weights_grow_with_rarity_and_leave_the_mean_cell_at_one():
    counts = torch.tensor([800, 150, 50, 0])
    weights = value_weights(counts, power=0.5)
    shares = counts / counts.sum()
    assert float((shares * weights).sum()) == pytest.approx(1, rel=1e-5)
    assert float(weights[2] / weights[0]) == pytest.approx(4, rel=1e-5)
    assert weights[3] == weights[2]


def test_weights_of_no_cells_at_all_are_finite():
    assert torch.isfinite(value_weights(torch.tensor([0, 0]))).all()


@pytest.fixture
def partial_batch(generator):
    """Six pictures of three sets: two of several labels, one of a single label."""
    known = torch.tensor([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1]], dtype=torch.bool)
    source = torch.tensor([0, 1, 2, 0, 2, 1])
    labels = torch.tensor(
        [[1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0] * 5, [0, 0, 0, 1, 0], [0] * 5],
        dtype=torch.bool,
    )
    logits = torch.randn(6, 5, generator=generator)
    return logits, labels, known[source], source == 2


def slow_partial_label_loss(logits, labels, known, is_single):
    """One picture and one known class after the other."""
    total = 0.0
    for scores, has, knows, single in zip(logits, labels, known, is_single, strict=True):
        classes = [c for c in range(len(scores)) if knows[c]]
        x = [float(scores[c]) for c in classes]
        y = [bool(has[c]) for c in classes]
        if single:
            total -= math.log(softmax(np.array(x))[y.index(True)])
        else:
            shares = [1 / (1 + math.exp(-value)) for value in x]
            terms = [math.log(p if t else 1 - p) for p, t in zip(shares, y, strict=True)]
            total -= sum(terms) / len(terms)
    return total / len(logits)


def test_labels_are_judged_by_what_each_set_knows(partial_batch):
    expected = slow_partial_label_loss(*(part.numpy() for part in partial_batch))
    assert float(partial_label_loss(*partial_batch)) == pytest.approx(expected, abs=1e-6)


def test_classes_that_a_set_does_not_know_have_no_gradient(partial_batch):
    logits, labels, known, is_single = partial_batch
    logits.requires_grad_()
    partial_label_loss(logits, labels, known, is_single).backward()
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[~known].any()
    assert logits.grad[known].all()


@pytest.mark.parametrize("is_single_label", [False, True])
def test_where_all_is_known_the_loss_is_the_plain_one(generator, is_single_label):
    logits = torch.randn(4, 3, generator=generator)
    labels = torch.eye(3, dtype=torch.bool)[[0, 2, 1, 1]]
    known, single = torch.ones(4, 3, dtype=torch.bool), torch.full((4,), is_single_label)
    found = partial_label_loss(logits, labels, known, single)
    torch.testing.assert_close(found, label_loss(logits, labels, is_single_label))


def test_codes_come_near_each_other_where_their_maps_agree(generator):
    similarities = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    codes = torch.randn(3, 4, generator=generator, requires_grad=True)
    for _ in range(200):
        [gradient] = torch.autograd.grad(similar_codes_loss(codes, similarities), codes)
        codes = (codes - 0.3 * gradient).detach().requires_grad_()
    unit = torch.nn.functional.normalize(codes, dim=1).detach()
    similar = unit @ unit.T
    assert similar[0, 1] > max(float(similar[0, 2]), float(similar[1, 2])) + 0.3
    assert float(similar_codes_loss(unit, similarities)) < 0.05
    assert float(similar_codes_loss(unit[:1], similarities[:1, :1])) == 0
