"""Checkpoints: written whole or not at all, read without unpickling objects."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from lookalike.atomic import environment_fault, write_atomically
from lookalike.errors import UsageError

CHECKPOINT: Final = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of a training folder.

    Args:
        folder: The training folder.
        state: Tensors, numbers and strings in dictionaries and lists.

    Raises:
        EnvironmentFault: If the disk is full; the checkpoint before is kept.
    """
    # Through memory: PyTorch's own writer hides the reason when the disk is full.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(folder / CHECKPOINT, buffer.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return the checkpoint of a training folder, on the CPU; `None` if there is none yet.

    Raises:
        UsageError: If the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can fail anywhere in the reader
        raise UsageError(
            f"the checkpoint {path} is damaged; delete {folder} and start again"
        ) from error
    return state


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into an `EnvironmentFault` that names the folder."""
    try:
        yield
    except OSError as error:
        raise environment_fault(error, f"{folder} could not be written") from error
