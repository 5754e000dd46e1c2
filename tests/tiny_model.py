"""A real model in a few lines of ONNX whose answers can be told by looking at a picture.

Three classes, each a color: red, green, blue. `content` is the picture's coarse color layout,
`layout` a rotation of the same, so that a picture painted in the classes' colors and its label map
have the same code, and the decoder turns the rotation back.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lookalike.model_folder import (
    NETWORK,
    SELF_DECODER,
    SELF_ENCODER,
    ModelCard,
    write_card,
)

SIZE = 32
GRID = 8
CELLS = 4
"""Pictures and label maps are averaged to this many cells down and across."""
DIM = 3 * CELLS * CELLS
CLASSES = ("red", "green", "blue")
PALETTE = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255))


def write_tiny_model(
    folder: Path, *, name: str = "tiny", seed: int = 0, has_layout: bool = True
) -> ModelCard:
    """Write the model into `folder`, made if it is not there; return its card.

    Another `seed` gives a model with another `layout` code and so another id.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rotation = _rotation(seed)
    onnx.save(_network(rotation, has_layout=has_layout), folder / NETWORK)
    if has_layout:
        onnx.save(_self_encoder(rotation), folder / SELF_ENCODER)
        onnx.save(_self_decoder(rotation), folder / SELF_DECODER)
    card = ModelCard(
        name=name,
        classes=CLASSES,
        relevant_classes=(0, 1, 2),
        palette=PALETTE,
        image_size=SIZE,
        grid=GRID if has_layout else 0,
        content_dim=DIM,
        code_dim=DIM if has_layout else 0,
        is_single_label=False,
        preprocess_version=1,
        recipe={"seed": seed},
        training_data={"name": "none", "pictures": 0},
    )
    return write_card(folder, card)


def paint(label_map: np.ndarray) -> np.ndarray:
    """The picture of a label map, in the classes' colors, at the model's input size."""
    scale = SIZE // len(label_map)
    return np.asarray(PALETTE, np.uint8)[label_map.repeat(scale, 0).repeat(scale, 1)]


def _rotation(seed: int) -> np.ndarray:
    square = np.random.default_rng(seed).standard_normal((DIM, DIM))
    return np.linalg.qr(square)[0].astype(np.float32)


def _network(rotation: np.ndarray, *, has_layout: bool) -> onnx.ModelProto:
    pool = SIZE // CELLS
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["channels", "full"], ["shares"]),
        helper.make_node(
            "AveragePool", ["shares"], ["cells"], kernel_shape=[pool] * 2, strides=[pool] * 2
        ),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("Sub", ["flat", "middle"], ["centered"]),
        helper.make_node("LpNormalization", ["centered"], ["content"], axis=1, p=2),
        helper.make_node("ReduceMean", ["cells", "plane"], ["means"], keepdims=0),
        helper.make_node("Sub", ["means", "threshold"], ["excess"]),
        helper.make_node("Mul", ["excess", "steepness"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["labels"]),
    ]
    constants = {
        "full": np.float32(255),
        "middle": np.float32(0.4),
        "plane": np.array([2, 3], np.int64),
        "threshold": np.float32(0.1),
        "steepness": np.float32(40),
    }
    outputs = {"content": ("batch", DIM), "labels": ("batch", len(CLASSES))}
    if has_layout:
        nodes.append(helper.make_node("MatMul", ["flat", "rotation"], ["layout"]))
        constants["rotation"] = rotation
        outputs["layout"] = ("batch", DIM)
    images = ("images", TensorProto.UINT8, ("batch", SIZE, SIZE, 3))
    return build_onnx(nodes, images, outputs, constants)


def _self_encoder(rotation: np.ndarray) -> onnx.ModelProto:
    pool = GRID // CELLS
    nodes = [
        helper.make_node("Unsqueeze", ["label_maps", "channel"], ["plane"]),
        helper.make_node("Equal", ["plane", "values"], ["is_class"]),
        helper.make_node("Cast", ["is_class"], ["one_hot"], to=TensorProto.FLOAT),
        helper.make_node(
            "AveragePool", ["one_hot"], ["cells"], kernel_shape=[pool] * 2, strides=[pool] * 2
        ),
        helper.make_node("Flatten", ["cells"], ["flat"]),
        helper.make_node("MatMul", ["flat", "rotation"], ["code"]),
    ]
    constants = {
        "channel": np.array([1], np.int64),
        "values": np.array([1, 2, 3], np.uint8).reshape(1, 3, 1, 1),
        "rotation": rotation,
    }
    label_maps = ("label_maps", TensorProto.UINT8, ("batch", GRID, GRID))
    return build_onnx(nodes, label_maps, {"code": ("batch", DIM)}, constants)


def _self_decoder(rotation: np.ndarray) -> onnx.ModelProto:
    scale = GRID / CELLS
    nodes = [
        helper.make_node("MatMul", ["code", "back"], ["flat"]),
        helper.make_node("Reshape", ["flat", "cell_shape"], ["cells"]),
        helper.make_node("Clip", ["cells", "nothing", "all"], ["shares"]),
        helper.make_node("ReduceSum", ["shares", "channel"], ["labeled"], keepdims=1),
        helper.make_node("Sub", ["all", "labeled"], ["rest"]),
        helper.make_node("Clip", ["rest", "nothing", "all"], ["background"]),
        helper.make_node("Concat", ["background", "shares"], ["coarse"], axis=1),
        helper.make_node("Resize", ["coarse", "", "scales"], ["probabilities"], mode="nearest"),
    ]
    constants = {
        "back": rotation.T.copy(),
        "cell_shape": np.array([-1, 3, CELLS, CELLS], np.int64),
        "nothing": np.float32(0),
        "all": np.float32(1),
        "channel": np.array([1], np.int64),
        "scales": np.array([1, 1, scale, scale], np.float32),
    }
    code = ("code", TensorProto.FLOAT, ("batch", DIM))
    outputs = {"probabilities": ("batch", len(CLASSES) + 1, GRID, GRID)}
    return build_onnx(nodes, code, outputs, constants)


def build_onnx(
    nodes: list[onnx.NodeProto],
    source: tuple[str, int, tuple[str | int, ...]],
    outputs: dict[str, tuple[str | int, ...]],
    constants: dict[str, np.ndarray | np.float32],
) -> onnx.ModelProto:
    """A checked ONNX model with one input and float outputs."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*source)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in outputs.items()
        ],
        [
            numpy_helper.from_array(np.asarray(value), constant)
            for constant, value in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model
