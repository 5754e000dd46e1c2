"""Codes read from what each cell holds."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_pictures import boxes

from lookalike.arrays import VOID, normalize
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.images.decoding import decode
from lookalike.learning.cell_shares import (
    CellShares,
    CommonScale,
    ShareEncoder,
    average_cells,
    map_shares,
    map_similarities,
    shares_loss,
)
from lookalike.learning.history import HISTORY
from lookalike.learning.read_out import Sums
from lookalike.learning.recipes import Recipe, learn

SMALL = Recipe(
    image_size=32, grid=16, code_dim=8, content_dim=16, epochs=2, self_encoder_epochs=2,
    joint_share=0.5, batch_size=8, self_encoder="linear", shares_weight=1.0,
    similar_codes_weight=1.0, tiled_share=0.5, device="cpu", precision="float32",
)  # fmt: skip


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(4)


def slow_shares(label_maps, n_values):
    """Count the known cells of each of 8 × 8 squares one after the other."""
    n, step = len(label_maps), label_maps.shape[1] // 8
    shares = np.zeros((n, n_values, 8, 8))
    for i, row, column in np.ndindex(n, 8, 8):
        square = label_maps[i, row * step : (row + 1) * step, column * step : (column + 1) * step]
        known = square[square != VOID]
        for value in known.tolist():
            shares[i, value, row, column] += 1 / len(known)
    return shares


@pytest.fixture
def maps(generator):
    drawn = torch.randint(0, 4, (3, 16, 16), generator=generator, dtype=torch.uint8)
    drawn[0, :2, :2] = VOID
    drawn[1, 0, 0] = VOID
    return drawn


def test_shares_are_those_of_a_slow_count(maps):
    shares = map_shares(maps, 4)
    np.testing.assert_allclose(shares, slow_shares(maps.numpy(), 4), atol=1e-6)
    sums = shares.sum(dim=1).flatten()
    assert float(sums[0]) == 0
    assert sums[1:].tolist() == pytest.approx([1.0] * 191)


def test_maps_agree_as_far_as_the_cosine_of_their_shares_says(maps):
    found = map_similarities(maps, 4)
    rows = slow_shares(maps.numpy(), 4)[:, 1:].reshape(3, -1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(found, rows @ rows.T, atol=1e-5)
    empty = torch.zeros(2, 8, 8, dtype=torch.uint8)
    assert map_similarities(empty, 4).tolist() == [[0, 0], [0, 0]]


def test_areas_are_averaged_whatever_the_number_of_cells(generator):
    feature_map = torch.randn(2, 3, 8, 8, generator=generator)
    assert torch.equal(average_cells(feature_map), feature_map)
    doubled = feature_map.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(average_cells(doubled), feature_map, atol=1e-6)
    twelve = torch.randn(1, 1, 12, 12, generator=generator)
    first = twelve[0, 0, 0, 0] + 0.5 * twelve[0, 0, 0, 1] + 0.5 * twelve[0, 0, 1, 0]
    first = (first + 0.25 * twelve[0, 0, 1, 1]) / 2.25
    assert float(average_cells(twelve)[0, 0, 0, 0]) == pytest.approx(float(first), abs=1e-6)
    assert float(average_cells(twelve).mean()) == pytest.approx(float(twelve.mean()), abs=1e-6)


def test_the_true_shares_cost_their_entropy_and_others_more(generator):
    drawn = torch.randint(0, 3, (4, 16, 16), generator=generator, dtype=torch.uint8)
    true = map_shares(drawn, 3)
    entropy = -(true.numpy() * np.log(np.maximum(true.numpy(), 1e-6))).sum(axis=1).mean()
    assert float(shares_loss(true, true)) == pytest.approx(entropy, abs=1e-5)
    assert float(shares_loss(true.roll(1, dims=0), true)) > entropy + 0.01


def test_cells_that_are_void_throughout_cost_nothing():
    drawn = torch.full((1, 8, 8), VOID, dtype=torch.uint8)
    drawn[0, :2, :2] = 1
    told = torch.full((1, 2, 8, 8), 0.5)
    assert float(shares_loss(told, map_shares(drawn, 2))) == pytest.approx(np.log(2), abs=1e-5)
    assert float(shares_loss(told, map_shares(torch.full_like(drawn, VOID), 2))) == 0


def test_a_thing_is_told_alike_in_every_cell_and_in_larger_maps(generator):
    cells = CellShares(6, n_values=5).eval()
    for cells.is_fitted in (False, True):
        shares = cells(torch.randn(1, 6, 1, 1, generator=generator).expand(1, 6, 12, 12))
        assert shares.shape == (1, 5, 8, 8)
        assert torch.allclose(shares, shares[:, :, :1, :1].expand_as(shares), atol=1e-6)
        assert (shares >= 0).all()


def test_codes_of_shares_are_linear_and_empty_maps_have_none(generator):
    encoder = ShareEncoder(4, code_dim=5)
    shares = torch.rand(2, 4, 8, 8, generator=generator)
    first, second, mean = encoder(torch.cat([shares, shares.mean(dim=0, keepdim=True)])).unbind()
    assert torch.allclose((first + second) / 2, mean, atol=1e-6)
    background = torch.zeros(1, 4, 16, 16)
    background[:, 0] = 1
    assert not encoder(background).any()


def test_a_common_scale_keeps_angles(generator):
    scale, raw = CommonScale(), 30 * torch.randn(64, 5, generator=generator) + 7
    scaled = scale.train()(raw)
    assert float(scaled.square().mean()) == pytest.approx(1, rel=1e-3)
    for _ in range(100):
        scale(raw)
    assert torch.allclose(scale.eval()(raw), scaled, rtol=1e-2)
    assert torch.allclose(scaled / scaled[0, 0], raw / raw[0, 0], rtol=1e-4)


def test_ridge_regression_is_that_of_weighted_rows(generator):
    x = torch.randn(40, 3, generator=generator, dtype=torch.float64) * torch.tensor([1.0, 5, 0.1])
    y = torch.randn(40, 2, generator=generator, dtype=torch.float64) + x[:, :1]
    times = torch.arange(40) % 3
    sums = Sums(3, 2)
    for part in torch.arange(40).split(16):
        sums.add(x[part], y[part], times[part].double())
    slopes, intercepts = sums.solve(0.1)
    rows = torch.arange(40).repeat_interleave(times)
    given, wanted = x[rows].numpy(), y[rows].numpy()
    mean, deviation = given.mean(axis=0), given.std(axis=0)
    standard = (given - mean) / deviation
    gram = standard.T @ standard + 0.1 * len(rows) * np.eye(3)
    expected = np.linalg.solve(gram, standard.T @ (wanted - wanted.mean(axis=0)))
    np.testing.assert_allclose(slopes.numpy() * deviation[:, None], expected, atol=1e-9)
    np.testing.assert_allclose(mean @ slopes.numpy() + intercepts.numpy(), wanted.mean(axis=0))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "shares"
    learn(boxes(24), folder, SMALL)
    return folder


def test_a_model_that_reads_shares_is_learned_and_opens(learned):
    header, *rows = (learned / HISTORY).read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    for name in ("shares_loss", "similar_codes_loss"):
        assert np.isfinite(float(last[name]))
    of_maps = dict(zip(header.split(","), rows[0].split(","), strict=True))
    assert np.isfinite(float(of_maps["similar_codes_loss"]))
    model = Model.open(learned, threads=1)
    encoded = model.encode(np.zeros((1, 32, 32, 3), np.uint8))
    assert encoded.layout.shape == (1, 8)


def test_the_code_of_a_picture_is_nearest_that_of_its_own_map(learned):
    model = Model.open(learned, threads=1)
    toys = boxes(24)
    pixels = np.stack([decode(toys[i].read_bytes(), (32, 32)).pixels for i in range(24)])
    maps = np.concatenate(
        [shrink_label_maps(toys[i].read_label_map()[None], 16) for i in range(24)]
    )
    seen, true = normalize(model.encode(pixels).layout), normalize(model.encode_label_maps(maps))
    cosines = seen @ true.T
    others = (cosines.sum(axis=1) - cosines.diagonal()) / 23
    assert (cosines.diagonal() > others).mean() > 0.8
    assert not model.encode_label_maps(np.zeros((1, 16, 16), np.uint8)).any()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"self_encoder": "convolutional"}, "are not linear in shares"),
        ({"backbone": "cnn-f"}, "shares_weight is 1, but backbone 'cnn-f' gives no map of cells"),
        ({"code_weight": 0.0}, "tiled_share is 0.5, but no picture learns the code"),
        (
            {"code_control": "noise", "tiled_share": 0.0},
            "shares_weight is 1, but no picture learns",
        ),
        (
            {"code_control": "shuffled", "tiled_share": 0.0, "shares_weight": 0.0},
            "similar_codes_weight is 1, but no picture learns",
        ),
    ],
)
def test_options_that_would_not_be_read_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        replace(SMALL, **changes)
