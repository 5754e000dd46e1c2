from itertools import pairwise

import pytest
import torch
from torch import nn

from lookalike.errors import UsageError
from lookalike.learning.backbones import BACKBONES, Backbone
from lookalike.learning.export import export_model
from lookalike.learning.network import build_network
from lookalike.learning.optimizers import Muon
from lookalike.learning.published_networks import (
    LAYERS,
    LocalResponseNorm,
    form_of,
    plain_backbone,
    sides_of,
)
from lookalike.learning.recipes import Recipe

SIZES = {"alexnet": 227, "cnn-f": 224, "cnn-m": 224, "cnn-s": 224, "nin": 224, "zf": 224}
PUBLISHED = sorted(SIZES)
MODERN = ["mobilenet-v3-large", "mobilenet-v3-small", "residual", "resnet18", "resnet50"]


def build(name, size, *, n_classes=1000, has_code=False, **changes):
    torch.manual_seed(0)
    recipe = Recipe(backbone=name, image_size=size, **changes)
    return build_network(n_classes, recipe, has_code=has_code)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_recipes_know_exactly_the_backbones_there_are():
    with pytest.raises(UsageError) as refusal:
        Recipe(backbone="vgg")
    listed = str(refusal.value).partition("choose one of: ")[2]
    assert listed.split(", ") == [*BACKBONES, "FILE.onnx"]


@pytest.mark.parametrize(
    ("name", "n_parameters", "millions"),
    [
        ("alexnet", 60_965_224, 61.0),
        ("cnn-f", 60_834_536, 60.8),
        ("cnn-m", 102_908_520, 102.9),
        ("cnn-s", 102_908_520, 102.9),
        ("nin", 7_595_176, 7.6),
        ("zf", 62_357_608, 62.4),
    ],
)
def test_published_networks_have_the_published_number_of_parameters(name, n_parameters, millions):
    with torch.device("meta"):
        network = build(name, SIZES[name])
    assert count(network) == n_parameters
    assert round(n_parameters / 1e6, 1) == millions


# With the classifier of the publication, which the two heads replace here.
@pytest.mark.parametrize(
    ("name", "widths", "n_parameters"),
    [
        ("resnet18", (512, 1000), 11_689_512),
        ("resnet50", (2048, 1000), 25_557_032),
        ("mobilenet-v3-large", (960, 1280, 1000), 5_483_032),
        ("mobilenet-v3-small", (576, 1024, 1000), 2_542_856),
        ("separable", (1024, 1000), 4_231_976),
    ],
)
def test_modern_networks_have_the_published_number_of_parameters(name, widths, n_parameters):
    with torch.device("meta"):
        backbone = BACKBONES[name](64)
        classifier = [nn.Linear(*pair) for pair in pairwise(widths)]
    assert count(backbone) + sum(count(layer) for layer in classifier) == n_parameters


# After each convolution and after each pooling of the layer table.
@pytest.mark.parametrize(
    ("name", "convolved", "pooled"),
    [
        ("alexnet", [55, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        ("cnn-f", [54, 27, 13, 13, 13], [27, 13, 13, 13, 6]),
        ("cnn-m", [109, 26, 13, 13, 13], [54, 13, 13, 13, 6]),
        ("cnn-s", [109, 33, 17, 17, 17], [37, 17, 17, 17, 6]),
        ("nin", [54, 27, 13, 6], [27, 13, 6, 6]),
        ("zf", [110, 26, 13, 13, 13], [55, 13, 13, 13, 6]),
    ],
)
def test_every_stage_has_the_published_size(name, convolved, pooled):
    size = SIZES[name]
    with torch.device("meta"):
        backbone = plain_backbone(name, size)
        x = torch.zeros(1, 3, size, size)
    found, ends = [], []
    for layer in backbone.layers:
        for module in layer:
            x = module(x)
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                found.append(x.shape[2])
        ends.append(x.shape[2])
    assert found == convolved
    assert ends == pooled == sides_of(LAYERS[name], size)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("size", [64, 96, 192])
def test_both_forms_end_with_the_side_they_say(name, size):
    with torch.device("meta"):
        backbone = plain_backbone(name, size)
        shape = backbone(torch.zeros(1, 3, size, size)).shape
    assert shape == (1, backbone.n_channels, backbone.side, backbone.side)
    if size < 192:
        assert backbone.side == size // 16


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_small_form_keeps_widths_groups_and_norms(name):
    published, small = form_of(name, 224), form_of(name, 64)
    kept = [(layer.width, layer.groups, layer.inner, layer.has_lrn) for layer in published]
    assert kept == [(layer.width, layer.groups, layer.inner, layer.has_lrn) for layer in small]
    assert [layer.kernel for layer in published[1:]] == [layer.kernel for layer in small[1:]]


@pytest.mark.parametrize("name", MODERN)
@pytest.mark.parametrize(("size", "side"), [(96, 6), (224, 7)])
def test_modern_networks_keep_places_apart_at_every_size(name, size, side):
    with torch.device("meta"):
        backbone = BACKBONES[name](size)
        shape = backbone(torch.zeros(1, 3, size, size)).shape
    assert shape == (1, backbone.n_channels, side, side)
    assert backbone.side == side


def local_response_norm(column, n, k, alpha, beta):
    """The formula, one feature map at a time."""
    around = [column[max(0, i - n // 2) : i + n // 2 + 1] for i in range(len(column))]
    return [
        a / (k + alpha * sum(b * b for b in near)) ** beta
        for a, near in zip(column, around, strict=True)
    ]


def test_neighboring_maps_inhibit_each_other_as_in_the_formula():
    x = 30 * torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(0))
    found = LocalResponseNorm()(x)
    expected = local_response_norm(x[1, :, 2, 3].tolist(), n=5, k=2.0, alpha=1e-4, beta=0.75)
    torch.testing.assert_close(found[1, :, 2, 3], torch.tensor(expected))
    divided = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(found, divided(x))


def test_pooling_hangs_over_the_lower_right_border_only():
    x = torch.zeros(1, 1, 109, 109)
    x[..., -1, -1], x[..., 0, 0] = 2.0, 1.0
    pooling = plain_backbone("cnn-s", 224).layers[0][-1]
    pooled = pooling(x)
    assert pooled.shape == (1, 1, 37, 37)
    assert (pooled[..., -1, -1], pooled[..., 0, 0]) == (2.0, 1.0)
    assert pooled.count_nonzero() == 2


@pytest.mark.parametrize(
    ("name", "size", "content_dim", "expected"),
    [
        ("alexnet", 227, None, 4096),
        ("alexnet", 64, None, 1024),
        ("cnn-m", 224, 128, 128),
        ("nin", 224, None, 1024),
        ("nin", 64, 100, 100),
        ("resnet18", 64, None, 256),
        ("residual", 64, 12, 12),
    ],
)
def test_content_is_as_long_as_the_last_hidden_layer_or_as_asked_for(
    name, size, content_dim, expected
):
    with torch.device("meta"):
        network = build(name, size, content_dim=content_dim)
    assert network.content_dim == expected
    assert network.label_head.in_features == expected


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_read_labels_and_code_linearly_from_one_feature(name):
    network = build(name, 64, n_classes=3, has_code=True, code_dim=5).eval()
    with torch.no_grad():
        predicted = network(255 * torch.rand(2, 3, 64, 64))
        code = predicted.content @ network.code_head.weight.T + network.code_head.bias
        logits = predicted.content @ network.label_head.weight.T + network.label_head.bias
    torch.testing.assert_close(predicted.code, code)
    torch.testing.assert_close(predicted.label_logits, logits)
    assert (predicted.content >= 0).all()


def test_nin_scores_the_average_as_it_would_average_the_scores():
    network = build("nin", 64, n_classes=3).eval()
    with torch.no_grad():
        images = network.normalize(255 * torch.rand(2, 3, 64, 64))
        cells = network.backbone(images)
        scores = nn.functional.conv2d(
            cells, network.label_head.weight[:, :, None, None], network.label_head.bias
        )
        found = network.predict(cells).label_logits
    torch.testing.assert_close(found, scores.mean(dim=(2, 3)), atol=1e-4, rtol=1e-4)


def train_two_steps(network, size):
    optimizer = Muon([network], 1e-3, 0.0, by_adam=network.read_outs)
    images = 255 * torch.rand(2, 3, size, size)
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    before = [parameter.detach().clone() for parameter in network.parameters()]
    for _ in range(2):  # a residual branch ends with a weight of 0 and waits for the second step
        predicted = network.train()(images)
        loss = nn.functional.binary_cross_entropy_with_logits(predicted.label_logits, targets)
        optimizer.zero_grad()
        (loss + predicted.code.square().mean()).backward()
        optimizer.step()
    return [bool((a != b).any()) for a, b in zip(before, network.parameters(), strict=True)]


def check_training(name, size):
    network = build(name, size, n_classes=3, has_code=True)
    assert isinstance(network.backbone, Backbone)
    assert all(train_two_steps(network, size))
    assert all(torch.isfinite(parameter).all() for parameter in network.parameters())


@pytest.mark.parametrize("name", ["alexnet", "mobilenet-v3-small"])
def test_steps_move_all_of_a_network(name):
    check_training(name, 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PUBLISHED, *MODERN])
def test_every_network_trains_at_its_published_size(name):
    check_training(name, SIZES.get(name, 224))


def test_the_backbone_is_what_its_layers_are_one_after_the_other():
    for name in ("residual", "alexnet", "nin", "resnet18", "mobilenet-v3-small"):
        backbone = BACKBONES[name](32).eval()
        x = images = torch.randn(1, 3, 32, 32)
        with torch.no_grad():
            for layer in backbone.layers:
                x = layer(x)
            torch.testing.assert_close(x, backbone(images))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("cnn-s", 32),
        ("mobilenet-v3-small", 32),
        pytest.param("nin", 64, marks=pytest.mark.slow),
        pytest.param("resnet50", 64, marks=pytest.mark.slow),
        pytest.param("alexnet", 227, marks=pytest.mark.slow),
    ],
)
def test_an_exported_network_computes_what_was_trained(tmp_path, name, size):
    network = build(name, size, n_classes=3).eval()
    pixels = torch.randint(0, 256, (3, size, size, 3), dtype=torch.uint8)
    figures = export_model(
        tmp_path, network, None, is_single_label=False, pixels=pixels, label_maps=None
    )
    assert figures["parity_max_difference"] < 1e-3
