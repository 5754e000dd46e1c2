import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lookalike.errors import ModelError
from lookalike.learning.half_weights import halve_weights
from lookalike.learning.parity import run_file, smallest_cosine


def write_linear(path, weight):
    """`y = x · weight + bias`."""
    n, m = weight.shape
    bias = np.full(m, 1 / 3, np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "weight", "bias"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("batch", n))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("batch", m))],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def test_weights_take_half_the_space_and_compute_what_the_rounded_ones_would(tmp_path, rng):
    weight = rng.standard_normal((64, 64)).astype(np.float32)
    path = write_linear(tmp_path / "a.onnx", weight)
    before = path.stat().st_size
    x = torch.from_numpy(rng.standard_normal((3, 64)).astype(np.float32))
    difference, cosine = halve_weights(path, "x", x)
    assert path.stat().st_size < 0.55 * before
    assert 0 < difference < 0.05
    assert 0.99999 < cosine < 1
    rounded = weight.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(
        run_file(path, "x", x)[0], x.numpy() @ rounded + np.float32(1 / 3), atol=1e-4
    )
    onnx.checker.check_model(onnx.load(path))


def test_weights_too_large_for_16_bits_stay_as_they_are(tmp_path):
    weight = np.full((16, 16), 1e5, np.float32)
    path = write_linear(tmp_path / "a.onnx", weight)
    assert halve_weights(path, "x", torch.ones(2, 16))[0] == 0


def test_a_network_that_rounding_spoils_is_refused(tmp_path):
    # The difference of two nearly equal numbers is lost in 16 bits.
    weight = np.ones((16, 16), np.float32)
    weight[8:] = -1 + 1e-4 * np.arange(16, dtype=np.float32)
    path = write_linear(tmp_path / "a.onnx", weight)
    with pytest.raises(ModelError, match=r"a.onnx with weights of 16 bits differs too much"):
        halve_weights(path, "x", torch.full((1, 16), 1e4))


def test_the_smallest_cosine_is_that_of_the_worst_row():
    a = np.array([[1.0, 0.0], [1.0, 0.0]])
    b = np.array([[2.0, 0.0], [1.0, 1.0]])
    assert smallest_cosine(a, b) == pytest.approx(2**-0.5)


def test_rows_of_zeros_agree_with_each_other_alone():
    zero, other = np.zeros((1, 2), np.float32), np.array([[0.0, 3.0]], np.float32)
    assert smallest_cosine(zero, zero + 1e-8) == 1
    assert smallest_cosine(zero, other) == 0
