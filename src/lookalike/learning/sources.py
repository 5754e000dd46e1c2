"""Where a model to be imported lies, and what is said about it there."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lookalike.errors import EnvironmentFault, UsageError

_CONFIG: Final = "config.json"
_WANTED: Final = ("*.json", "*.safetensors", "*.model", "*.txt", "LICEN[SC]E*", "README.md")
"""What is fetched of a model on the hub: nothing that has to be unpickled or run."""

_LICENSES: Final = re.compile(r"(licen[sc]e|copying)([.-].*)?", re.IGNORECASE)
_FRONT_MATTER: Final = re.compile(r"\A---\n(.*?)^---$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Source:
    """A model to be imported.

    Attributes:
        name: What the caller called it: a path, or a name on the hub.
        folder: Where its files are.
        revision: Commit on the hub; empty for folders.
    """

    name: str
    folder: Path
    revision: str = ""

    @property
    def short_name(self) -> str:
        """A name for the card, of letters that suit ids and files."""
        last = Path(self.name).name if self.revision else self.folder.resolve().name
        return re.sub(r"[^A-Za-z0-9._]+", "-", last).strip("-") or "model"

    @property
    def config(self) -> Mapping[str, Any]:
        """What `config.json` says.

        Raises:
            UsageError: If there is none, or it is no model's.
        """
        path = self.folder / _CONFIG
        try:
            content = json.loads(path.read_text("utf-8"))
        except (ValueError, OSError) as error:
            raise UsageError(
                f"{self.name} is no model saved by Transformers: its {_CONFIG} cannot be read "
                f"({error}); give a folder written by save_pretrained"
            ) from error
        if not isinstance(content, dict) or "model_type" not in content:
            raise UsageError(
                f"{self.name} is no model saved by Transformers: its {_CONFIG} names no "
                "model_type; give a folder written by save_pretrained"
            )
        return content

    @property
    def license_file(self) -> Path | None:
        """The text of the license, if it lies there."""
        found = [path for path in self.folder.iterdir() if _LICENSES.fullmatch(path.name)]
        return min(found, default=None)

    @property
    def license_name(self) -> str:
        """The license that the head of `README.md` names; empty if none."""
        page = self.folder / "README.md"
        text = page.read_text("utf-8", errors="replace") if page.is_file() else ""
        head = _FRONT_MATTER.match(text)
        named = re.search(r"^license:\s*(\S+)", head[1], re.MULTILINE) if head else None
        return named[1].strip("\"'") if named else ""

    def weights(self) -> dict[str, str]:
        """Return the SHA-256 of each file of weights, by name.

        Raises:
            UsageError: If there are none, or only pickled ones.
        """
        found = sorted(self.folder.glob("*.safetensors"))
        if found:
            return {path.name: _sha256(path) for path in found}
        pickled = sorted(path.name for path in self.folder.glob("*.bin"))
        if pickled:
            raise UsageError(
                f"{self.name} has its weights only as a pickle ({pickled[0]}), which can run any "
                "program when it is read; save the model as safetensors first"
            )
        raise UsageError(f"{self.name} has no weights: there is no *.safetensors file in it")


def locate(source: str, *, download: bool) -> Source:
    """Find a model on this machine or, only with `download`, fetch it from the hub.

    Raises:
        UsageError: If there is no such folder and nothing is to be fetched, or the other way round.
        EnvironmentFault: If it cannot be fetched.
    """
    # Unlike the method of Path, this leaves `~unknown` alone, which then simply does not exist.
    folder = Path(os.path.expanduser(source))  # noqa: PTH111
    if folder.is_dir():
        if download:
            raise UsageError(f"{source} is a folder on this machine; leave --download out")
        return Source(source, folder)
    if folder.exists():
        raise UsageError(f"{source} is a file; give the folder that holds the model")
    if not download:
        raise UsageError(
            f"there is no folder {source}; to fetch a model of that name from the Hugging Face "
            "hub add --download"
        )
    return fetch(source)


def fetch(name: str, endpoint: str | None = None) -> Source:
    """Fetch a model from the hub into the hub's own cache, without anything pickled.

    Args:
        name: Such as `facebook/dinov2-small`.
        endpoint: Address of another hub than Hugging Face's.

    Raises:
        EnvironmentFault: If it is not there, may not be read, or there is no network.
    """
    # An optional extra, needed only where something is to be fetched.
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        place = snapshot_download(
            name, endpoint=endpoint, allow_patterns=list(_WANTED), ignore_patterns=["*/*"]
        )
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EnvironmentFault(
            f"{name} could not be fetched from the hub: {reason}; look at the name and the network"
        ) from error
    return Source(name, Path(place), revision=Path(place).name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
