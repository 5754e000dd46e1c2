"""Small ONNX encoders as others might give them, with random weights."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SCALING = {
    "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}
DIM = 10
SIDE = 4
SHAPES = {"pooled": ("n", DIM), "map": ("n", DIM, "down", "across"), "cells": ("n", DIM, "cells")}


def write_encoder(
    path: Path,
    *,
    is_vector: bool = True,
    reads_bytes: bool = False,
    has_channels_last: bool = False,
    shape: tuple[str | int, ...] | None = None,
    kind: int | None = None,
    outputs: tuple[str, ...] = ("pooled",),
    opset: int = 17,
    settings: object = SCALING,
) -> Path:
    """A convolution with a ReLU, then the mean, the feature map or its cells as a sequence."""
    nodes = []
    source = "picture"
    if reads_bytes:
        nodes.append(helper.make_node("Cast", [source], ["numbers"], to=TensorProto.FLOAT))
        source = "numbers"
    if has_channels_last:
        nodes.append(helper.make_node("Transpose", [source], ["planes"], perm=[0, 3, 1, 2]))
        source = "planes"
    nodes += [
        helper.make_node(
            "Conv", [source, "weight"], ["linear"], kernel_shape=[8, 8], strides=[8, 8]
        ),
        helper.make_node("Relu", ["linear"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["pooled"]),
        helper.make_node("Reshape", ["map", "sequence"], ["cells"]),
    ]
    kind = kind or (TensorProto.UINT8 if reads_bytes else TensorProto.FLOAT)
    sizes = ("n", "height", "width", 3) if has_channels_last else ("n", 3, "height", "width")
    chosen = outputs if is_vector else ("map",)
    rng = np.random.default_rng(0)
    scale = 0.01 if reads_bytes else 1.0
    constants = {
        "weight": (rng.standard_normal((DIM, 3, 8, 8)) * scale / 14).astype(np.float32),
        "sequence": np.array([0, DIM, -1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info("picture", kind, shape or sizes)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPES[name]) for name in chosen],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save(model, path)
    if settings is not None and not reads_bytes:
        path.with_suffix(".json").write_text(json.dumps(settings))
    return path
