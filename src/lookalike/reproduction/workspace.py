"""The folder of a reproduction: what was done stays done, whenever the process is stopped."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lookalike.atomic import environment_fault, sweep, write_atomically
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.reproduction.plan import Plan

PLAN: Final = "plan.json"
"""Tells a folder of this kind from any other, and what it was begun with."""

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with a file for each finished result.

    Attributes:
        folder: Where everything lies.
    """

    folder: Path

    @property
    def models(self) -> Path:
        """Folder of the model folders."""
        return self.folder / "models"

    @property
    def embeddings(self) -> Path:
        """Folder of the gallery's embeddings, one file for each model."""
        return self.folder / "embeddings"

    @property
    def cells(self) -> Path:
        """Folder of the finished results."""
        return self.folder / "cells"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.folder / "report"

    def sweep(self) -> None:
        """Remove what a killed process left; only for the one that may write here."""
        for place in (self.folder, self.embeddings, self.cells, self.report):
            sweep(place)

    def cell(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a result that was computed before, or compute it and keep it.

        Args:
            name: Of the result, unique in this folder.
            compute: Gives plain JSON values.

        Raises:
            UsageError: If the file of the result is damaged.
            EnvironmentFault: If it cannot be written.
        """
        path = self.cells / f"{file_name(name)}.json"
        if path.is_file():
            return _read(path)
        text = json.dumps(compute(), indent=1, allow_nan=False)
        write_atomically(path, f"{text}\n".encode())
        failpoint("reproduction.cell")
        content: dict[str, Any] = json.loads(text)
        return content


def open_workspace(folder: Path, plan: Plan) -> Workspace:
    """Make a folder for a plan, or open the one in which it was begun.

    Raises:
        UsageError: If the folder is something else, or was begun with another plan.
        EnvironmentFault: If it cannot be made.
    """
    marker = folder / PLAN
    wanted = {"format": _FORMAT, **plan.fixed()}
    if marker.is_file():
        _refuse_other_plan(_read(marker), wanted, folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"{folder} exists and is no earlier reproduction; choose another folder with --out"
        )
    workspace = Workspace(folder)
    try:
        for place in (folder, workspace.models, workspace.embeddings, workspace.cells):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise environment_fault(error, f"{folder} could not be made") from error
    write_atomically(marker, f"{json.dumps(wanted, indent=1)}\n".encode())
    return workspace


def file_name(name: str) -> str:
    """Turn the name of a model or a result into one for a file.

    Example:
        >>> file_name("pooled masks, PCA s1")
        'pooled-masks-PCA-s1'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in name).split())


def _refuse_other_plan(begun: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    unlike = [
        f"{key} {begun.get(key)} and {value}"
        for key, value in wanted.items()
        if begun.get(key) != value
    ]
    if unlike:
        raise UsageError(
            f"{folder} was begun with other options ({'; '.join(unlike)}); go on with the same "
            "options, or choose another folder with --out"
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is damaged; delete it and run the same command again") from error
    return content
