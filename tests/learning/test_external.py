import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from tiny_encoders import DIM, SCALING, SIDE, write_encoder
from tiny_trainings import TINY, StopAfter, Stopped
from toy_pictures import boxes

from lookalike.errors import ModelError, UsageError
from lookalike.features.model import Model
from lookalike.learning.augmentation import view_label_maps, view_pixels
from lookalike.learning.external import ExternalEncoder
from lookalike.learning.external_features import with_features
from lookalike.learning.pictures import load_pictures
from lookalike.learning.recipes import Recipe, learn
from lookalike.learning.stages import mirrored_views
from lookalike.model_folder import NETWORK
from lookalike.progress import SILENT
from tests.tiny_model import build_onnx

RECIPE = replace(TINY, epochs=3, self_encoder_epochs=1)


def pictures(n=3, size=32):
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.integers(0, 256, (n, 3, size, size)).astype(np.float32))


def run(path, name, pixels):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run([name], {"picture": pixels})[0]


def test_a_picture_is_scaled_as_the_file_beside_the_encoder_says(tmp_path):
    path = write_encoder(tmp_path / "encoder.onnx")
    encoder = ExternalEncoder(path, 32)
    mean, std = (np.array(SCALING[key]).reshape(3, 1, 1) for key in ("image_mean", "image_std"))
    scaled = ((pictures().numpy() / 255 - mean) / std).astype(np.float32)
    expected = run(path, "pooled", scaled)
    assert (encoder.is_vector, encoder.n_channels, encoder.side) == (True, DIM, 1)
    np.testing.assert_allclose(encoder(pictures())[:, :, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize("has_channels_last", [False, True])
@pytest.mark.parametrize("reads_bytes", [False, True])
def test_all_kinds_of_input_give_the_same_feature_map(tmp_path, has_channels_last, reads_bytes):
    settings = {"rescale_factor": 1.0, "image_mean": [0, 0, 0], "image_std": [100, 100, 100]}
    options = {"is_vector": False, "settings": settings}
    expected = ExternalEncoder(write_encoder(tmp_path / "a.onnx", **options), 32)(pictures())
    path = write_encoder(
        tmp_path / "b.onnx",
        reads_bytes=reads_bytes,
        has_channels_last=has_channels_last,
        **options,
    )
    encoder = ExternalEncoder(path, 32)
    assert (encoder.is_vector, encoder.n_channels, encoder.side) == (False, DIM, SIDE)
    torch.testing.assert_close(encoder(pictures()), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shape": ("n", 4, 32, 32)}, ModelError, r"shape \(n, 4, 32, 32\); .* with 3 fixed"),
        ({"shape": ("n", "c", 32, 32)}, ModelError, r"shape \(n, c, 32, 32\); .* with 3 fixed"),
        ({"shape": (1, 3, 32, 32)}, ModelError, r"\(1, 3, 32, 32\); export it with a batch axis"),
        ({"shape": ("n", 3, 64, 64)}, UsageError, r"image_size is 32; use image_size 64"),
        ({"kind": TensorProto.DOUBLE}, ModelError, r"type tensor\(double\); export it to read"),
        ({"outputs": ("cells",)}, ModelError, r"gives cells of shape \(2, 10, 16\) and type float"),
        ({"outputs": ("pooled", "map")}, ModelError, r"outputs pooled, map and none is chosen; na"),
        ({"settings": None}, ModelError, r"nothing says how bytes become these: image_mean, image"),
        ({"settings": {"mean": 1}}, ModelError, r"not known: mean; known are image_mean, image_st"),
        (
            {"settings": {**SCALING, "image_std": [1, 0, 1]}},
            ModelError,
            "nor rescale_factor may be",
        ),
        ({"settings": {**SCALING, "image_mean": 3}}, ModelError, "values that are no numbers"),
        ({"settings": {**SCALING, "output": "x"}}, ModelError, r"and none called 'x'; name one in"),
    ],
)
def test_encoders_that_do_not_fit_are_refused_in_one_line(tmp_path, options, error, message):
    path = tmp_path / "encoder.onnx"
    # A double cannot be multiplied by a float, so that graph is only typed, never run.
    write_encoder(path, **options)
    if options.get("kind") == TensorProto.DOUBLE:
        _cast_first(path)
    with pytest.raises(error, match=message) as refusal:
        learn(boxes(20), tmp_path / "model", replace(RECIPE, backbone=str(path)))
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.glob("model*"))


def _cast_first(path):
    model = onnx.load(path)
    node = onnx.helper.make_node("Cast", ["picture"], ["single"], to=TensorProto.FLOAT)
    model.graph.node[0].input[0] = "single"
    model.graph.node.insert(0, node)
    onnx.save(model, path)


def test_what_is_no_onnx_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "encoder.onnx"
    with pytest.raises(UsageError, match=r"there is no encoder .*encoder\.onnx"):
        ExternalEncoder(path, 32)
    path.write_bytes(b"no graph")
    with pytest.raises(ModelError, match="cannot be read as ONNX") as refusal:
        ExternalEncoder(path, 32)
    assert "\n" not in str(refusal.value)


def test_one_of_several_outputs_can_be_chosen(tmp_path):
    settings = {**SCALING, "output": "map"}
    path = write_encoder(tmp_path / "e.onnx", outputs=("pooled", "map"), settings=settings)
    assert ExternalEncoder(path, 32).side == SIDE


def test_features_are_those_of_each_picture_and_of_its_mirror_image(tmp_path):
    encoder = ExternalEncoder(write_encoder(tmp_path / "e.onnx", is_vector=False), 32)
    files = tmp_path / "learned"
    learned = load_pictures(boxes(5), range(5), files, side=32, map_side=16, progress=SILENT)
    found = with_features(learned, encoder, files, is_learned=True, progress=SILENT)
    positions = torch.tensor([3, 0])
    images = learned.take_pixels(positions).permute(0, 3, 1, 2).float()
    upright = found.take_features(positions)
    torch.testing.assert_close(upright, encoder(images), atol=1e-4, rtol=1e-4)
    mirrored = found.take_features(positions, torch.tensor([True, True]))
    torch.testing.assert_close(mirrored, encoder(images.flip(3)), atol=1e-4, rtol=1e-4)
    assert found.features.shape == (5, 2, DIM, SIDE, SIDE)
    before = (tmp_path / "learned.features").stat().st_mtime_ns
    again = with_features(learned, encoder, files, is_learned=True, progress=SILENT)
    np.testing.assert_array_equal(again.features, found.features)
    assert (tmp_path / "learned.features").stat().st_mtime_ns == before


@pytest.mark.parametrize("is_vector", [True, False])
def test_encoder_and_heads_become_one_file_that_any_collection_can_use(tmp_path, is_vector):
    path = write_encoder(tmp_path / "encoder.onnx", is_vector=is_vector)
    card = learn(boxes(20), tmp_path / "model", replace(RECIPE, backbone=str(path)))
    assert card.name == "toy-boxes-encoder-s0"
    assert card.training_data["encoder_sha256"]
    assert card.measured["parity_max_difference"] < 1e-3
    assert not list((tmp_path / "model").glob("heads*"))
    path.unlink()
    model = Model.open(tmp_path / "model")
    session = onnxruntime.InferenceSession(tmp_path / "model" / NETWORK)
    pixels = pictures(5).numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    shapes = [output.shape for output in session.run(None, {"images": pixels})]
    assert shapes == [(5, 12), (5, 8), (5, 3)]
    assert (model.card.content_dim, model.card.code_dim) == (12, 8)


@pytest.mark.parametrize(
    "opset",
    [
        11,
        pytest.param(13, marks=pytest.mark.slow),
        pytest.param(19, marks=pytest.mark.slow),
        pytest.param(21, marks=pytest.mark.slow),
    ],
)
def test_encoders_of_other_opsets_are_joined_too(tmp_path, opset):
    path = write_encoder(tmp_path / "encoder.onnx", opset=opset)
    recipe = replace(RECIPE, backbone=str(path), epochs=1, code_weight=0.0)
    card = learn(boxes(20), tmp_path / "model", recipe)
    assert card.measured["parity_max_difference"] < 1e-3


def test_every_other_view_of_an_external_encoder_is_the_mirror_image(tmp_path):
    encoder = ExternalEncoder(write_encoder(tmp_path / "e.onnx", is_vector=False), 32)
    files = tmp_path / "learned"
    learned = load_pictures(boxes(40), range(40), files, side=32, map_side=32, progress=SILENT)
    learned = with_features(learned, encoder, files, is_learned=True, progress=SILENT)
    positions = torch.arange(40)
    views = mirrored_views(40, torch.Generator().manual_seed(0))
    is_mirrored = views[:, 0, 0] < 0
    assert 10 < int(is_mirrored.sum()) < 30
    shown = encoder(view_pixels(learned.take_pixels(positions), views, 32))
    features = learned.take_features(positions, is_mirrored)
    torch.testing.assert_close(features, shown, atol=1e-4, rtol=1e-4)
    maps = learned.take_label_maps(positions[is_mirrored])
    seen = view_label_maps(maps, views[is_mirrored], 32)
    torch.testing.assert_close(seen, maps.flip(2))


@pytest.mark.slow
def test_heads_learn_from_mirror_images_whose_codes_are_mirrored(tmp_path):
    path = write_encoder(tmp_path / "encoder.onnx", is_vector=False)
    recipe = replace(RECIPE, backbone=str(path), epochs=20, self_encoder_epochs=20, joint_share=0.0)
    card = learn(boxes(40), tmp_path / "model", recipe)
    assert card.measured["predicted_miou"] > 0.2


@pytest.mark.slow
def test_a_run_with_another_encoder_is_not_resumed(tmp_path):
    path = write_encoder(tmp_path / "encoder.onnx")
    recipe = replace(RECIPE, backbone=str(path))

    whole = learn(boxes(20), tmp_path / "whole", recipe)
    with pytest.raises(Stopped):
        learn(boxes(20), tmp_path / "model", recipe, progress=StopAfter(30))
    sidecar = path.with_suffix(".json")
    kept = (path.read_bytes(), sidecar.read_bytes())
    write_encoder(path, opset=18)
    with pytest.raises(UsageError, match=r"begun with another content of .*encoder\.onnx; resume"):
        learn(boxes(20), tmp_path / "model", recipe, resume=True)
    path.write_bytes(kept[0])
    resumed = learn(boxes(20), tmp_path / "model", recipe, resume=True)
    assert resumed.files[NETWORK] == whole.files[NETWORK]
    assert json.loads(kept[1]) == SCALING


def test_pre_training_what_is_frozen_is_refused():
    with pytest.raises(UsageError, match=r"trains the backbone, but e\.onnx is used as it is"):
        Recipe(backbone="e.onnx", pretraining="layerwise")


def test_an_input_that_is_no_batch_of_pictures_is_refused_in_one_line(tmp_path):
    path = tmp_path / "encoder.onnx"
    flat = ("numbers", TensorProto.FLOAT, ("n", 3, 32))
    nodes = [onnx.helper.make_node("Flatten", ["numbers"], ["flat"])]
    onnx.save(build_onnx(nodes, flat, {"flat": ("n", 96)}, {}), path)
    with pytest.raises(ModelError, match=r"reads numbers of shape \(n, 3, 32\); \(batch, 3, size"):
        ExternalEncoder(path, 32)
