"""Checkpoints: written whole or not at all, read without unpickling objects."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import torch

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.failpoints import failpoint

CHECKPOINT: Final = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint of a training folder.

    Args:
        folder: The training folder.
        state: Tensors, numbers and strings in dictionaries and lists.
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
    except (RuntimeError, ValueError, EOFError, KeyError, OSError) as error:
        raise UsageError(
            f"the checkpoint {path} is damaged: {error}; delete {folder} and start again"
        ) from error
    return state


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    failpoint("learning.checkpoint.written")
    temporary.replace(path)
    sync_folder(path.parent)
    failpoint("learning.checkpoint.renamed")


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def disk_faults(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into an `EnvironmentFault` that names the folder."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write to {folder}: {error.strerror or error}; "
            "make room or choose another place for the model"
        ) from error
