"""A text side for the tiny model, whose answers can be told: it knows the names of its colors.

A text is the sum of its words; each color's row is the `content` of a picture all in that color.
As in real models all texts lie far from all pictures: a shared offset takes up most of each row.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from lookalike.features.model import Model
from lookalike.model_folder import (
    CARD,
    REFERENCES,
    TEXT,
    TOKENIZER,
    ModelCard,
    read_card,
    write_card,
)
from tests.tiny_model import CELLS, CLASSES, DIM, build_onnx, paint, write_tiny_model

LENGTH = 4
PAD = 0
OFFSET = 3.0
"""Length of what all texts have in common, where a color's row has length 1."""


def write_tiny_words(folder: Path, *, has_layout: bool = True) -> ModelCard:
    """Write the tiny model with a text side into `folder`; return its card."""
    write_tiny_model(folder, has_layout=has_layout)
    rows = word_rows(folder)
    onnx.save(text_network(rows), folder / TEXT)
    make_tokenizer().save(str(folder / TOKENIZER))
    references = rows[1 : len(CLASSES) + 1] + rows[-1]
    references /= np.linalg.norm(references, axis=1, keepdims=True)
    np.save(folder / REFERENCES, references.astype(np.float32))
    card = replace(read_card(folder), text_length=LENGTH, files={})
    (folder / CARD).unlink()
    return write_card(folder, card)


def word_rows(folder: Path) -> np.ndarray:
    """Rows of the padding, of each color, of an unknown word; last what every text starts from."""
    colors = [paint(np.full((CELLS, CELLS), label + 1)) for label in range(len(CLASSES))]
    known = Model.open(folder, runtime="onnx").encode(np.stack(colors)).content
    # Where all colors are equally bright there is no picture of the tiny model.
    offset = np.full(DIM, OFFSET / np.sqrt(DIM))
    return np.stack([np.zeros(DIM), *known, np.zeros(DIM), offset]).astype(np.float32)


def make_tokenizer() -> Tokenizer:
    vocab = {"[pad]": PAD, **{name: 1 + n for n, name in enumerate(CLASSES)}, "[unknown]": 4}
    tokenizer = Tokenizer(models.WordLevel(vocab, "[unknown]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=PAD, pad_token="[pad]")
    return tokenizer


def text_network(rows: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["rows", "tokens"], ["words"]),
        helper.make_node("ReduceSum", ["words", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "offset"], ["shifted"]),
        helper.make_node("LpNormalization", ["shifted"], ["content"], axis=1, p=2),
    ]
    constants = {"rows": rows[:-1], "axis": np.array([1], np.int64), "offset": rows[-1]}
    tokens = ("tokens", TensorProto.INT64, ("batch", LENGTH))
    return build_onnx(nodes, tokens, {"content": ("batch", rows.shape[1])}, constants)
