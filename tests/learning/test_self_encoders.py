import numpy as np
import pytest
import torch
from toy_pictures import draw_boxes

from lookalike.learning.optimizers import Muon
from lookalike.learning.recipes import Recipe
from lookalike.learning.self_encoders import build_self_encoder

KINDS = [
    ("convolutional", "embedding"),
    ("convolutional", "one-hot"),
    ("dense", "embedding"),
    ("dense", "one-hot"),
]


def recipe(**changes):
    return Recipe(**{"grid": 16, "code_dim": 16, "code_noise": 0.0, "image_size": 32, **changes})


def twelve_maps(grid=16):
    rng = np.random.default_rng(5)
    return torch.from_numpy(np.stack([draw_boxes(rng, grid) for _ in range(12)]))


def build(seed=0, **changes):
    torch.manual_seed(seed)
    return build_self_encoder(3, recipe(**changes))


@pytest.mark.parametrize(("kind", "map_input"), KINDS)
def test_each_self_encoder_overfits_twelve_maps(kind, map_input):
    self_encoder = build(self_encoder=kind, map_input=map_input).train()
    maps = twelve_maps()
    optimizer = Muon([self_encoder], learning_rate=0.02, weight_decay=0.0)
    for step in range(80):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / 80)
        _, logits = self_encoder(maps)
        optimizer.zero_grad()
        self_encoder.loss(logits, maps).backward()
        optimizer.step()
    self_encoder.eval()
    with torch.no_grad():
        decoded = self_encoder.decode(self_encoder.encode(maps)).argmax(dim=1)
    assert (decoded == maps).float().mean() > 0.99


@pytest.mark.parametrize("kind", ["convolutional", "dense"])
def test_calibrated_codes_are_z_scored_and_reconstructions_stay_as_they_were(kind):
    self_encoder = build(self_encoder=kind).eval()
    maps = twelve_maps()
    with torch.no_grad():
        before = self_encoder.decode(self_encoder.encode(maps))
        self_encoder.calibrate(self_encoder.encode(maps))
        codes = self_encoder.encode(maps)
        after = self_encoder.decode(codes)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(16), atol=1e-4, rtol=0)
    torch.testing.assert_close(codes.std(0, correction=0), torch.ones(16), atol=1e-3, rtol=0)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-3)


def test_calibrating_twice_changes_nothing_more():
    self_encoder = build().eval()
    maps = twelve_maps()
    with torch.no_grad():
        self_encoder.calibrate(self_encoder.encode(maps))
        mean, deviation = self_encoder.calibrate(self_encoder.encode(maps))
    torch.testing.assert_close(mean, torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(16), atol=1e-4, rtol=0)


def test_dimensions_that_never_change_stay_finite():
    self_encoder = build().eval()
    maps = twelve_maps()[:1].expand(6, -1, -1)
    with torch.no_grad():
        self_encoder.calibrate(self_encoder.encode(maps))
        codes = self_encoder.encode(maps)
    assert torch.isfinite(codes).all()
    torch.testing.assert_close(codes, torch.zeros_like(codes), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("kind", "map_input"), KINDS)
def test_probabilities_of_a_cell_sum_to_one(kind, map_input):
    self_encoder = build(self_encoder=kind, map_input=map_input).eval()
    with torch.no_grad():
        shares = self_encoder.probabilities(torch.randn(5, 16))
    assert shares.shape == (5, 4, 16, 16)
    assert (shares >= 0).all()
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5, 16, 16))


def test_one_hot_input_is_not_learned_and_void_is_nothing():
    self_encoder = build(map_input="one-hot")
    assert not self_encoder.table.weight.requires_grad
    torch.testing.assert_close(self_encoder.table.weight[:4], torch.eye(4))
    assert not self_encoder.table.weight[4].any()


def test_void_has_an_input_of_its_own():
    self_encoder = build().eval()
    background = torch.zeros(1, 16, 16, dtype=torch.uint8)
    void = torch.full_like(background, 255)
    with torch.no_grad():
        assert not torch.allclose(self_encoder.encode(background), self_encoder.encode(void))


@pytest.mark.parametrize("grid", [8, 16, 32, 56, 64, 120, 128])
def test_codes_and_maps_have_their_size_at_every_grid(grid):
    self_encoder = build(grid=grid).eval()
    with torch.no_grad():
        codes = self_encoder.encode(twelve_maps(grid)[:2])
        assert codes.shape == (2, 16)
        assert self_encoder.decode(codes).shape == (2, 4, grid, grid)


def test_noise_on_codes_is_drawn_only_while_training():
    self_encoder = build(code_noise=0.5)
    maps = twelve_maps()
    with torch.no_grad():
        first, second = (self_encoder.train()(maps)[1] for _ in range(2))
        assert not torch.allclose(first, second)
        first, second = (self_encoder.eval()(maps)[1] for _ in range(2))
        torch.testing.assert_close(first, second)


def test_mirrored_maps_have_other_codes():
    self_encoder = build().eval()
    maps = twelve_maps()
    with torch.no_grad():
        self_encoder.calibrate(self_encoder.encode(torch.cat([maps, maps.flip(2)])))
        codes, mirrored = self_encoder.encode(maps), self_encoder.encode(maps.flip(2))
    assert ((codes - mirrored).square().mean(dim=1) > 0.1).all()
