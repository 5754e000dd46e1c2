"""Running an ONNX file: ONNX Runtime always, OpenVINO where the extra `fast` is installed.

Sessions of both runtimes look alike: one input, named outputs, arrays in and arrays out. Neither
runtime is imported before its first session is opened.
"""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast, get_args, runtime_checkable

import numpy as np
from numpy import ndarray

from lookalike.errors import MissingExtraError, ModelError, UsageError

Runtime: TypeAlias = Literal["onnx", "openvino"]

ENVIRONMENT_VARIABLE: Final = "LOOKALIKE_RUNTIME"

_QUIET: Final = 3
"""ONNX Runtime's log level at which only errors are shown."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network.

    Attributes:
        dtype: NumPy's name of the element type.
        shape: Length of each axis; `None` where any length goes.
    """

    dtype: str
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        lengths = ", ".join("any" if length is None else str(length) for length in self.shape)
        return f"{self.dtype} ({lengths})"


@runtime_checkable
class Session(Protocol):
    """A network that is ready to run."""

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Inputs by name."""
        ...

    @property
    def outputs(self) -> Mapping[str, Port]:
        """Outputs by name."""
        ...

    def run(self, batch: ndarray) -> Mapping[str, ndarray]:
        """Run the network on its one input; safe to call from several threads."""
        ...


def choose_runtime(wanted: str) -> Runtime:
    """Decide on a runtime.

    `auto` takes what the environment variable `LOOKALIKE_RUNTIME` says, else OpenVINO where it is
    installed, else ONNX Runtime. On processors with bfloat16 instructions OpenVINO encodes twice as
    many pictures per second; its embeddings differ so little (cosine about 0.999) that queries and
    galleries of different runtimes go together. Without such instructions the two are alike.

    Raises:
        UsageError: If there is no runtime of that name.
        MissingExtraError: If OpenVINO is asked for and not installed.
    """
    if wanted == "auto":
        wanted = os.environ.get(ENVIRONMENT_VARIABLE) or "auto"
    has_openvino = importlib.util.find_spec("openvino") is not None
    if wanted == "auto":
        return "openvino" if has_openvino else "onnx"
    if wanted not in get_args(Runtime):
        raise UsageError(f"there is no runtime {wanted!r}; choose auto, onnx or openvino")
    if wanted == "openvino" and not has_openvino:
        raise MissingExtraError("openvino", "fast", "the runtime OpenVINO")
    return cast(Runtime, wanted)


def open_session(path: Path, runtime: Runtime, threads: int) -> Session:
    """Load an ONNX file.

    Args:
        path: The file.
        runtime: Which runtime to load it with.
        threads: Processor threads it may use.

    Raises:
        ModelError: If the file is no network that this runtime can run.
    """
    return _OnnxSession(path, threads) if runtime == "onnx" else _OpenVinoSession(path, threads)


class _OnnxSession:
    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime  # noqa: PLC0415 - a fifth of a second that searching by id need not pay

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Waiting threads sleep: decoding needs the processors between two batches.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(
                _source(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no common root of their own.
            raise _unreadable(path, error) from error
        self.inputs = {port.name: _onnx_port(port) for port in self._session.get_inputs()}
        self.outputs = {port.name: _onnx_port(port) for port in self._session.get_outputs()}

    def run(self, batch: ndarray) -> Mapping[str, ndarray]:
        [source] = self.inputs
        values = self._session.run(list(self.outputs), {source: np.ascontiguousarray(batch)})
        return dict(zip(self.outputs, values, strict=True))


def _source(path: Path) -> Path | bytes:
    """Return the path, or what lies there: ONNX Runtime takes no path that is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return path.read_bytes()
    return path


class _OpenVinoSession:
    def __init__(self, path: Path, threads: int) -> None:
        import openvino  # noqa: PLC0415 - the extra `fast`

        core = openvino.Core()
        has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        options = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            self._network = core.compile_model(core.read_model(path), "CPU", options)
        except RuntimeError as error:
            raise _unreadable(path, error) from error
        self.inputs = {port.any_name: _openvino_port(port) for port in self._network.inputs}
        # An output goes by all names that the value has inside the network; ours is one of them.
        self._names = [sorted(port.names) for port in self._network.outputs]
        self.outputs = {
            name: _openvino_port(port) for port in self._network.outputs for name in port.names
        }

    def run(self, batch: ndarray) -> Mapping[str, ndarray]:
        request = self._network.create_infer_request()
        request.infer([np.ascontiguousarray(batch)])
        values = {}
        for position, names in enumerate(self._names):
            # The request owns its tensors, so the arrays must not outlive it as views.
            array = request.get_output_tensor(position).data.copy()
            values.update(dict.fromkeys(names, array))
        return values


def _onnx_port(port: Any) -> Port:
    kind = port.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(length if isinstance(length, int) else None for length in port.shape)
    return Port({"float": "float32", "double": "float64"}.get(kind, kind), shape)


def _openvino_port(port: Any) -> Port:
    shape = tuple(None if axis.is_dynamic else axis.get_length() for axis in port.partial_shape)
    return Port(np.dtype(port.element_type.to_dtype()).name, shape)


def _unreadable(path: Path, error: Exception) -> ModelError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelError(f"{path} is no network that can be run: {reason}; export the model again")
