"""Whether an exported file computes what its original does."""

from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import ModelError

_TOLERANCE: Final = 1e-3
"""Largest difference of one value of unit rows."""


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
