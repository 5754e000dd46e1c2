"""Networks made elsewhere, run on pictures: ONNX files, and TFLite files with the extra `litert`.

They teach (`teachers`) and they segment (`pseudo_maps`); nothing of them ends up in a model.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
import onnx
import onnxruntime
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from lookalike.errors import MissingExtraError, UsageError
from lookalike.learning.devices import Device
from lookalike.learning.tflite_graph import TfliteGraph, before_pooling

NORMALIZATIONS: Final = {
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "symmetric": ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    "unit": ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    "bytes": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Name → mean and deviation that bring values from 0 to 255 to what a network of numbers reads."""

_POOLS: Final = ("GlobalAveragePool", "AveragePool", "ReduceMean")


@runtime_checkable
class ForeignNetwork(Protocol):
    """A network that somebody else trained.

    Attributes:
        height: Rows of its input.
        width: Columns of its input.
    """

    height: int
    width: int

    def run(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch ..."]:
        """Return the output for RGB images of its size, values from 0 to 255; never negative axes.

        Maps are `(batch, height, width)` of class numbers or `(batch, height, width, classes)`.
        """
        ...


def open_network(
    path: Path, normalization: str, device: Device, *, is_cut: bool = False
) -> ForeignNetwork:
    """Open a network.

    ONNX files run in ONNX Runtime, TFLite files in LiteRT; on a graphics processor those of plain
    convolutions become PyTorch modules instead.

    Args:
        path: An `.onnx` or `.tflite` file with one input of pictures, RGB: bytes
            `(batch, height, width, 3)`, or numbers `(batch, 3, height, width)` or
            `(batch, height, width, 3)`. Of several outputs the first counts.
        normalization: One of `NORMALIZATIONS`, for networks that read numbers.
        device: Where learning happens.
        is_cut: Whether to end before the last average pooling, with a map of features
            `(batch, height, width, channels)`.

    Raises:
        UsageError: If the file is missing, is of another kind, reads something else, or is to be
            cut and does not pool.
        MissingExtraError: If a TFLite network is given and LiteRT is not installed.
    """
    if not path.is_file():
        raise UsageError(f"there is no network {path}; give an .onnx or .tflite file")
    if normalization not in NORMALIZATIONS:
        raise UsageError(
            f"normalization {normalization!r} is not known; choose one of: "
            f"{', '.join(NORMALIZATIONS)}"
        )
    match path.suffix.lower():
        case ".onnx":
            return _Onnx(path, normalization, is_cut=is_cut)
        case ".tflite" if device.name == "cuda":
            return _Graph(path, normalization, device, is_cut=is_cut)
        case ".tflite":
            return _LiteRt(path, normalization, is_cut=is_cut)
    raise UsageError(f"{path} is no network of a known kind; give an .onnx or .tflite file")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fit_images(
    images: Float[Tensor, "batch 3 height width"], network: ForeignNetwork
) -> Float[Tensor, "batch 3 new_height new_width"]:
    """Stretch images to the size that a network reads."""
    size = (network.height, network.width)
    if tuple(images.shape[2:]) == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


class _Input:
    """How pictures are handed to a network.

    Args:
        path: Its file, for messages.
        shape: Lengths of the axes; what is no number may vary.
        has_bytes: Whether it reads bytes.
        normalization: One of `NORMALIZATIONS`.
    """

    def __init__(
        self, path: Path, shape: Sequence[Any], has_bytes: bool, normalization: str
    ) -> None:
        lengths = [length if isinstance(length, int) and length > 0 else None for length in shape]
        if len(lengths) != 4 or 3 not in (lengths[1], lengths[3]):
            raise UsageError(
                f"{path} reads an array of {list(shape)}; pictures are "
                "(batch, height, width, 3) or (batch, 3, height, width)"
            )
        self.is_channels_first = lengths[3] != 3
        height, width = lengths[2:] if self.is_channels_first else lengths[1:3]
        if height is None or width is None:
            raise UsageError(f"{path} does not say which size it reads; export it with a fixed one")
        self.height, self.width = int(height), int(width)
        self.has_bytes = has_bytes
        self.batch = lengths[0]
        mean, deviation = NORMALIZATIONS[normalization]
        self._mean = torch.tensor(mean).view(3, 1, 1)
        self._deviation = torch.tensor(deviation).view(3, 1, 1)

    def normalize(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """Return images with values from 0 to 255 as numbers that the network reads."""
        if self.has_bytes:
            return images
        return (images - self._mean.to(images.device)) / self._deviation.to(images.device)

    def prepare(self, images: Float[Tensor, "batch 3 height width"]) -> np.ndarray:
        """Return the array for a batch of images with values from 0 to 255."""
        images = self.normalize(images.detach().float().cpu())
        array = images if self.is_channels_first else images.permute(0, 2, 3, 1)
        rounded = array.round().clamp(0, 255).to(torch.uint8) if self.has_bytes else array
        return np.ascontiguousarray(rounded.numpy())


def _onnx_before_pooling(path: Path) -> bytes:
    """Return an ONNX network that ends before its last average pooling."""
    model = onnx.load(path)
    pools = [node for node in model.graph.node if node.op_type in _POOLS]
    if not pools:
        raise UsageError(
            f"{path} has no average pooling, so it has no map of features to teach; "
            "use a teacher_cells_weight of 0"
        )
    features = onnx.helper.make_tensor_value_info(
        pools[-1].input[0], onnx.TensorProto.FLOAT, [None, None, None, None]
    )
    del model.graph.output[:]
    model.graph.output.append(features)
    content: bytes = model.SerializeToString()
    return content


class _Onnx:
    def __init__(self, path: Path, normalization: str, *, is_cut: bool) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self._is_cut = is_cut
        content = _onnx_before_pooling(path) if is_cut else path
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:  # ONNX Runtime's errors have no common root of their own
            raise UsageError(f"{path} cannot be run: {str(error).splitlines()[0]}") from error
        port = self._session.get_inputs()[0]
        if port.type not in ("tensor(uint8)", "tensor(float)"):
            raise UsageError(f"{path} reads {port.type}; export it to read uint8 or float32")
        self._name = port.name
        self._input = _Input(path, port.shape, port.type == "tensor(uint8)", normalization)
        self.height, self.width = self._input.height, self._input.width

    def run(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        array = self._input.prepare(images)
        step = self._input.batch or len(array)
        # A network exported for so many pictures at a time takes no fewer: the last ones repeat.
        missing = -len(array) % step
        padded = np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
        parts = [
            self._session.run(None, {self._name: padded[i : i + step]})[0]
            for i in range(0, len(padded), step)
        ]
        output = torch.from_numpy(np.concatenate(parts)[: len(array)]).float().to(images.device)
        return output.permute(0, 2, 3, 1) if self._is_cut else output


class _LiteRt:
    def __init__(self, path: Path, normalization: str, *, is_cut: bool) -> None:
        try:
            # Of the extra `litert`.
            from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "ai-edge-litert", "litert", "running TFLite networks"
            ) from error
        content = before_pooling(path) if is_cut else path.read_bytes()
        try:
            self._network = Interpreter(model_content=content, num_threads=torch.get_num_threads())
            self._network.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"{path} cannot be run: {str(error).splitlines()[0]}") from error
        source = self._network.get_input_details()[0]
        self._source, self._target = source["index"], self._network.get_output_details()[0]
        shape = [int(length) for length in source["shape"]]
        if source["dtype"] not in (np.uint8, np.int8, np.float32):
            raise UsageError(
                f"{path} reads {source['dtype'].__name__}; pictures are bytes or floats"
            )
        self._is_signed = source["dtype"] == np.int8
        has_bytes = source["dtype"] != np.float32
        self._input = _Input(path, shape, has_bytes, normalization)
        self.height, self.width = self._input.height, self._input.width

    def run(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        rows = [self._run_one(row) for row in self._input.prepare(images)]
        return torch.from_numpy(np.concatenate(rows)).to(images.device)

    def _run_one(self, row: np.ndarray) -> np.ndarray:
        given = (row.astype(np.int16) - 128).astype(np.int8) if self._is_signed else row
        self._network.set_tensor(self._source, given[None])
        self._network.invoke()
        output = self._network.get_tensor(self._target["index"]).astype(np.float32)
        scale, zero = self._target["quantization"]
        numbers: np.ndarray = (output - zero) * scale if scale else output
        return numbers


class _Graph:
    def __init__(self, path: Path, normalization: str, device: Device, *, is_cut: bool) -> None:
        graph = TfliteGraph(path, before_pooling(path) if is_cut else None)
        shape = [1, graph.height, graph.width, 3]
        self._input = _Input(path, shape, graph.has_bytes, normalization)
        self.height, self.width = graph.height, graph.width
        self._graph = graph.to(device.name).eval()
        self._device = device

    def run(self, images: Float[Tensor, "batch 3 height width"]) -> Tensor:
        given = self._input.normalize(images.to(self._device.name))
        with torch.no_grad(), self._device.autocast():
            output: Tensor = self._graph(given.contiguous(memory_format=torch.channels_last))
        return output.float().to(images.device)
