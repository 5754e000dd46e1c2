import os
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_files import SIDE, write_segmenter, write_teacher

from lookalike.errors import UsageError
from lookalike.learning.devices import Device
from lookalike.learning.foreign import NORMALIZATIONS, checksum, fit_images, open_network
from lookalike.learning.tflite_graph import TfliteGraph, before_pooling, same_padding

CPU = Device("cpu", has_bfloat16=False)
TEACHER = "mobilenet_v1_1.0_224_quant_embedding_extractor.tflite"
SEGMENTER = "deeplabv3_mnv2_pascal_quant.tflite"


@pytest.fixture
def images(rng):
    return torch.from_numpy(rng.integers(0, 256, (5, 3, SIDE, SIDE)).astype(np.float32))


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of TFLite networks beside the photographs, or a skip with the reason."""
    pytest.importorskip("ai_edge_litert", reason="the extra litert is not installed")
    data = Path(os.environ.get("LOOKALIKE_DATA", "photographs"))
    places = [data / "models", data.parent / "models"]
    found = next((place for place in places if (place / TEACHER).is_file()), None)
    if found is None:
        pytest.skip("no TFLite networks in or beside the folder that LOOKALIKE_DATA names")
    return found


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_networks_of_numbers_read_normalized_channels(tmp_path, images, is_last, normalization):
    path = write_teacher(tmp_path / "a.onnx", is_last=is_last)
    found = open_network(path, normalization, CPU).run(images)
    mean, deviation = (torch.tensor(part) for part in NORMALIZATIONS[normalization])
    torch.testing.assert_close(found, (images.mean(dim=(2, 3)) - mean) / deviation)


def test_networks_of_bytes_read_rounded_bytes_whatever_the_normalization(tmp_path, images):
    path = write_teacher(tmp_path / "a.onnx", kind="uint8", is_last=True)
    found = open_network(path, "imagenet", CPU).run(images + 0.3)
    torch.testing.assert_close(found, images.mean(dim=(2, 3)))


def test_networks_for_so_many_pictures_at_a_time_take_any_number(tmp_path, images):
    path = write_teacher(tmp_path / "a.onnx", batch=2)
    found = open_network(path, "bytes", CPU).run(images)
    torch.testing.assert_close(found, images.mean(dim=(2, 3)))


def test_maps_of_scores_keep_their_axes(tmp_path, images):
    path = write_segmenter(tmp_path / "a.onnx", output="scores last", steepness=1.0)
    found = open_network(path, "imagenet", CPU).run(images)
    assert found.shape == (5, SIDE, SIDE, 4)
    torch.testing.assert_close(found[:, :, :, 1:], images.permute(0, 2, 3, 1) / 255)


def test_images_are_stretched_to_what_a_network_reads(tmp_path):
    network = open_network(write_teacher(tmp_path / "a.onnx"), "bytes", CPU)
    halves = torch.zeros(1, 3, 40, 64)
    halves[:, :, :, 32:] = 200
    small = fit_images(halves, network)
    assert small.shape == (1, 3, SIDE, SIDE)
    assert (small[..., :7] < 1).all()
    assert (small[..., 9:] > 199).all()
    assert fit_images(small, network) is small


def test_a_checksum_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert checksum(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_wrong_networks_are_refused_in_one_line(tmp_path):
    teacher = write_teacher(tmp_path / "a.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    (tmp_path / "a.pt").write_bytes(b"")
    cases = [
        (tmp_path / "none.onnx", "imagenet", "there is no network .*none.onnx; give an"),
        (teacher, "vgg", "normalization 'vgg' is not known; choose one of: imagenet, symm"),
        (tmp_path / "a.pt", "imagenet", "a.pt is no network of a known kind; give an .onnx or"),
        (tmp_path / "broken.onnx", "imagenet", "broken.onnx cannot be run: "),
        (write_teacher(tmp_path / "d.onnx", kind="double"), "bytes", r"reads tensor\(double\);"),
    ]
    for path, normalization, message in cases:
        with pytest.raises(UsageError, match=message) as caught:
            open_network(path, normalization, CPU)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [7, 8, 9])
@pytest.mark.parametrize(("kernel", "stride", "spread"), [(3, 2, 1), (3, 1, 2), (2, 2, 1)])
def test_padding_keeps_the_side_over_the_stride_and_puts_the_odd_one_last(
    length, kernel, stride, spread
):
    image = torch.zeros(1, 1, length, 8)
    left, right, top, bottom = same_padding(image, (kernel, 1), (stride, 1), (spread, 1))
    assert (left, right) == (0, 0)
    assert bottom - top in (0, 1)
    covered = length + top + bottom - (kernel - 1) * spread
    assert -(-covered // stride) == -(-length // stride)


@pytest.mark.data
def test_a_quantized_network_says_the_same_as_a_graph_and_in_litert(models, rng):
    network = open_network(models / TEACHER, "imagenet", CPU)
    graph = TfliteGraph(models / TEACHER).eval()
    assert (network.height, network.width) == (graph.height, graph.width) == (224, 224)
    coarse = torch.from_numpy(rng.integers(0, 256, (2, 3, 7, 7)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, (224, 224), mode="bilinear").round()
    expected = network.run(images).flatten(1)
    found = graph(images).flatten(1)
    assert expected.shape == (2, 1024)
    # Between layers LiteRT rounds to 8 bits and the graph does not.
    assert torch.cosine_similarity(found, expected).min() > 0.95


@pytest.mark.data
def test_a_network_cut_before_its_pooling_gives_the_map_whose_mean_it_gave(models, rng):
    coarse = torch.from_numpy(rng.integers(0, 256, (1, 3, 7, 7)).astype(np.float32))
    images = torch.nn.functional.interpolate(coarse, (224, 224), mode="bilinear").round()
    whole = open_network(models / TEACHER, "imagenet", CPU).run(images).flatten(1)
    cut = open_network(models / TEACHER, "imagenet", CPU, is_cut=True).run(images)
    graph = TfliteGraph(models / TEACHER, before_pooling(models / TEACHER)).eval()
    assert cut.shape == (1, 7, 7, 1024)
    assert torch.cosine_similarity(cut.mean(dim=(1, 2)), whole).min() > 0.999
    assert torch.cosine_similarity(graph(images).flatten(1), cut.flatten(1)).min() > 0.95


@pytest.mark.data
@pytest.mark.slow
def test_a_segmentation_network_draws_the_same_as_a_graph_and_in_litert(models, photographs):
    from lookalike.datasets import open_dataset
    from lookalike.images.decoding import decode

    image = open_dataset(photographs / "coco")[3]
    pixels = decode(image.read_bytes(), (513, 513)).pixels
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    expected = open_network(models / SEGMENTER, "imagenet", CPU).run(images)
    found = TfliteGraph(models / SEGMENTER).eval()(images)
    assert (found.reshape(expected.shape) == expected).float().mean() > 0.9
