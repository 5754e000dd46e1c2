"""From PyTorch to the model folder: ONNX files, checked against what was trained."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import jaxtyping
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from lookalike.atomic import sync_folder
from lookalike.errors import ModelError
from lookalike.failpoints import failpoint
from lookalike.learning.external import ExternalEncoder
from lookalike.learning.external_export import FEATURES, heads_opset, join, load_encoder
from lookalike.learning.half_weights import halve_weights
from lookalike.learning.network import Network, Prediction
from lookalike.learning.parity import overlook_jumps, run_file, smallest_cosine
from lookalike.learning.self_encoders import SelfEncoder
from lookalike.learning.sparsity import Bits
from lookalike.model_folder import NETWORK, SELF_DECODER, SELF_ENCODER, ModelCard, write_card

_OPSET: Final = 17
_TOLERANCE: Final = 1e-3
"""Largest difference of one value; embeddings and probabilities are of the order of 1."""
_SMALLEST_COSINE: Final = 0.9999


class ExportedNetwork(nn.Module):
    """The network as others call it: picture bytes in, embeddings and probabilities out."""

    def __init__(self, network: Network, is_single_label: bool, *, has_bits: bool = False) -> None:
        super().__init__()
        self.network = network
        self.is_single_label = is_single_label
        self.last = Bits() if has_bits else nn.Identity()
        self.jumps = has_bits

    def forward(self, images: UInt8[Tensor, "batch size size 3"]) -> tuple[Tensor, ...]:
        """Return content, layout (if there is a code head) and label probabilities.

        Where codes are bits, layout is too.
        """
        predicted = self.network(images.permute(0, 3, 1, 2).float())
        return _outputs(predicted, self.is_single_label, self.last)


class ExportedHeads(nn.Module):
    """The heads as others call them: what an external encoder gives → embeddings, probabilities."""

    def __init__(self, network: Network, is_single_label: bool, last: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.is_single_label = is_single_label
        self.last = last

    def forward(self, features: Float[Tensor, "batch channels *cells"]) -> tuple[Tensor, ...]:
        """Return content, layout (if there is a code head) and label probabilities."""
        is_vector = features.ndim == 2
        feature_map = features[:, :, None, None] if is_vector else features
        return _outputs(self.network.predict(feature_map), self.is_single_label, self.last)


def _outputs(predicted: Prediction, is_single_label: bool, last: nn.Module) -> tuple[Tensor, ...]:
    content = functional.normalize(predicted.content, dim=1)
    logits = predicted.label_logits
    labels = logits.softmax(dim=1) if is_single_label else logits.sigmoid()
    if predicted.code is None:
        return content, labels
    return content, last(predicted.code), labels


class ExportedEncoder(nn.Module):
    """Label map → z-scored code."""

    def __init__(self, self_encoder: SelfEncoder) -> None:
        super().__init__()
        self.self_encoder = self_encoder
        self.jumps = self_encoder.jumps

    def forward(self, label_maps: UInt8[Tensor, "batch grid grid"]) -> Tensor:
        """Return the z-scored code of each label map."""
        return self.self_encoder.encode(label_maps)


class ExportedDecoder(nn.Module):
    """z-scored code → probabilities."""

    def __init__(self, self_encoder: SelfEncoder) -> None:
        super().__init__()
        self.self_encoder = self_encoder

    def forward(self, code: Float[Tensor, "batch code_dim"]) -> Tensor:
        """Return the probability of each label map value in each cell."""
        return self.self_encoder.probabilities(code)


def export_model(
    folder: Path,
    network: Network,
    self_encoder: SelfEncoder | None,
    *,
    is_single_label: bool,
    has_half_weights: bool = False,
    pixels: UInt8[Tensor, "batch size size 3"],
    label_maps: UInt8[Tensor, "batch grid grid"] | None,
) -> dict[str, float]:
    """Write the ONNX files and compare their outputs with PyTorch's on real pictures.

    Args:
        folder: An existing folder.
        network: The trained network, on the CPU.
        self_encoder: The trained self-encoder, on the CPU; `None` without self-encoding.
        is_single_label: Whether labels are a softmax.
        has_half_weights: Whether weights are rounded to float16 and stored so.
        pixels: Pictures to compare on, at least one.
        label_maps: Label maps to compare on; needed with a self-encoder.

    Returns:
        `parity_max_difference` and `parity_min_cosine` over all outputs; for rounded weights
        also `rounding_max_difference` and `rounding_min_cosine`.

    Raises:
        ModelError: If an exported file computes something else.
    """
    has_code = self_encoder is not None
    outputs = ["content", "layout", "labels"] if has_code else ["content", "labels"]
    has_bits = self_encoder is not None and self_encoder.is_binary
    whole = ExportedNetwork(network, is_single_label, has_bits=has_bits)
    parts: list[tuple[str, nn.Module, str, Tensor, list[str]]] = [
        (NETWORK, whole, "images", pixels, outputs)
    ]
    if self_encoder is not None and label_maps is not None:
        with torch.no_grad():
            codes = self_encoder.eval().encode(label_maps)
        parts += [
            (SELF_ENCODER, ExportedEncoder(self_encoder), "label_maps", label_maps, ["code"]),
            (SELF_DECODER, ExportedDecoder(self_encoder), "code", codes, ["probabilities"]),
        ]
    figures: dict[str, float] = {}
    for name, module, input_name, example, output_names in parts:
        if isinstance(module, ExportedNetwork) and isinstance(network.backbone, ExternalEncoder):
            _write_joined(folder / name, module, network.backbone, example, output_names)
        else:
            write_onnx(folder / name, module.eval(), input_name, example, output_names)
        _keep_worst(figures, "parity", compare(folder / name, module, input_name, example))
        if has_half_weights:
            rounding = halve_weights(
                folder / name, input_name, example, has_jumps=getattr(module, "jumps", False)
            )
            _keep_worst(figures, "rounding", rounding)
    return figures


def _keep_worst(figures: dict[str, float], what: str, found: tuple[float, float]) -> None:
    difference, cosine = f"{what}_max_difference", f"{what}_min_cosine"
    figures[difference] = max(figures.get(difference, 0.0), found[0])
    figures[cosine] = min(figures.get(cosine, 1.0), found[1])


def _write_joined(
    path: Path,
    module: ExportedNetwork,
    encoder: ExternalEncoder,
    example: UInt8[Tensor, "batch size size 3"],
    outputs: list[str],
) -> None:
    """Write the external graph and, on top of it, the heads."""
    model = load_encoder(encoder)
    features = encoder(example[:2].permute(0, 3, 1, 2).float())
    if encoder.is_vector:
        features = features.flatten(1)
    heads = path.with_name("heads.onnx")
    upper = ExportedHeads(module.network, module.is_single_label, module.last).eval()
    write_onnx(heads, upper, FEATURES, features, outputs, heads_opset(model))
    join(encoder, model, heads, path)
    heads.unlink()


def write_onnx(
    path: Path,
    module: nn.Module,
    input_name: str,
    example: Tensor,
    outputs: list[str],
    opset: int = _OPSET,
) -> None:
    """Write a module with one input as an ONNX file that takes batches of any size."""
    with warnings.catch_warnings(), _unchecked_shapes():
        # The exporter through TorchScript is marked as old, but for these plain graphs it is
        # twenty times faster than its successor and folds normalization into convolutions.
        warnings.simplefilter("ignore", DeprecationWarning)
        # How wide a border is, ONNX Runtime folds when it opens the file.
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            module,
            (example[:2],),
            str(path),
            input_names=[input_name],
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (input_name, *outputs)},
            opset_version=opset,
            dynamo=False,
        )


@contextmanager
def _unchecked_shapes() -> Iterator[None]:
    """While a graph is traced sizes are tensors, which run-time shape checks cannot read."""
    was_off = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", was_off)


@torch.no_grad()
def compare(path: Path, module: nn.Module, input_name: str, example: Tensor) -> tuple[float, float]:
    """Return the largest difference and the smallest cosine between an ONNX file and its module.

    Raises:
        ModelError: If they differ by more than rounding.
    """
    expected = module(example)
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = run_file(path, input_name, example)
    pairs = [(a, b.numpy()) for a, b in zip(found, expected, strict=True)]
    if getattr(module, "jumps", False):
        pairs = [(overlook_jumps(a, b), b) for a, b in pairs]
    difference = max(float(np.abs(a - b).max()) for a, b in pairs)
    cosine = min(smallest_cosine(a, b) for a, b in pairs)
    if not (difference <= _TOLERANCE and cosine >= _SMALLEST_COSINE):
        raise ModelError(
            f"{path.name} differs from the trained network by {difference:.2g} "
            f"(cosine {cosine:.6f}); at most {_TOLERANCE:g} is rounding; "
            "train in float32 or report this with the recipe"
        )
    return difference, cosine


def publish(temporary: Path, out: Path, card: ModelCard) -> ModelCard:
    """Write the card and give the finished folder its name, in one step.

    Returns:
        The card with the checksums of all files.
    """
    card = write_card(temporary, card)
    sync_folder(temporary)
    failpoint("learning.model.written")
    temporary.replace(out)
    sync_folder(out.parent)
    failpoint("learning.model.renamed")
    return card
