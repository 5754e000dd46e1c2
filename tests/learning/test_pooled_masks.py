"""The plain codes that self-encoding is compared with: pooled masks, components, segmentation."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from tiny_trainings import TINY, StopAfter, Stopped
from toy_pictures import boxes, draw_boxes, single_boxes

from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.learning.pooled_masks import build_pooled_masks, principal_components
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.segmentation import SegmentationHead

VARIANTS = {
    "pooled masks": {"code_target": "pooled-masks"},
    "segmentation": {"code_weight": 0.0, "segmentation_weight": 1.0},
    "frozen trunk": {"is_trunk_frozen": True},
}


def recipe(name, **changes):
    return replace(TINY, **VARIANTS[name], **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("variants")
    return {
        name: (folder / name, learn(boxes(20), folder / name, recipe(name))) for name in VARIANTS
    }


def test_components_are_those_of_the_whole_covariance():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(400, 30)) * np.linspace(5, 0.1, 30) @ rng.normal(size=(30, 30)) + 3
    basis, variances = principal_components(
        lambda: iter(torch.from_numpy(rows).split(64)), torch.from_numpy(rows.mean(axis=0)), 5, 0
    )
    expected, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    np.testing.assert_allclose(variances, expected[::-1][:5], rtol=1e-6)
    alignment = np.abs((basis.numpy() * vectors[:, ::-1][:, :5]).sum(axis=0))
    np.testing.assert_allclose(alignment, 1, atol=1e-5)


def test_all_components_of_few_dimensions_can_be_had():
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 4)))
    basis, variances = principal_components(lambda: iter([rows]), rows.mean(dim=0), 4, 0)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-12)
    assert (variances.diff() <= 0).all()


def test_more_components_than_shares_are_refused():
    with pytest.raises(UsageError, match=r"code_dim=256 principal components .* at most 128"):
        build_pooled_masks(1, Recipe(code_dim=256, code_target="pooled-masks"))


def test_codes_of_pooled_masks_keep_the_distances_of_the_maps():
    wide = Recipe(grid=16, code_dim=256, code_target="pooled-masks")
    fixed = build_pooled_masks(3, wide)
    torch.nn.init.orthogonal_(fixed.encoder[-1].weight)
    maps = torch.from_numpy(np.stack([draw_boxes(np.random.default_rng(i), 16) for i in range(3)]))
    codes = fixed.encode(maps)
    one_hot = torch.nn.functional.one_hot(maps.long(), 4).double().numpy()
    pooled = one_hot.reshape(3, 8, 2, 8, 2, 4).mean(axis=(2, 4)).reshape(3, -1)
    found = float((codes[0] - codes[1]).norm() / (codes[0] - codes[2]).norm())
    expected = np.linalg.norm(pooled[0] - pooled[1]) / np.linalg.norm(pooled[0] - pooled[2])
    assert found == pytest.approx(expected, rel=1e-4)


def test_codes_are_centered_and_have_a_variance_of_one_on_average(trained):
    rng = np.random.default_rng(0)
    maps = np.stack([draw_boxes(rng) for _ in range(20)])
    maps = np.concatenate([maps, maps[:, :, ::-1]])
    for name in ("pooled masks", "segmentation"):
        codes = Model.open(trained[name][0], threads=1).encode_label_maps(maps)
        assert np.abs(codes.mean(axis=0)).max() < 0.6
        assert codes.var(axis=0).mean() == pytest.approx(1, rel=0.25)


def test_pooled_masks_are_decoded_to_what_they_were(trained):
    rng = np.random.default_rng(5)
    label_map = np.zeros((1, 16, 16), np.uint8)
    label_map[:, 4:12, 2:8] = rng.integers(1, 4)
    model = Model.open(trained["segmentation"][0], threads=1)
    decoded = model.decode_codes(model.encode_label_maps(label_map)).argmax(axis=1)
    assert (decoded == label_map).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "epochs", "code_dim"),
    [
        ("pooled masks", {"network": 4}, 8),
        ("segmentation", {"network": 4}, 4 * 64),
        ("frozen trunk", {"self-encoder": 2, "trunk": 4, "network": 2, "joint": 2}, 8),
    ],
)
def test_each_variant_ends_in_a_model_that_can_be_used(trained, name, epochs, code_dim):
    folder, card = trained[name]
    assert card.training_data["epochs"] == epochs
    assert card.code_dim == code_dim
    model = Model.open(folder, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    assert model.encode(pixels).layout.shape == (3, code_dim)
    assert {"label_map", "predicted_miou", "reconstruction_miou"} <= set(card.measured)


def test_the_layout_of_a_segmentation_is_its_pooled_probabilities():
    torch.manual_seed(0)
    head = SegmentationHead(n_channels=6, side=4, n_values=3, grid=16).eval()
    logits = head(torch.randn(2, 6, 4, 4))
    head.rescale(torch.full((192,), 0.25), torch.full((192,), 2.0))
    expected = logits.softmax(dim=1).reshape(2, 3, 8, 2, 8, 2).mean(dim=(3, 5)).flatten(1)
    torch.testing.assert_close(head.code(logits), (expected - 0.25) / 2)


def stages(monkeypatch, name):
    """Weights of the backbone after each epoch, by the label of the epoch."""
    from lookalike.learning import joint_training

    seen = []
    run_epoch = joint_training.NetworkStage.run_epoch

    def watched(self, epoch, generator, task):
        losses = run_epoch(self, epoch, generator, task)
        weights = {key: value.clone() for key, value in self.network.state_dict().items()}
        seen.append((self.label(epoch), weights))
        return losses

    monkeypatch.setattr(joint_training.NetworkStage, "run_epoch", watched)
    return seen


def test_a_frozen_trunk_stays_as_it_is_and_the_heads_go_on(monkeypatch, tmp_path):
    seen = stages(monkeypatch, "frozen trunk")
    learn(boxes(20), tmp_path / "m", recipe("frozen trunk"))
    assert [label for label, _ in seen] == ["trunk"] * 4 + ["network"] * 2 + ["joint"] * 2
    (_, early), (_, trunk), (_, last) = seen[0], seen[3], seen[-1]
    backbone = [key for key in last if key.startswith("backbone.")]
    assert backbone
    assert all(torch.equal(trunk[key], last[key]) for key in backbone)
    assert any(not torch.equal(early[key], trunk[key]) for key in backbone)
    assert not torch.equal(trunk["label_head.weight"], last["label_head.weight"])
    assert not torch.equal(trunk["code_head.weight"], last["code_head.weight"])
    assert torch.equal(early["code_head.weight"], trunk["code_head.weight"])


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name != "frozen trunk")) for name in VARIANTS],
)
def test_a_stopped_variant_goes_on_to_the_same_bits(trained, tmp_path, name):
    out = tmp_path / "m"
    with pytest.raises(Stopped):
        learn(boxes(20), out, recipe(name), progress=StopAfter(40))
    learn(boxes(20), out, recipe(name), resume=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    expected, found = (
        onnxruntime.InferenceSession(folder / "network.onnx").run(None, {"images": pixels})
        for folder in (trained[name][0], out)
    )
    for a, b in zip(expected, found, strict=True):
        assert np.array_equal(a, b)


def test_without_label_maps_labels_are_learned_alone(tmp_path):
    card = learn(single_boxes(20), tmp_path / "m", recipe("frozen trunk", epochs=1))
    assert not card.has_layout
    assert card.training_data["epochs"] == {"network": 1}
