"""Small networks as somebody else might have trained them: ONNX files whose answers are plain."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 16
NAMES = ("background", "red", "green", "blue")
TYPES = {"float": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "double": TensorProto.DOUBLE}


def write_teacher(
    path: Path, *, kind: str = "float", is_last: bool = False, batch: int | str = "batch"
) -> Path:
    """Its embedding is the mean of each channel as it reads them."""
    mean = helper.make_node("ReduceMean", ["channels", "plane"], ["embedding"], keepdims=0)
    nodes = [*_as_channels(kind, is_last=is_last), mean]
    constants = {"plane": np.array([2, 3], np.int64)}
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, (batch, 3))
    return _save(path, nodes, constants, _images(kind, is_last, batch), output)


def write_segmenter(path: Path, *, output: str = "numbers", steepness: float = 40.0) -> Path:
    """It reads bytes and knows `NAMES`: scores are the channels over 255, background has 0.5.

    `output` is `numbers` (batch, height, width), `scores` (batch, classes, height, width) or
    `scores last`; scores are multiplied by `steepness`.
    """
    nodes = [
        *_as_channels("uint8", is_last=True),
        helper.make_node("Conv", ["channels", "weight", "bias"], ["scores"]),
    ]
    weight = np.vstack([np.zeros(3), np.eye(3) / 255])[:, :, None, None]
    constants = {
        "weight": (steepness * weight).astype(np.float32),
        "bias": (steepness * np.array([0.5, 0, 0, 0])).astype(np.float32),
    }
    shape: tuple[str | int, ...] = ("batch", len(NAMES), SIDE, SIDE)
    name, element = "scores", TensorProto.FLOAT
    if output == "numbers":
        nodes.append(helper.make_node("ArgMax", ["scores"], ["numbers"], axis=1, keepdims=0))
        name, element, shape = "numbers", TensorProto.INT64, ("batch", SIDE, SIDE)
    if output == "scores last":
        nodes.append(helper.make_node("Transpose", ["scores"], ["moved"], perm=[0, 2, 3, 1]))
        name, shape = "moved", ("batch", SIDE, SIDE, len(NAMES))
    found = helper.make_tensor_value_info(name, element, shape)
    return _save(path, nodes, constants, _images("uint8", True, "batch"), found)


def write_names(path: Path, *names: str) -> Path:
    path.write_text("".join(f"{name}\n" for name in names or NAMES), encoding="utf-8")
    return path


def _images(kind: str, is_last: bool, batch: int | str) -> onnx.ValueInfoProto:
    shape = (batch, SIDE, SIDE, 3) if is_last else (batch, 3, SIDE, SIDE)
    return helper.make_tensor_value_info("images", TYPES[kind], shape)


def _as_channels(kind: str, *, is_last: bool) -> list[onnx.NodeProto]:
    order = [0, 3, 1, 2] if is_last else [0, 1, 2, 3]
    return [
        helper.make_node("Cast", ["images"], ["numbers_read"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["numbers_read"], ["channels"], perm=order),
    ]


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    images: onnx.ValueInfoProto,
    output: onnx.ValueInfoProto,
) -> Path:
    initial = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "foreign", [images], [output], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path
