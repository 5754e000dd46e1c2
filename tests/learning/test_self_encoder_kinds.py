"""Every kind of self-encoder: what it learns, what is special about its code."""

import pytest
import torch
from small_runs import (
    box_maps,
    material_of,
    run_stage,
    self_encoder_of,
    share_right,
    small_recipe,
    stages_of,
)

from lookalike.learning.corruption import corrupt
from lookalike.learning.dense import TransposedLinear, layers_down, layers_up
from lookalike.learning.devices import seeded
from lookalike.learning.map_layers import unroll
from lookalike.learning.optimizers import Muon

AT_ONCE = {
    "denoising": {"self_encoder": "denoising"},
    "linear": {"self_encoder": "linear"},
    "sparse": {"self_encoder": "sparse"},
    "k-sparse": {"self_encoder": "k-sparse"},
    "binary": {"self_encoder": "binary"},
    "tied": {"self_encoder": "dense", "tied_weights": True},
    "squared": {"self_encoder": "dense", "reconstruction_loss": "squared"},
}
LAYERED = {
    "stacked": {"self_encoder": "stacked", "layer_epochs": 25},
    "stacked, tied, denoising": {
        "self_encoder": "stacked",
        "layer_epochs": 15,
        "tied_weights": True,
        "corruption": 0.1,
    },
    "belief": {"self_encoder": "belief", "layer_epochs": 100},
    "wake-sleep": {"self_encoder": "wake-sleep", "layer_epochs": 80},
    "fantasy": {"self_encoder": "wake-sleep", "layer_epochs": 80, "sleep_phase": "fantasy"},
}
SLOW = ("stacked, tied, denoising", "fantasy")


def trained(recipe, maps, n_steps=70):
    """A self-encoder after so many steps on all maps at once."""
    self_encoder = self_encoder_of(recipe).train()
    optimizer = Muon([self_encoder], learning_rate=0.02, weight_decay=0.0)
    with seeded(1) as generator:
        for step in range(n_steps):
            for group in optimizer.param_groups:
                group["lr"] = 0.02 * (1 - step / n_steps)
            shown = corrupt(maps, recipe.corruption_share, 4, generator)
            losses = self_encoder.losses(shown, maps)[1]
            optimizer.zero_grad()
            torch.stack(list(losses.values())).sum().backward()
            optimizer.step()
    return self_encoder.eval()


@pytest.mark.parametrize("changes", AT_ONCE.values(), ids=AT_ONCE.keys())
def test_each_kind_overfits_twelve_maps(changes):
    maps = box_maps(12, grid=8)
    assert share_right(trained(small_recipe(grid=8, **changes), maps), maps) > 0.99


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, changes in LAYERED.items()
    ],
)
def test_each_kind_that_learns_layer_by_layer_overfits_twelve_maps(changes):
    maps = box_maps(12, grid=8)
    maps = torch.cat([maps, maps.flip(2)])  # mirror images are learned too
    recipe = small_recipe(grid=8, batch_size=12, hidden_dim=48, hidden_layers=1, **changes)
    self_encoder = self_encoder_of(recipe)
    *first, whole = stages_of(self_encoder, material_of(maps, recipe), 60)
    for stage in first:
        run_stage(stage)
    if changes["self_encoder"] != "stacked":
        assert share_right(self_encoder, maps) > 0.9  # before it was ever trained as a whole
    run_stage(whole)
    assert share_right(self_encoder, maps) > 0.99


def test_layers_are_learned_from_the_map_up_and_then_all_together():
    maps = box_maps(8)
    names = {}
    for kind in ("convolutional", "stacked", "belief", "wake-sleep"):
        recipe = small_recipe(self_encoder=kind)
        stages = stages_of(self_encoder_of(recipe), material_of(maps, recipe), 2)
        names[kind] = [stage.name for stage in stages]
    layers = ["map layer 1", "map layer 2", "map layer 3"]
    assert names == {
        "convolutional": ["self-encoder"],
        "stacked": [*layers, "self-encoder"],
        "belief": [*layers, "self-encoder"],
        "wake-sleep": [*layers, "wake-sleep", "self-encoder"],
    }


def test_a_layer_that_learns_leaves_those_below_as_they_are():
    recipe = small_recipe(self_encoder="stacked", layer_epochs=1, hidden_dim=20, corruption=0.2)
    self_encoder, maps = self_encoder_of(recipe), box_maps(8)
    stages = stages_of(self_encoder, material_of(maps, recipe), 1)
    for index, stage in enumerate(stages[:3]):
        up, down = layers_up(self_encoder.encoder), layers_down(self_encoder.decoder)
        parts = [*up, *down]
        before = [part.weight.clone() for part in parts]
        run_stage(stage)
        moved = [
            not torch.equal(part.weight, weight) for part, weight in zip(parts, before, strict=True)
        ]
        assert [i for i, is_moved in enumerate(moved) if is_moved] == [index, 5 - index]


@pytest.mark.parametrize("kind", ["belief", "wake-sleep"])
@torch.no_grad()
def test_an_unrolled_net_computes_what_the_net_says(kind):
    recipe, maps = small_recipe(self_encoder=kind, hidden_dim=12), box_maps(9)
    self_encoder = self_encoder_of(recipe)
    for parameter in self_encoder.net.parameters():
        parameter.copy_(0.3 * torch.randn_like(parameter))
    net = self_encoder.net
    for _ in range(2):  # twice, as after an interruption
        unroll(self_encoder, net, material_of(maps, recipe))
    hidden = self_encoder.inputs(maps).flatten(1)
    for index, (weight, bias) in enumerate(net.upward()):
        hidden = hidden @ weight.T + bias
        if not (kind == "belief" and index == 2):
            hidden = hidden.sigmoid()
    self_encoder.eval()
    torch.testing.assert_close(self_encoder.raw_codes(maps), hidden)
    for index, (weight, bias) in enumerate(net.downward()):
        hidden = hidden @ weight.T + bias
        hidden = hidden.sigmoid() if index < 2 else hidden
    found = self_encoder.decode(self_encoder.encode(maps)).flatten(1)
    torch.testing.assert_close(found, hidden, atol=1e-3, rtol=1e-3)


def test_the_penalty_makes_activations_sparse():
    maps = box_maps(40, grid=8)
    means = []
    for weight in (0.0, 30.0):
        recipe = small_recipe(
            self_encoder="sparse", grid=8, sparsity_weight=weight, sparsity_target=0.1
        )
        self_encoder = trained(recipe, maps, 40)
        with torch.no_grad():
            means.append(float(self_encoder.raw_codes(maps).mean()))
    assert means[1] == pytest.approx(0.1, abs=0.05)
    assert means[0] > 0.25


def test_only_the_largest_numbers_of_a_k_sparse_code_are_kept():
    recipe, maps = small_recipe(self_encoder="k-sparse", active_units=3), box_maps(20)
    self_encoder = trained(recipe, maps, 3)
    with torch.no_grad():
        raw = self_encoder.raw_codes(maps)
        linear = self_encoder.encoder[0](self_encoder.inputs(maps))
    assert ((raw != 0).sum(dim=1) == 3).all()
    torch.testing.assert_close(raw.sum(dim=1), linear.topk(3, dim=1).values.sum(dim=1))


def test_binary_codes_are_bits_before_and_after_calibrating():
    recipe, maps = small_recipe(self_encoder="binary"), box_maps(30)
    self_encoder = trained(recipe, maps, 10)
    with torch.no_grad():
        codes = self_encoder.encode(maps)
        assert set(codes.unique().tolist()) == {-1.0, 1.0}
        assert 0.2 < (codes > 0).float().mean() < 0.8
        mean, deviation = self_encoder.calibrate(codes)
        assert torch.equal(self_encoder.encode(maps), codes)
        assert (mean == 0).all()
        assert (deviation == 1).all()
        # A predicted code is decoded by its bits.
        torch.testing.assert_close(self_encoder.decode(0.3 * codes), self_encoder.decode(codes))


def test_gradients_go_through_bits_as_if_they_were_not_there():
    self_encoder = self_encoder_of(small_recipe(self_encoder="binary"))
    values = torch.tensor([[-0.4, 0.0, 2.0]], requires_grad=True)
    bits = self_encoder.last(values)
    assert bits.tolist() == [[-1.0, 1.0, 1.0]]
    (bits * torch.tensor([[1.0, 2.0, 3.0]])).sum().backward()
    assert values.grad.tolist() == [[1.0, 2.0, 3.0]]


@pytest.mark.parametrize("kind", ["dense", "stacked"])
def test_tied_weights_are_the_same_numbers(kind):
    self_encoder = self_encoder_of(small_recipe(self_encoder=kind, tied_weights=True))
    up, down = layers_up(self_encoder.encoder), layers_down(self_encoder.decoder)
    assert len(up) == len(down) == (1 if kind == "dense" else 3)
    for source, layer in zip(up, reversed(down), strict=True):
        assert isinstance(layer, TransposedLinear)
        assert layer.source is source
    free = self_encoder_of(small_recipe(self_encoder=kind, map_input="one-hot"))
    n_tied, n_free = (
        sum(p.numel() for p in each.parameters() if p.requires_grad)
        for each in (self_encoder, free)
    )
    assert n_free - n_tied == sum(layer.weight.numel() for layer in up)


@pytest.mark.parametrize("changes", AT_ONCE.values(), ids=AT_ONCE.keys())
def test_probabilities_sum_to_one(changes):
    self_encoder = self_encoder_of(small_recipe(**changes)).eval()
    with torch.no_grad():
        shares = self_encoder.probabilities(torch.randn(5, 16))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5, 16, 16))
    assert (shares >= 0).all()
