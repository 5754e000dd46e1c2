"""Whether an exported file computes what its original does."""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from lookalike.arrays import Embeddings
from lookalike.errors import ModelError

_TOLERANCE: Final = 1e-3
"""Largest difference of one value; values are of the order of 1."""
_ZERO: Final = 1e-6
"""A row shorter than this is zero but for rounding."""
_JUMPS: Final = 0.01
"""Share of values that may differ where rounding can carry a value over a threshold: bits."""


class Parity:
    """Collects how far exported files are from their originals."""

    def __init__(self) -> None:
        self._differences: list[float] = []
        self._cosines: list[float] = []

    def compare(self, name: str, found: Embeddings, expected: Embeddings) -> None:
        """Compare unit rows.

        Raises:
            ModelError: If they differ by more than rounding, or are no numbers.
        """
        difference = float(np.abs(found - expected).max())
        if not difference <= _TOLERANCE:
            raise ModelError(
                f"{name} differs from the original model by {difference:.2g}, and at most "
                f"{_TOLERANCE:g} is rounding; report this with the name of the model"
            )
        self._differences.append(difference)
        self._cosines.append(float(np.vecdot(found, expected).min()))

    @property
    def figures(self) -> dict[str, float]:
        """Largest difference of one value and smallest cosine over all that was compared."""
        return {
            "parity_max_difference": float(f"{max(self._differences):.3g}"),
            "parity_min_cosine": float(f"{min(self._cosines):.8g}"),
        }


def run_onnx(path: Path, batch: ndarray) -> Embeddings:
    """Run an ONNX file with one input and one output."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [port] = session.get_inputs()
    [rows] = session.run(None, {port.name: batch})
    found: Embeddings = rows
    return found


def run_file(path: Path, input_name: str, example: Tensor) -> list[ndarray]:
    """Run an ONNX file on one batch and return its outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs: list[ndarray] = session.run(None, {input_name: example.numpy()})
    return outputs


def smallest_cosine(a: Float[ndarray, "..."], b: Float[ndarray, "..."]) -> float:
    """Return the smallest cosine between rows of two arrays, further axes flattened.

    Two rows of zeros, as the `linear` code of an empty map is, have no direction: they count as 1.
    """
    rows_a, rows_b = a.reshape(len(a), -1).astype(float), b.reshape(len(b), -1).astype(float)
    lengths = np.stack([np.linalg.norm(rows, axis=1) for rows in (rows_a, rows_b)])
    cosines = (rows_a * rows_b).sum(axis=1) / np.maximum(lengths.prod(axis=0), 1e-12)
    return float(np.where((lengths < _ZERO).all(axis=0), 1.0, cosines).min())


def overlook_jumps(
    found: Float[ndarray, "..."], expected: Float[ndarray, "..."]
) -> Float[ndarray, "..."]:
    """Overlook values that differ, if these are few: there rounding has changed a bit."""
    differs = np.abs(found - expected) > _TOLERANCE
    return np.where(differs, expected, found) if differs.mean() <= _JUMPS else found
