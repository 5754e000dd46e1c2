"""A model: pictures and words to embeddings, label maps to codes, codes to label maps."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from lookalike.arrays import Embeddings, LabelMapBatch, PixelBatch, normalize
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.dimensions import read_selection
from lookalike.errors import ModelError, UsageError
from lookalike.features.runtimes import Port, Runtime, Session, choose_runtime, open_session
from lookalike.features.text import Tokenizer, read_references
from lookalike.images.workers import usable_processors
from lookalike.model_folder import (
    NETWORK,
    REFERENCES,
    SELF_DECODER,
    SELF_ENCODER,
    TEXT,
    TOKENIZER,
    ModelCard,
    check_files,
    read_card,
)

MAX_BATCH: Final = 64
"""Larger batches are run in parts, so that memory does not grow with what the caller has."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the network says of a batch of pictures.

    Attributes:
        content: What is in each picture; unit rows.
        layout: What is where: the predicted code of the label map, z-scored on the training set;
            `None` for models without self-encoding.
        labels: Probability of each class of the card; no columns for models without classes.
    """

    content: Float32[ndarray, "items content_dim"]
    layout: Float32[ndarray, "items code_dim"] | None
    labels: Float32[ndarray, "items classes"]

    @property
    def descriptors(self) -> Mapping[str, Embeddings]:
        """The embeddings by name of descriptor."""
        if self.layout is None:
            return {"content": self.content}
        return {"content": self.content, "layout": self.layout}


class Model:
    """The networks of a model folder.

    Opening checks every file's checksum; a network is loaded when it is first needed. Photographs
    go through the chosen runtime. Label maps, codes and words always go through ONNX Runtime in
    full precision: they are few, and the code of a drawing must be exact.
    """

    def __init__(self, folder: Path, card: ModelCard, runtime: Runtime, threads: int) -> None:
        self.card: Final = card
        self.runtime: Final = runtime
        self._selection = read_selection(folder, card)
        self._folder = folder
        self._threads = threads
        self._sessions: dict[str, Session] = {}
        self._tokenizer: Tokenizer | None = None
        self._lock = threading.Lock()

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        threads: int | None = None,
        runtime: Literal["auto", "onnx", "openvino"] = "auto",
    ) -> "Model":
        """Open a model folder.

        Args:
            folder: The folder that `lookalike learn` or `lookalike model import` wrote.
            threads: Processor threads to use; by default all that this process may use.
            runtime: `onnx`, `openvino` (extra `fast`), or `auto`: what `LOOKALIKE_RUNTIME` says,
                else as `choose_runtime` decides.

        Raises:
            ModelError: If the folder is no model, is damaged, or contradicts its card.
            UsageError: If `threads` is below 1 or there is no such runtime.
            MissingExtraError: If OpenVINO is asked for and not installed.
        """
        if threads is not None and threads < 1:
            raise UsageError(f"a model cannot run on {threads} threads; give 1 or more")
        path = Path(folder)
        card = read_card(path)
        _check_card(path, card)
        check_files(path, card)
        return cls(path, card, choose_runtime(runtime), threads or usable_processors())

    @property
    def id(self) -> str:
        """Name and short checksum, as in `ModelCard.id`."""
        return self.card.id

    def encode(self, pixels: PixelBatch) -> Encoded:
        """Encode pictures.

        Args:
            pixels: RGB, `card.image_size` pixels high and wide; any number of pictures.

        Raises:
            UsageError: If the pictures have another size or type.
            ModelError: If the network does not fit its card or gives values that are no numbers.
        """
        size = self.card.image_size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3):
            raise UsageError(
                f"model {self.id} encodes pictures of uint8 (any, {size}, {size}, 3), "
                f"got {pixels.dtype} {pixels.shape}; decode them to the size on the model's card"
            )
        values = self._run(NETWORK, pixels)
        return Encoded(
            self._select(normalize(values["content"])),
            values["layout"] if self.card.has_layout else None,
            values.get("labels", np.empty((len(pixels), 0), np.float32)),
        )

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed words so that they can be compared with the `content` of pictures; unit rows.

        Args:
            texts: Any number; what exceeds the tokens that the model reads is cut off.

        Raises:
            UsageError: If the model has no text side.
            MissingExtraError: If the package that cuts words into tokens is not installed.
            ModelError: If a file of the text side is damaged.
        """
        self._need_text()
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = Tokenizer(self._folder / TOKENIZER, self.card.text_length)
        rows = normalize(self._run(TEXT, self._tokenizer.encode(texts))["content"])
        return self._select(rows)

    def reference_texts(self) -> Embeddings:
        """Return the rows of ordinary words; see `lookalike.search.calibration`.

        Raises:
            UsageError: If the model has no text side.
            ModelError: If the file is damaged.
        """
        self._need_text()
        return self._select(read_references(self._folder / REFERENCES, self.card.network_dim))

    def _select(
        self, content: Float32[ndarray, "items network_dim"]
    ) -> Float32[ndarray, "items content_dim"]:
        """Keep of `content` what was chosen, if anything was."""
        return self._selection.apply(content) if self._selection else content

    def encode_label_maps(self, label_maps: LabelMapBatch) -> Embeddings:
        """Codes of label maps, comparable with the `layout` of pictures.

        Args:
            label_maps: Values 0 (background), `i + 1` (class `i` of the card) and 255 (void), at
                any size; they are shrunk to the card's grid by majority. Void pixels have no vote;
                cells of which every pixel is void stay void, which the self-encoder knows.

        Raises:
            UsageError: If the model has no self-encoder or a value is no class of the card.
        """
        self._need_layout()
        self._check_values(label_maps)
        grid = shrink_label_maps(label_maps, self.card.grid)
        return self._run(SELF_ENCODER, grid)["code"]

    def decode_codes(self, codes: Embeddings) -> Float32[ndarray, "batch values grid grid"]:
        """Label probabilities of each grid cell, background first, that codes stand for.

        Args:
            codes: Rows of `layout` or of `encode_label_maps`, not normalized.

        Raises:
            UsageError: If the model has no self-decoder or the codes have another length.
        """
        self._need_layout()
        if codes.ndim != 2 or codes.shape[1] != self.card.code_dim:
            raise UsageError(
                f"codes of model {self.id} have {self.card.code_dim} numbers, "
                f"got an array of {codes.shape}"
            )
        return self._run(SELF_DECODER, codes.astype(np.float32))["probabilities"]

    def _need_text(self) -> None:
        if not self.card.has_text:
            raise UsageError(
                f"model {self.id} has no text side and cannot be asked in words; import one that "
                "has, such as CLIP or SigLIP, and index with it"
            )

    def _need_layout(self) -> None:
        if not self.card.has_layout:
            raise UsageError(
                f"model {self.id} was learned without self-encoding and knows no layout; "
                "learn one from pictures with label maps"
            )

    def _check_values(self, label_maps: LabelMapBatch) -> None:
        n_classes = len(self.card.classes)
        known = np.zeros(256, bool)
        known[: n_classes + 1] = known[255] = True
        wrong = np.setdiff1d(label_maps, np.flatnonzero(known))
        if len(wrong):
            raise UsageError(
                f"label map holds the value {wrong[0]}; model {self.id} knows 0 for background, "
                f"1 to {n_classes} for its classes and 255 for void"
            )

    def _run(self, file: str, batch: ndarray) -> Mapping[str, ndarray]:
        """Run a network on a batch of any size; give each output under its name."""
        ports = _outputs(self.card)[file]
        if len(batch) == 0:
            return {
                name: np.empty((0, *(length or 0 for length in port.shape[1:])), np.float32)
                for name, port in ports.items()
            }
        parts = [self._run_part(file, part) for part in _parts(batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in ports}

    def _run_part(self, file: str, batch: ndarray) -> Mapping[str, ndarray]:
        values = self._session(file).run(batch)
        for name, port in _outputs(self.card)[file].items():
            if values[name].shape != (len(batch), *port.shape[1:]):
                raise ModelError(
                    f"{self._folder / file} gave {name!r} of {values[name].shape} for "
                    f"{len(batch)} items, its card says {port}; export the model again"
                )
            if not np.isfinite(values[name]).all():
                raise ModelError(
                    f"{self._folder / file} gave values that are no numbers in {name!r}; "
                    "the model is of no use, learn it again"
                )
        return values

    def _session(self, file: str) -> Session:
        with self._lock:
            if file not in self._sessions:
                runtime = self.runtime if file == NETWORK else "onnx"
                session = open_session(self._folder / file, runtime, self._threads)
                _check_ports(self._folder / file, session, self.card)
                self._sessions[file] = session
            return self._sessions[file]


def _parts(batch: ndarray) -> Iterator[ndarray]:
    for start in range(0, len(batch), MAX_BATCH):
        yield batch[start : start + MAX_BATCH]


def _inputs(card: ModelCard) -> dict[str, dict[str, Port]]:
    size, grid = card.image_size, card.grid
    return {
        NETWORK: {"images": Port("uint8", (None, size, size, 3))},
        SELF_ENCODER: {"label_maps": Port("uint8", (None, grid, grid))},
        SELF_DECODER: {"code": Port("float32", (None, card.code_dim))},
        TEXT: {"tokens": Port("int64", (None, card.text_length))},
    }


def _outputs(card: ModelCard) -> dict[str, dict[str, Port]]:
    code = Port("float32", (None, card.code_dim))
    content = {"content": Port("float32", (None, card.network_dim))}
    labels = {"labels": Port("float32", (None, len(card.classes)))} if card.classes else {}
    layout = {"layout": code} if card.has_layout else {}
    probabilities = Port("float32", (None, len(card.classes) + 1, card.grid, card.grid))
    return {
        NETWORK: {**content, **labels, **layout},
        SELF_ENCODER: {"code": code},
        SELF_DECODER: {"probabilities": probabilities},
        TEXT: content,
    }


def _check_card(folder: Path, card: ModelCard) -> None:
    needed = [NETWORK]
    needed += [SELF_ENCODER, SELF_DECODER] if card.has_layout else []
    needed += [TEXT, TOKENIZER, REFERENCES] if card.has_text else []
    for file in needed:
        if file not in card.files:
            raise ModelError(f"the model {folder} lacks its file {file}; copy it again or retrain")
    if len(card.palette) != len(card.classes) + 1:
        raise ModelError(
            f"the card of {folder} has {len(card.palette)} colors for {len(card.classes)} classes "
            "and background; export the model again"
        )


def _check_ports(path: Path, session: Session, card: ModelCard) -> None:
    """Compare a network's inputs and outputs with what its card promises."""
    expected = _inputs(card)[path.name]
    if set(session.inputs) != set(expected):
        raise ModelError(
            f"{path} has the inputs {sorted(session.inputs)}, should have {sorted(expected)}; "
            "export the model again"
        )
    for kind, ports, given in (
        ("input", expected, session.inputs),
        ("output", _outputs(card)[path.name], session.outputs),
    ):
        for name, port in ports.items():
            if name not in given:
                raise ModelError(f"{path} lacks the {kind} {name!r}; export the model again")
            if not _fits(given[name], port):
                raise ModelError(
                    f"{path} has the {kind} {name!r} of {given[name]}, its card says {port}; "
                    "export the model again"
                )


def _fits(given: Port, port: Port) -> bool:
    """Whether a port can take what is promised; unknown lengths are checked when it runs."""
    return (
        given.dtype == port.dtype
        and len(given.shape) == len(port.shape)
        and given.shape[0] is None
        and all(
            length is None or length == promised
            for length, promised in zip(given.shape[1:], port.shape[1:], strict=True)
        )
    )
