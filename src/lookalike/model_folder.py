"""The model folder: where learning ends and feature extraction begins.

A folder with a card and the networks as ONNX files, described by nothing but itself. `learning`
writes it, `features` reads it, and neither knows the other::

    card.json            what the model is, and the SHA-256 of every other file
    network.onnx         `images` (batch, size, size, 3) uint8 RGB → `content` (batch, content_dim)
                         unit rows, `layout` (batch, code_dim) z-scored code, `labels`
                         (batch, classes) probabilities
    self_encoder.onnx    `label_maps` (batch, grid, grid) uint8 → `code` (batch, code_dim) z-scored
    self_decoder.onnx    `code` → `probabilities` (batch, classes + 1, grid, grid), background first
    text.onnx            `tokens` (batch, text_length) int64 → `content` (batch, content_dim) unit
                         rows, comparable with those of pictures
    tokenizer.json       words → tokens, cut and padded to text_length; a file of `tokenizers`
    reference_texts.npy  rows of ordinary words, float32 (texts, content_dim): what the similarity
                         of other words is judged against
    selection.npy        what is kept of `content`, see `lookalike.dimensions`; only in the models
                         of collections that were shrunk, whose networks give more dimensions

Models without self-encoding lack its two files and the `layout` output, models without classes
the `labels` output, and models without a text side the three files of words.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from lookalike.errors import ModelError

CARD: Final = "card.json"
NETWORK: Final = "network.onnx"
SELF_ENCODER: Final = "self_encoder.onnx"
SELF_DECODER: Final = "self_decoder.onnx"
SELECTION: Final = "selection.npy"
TEXT: Final = "text.onnx"
TOKENIZER: Final = "tokenizer.json"
REFERENCES: Final = "reference_texts.npy"
FORMAT: Final = 1
"""Version of the folder's layout; a reader refuses newer ones."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, where it comes from and what it was measured to do.

    Attributes:
        name: A person's name for it, for instance `scenes-residual-s7`.
        classes: Class names; index `i` is value `i + 1` of label maps.
        relevant_classes: Indices of the classes that count when two pictures are compared.
        palette: RGB of background and of each class.
        image_size: Side of the square network input, in pixels; pictures are stretched to it.
        grid: Side of the square label maps that the self-encoder reads and writes; 0 without.
        content_dim: Length of the `content` embedding, after a selection if there is one.
        code_dim: Length of the `layout` code; 0 without self-encoding.
        is_single_label: Whether labels exclude each other (softmax rather than sigmoids).
        preprocess_version: `images.decoding.PREPROCESS_VERSION` that the network was trained with.
        recipe: All options of the training run.
        training_data: Name, size and terms of what it was trained on.
        measured: Figures measured on held-out pictures when training ended.
        selection: How the dimensions of `content` were chosen, `of` how many; empty if all are.
        files: SHA-256 of every other file of the folder, by name.
        format: Version of the folder's layout.
        text_length: Tokens of a text; 0 without a text side.
        origin: Of an imported model: source, revision, license, and what its `content` is.
    """

    name: str
    classes: tuple[str, ...]
    relevant_classes: tuple[int, ...]
    palette: tuple[tuple[int, int, int], ...]
    image_size: int
    grid: int
    content_dim: int
    code_dim: int
    is_single_label: bool
    preprocess_version: int
    recipe: Mapping[str, Any] = field(default_factory=dict)
    training_data: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, float] = field(default_factory=dict)
    selection: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT
    text_length: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_text(self) -> bool:
        """Whether words can be compared with pictures."""
        return self.text_length > 0

    @property
    def has_layout(self) -> bool:
        """Whether the network predicts a layout code."""
        return self.code_dim > 0

    @property
    def network_dim(self) -> int:
        """Length of the `content` that the network gives, before any selection."""
        return int(self.selection.get("of", self.content_dim))

    @property
    def id(self) -> str:
        """Name and first eight digits of the network's checksum: `scenes@3f2a91c0`.

        A selection adds its own: `scenes@3f2a91c0+77ab01de`.
        """
        selected = f"+{self.files[SELECTION][:8]}" if SELECTION in self.files else ""
        return f"{self.name}@{self.files.get(NETWORK, '')[:8]}{selected}"


def write_card(folder: Path, card: ModelCard) -> ModelCard:
    """Write `card` with the checksums of the files now in `folder`; return it with them."""
    files = {
        path.name: _sha256(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != CARD
    }
    content = {**asdict(card), "files": files}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
    return read_card(folder)


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model folder.

    Raises:
        ModelError: If there is no card, it cannot be read, or its format is newer than this
            program's.
    """
    path = folder / CARD
    if not path.is_file():
        raise ModelError(
            f"{folder} is not a model folder: it has no {CARD}; make one with: lookalike learn"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ModelError(f"the model card {path} cannot be read: {error}") from error
    if version != FORMAT:
        raise ModelError(
            f"{folder} has model format {version}, this program reads {FORMAT}; "
            "update Lookalike or train the model again"
        )
    try:
        return _card_from(content)
    except (TypeError, KeyError, ValueError) as error:
        raise ModelError(f"the model card {path} is incomplete: {error}") from error


def check_files(folder: Path, card: ModelCard) -> None:
    """Compare every file of a model folder with its checksum.

    Raises:
        ModelError: If a file is missing or has changed.
    """
    for name, expected in card.files.items():
        path = folder / name
        if not path.is_file():
            raise ModelError(f"the model {folder} lacks its file {name}; copy it again or retrain")
        found = _sha256(path)
        if found != expected:
            raise ModelError(
                f"{path} has changed since the model was made (SHA-256 {found[:12]}…, its "
                f"card says {expected[:12]}…); copy the model again or retrain"
            )


def _card_from(content: dict[str, Any]) -> ModelCard:
    known = ModelCard.__dataclass_fields__
    fields = {key: value for key, value in content.items() if key in known}
    fields["classes"] = tuple(fields["classes"])
    fields["relevant_classes"] = tuple(fields["relevant_classes"])
    fields["palette"] = tuple((int(r), int(g), int(b)) for r, g, b in fields["palette"])
    return ModelCard(**fields)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
