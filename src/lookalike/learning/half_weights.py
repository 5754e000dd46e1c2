"""Weights of an ONNX file as float16: half the space on disk, the arithmetic as before."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from lookalike.errors import ModelError
from lookalike.learning.parity import overlook_jumps, run_file, smallest_cosine

_FEWEST: Final = 64
"""Smaller tensors are left alone: biases and constants, which weigh nothing."""
_SMALLEST_COSINE: Final = 0.9995
_LARGEST: Final = 6e4
"""float16 ends at 65,504."""


def halve_weights(
    path: Path, input_name: str, example: Tensor, *, has_jumps: bool = False
) -> tuple[float, float]:
    """Round the weights of an ONNX file to float16 and store them so.

    Each is converted back when the file is loaded, once; networks run in float32 as before.

    Args:
        path: The file; it is replaced.
        input_name: Its input.
        example: A batch to compare on.
        has_jumps: Whether outputs are bits, a few of which rounding may change.

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
    if has_jumps:
        pairs = [(a, overlook_jumps(b, a)) for a, b in pairs]
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
    # Files of old versions list weights among the inputs, where they can be replaced by others.
    replaceable = {given.name for given in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.name in replaceable:
            continue
        array = numpy_helper.to_array(tensor)
        if array.dtype != np.float32 or array.size < _FEWEST or np.abs(array).max() > _LARGEST:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
