"""TFLite networks of convolutions as PyTorch modules, so that they run where the training runs.

Weights are dequantized; the values between layers are kept within the range that their 8 bits could
hold, which is also how quantized networks express ReLU and ReLU6. What is lost is the rounding.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import MissingExtraError, UsageError

_QUANTIZED: Final = {"UINT8": np.uint8, "INT8": np.int8, "INT32": np.int32, "FLOAT32": np.float32}


def before_pooling(path: Path) -> bytes:
    """Return a TFLite network that ends before its last average pooling, with a map of features.

    Raises:
        UsageError: If it does not pool.
    """
    schema = _schema()
    try:
        # LiteRT reads its own format without it, but does not write it.
        import flatbuffers  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("flatbuffers", "litert", "cutting TFLite networks") from error
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    pool = schema.BuiltinOperator.AVERAGE_POOL_2D
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    pools = [i for i, op in enumerate(graph.operators) if codes[op.opcodeIndex] == pool]
    if not pools:
        raise UsageError(
            f"{path} has no average pooling, so it has no map of features to teach; "
            "use a teacher_cells_weight of 0"
        )
    graph.outputs = [int(graph.operators[pools[-1]].inputs[0])]
    graph.operators = graph.operators[: pools[-1]]
    model.signatureDefs = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class TfliteGraph(nn.Module):
    """A TFLite network with one input `(1, height, width, 3)` and one output.

    Args:
        path: Its file.
        content: The same, if it is already read.

    Attributes:
        height: Rows of its input.
        width: Columns of its input.
        has_bytes: Whether its input are bytes; otherwise numbers, normalized by the caller.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        super().__init__()
        self._read(path, content or path.read_bytes(), _schema())

    def _read(self, path: Path, content: bytes, schema: Any) -> None:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graph = model.subgraphs[0]
        types = {value: key for key, value in vars(schema.TensorType).items()}
        codes = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
        self._tensors = [_Spec(tensor, types[tensor.type]) for tensor in graph.tensors]
        self._input, self._output = int(graph.inputs[0]), int(graph.outputs[0])
        source = self._tensors[self._input]
        _, self.height, self.width, _ = source.shape
        self.has_bytes = source.type in ("UINT8", "INT8")
        self._steps: list[tuple[str, list[int], int, Any]] = []
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            name = codes[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if name not in _OPERATIONS:
                raise UsageError(
                    f"{path} uses {name}, which cannot be run on this device; use --device cpu"
                )
            inputs = [int(i) for i in operator.inputs if i >= 0]
            self._steps.append((name, inputs, int(operator.outputs[0]), operator.builtinOptions))
            for i in inputs:
                data = model.buffers[graph.tensors[i].buffer].data
                if data is not None and not hasattr(self, f"constant_{i}"):
                    self.register_buffer(f"constant_{i}", self._tensors[i].constant(data))

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """Return the output for RGB images: bytes as 0 to 255 or as the network wants them.

        Outputs keep TFLite's order of axes: `(batch, height, width, channels)` for maps.
        """
        last = self._run(images)[self._output]
        return last.permute(0, 2, 3, 1) if last.ndim == 4 else last

    @torch.no_grad()
    def layers(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch channels rows columns"]]:
        """Return what each convolution over all channels gives, bottom first.

        Convolutions of each channel by itself belong to the layer that the next one ends. A network
        of convolutions alone reads images of any size.
        """
        values = self._run(images)
        return [values[output] for name, _, output, _ in self._steps if name == "CONV_2D"]

    def _run(self, images: Float[Tensor, "batch 3 height width"]) -> dict[int, Tensor]:
        """Return all that is computed, by the number of its tensor."""
        source = self._tensors[self._input]
        values: dict[int, Tensor] = {self._input: source.dequantize(images)}
        for name, inputs, output, options in self._steps:
            given = [self._value(i, values) for i in inputs]
            result = _OPERATIONS[name](given, options, self._tensors[output])
            values[output] = self._tensors[output].limit(result)
        return values

    def _value(self, i: int, values: dict[int, Tensor]) -> Tensor:
        constant: Tensor | None = getattr(self, f"constant_{i}", None)
        return values[i] if constant is None else constant


class _Spec:
    """Type, shape and quantization of a tensor of the file."""

    def __init__(self, tensor: Any, type_: str) -> None:
        self.type = type_
        self.shape = [int(length) for length in tensor.shape]
        quantization = tensor.quantization
        scale = None if quantization is None else quantization.scale
        self.scale = None if scale is None or not len(scale) else np.asarray(scale, np.float32)
        self.zero = np.zeros(1) if self.scale is None else np.asarray(quantization.zeroPoint)
        self.axis = 0 if self.scale is None else int(quantization.quantizedDimension)

    def constant(self, data: Any) -> Tensor:
        """Return the values of a constant as numbers, in the order of axes of the file."""
        stored = np.frombuffer(bytes(data), _QUANTIZED.get(self.type, np.int32))
        array: np.ndarray = stored.reshape(self.shape).astype(np.float32)
        if self.scale is not None:
            along = [1] * array.ndim
            if len(self.scale) > 1:
                along[self.axis] = -1
            array = (array - self.zero.reshape(along)) * self.scale.reshape(along)
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    def dequantize(self, images: Tensor) -> Tensor:
        if self.scale is None or self.type == "FLOAT32":
            return images
        shift = 128 if self.type == "INT8" else 0
        return (images - shift - float(self.zero[0])) * float(self.scale[0])

    def limit(self, values: Tensor) -> Tensor:
        """Keep values within what the quantized tensor can hold."""
        if self.scale is None or self.type not in ("UINT8", "INT8"):
            return values
        low, high = (0, 255) if self.type == "UINT8" else (-128, 127)
        scale, zero = float(self.scale[0]), float(self.zero[0])
        return values.clamp(scale * (low - zero), scale * (high - zero))


def _schema() -> Any:
    try:
        # Of the extra `litert`; ONNX networks need nothing of it.
        from ai_edge_litert import schema_py_generated  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtraError("ai-edge-litert", "litert", "reading TFLite networks") from error
    return schema_py_generated


_Operation = Callable[[list[Tensor], Any, _Spec], Tensor]


def _convolution(given: list[Tensor], options: Any, output: _Spec) -> Tensor:
    weight = given[1].permute(0, 3, 1, 2)
    return _convolve(given, weight, options, groups=1)


def _depthwise(given: list[Tensor], options: Any, output: _Spec) -> Tensor:
    weight = given[1].permute(3, 0, 1, 2)
    return _convolve(given, weight, options, groups=given[0].shape[1])


def _convolve(given: list[Tensor], weight: Tensor, options: Any, groups: int) -> Tensor:
    stride = (options.strideH, options.strideW)
    dilation = (options.dilationHFactor, options.dilationWFactor)
    image = given[0]
    if options.padding == 0:  # SAME
        image = functional.pad(image, same_padding(image, weight.shape[2:], stride, dilation))
    bias = given[2] if len(given) > 2 else None
    result = functional.conv2d(image, weight, bias, stride, 0, dilation, groups)
    return _activate(result, options)


def same_padding(
    image: Tensor, kernel: Any, stride: tuple[int, int], dilation: tuple[int, int]
) -> list[int]:
    """Return the padding of `SAME` for PyTorch: left, right, top, bottom; the odd one goes last."""
    padding: list[int] = []
    for length, size, step, spread in zip(
        image.shape[:1:-1], kernel[::-1], stride[::-1], dilation[::-1], strict=True
    ):
        total = max((-(-length // step) - 1) * step + (size - 1) * spread + 1 - length, 0)
        padding += [total // 2, total - total // 2]
    return padding


def _activate(values: Tensor, options: Any) -> Tensor:
    match options.fusedActivationFunction:
        case 1:
            return values.relu()
        case 3:
            return values.clamp(0, 6)
        case 0:
            return values
    raise UsageError(
        f"the TFLite network uses activation number {options.fusedActivationFunction}, "
        "which cannot be run on this device; use --device cpu"
    )


def _average(given: list[Tensor], options: Any, output: _Spec) -> Tensor:
    kernel = (options.filterHeight, options.filterWidth)
    pooled = functional.avg_pool2d(given[0], kernel, (options.strideH, options.strideW))
    if list(pooled.shape[2:]) != output.shape[1:3]:
        raise UsageError(
            "the TFLite network pools beyond the border, which cannot be run on this device; "
            "use --device cpu"
        )
    return _activate(pooled, options)


def _resize(given: list[Tensor], options: Any, output: _Spec) -> Tensor:
    return functional.interpolate(
        given[0], tuple(output.shape[1:3]), mode="bilinear", align_corners=options.alignCorners
    )


_OPERATIONS: Final[dict[str, _Operation]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "AVERAGE_POOL_2D": _average,
    "RESIZE_BILINEAR": _resize,
    "ADD": lambda given, options, output: _activate(given[0] + given[1], options),
    "CONCATENATION": lambda given, options, output: torch.cat(given, dim=1),
    "QUANTIZE": lambda given, options, output: given[0],
    "DEQUANTIZE": lambda given, options, output: given[0],
    "ARG_MAX": lambda given, options, output: given[0].argmax(dim=1),
}
