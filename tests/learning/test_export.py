import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from toy_pictures import draw_boxes, paint

from lookalike.errors import ModelError
from lookalike.learning.export import ExportedEncoder, compare, export_model
from lookalike.learning.network import build_network
from lookalike.learning.recipes import Recipe
from lookalike.learning.self_encoders import build_self_encoder
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER

RECIPE = Recipe(image_size=32, grid=16, code_dim=8, content_dim=12)


@pytest.fixture
def trained():
    """A network and a self-encoder whose normalization has seen something."""
    torch.manual_seed(0)
    network = build_network(3, RECIPE, has_code=True)
    self_encoder = build_self_encoder(3, RECIPE)
    rng = np.random.default_rng(0)
    maps = np.stack([draw_boxes(rng, 32) for _ in range(6)])
    pixels = torch.from_numpy(np.stack([paint(m) for m in maps]))
    label_maps = torch.from_numpy(maps[:, ::2, ::2].copy())
    label_maps[0, :3] = 255
    for _ in range(3):
        network.train()(pixels.permute(0, 3, 1, 2).float())
        self_encoder.train()(label_maps)
    self_encoder.calibrate(self_encoder.eval().encode(label_maps).detach())
    return network.eval(), self_encoder.eval(), pixels, label_maps


def export(folder, trained, *, is_single_label=False):
    network, self_encoder, pixels, label_maps = trained
    return export_model(
        folder,
        network,
        self_encoder,
        is_single_label=is_single_label,
        pixels=pixels,
        label_maps=label_maps,
    )


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def test_exported_files_compute_what_was_trained(tmp_path, trained):
    network, self_encoder, pixels, label_maps = trained
    figures = export(tmp_path, trained)
    assert figures["parity_max_difference"] < 1e-4
    assert figures["parity_min_cosine"] > 0.99999
    with torch.no_grad():
        predicted = network(pixels.permute(0, 3, 1, 2).float())
        code = self_encoder.encode(label_maps)
        probabilities = self_encoder.probabilities(code)
    found = run(tmp_path / NETWORK, images=pixels.numpy())
    np.testing.assert_allclose(np.linalg.norm(found["content"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found["layout"], predicted.code, atol=1e-4)
    np.testing.assert_allclose(found["labels"], predicted.label_logits.sigmoid(), atol=1e-4)
    encoded = run(tmp_path / SELF_ENCODER, label_maps=label_maps.numpy())["code"]
    np.testing.assert_allclose(encoded, code, atol=1e-4)
    decoded = run(tmp_path / SELF_DECODER, code=code.numpy())["probabilities"]
    np.testing.assert_allclose(decoded, probabilities, atol=1e-4)


@pytest.mark.parametrize("n", [1, 5])
def test_batches_may_have_any_length(tmp_path, trained, n):
    export(tmp_path, trained)
    found = run(tmp_path / NETWORK, images=np.zeros((n, 32, 32, 3), np.uint8))
    assert {name: value.shape for name, value in found.items()} == {
        "content": (n, 12),
        "layout": (n, 8),
        "labels": (n, 3),
    }


def test_single_labels_are_probabilities_that_sum_to_one(tmp_path, trained):
    export(tmp_path, trained, is_single_label=True)
    found = run(tmp_path / NETWORK, images=trained[2].numpy())
    np.testing.assert_allclose(found["labels"].sum(axis=1), 1, atol=1e-5)


def test_without_a_self_encoder_there_is_one_file_without_layout(tmp_path):
    torch.manual_seed(0)
    network = build_network(3, RECIPE, has_code=False).eval()
    pixels = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    figures = export_model(
        tmp_path, network, None, is_single_label=False, pixels=pixels, label_maps=None
    )
    assert [path.name for path in tmp_path.iterdir()] == [NETWORK]
    assert set(run(tmp_path / NETWORK, images=pixels.numpy())) == {"content", "labels"}
    assert set(figures) == {"parity_max_difference", "parity_min_cosine"}


def test_every_map_value_of_void_is_encoded_alike(tmp_path, trained):
    export(tmp_path, trained)
    void = run(tmp_path / SELF_ENCODER, label_maps=np.full((1, 16, 16), 255, np.uint8))
    assert np.isfinite(void["code"]).all()


def test_weights_are_single_precision_and_files_are_whole_graphs(tmp_path, trained):
    export(tmp_path, trained)
    for name in (NETWORK, SELF_ENCODER, SELF_DECODER):
        model = onnx.load(tmp_path / name)
        onnx.checker.check_model(model, full_check=True)
        floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.UINT8}
        assert {weights.data_type for weights in model.graph.initializer} <= floats


def test_a_file_that_computes_something_else_is_refused(tmp_path, trained):
    _, self_encoder, _, label_maps = trained
    export(tmp_path, trained)
    with torch.no_grad():
        self_encoder.mean.add_(0.01)
    module = ExportedEncoder(self_encoder)
    with pytest.raises(ModelError, match=r"self_encoder\.onnx differs from the trained network by"):
        compare(tmp_path / SELF_ENCODER, module, "label_maps", label_maps)
