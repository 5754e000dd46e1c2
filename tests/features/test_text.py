"""Words through the model folder."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from lookalike.errors import MissingExtraError, ModelError, UsageError
from lookalike.features.model import Model
from lookalike.model_folder import REFERENCES, TEXT, TOKENIZER, read_card, write_card
from tests.tiny_model import DIM, write_tiny_model

pytest.importorskip("tokenizers", reason="needs the extra text: pip install 'lookalike[text]'")

from tests.tiny_words import (
    LENGTH,
    make_tokenizer,
    text_network,
    word_rows,
    write_tiny_words,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_words(tmp_path / "model")
    return tmp_path / "model"


def test_a_text_is_the_sum_of_its_words(folder: Path) -> None:
    rows = word_rows(folder)
    found = Model.open(folder).encode_texts(["red", "Red  GREEN", "nonsense"])
    expected = np.stack([rows[1] + rows[-1], rows[1] + rows[2] + rows[-1], rows[-1]])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_words_beyond_the_longest_text_are_cut_off(folder: Path) -> None:
    model = Model.open(folder)
    long = " ".join(["red"] * LENGTH)
    assert np.array_equal(model.encode_texts([f"{long} blue"]), model.encode_texts([long]))


def test_embeddings_of_texts_do_not_depend_on_the_batch(folder: Path, monkeypatch) -> None:
    texts = ["red", "green", "blue", "red blue", "x"]
    alone = np.concatenate([Model.open(folder).encode_texts([text]) for text in texts])
    monkeypatch.setattr("lookalike.features.model.MAX_BATCH", 2)
    assert np.allclose(Model.open(folder).encode_texts(texts), alone, atol=1e-6)
    assert Model.open(folder).encode_texts([]).shape == (0, DIM)


def test_a_model_without_text_side_says_so(tmp_path: Path) -> None:
    write_tiny_model(tmp_path)
    model = Model.open(tmp_path)
    with pytest.raises(UsageError, match=r"tiny@\w+ has no text side and cannot be asked in words"):
        model.encode_texts(["red"])
    with pytest.raises(UsageError, match="has no text side"):
        model.reference_texts()


def test_without_the_package_the_extra_is_named(folder: Path, monkeypatch) -> None:
    model = Model.open(folder)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"search by words needs .*'lookalike\[text\]'"):
        model.encode_texts(["red"])


def test_a_model_with_words_is_opened_without_what_cuts_them(folder: Path) -> None:
    """Nor do words themselves need more than the one small package."""
    program = (
        "import sys; from lookalike.features.model import Model; import numpy as np;"
        f"m = Model.open({str(folder)!r}, runtime='onnx'); size = m.card.image_size;"
        "m.encode(np.zeros((1, size, size, 3), np.uint8)); assert 'tokenizers' not in sys.modules;"
        "m.encode_texts(['red']);"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("file", [TEXT, TOKENIZER, REFERENCES])
def test_rejects_a_missing_file_also_if_the_card_never_had_it(folder: Path, file: str) -> None:
    card = read_card(folder)
    (folder / file).unlink()
    write_card(folder, card)
    with pytest.raises(ModelError, match=f"lacks its file {file}"):
        Model.open(folder)


@pytest.mark.parametrize("change", ["no json", "unpadded", "longer"])
def test_rejects_a_tokenizer_that_does_not_fit(folder: Path, change: str) -> None:
    tokenizer = make_tokenizer()
    if change == "unpadded":
        tokenizer.no_padding()
    if change == "longer":
        tokenizer.enable_padding(length=LENGTH + 1)
    tokenizer.save(str(folder / TOKENIZER))
    if change == "no json":
        (folder / TOKENIZER).write_text("once upon a time")
    write_card(folder, read_card(folder))
    message = "is no tokenizer that can be read" if change == "no json" else "not give 4 tokens"
    with pytest.raises(ModelError, match=message):
        Model.open(folder).encode_texts(["red"])


def test_rejects_a_network_for_longer_texts_than_the_card_says(folder: Path) -> None:
    write_card(folder, replace(read_card(folder), text_length=LENGTH - 1))
    tokenizer = make_tokenizer()
    tokenizer.enable_truncation(LENGTH - 1)
    tokenizer.enable_padding(length=LENGTH - 1)
    tokenizer.save(str(folder / TOKENIZER))
    write_card(folder, read_card(folder))
    with pytest.raises(ModelError, match=r"input 'tokens' of int64 \(any, 4\), its card says"):
        Model.open(folder).encode_texts(["red"])


def test_rejects_a_network_of_another_length_of_embedding(folder: Path) -> None:
    onnx.save(text_network(word_rows(folder)[:, 1:]), folder / TEXT)
    write_card(folder, read_card(folder))
    with pytest.raises(ModelError, match=r"output 'content' of float32 \(any, 47\)"):
        Model.open(folder).encode_texts(["red"])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((3, DIM - 1), np.float32), "not rows of 48 float32"),
        (np.ones((3, DIM)), "not rows of 48 float32"),
        (np.ones((0, DIM), np.float32), "not rows of 48 float32"),
        (np.array([{"a": "pickle"}]), "cannot be read"),
    ],
)
def test_rejects_references_that_are_no_rows(folder: Path, rows: np.ndarray, message: str) -> None:
    np.save(folder / REFERENCES, rows)
    write_card(folder, read_card(folder))
    with pytest.raises(ModelError, match=message):
        Model.open(folder).reference_texts()
