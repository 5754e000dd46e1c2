"""Weights of an ONNX file as float16: half the space on disk, the arithmetic as before."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float
from numpy import ndarray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from lookalike.errors import ModelError

_FEWEST: Final = 64
"""Smaller tensors are left alone: biases and constants, which weigh nothing."""
_SMALLEST_COSINE: Final = 0.9995
_LARGEST: Final = 6e4
"""float16 ends at 65,504."""


def halve_weights(path: Path, input_name: str, example: Tensor) -> tuple[float, float]:
    """Round the weights of an ONNX file to float16 and store them so.

    Each is converted back when the file is loaded, once; networks run in float32 as before.

    Args:
        path: The file; it is replaced.
        input_name: Its input.
        example: A batch to compare on.

    Returns:
        Largest difference and smallest cosine of outputs before and after.

    Raises:
        ModelError: If rounding changes what the network says.
    """
    before = run_file(path, input_name, example)
    model = onnx.load(str(path))
    _halve(model)
    onnx.save(model, str(path))
    after = run_file(path, input_name, example)
    pairs = list(zip(before, after, strict=True))
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    cosine = min(smallest_cosine(a, b) for a, b in pairs)
    if not cosine >= _SMALLEST_COSINE:
        raise ModelError(
            f"{path.name} with weights of 16 bits differs too much (cosine {cosine:.6f}); "
            "export it with half_weights off"
        )
    return difference, cosine


def _halve(model: onnx.ModelProto) -> None:
    casts = []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _FEWEST or np.abs(array).max() > _LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def run_file(path: Path, input_name: str, example: Tensor) -> list[ndarray]:
    """Run an ONNX file on one batch and return its outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs: list[ndarray] = session.run(None, {input_name: example.numpy()})
    return outputs


def smallest_cosine(a: Float[ndarray, "..."], b: Float[ndarray, "..."]) -> float:
    """Return the smallest cosine between rows of two arrays, further axes flattened."""
    rows_a, rows_b = a.reshape(len(a), -1).astype(float), b.reshape(len(b), -1).astype(float)
    lengths = np.linalg.norm(rows_a, axis=1) * np.linalg.norm(rows_b, axis=1)
    return float(((rows_a * rows_b).sum(axis=1) / np.maximum(lengths, 1e-12)).min())
