"""One ONNX file of an external encoder and the heads that were trained on top of it."""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import (
    ModelProto,
    NodeProto,
    TensorProto,
    compose,
    helper,
    numpy_helper,
    version_converter,
)

from lookalike.errors import ModelError
from lookalike.learning.external import ExternalEncoder

FEATURES: Final = "features"
"""Name of the heads' input."""
IMAGES: Final = "images"
_LARGEST_OPSET: Final = 20
"""The newest operators that the exporter of heads writes."""
_SMALLEST_OPSET: Final = 13
_OWN: Final = "encoder_"
"""What the names of the external graph begin with in the whole one."""


def load_encoder(encoder: ExternalEncoder) -> ModelProto:
    """Return the external graph, its operators brought up to date if they are too old.

    Raises:
        ModelError: If they cannot be.
    """
    model = onnx.load(encoder.path)
    return model if opset_of(model) >= _SMALLEST_OPSET else _converted(model, _SMALLEST_OPSET)


def heads_opset(model: ModelProto) -> int:
    """Return the version of operators that heads are to be exported with for an external graph."""
    return min(opset_of(model), _LARGEST_OPSET)


def _converted(model: ModelProto, opset: int) -> ModelProto:
    try:
        return version_converter.convert_version(model, opset)
    except Exception as error:  # the converter raises what its C++ code does
        raise ModelError(
            f"the operators of ONNX opset {opset_of(model)} cannot be brought to {opset}: "
            f"{str(error).splitlines()[0]}; export the encoder with another opset"
        ) from error


def opset_of(model: ModelProto) -> int:
    """Return the version of ONNX's own operators that a graph uses."""
    return max(
        (int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), default=1
    )


def join(encoder: ExternalEncoder, model: ModelProto, heads: Path, out: Path) -> None:
    """Write `images` → scaling → external graph → heads as one file.

    Args:
        encoder: How pictures become the input of the external graph.
        model: The external graph, of `load_encoder`.
        heads: An ONNX file that reads `features`, of the opset `heads_opset`.
        out: Where the whole is written.

    Raises:
        ModelError: If the graphs do not fit together, or the whole is larger than 2 GB.
    """
    upper = onnx.load(heads)
    if opset_of(upper) < opset_of(model):
        upper = _converted(upper, opset_of(model))
    try:
        whole = _joined(encoder, model, upper)
        onnx.checker.check_model(whole)
        onnx.save(whole, out)
    except Exception as error:  # ONNX raises many kinds for graphs that it cannot join
        raise ModelError(
            f"the heads cannot be joined to the encoder {encoder.path}: "
            f"{str(error).splitlines()[0]}; export it anew, with all its parts in one graph "
            "below 2 GB"
        ) from error


def _joined(encoder: ExternalEncoder, model: ModelProto, heads: ModelProto) -> ModelProto:
    model = compose.add_prefix(model, _OWN)
    scaling = _scaling(encoder, opset_of(model))
    # Merging demands the same version of the file format; a newer one reads what an older said.
    newest = max(model.ir_version, heads.ir_version)
    for part in (model, heads, scaling):
        part.ir_version = newest
    fed = compose.merge_models(scaling, model, io_map=[("scaled", f"{_OWN}{encoder.input}")])
    return compose.merge_models(
        fed,
        heads,
        io_map=[(f"{_OWN}{encoder.output}", FEATURES)],
        outputs=[output.name for output in heads.graph.output],
    )


def _scaling(encoder: ExternalEncoder, opset: int) -> ModelProto:
    """Return the graph from `images`, bytes with channels last, to the encoder's input."""
    size = encoder.image_size
    nodes: list[NodeProto] = []
    constants: dict[str, np.ndarray] = {}
    last = IMAGES
    if not encoder.reads_bytes:
        scaling = encoder.scaling
        constants = {
            "factor": np.array(scaling.factor, np.float32),
            "picture_mean": np.array(scaling.mean, np.float32),
            "picture_deviation": np.array(scaling.deviation, np.float32),
        }
        nodes = [
            helper.make_node("Cast", [last], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["floats", "factor"], ["shares"]),
            helper.make_node("Sub", ["shares", "picture_mean"], ["centered"]),
            helper.make_node("Div", ["centered", "picture_deviation"], ["channels_last"]),
        ]
        last = "channels_last"
    if encoder.has_channels_last:
        nodes.append(helper.make_node("Identity", [last], ["scaled"]))
        shape: list[str | int | None] = ["batch", size, size, 3]
    else:
        nodes.append(helper.make_node("Transpose", [last], ["scaled"], perm=[0, 3, 1, 2]))
        shape = ["batch", 3, size, size]
    kind = TensorProto.UINT8 if encoder.reads_bytes else TensorProto.FLOAT
    images = helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", size, size, 3])
    scaled = helper.make_tensor_value_info("scaled", kind, shape)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "scaling", [images], [scaled], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
