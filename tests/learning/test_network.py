import pytest
import torch

from lookalike.learning.network import build_network
from lookalike.learning.recipes import Recipe


def build(*, has_code=True, **changes):
    torch.manual_seed(0)
    return build_network(3, Recipe(**{"image_size": 64, **changes}), has_code=has_code)


@pytest.mark.parametrize(
    ("image_size", "side"), [(32, 8), (64, 8), (96, 6), (128, 8), (224, 7), (512, 16)]
)
def test_feature_maps_keep_places_apart_at_every_size(image_size, side):
    network = build(image_size=image_size).eval()
    assert network.backbone.side == side
    with torch.no_grad():
        images = torch.zeros(2, 3, image_size, image_size)
        predicted = network(images)
        feature_map = network.backbone(images)
    assert feature_map.shape == (2, network.backbone.n_channels, side, side)
    assert predicted.content.shape == (2, 256)
    assert predicted.label_logits.shape == (2, 3)
    assert predicted.code.shape == (2, 128)


def test_the_network_starts_alike_with_and_without_codes():
    with_codes, without = build().state_dict(), build(has_code=False).state_dict()
    assert set(without) < set(with_codes)
    for name, weights in without.items():
        torch.testing.assert_close(with_codes[name], weights)


def test_without_self_encoding_there_is_no_code():
    network = build(has_code=False).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 64, 64)).code is None


def test_rescaled_codes_are_standardized_predictions():
    network = build(code_dim=4).eval()
    images = torch.rand(5, 3, 64, 64) * 255
    mean, deviation = torch.tensor([1.0, -2.0, 0.0, 3.0]), torch.tensor([2.0, 0.5, 1.0, 4.0])
    with torch.no_grad():
        before = network(images).code
        network.rescale_code(mean, deviation)
        after = network(images).code
    torch.testing.assert_close(after, (before - mean) / deviation, atol=1e-4, rtol=1e-4)


def test_codes_depend_on_places_more_than_content_does():
    network = build().eval()
    images = torch.zeros(1, 3, 64, 64)
    images[:, 0, 8:32, 8:32] = 255
    with torch.no_grad():
        one, other = network(images), network(images.flip(3))
    moved = (one.code - other.code).norm() / one.code.norm()
    kept = (one.content - other.content).norm() / one.content.norm()
    assert moved > 2 * kept
