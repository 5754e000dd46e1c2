"""Learning from hints, from teachers that are plain PyTorch modules and from a real network."""

import os
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from onnx import numpy_helper
from tiny_trainings import TINY, StopAfter, Stopped
from torch import nn
from toy_pictures import boxes, single_boxes

from lookalike.errors import UsageError
from lookalike.learning.chains import Chain
from lookalike.learning.content import PooledContent
from lookalike.learning.devices import Device, seeded
from lookalike.learning.guides import Guides
from lookalike.learning.hints import Hints, hint_loss, open_hints
from lookalike.learning.history import HISTORY
from lookalike.learning.network import Network, build_network
from lookalike.learning.pictures import load_pictures
from lookalike.learning.pretraining import PretrainingStage
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.separable import separable
from lookalike.learning.stages import Material
from lookalike.model_folder import NETWORK
from lookalike.progress import SILENT

WIDTHS = (8, 12, 16)
TEACHER = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"


def chain(seed):
    """Three layers; another seed gives other weights."""
    torch.manual_seed(seed)
    layers, n_in = [], 3
    for width in WIDTHS:
        convolution = nn.Conv2d(n_in, width, 3, 2, 1, bias=False)
        layers.append(nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU6()))
        n_in = width
    return Chain(layers, n_in, 4)


class Grown(nn.Module):
    """A teacher whose layers are those of a chain."""

    def __init__(self, material):
        super().__init__()
        self.network = network_on(chain(seed=1))
        with torch.no_grad():
            for _ in range(40):  # until its normalization knows what layers give
                self.network.backbone(self.network.normalize(images_of(material)))
        self.network.eval()

    @torch.no_grad()
    def layers(self, images):
        maps, given = [], self.network.normalize(images)
        for layer in self.network.backbone.layers:
            given = layer(given)
            maps.append(given)
        return maps


def images_of(material):
    return material.pictures.take_pixels(torch.arange(24)).permute(0, 3, 1, 2).float()


def network_on(backbone):
    content = PooledContent(backbone.n_channels, 6)
    return Network(backbone, content, nn.Linear(6, 2), None, None)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    files = tmp_path_factory.mktemp("pictures") / "learned"
    pictures = load_pictures(boxes(24), range(24), files, side=36, map_side=32, progress=SILENT)
    recipe = replace(TINY, batch_size=12, learning_rate=1e-2, mixed_share=0.5, teacher_weight=1.0)
    return Material.of(pictures, False, recipe, Device("cpu", False))


@pytest.fixture(scope="module")
def models():
    folder = Path(os.environ.get("LOOKALIKE_DATA", "")).parent / "models"
    if not (folder / TEACHER).is_file():
        pytest.skip(f"no {TEACHER} beside the photographs")
    return folder


def run(stage):
    losses = []
    for epoch in range(stage.n_epochs):
        with SILENT.task("") as task, seeded(epoch) as generator:
            losses.append(stage.run_epoch(epoch, generator, task)["pretraining_loss"])
    return losses


@torch.no_grad()
def imitation(network, teacher, material):
    """Share of the variance of the teacher's last map that the network does not tell."""
    images = images_of(material)
    told = network.eval().backbone(network.normalize(images))
    return float(hint_loss(told, teacher.layers(images)[-1]))


def test_a_network_learns_its_teacher_apart_and_better_yet_in_a_row(material):
    teacher, network = Grown(material), network_on(chain(seed=2))
    before = imitation(network, teacher, material)
    apart = run(PretrainingStage("", "", Hints(network, teacher, False), material, 40))
    after_apart = imitation(network, teacher, material)
    in_a_row = run(PretrainingStage("", "", Hints(network, teacher, True), material, 40))
    assert before > 0.9
    assert apart[-1] < 0.5 * apart[0]
    assert after_apart < 0.9
    assert in_a_row[-1] < in_a_row[0]
    assert imitation(network, teacher, material) < 0.6 * after_apart


@pytest.mark.parametrize("is_in_a_row", [False, True])
def test_only_the_backbone_moves(material, is_in_a_row):
    teacher, network = Grown(material), network_on(chain(seed=2))
    stage = PretrainingStage("", "", Hints(network, teacher, is_in_a_row), material, 1)
    # As a stage yet to come does, when it is made.
    network.get_submodule("backbone").requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(stage)
    moved = {name for name, value in network.state_dict().items() if (value != before[name]).any()}
    assert any(name.startswith("backbone.layers.0") for name in moved)
    assert all(name.startswith("backbone.") for name in moved)


def test_apart_a_layer_does_not_hear_of_the_errors_below(material):
    """The first layer tells nothing at all; only in a row does the second one suffer from it."""
    teacher, network = Grown(material), network_on(chain(seed=1))
    network.load_state_dict(teacher.network.state_dict())
    nn.init.zeros_(network.backbone.layers[0][0].weight)
    network.eval()
    losses = {}
    for is_in_a_row in (False, True):
        hints = Hints(network, teacher, is_in_a_row)
        generator = torch.Generator().manual_seed(0)
        loss = hints.loss(material, torch.arange(12), generator)
        losses[is_in_a_row] = float(loss.detach())
    # The other layers are the teacher's own.
    assert 0 < losses[False] < 2
    assert losses[True] > 2 * losses[False]


def test_the_loss_of_a_channel_is_in_units_of_its_variance():
    generator = torch.Generator().manual_seed(0)
    wanted = torch.randn(4, 1, 5, 5, generator=generator)
    told = wanted + 0.5 * torch.randn(4, 1, 5, 5, generator=generator)
    assert float(hint_loss(told, wanted)) == pytest.approx(
        float(hint_loss(1000 * told, 1000 * wanted)), rel=1e-4
    )
    assert float(hint_loss(wanted, wanted)) == 0
    constant = torch.ones(2, 3, 2, 2)
    assert torch.isfinite(hint_loss(constant, constant))


def test_hints_need_a_network_that_gives_them(material, tmp_path):
    network = network_on(chain(seed=1))
    with pytest.raises(UsageError, match="needs a trained network to learn from; give a teacher"):
        open_hints(None, network, material)
    with pytest.raises(UsageError, match=r"teacher\.onnx gives no hints: .* \.tflite files only"):
        open_hints(tmp_path / "teacher.onnx", network, material)


def test_a_recipe_with_hints_and_no_teacher_is_refused(tmp_path):
    recipe = replace(TINY, pretraining="hints", pretraining_epochs=2)
    with pytest.raises(UsageError, match="needs a trained network"):
        learn(boxes(12), tmp_path / "model", recipe)


@pytest.mark.data
@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("residual", "64×64×64 numbers in layer 2, the backbone 64×32×32"),
        ("mobilenet-v3-small", "32×64×64 numbers in layer 1, the backbone 16×64×64"),
    ],
)
def test_other_layers_are_refused(models, material, backbone, message):
    recipe = Recipe(backbone=backbone, image_size=128, code_weight=0.0)
    network = build_network(3, recipe, has_code=False)
    shown = replace(material, recipe=replace(material.recipe, image_size=128))
    with pytest.raises(UsageError, match=message) as raised:
        open_hints(models / TEACHER, network, shown)
    assert "choose another backbone ('separable' for MobileNetV1)" in str(raised.value)


FROZEN = replace(
    TINY, image_size=128, backbone="separable", self_encoder="linear", shares_weight=1.0,
    pretraining="hints", pretraining_epochs=2, is_trunk_frozen=True, teacher_weight=1.0,
    joint_share=0.0, code_dim=16, epochs=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def frozen(models, tmp_path_factory):
    """A model whose trunk learned from hints alone."""
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("frozen") / "model"
    learn(boxes(16), out, FROZEN, guides=Guides(teacher=models / TEACHER))
    return out


def stages_of(out):
    return [row.partition(",")[0] for row in (out / HISTORY).read_text().splitlines()[1:]]


def convolutions_of(out):
    weights = [numpy_helper.to_array(one) for one in onnx.load(out / NETWORK).graph.initializer]
    return [weight for weight in weights if weight.ndim == 4]


@pytest.mark.data
def test_a_frozen_trunk_keeps_what_hints_taught(frozen, models, tmp_path):
    """However long the heads learn."""
    out = tmp_path / "model"
    learn(boxes(16), out, replace(FROZEN, epochs=2), guides=Guides(teacher=models / TEACHER))
    prepared = ["hints apart", "hints in a row", "self-encoder", "self-encoder"]
    assert stages_of(frozen) == [*prepared, "network"]
    assert stages_of(out) == [*prepared, "network", "network"]
    pairs = zip(convolutions_of(frozen), convolutions_of(out), strict=True)
    same = [bool((a == b).all()) for a, b in pairs]
    # 27 convolutions of the trunk, and the shares that are fitted on it; `content` has others.
    assert sum(same) == 28 < len(same)


@pytest.mark.data
def test_a_trunk_is_frozen_without_label_maps_too(models, tmp_path):
    plain = {"self_encoder": "convolutional", "shares_weight": 0.0}
    shown = []
    for epochs in (1, 2):
        out = tmp_path / f"model {epochs}"
        recipe = replace(FROZEN, **plain, epochs=epochs)
        learn(single_boxes(12), out, recipe, guides=Guides(teacher=models / TEACHER))
        shown.append(convolutions_of(out))
    assert sum(bool((a == b).all()) for a, b in zip(*shown, strict=True)) == 27


def test_a_trunk_can_be_frozen_after_hints_without_codes():
    plain = {"self_encoder": "convolutional", "shares_weight": 0.0, "code_weight": 0.0}
    assert replace(FROZEN, **plain).is_trunk_frozen
    with pytest.raises(UsageError, match="is_trunk_frozen=True needs codes"):
        replace(FROZEN, **plain, pretraining=None, pretraining_epochs=None)


@pytest.mark.data
def test_learning_from_hints_continues_to_the_same_bits(frozen, models, tmp_path):
    out, guides = tmp_path / "model", Guides(teacher=models / TEACHER)
    with pytest.raises(Stopped):
        learn(boxes(16), out, FROZEN, guides=guides, progress=StopAfter(12))
    learn(boxes(16), out, FROZEN, guides=guides, resume=True)
    assert (out / NETWORK).read_bytes() == (frozen / NETWORK).read_bytes()


def test_strides_begin_at_the_first_pixel():
    """As in networks trained with TensorFlow, whose maps would be half a cell off otherwise."""
    stem = separable(128).layers[0].eval()
    convolution = next(part for part in stem if isinstance(part, nn.Conv2d))
    nn.init.zeros_(convolution.weight)
    convolution.weight.data[:, 0, 0, 0] = 1
    images = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = stem(images)[:, 0]
    torch.testing.assert_close(found, images[:, 0, ::2, ::2], rtol=1e-4, atol=1e-4)
