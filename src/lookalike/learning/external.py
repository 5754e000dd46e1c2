"""An encoder that others trained, as an ONNX file: it is never changed, only read from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor, nn

from lookalike.errors import ModelError, UsageError
from lookalike.learning.recipes import Recipe

_BYTES: Final = "tensor(uint8)"
_FLOATS: Final = "tensor(float)"
_KEYS: Final = ("image_mean", "image_std", "output", "rescale_factor")


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the bytes of a picture become the numbers that an encoder reads.

    `(byte · factor − mean) / deviation`, for red, green and blue.

    Attributes:
        factor: Often 1/255.
        mean: One per channel.
        deviation: One per channel.
    """

    factor: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)


class ExternalEncoder(nn.Module):
    """A frozen backbone that is an ONNX file, computed by ONNX Runtime.

    Its one input is a batch of RGB pictures, `(batch, 3, size, size)` or `(batch, size, size, 3)`,
    floats or bytes; its output one vector `(batch, dim)` or a square feature map `(batch, dim,
    side, side)` for each. A vector is taken as a feature map of one cell. It has no parameters of
    PyTorch's, so nothing trains it.

    What an ONNX file cannot say stands in a JSON file of the same name beside it, `encoder.json`
    for `encoder.onnx`: `rescale_factor`, `image_mean`, `image_std`, by the names and with the
    meaning that they have in the `preprocessor_config.json` of Hugging Face Transformers, and
    `output`, the name of the output to take where there are several. Encoders that read bytes do
    without.

    Attributes:
        path: The ONNX file.
        sha256: Its checksum.
        image_size: Side of the pictures that it is given.
        scaling: How bytes become its input.
        has_channels_last: Whether its input is `(batch, size, size, 3)`.
        reads_bytes: Whether its input is of bytes.
        input: Name of its input.
        output: Name of the output that is used.
        is_vector: Whether that is one vector per picture.
        n_channels: Channels of the feature map, or numbers of the vector.
        side: Height and width of the feature map; 1 for a vector.
        layers: Nothing that could be pre-trained.

    Raises:
        UsageError: If there is no such file, or it reads pictures of another size.
        ModelError: If it is no ONNX file, or does not read pictures or give what is said above.
    """

    def __init__(self, path: Path, image_size: int) -> None:
        super().__init__()
        if not path.is_file():
            raise UsageError(f"there is no encoder {path}; give the path of an ONNX file")
        with path.open("rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.path, self.image_size = path, image_size
        self._session = _open(path)
        settings = _read_settings(path.with_suffix(".json"))
        self.input, self.has_channels_last, self.reads_bytes = self._check_input()
        self.scaling = self._scaling(settings)
        self.output = self._choose_output(settings.get("output"))
        shape = self._probe()
        self.is_vector = len(shape) == 2
        self.n_channels = shape[1]
        self.side = 1 if self.is_vector else shape[2]
        self.layers: Sequence[nn.Module] = ()

    def forward(
        self, images: Float[Tensor, "batch 3 size size"]
    ) -> Float[Tensor, "batch channels side side"]:
        """Return the feature maps of RGB images with values from 0 to 255."""
        pixels = images.detach().cpu().numpy()
        if self.has_channels_last:
            pixels = pixels.transpose(0, 2, 3, 1)
        found = self._run(self._scaled(pixels))
        feature_map = torch.from_numpy(found).to(images.device)
        return feature_map.view(len(found), self.n_channels, self.side, self.side)

    def _scaled(self, pixels: Float[ndarray, "..."]) -> ndarray:
        if self.reads_bytes:
            return np.ascontiguousarray(pixels.round().astype(np.uint8))
        shape = (3,) if self.has_channels_last else (3, 1, 1)
        mean, deviation = (
            np.array(numbers, np.float32).reshape(shape)
            for numbers in (self.scaling.mean, self.scaling.deviation)
        )
        scaled = (pixels.round() * np.float32(self.scaling.factor) - mean) / deviation
        return np.ascontiguousarray(scaled, np.float32)

    def _run(self, pixels: ndarray) -> Float32[ndarray, "..."]:
        found: Float32[ndarray, "..."] = self._session.run([self.output], {self.input: pixels})[0]
        return found

    def _check_input(self) -> tuple[str, bool, bool]:
        """Return the name of the input, whether channels come last, and whether it is bytes."""
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._wrong(
                f"has {len(inputs)} inputs ({', '.join(i.name for i in inputs)})",
                "export it with the picture as its only input",
            )
        name, shape, kind = inputs[0].name, inputs[0].shape, inputs[0].type
        shown = f"reads {name} of shape {_shown(shape)}"
        wanted = "(batch, 3, size, size) or (batch, size, size, 3) is needed"
        if len(shape) != 4:
            raise self._wrong(shown, wanted)
        if isinstance(shape[0], int):
            raise self._wrong(shown, "export it with a batch axis of any length")
        if (shape[1] == 3) == (shape[3] == 3):
            raise self._wrong(shown, f"{wanted}, with 3 fixed")
        if kind not in (_BYTES, _FLOATS):
            raise self._wrong(
                f"reads {name} of type {kind}", "export it to read float (32 bits) or uint8"
            )
        is_last = bool(shape[3] == 3)
        for side in shape[1:3] if is_last else shape[2:4]:
            if isinstance(side, int) and side != self.image_size:
                raise UsageError(
                    f"the encoder {self.path} reads pictures of shape {_shown(shape)}, image_size "
                    f"is {self.image_size}; use image_size {side} (--image-size {side})"
                )
        return name, is_last, kind == _BYTES

    def _scaling(self, settings: dict[str, Any]) -> Scaling:
        sidecar = self.path.with_suffix(".json")
        given = [key for key in _KEYS if key != "output" and key in settings]
        if self.reads_bytes:
            if given:
                raise self._wrong("reads bytes", f"remove {', '.join(given)} from {sidecar}")
            return Scaling()
        missing = [key for key in _KEYS if key != "output" and key not in settings]
        if missing:
            raise self._wrong(
                f"reads floats, and nothing says how bytes become these: {', '.join(missing)}",
                f"write {sidecar} with "
                '{"rescale_factor": …, "image_mean": [r, g, b], "image_std": [r, g, b]}',
            )
        return _read_scaling(settings, sidecar)

    def _choose_output(self, wanted: object) -> str:
        names = [output.name for output in self._session.get_outputs()]
        if wanted is None and len(names) == 1:
            return str(names[0])
        if wanted in names:
            return str(wanted)
        said = "and none is chosen" if wanted is None else f"and none called {wanted!r}"
        raise self._wrong(
            f"has the outputs {', '.join(names)} {said}",
            f'name one in {self.path.with_suffix(".json")}: {{"output": …}}',
        )

    def _probe(self) -> tuple[int, ...]:
        """Return the shape of what two black pictures give."""
        size = self.image_size
        shape = (2, size, size, 3) if self.has_channels_last else (2, 3, size, size)
        try:
            found = self._run(self._scaled(np.zeros(shape, np.float32)))
        except Exception as error:  # ONNX Runtime raises classes of its own, made at run time
            reason = str(error).splitlines()[0]
            raise self._wrong(
                f"cannot compute two pictures of {size} × {size} pixels: {reason}",
                "try another image_size, or export it anew",
            ) from error
        is_map = found.ndim == 4 and found.shape[2] == found.shape[3]
        if found.dtype != np.float32 or len(found) != 2 or not (found.ndim == 2 or is_map):
            raise self._wrong(
                f"gives {self.output} of shape {found.shape} and type {found.dtype} for two "
                "pictures",
                "a vector (batch, dim) or a square feature map (batch, dim, side, side) of "
                "float32 is needed",
            )
        return found.shape

    def _wrong(self, what: str, remedy: str) -> ModelError:
        return ModelError(f"the encoder {self.path} {what}; {remedy}")


def open_encoder(recipe: Recipe) -> ExternalEncoder | None:
    """Open the ONNX file that a recipe names as its backbone; `None` for other backbones.

    Raises:
        UsageError: If there is no such file, or it reads pictures of another size.
        ModelError: If it is no encoder of pictures.
    """
    if not recipe.has_external_encoder:
        return None
    return ExternalEncoder(Path(recipe.backbone), recipe.image_size)


def _open(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own, made at run time
        raise ModelError(
            f"the encoder {path} cannot be read as ONNX: {str(error).splitlines()[0]}; "
            "export it anew"
        ) from error


def _read_settings(sidecar: Path) -> dict[str, Any]:
    if not sidecar.is_file():
        return {}
    try:
        settings = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{sidecar} is no JSON: {error}; correct or remove it") from error
    unknown = sorted(set(settings) - set(_KEYS)) if isinstance(settings, dict) else ["no object"]
    if unknown:
        raise ModelError(
            f"{sidecar} has what is not known: {', '.join(unknown)}; known are {', '.join(_KEYS)}"
        )
    return dict(settings)


def _read_scaling(settings: dict[str, Any], sidecar: Path) -> Scaling:
    try:
        scaling = Scaling(
            float(settings["rescale_factor"]),
            tuple(float(number) for number in settings["image_mean"]),
            tuple(float(number) for number in settings["image_std"]),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"{sidecar} has values that are no numbers: {error}") from error
    lengths = (len(scaling.mean), len(scaling.deviation))
    if lengths != (3, 3) or 0 in scaling.deviation or scaling.factor == 0:
        raise ModelError(
            f"{sidecar} has {lengths[0]} numbers in image_mean and {lengths[1]} in image_std; "
            "three each are needed, and neither image_std nor rescale_factor may be 0"
        )
    return scaling


def _shown(shape: Sequence[object]) -> str:
    return f"({', '.join('any' if axis is None else str(axis) for axis in shape)})"
