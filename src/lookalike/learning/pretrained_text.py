"""The text side of a model of Hugging Face Transformers: its tokenizer and its network."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import tokenizers
import torch
import transformers
from jaxtyping import Int64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ModelError, UsageError
from lookalike.learning.export import write_onnx
from lookalike.learning.parity import Parity, run_onnx
from lookalike.learning.reference_texts import REFERENCE_TEXTS
from lookalike.learning.sentencepieces import from_sentencepiece
from lookalike.learning.sources import Source
from lookalike.model_folder import REFERENCES, TEXT, TOKENIZER

_PROBES: Final = (
    "a photo of a dog",
    "Two CATS, one on the roof & one beneath it!",
    "  spaces\tand\nlines  ",
    "grün, Ελλάδα, 東京, 🐕",
    '12:30 at 3.5 % off ("sale")',
    "x",
    "word " * 200,
)
"""Words on which tokenizer and network are compared with the library: all that trips tokenizers."""


class TextSide(nn.Module):
    """Tokens → unit rows."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Int64[Tensor, "texts length"]) -> Tensor:
        """Return the row in the space of `content`."""
        return functional.normalize(_features(self.model, tokens), dim=1)


def write_text_side(folder: Path, model: Any, source: Source, parity: Parity) -> int:
    """Write tokenizer, network and reference texts; compare them with the library.

    Returns:
        Tokens of a text.

    Raises:
        UsageError: If the tokenizer cannot be used.
        ModelError: If the files compute something else than the library.
    """
    length = int(model.config.text_config.max_position_embeddings)
    library = _library_tokenizer(source)
    tokenizer = _plain_tokenizer(library, source)
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(
        length=length,
        pad_id=library.pad_token_id,
        pad_token=library.pad_token,
        direction=library.padding_side,
    )
    tokenizer.save(str(folder / TOKENIZER))
    probes = _compared_tokens(tokenizer, library, length)
    tokens = torch.from_numpy(probes)
    with torch.no_grad():
        expected = functional.normalize(_features(model, tokens), dim=1).numpy()
    write_onnx(folder / TEXT, TextSide(model).eval(), "tokens", tokens, ["content"])
    parity.compare(TEXT, run_onnx(folder / TEXT, probes), expected)
    references = run_onnx(folder / TEXT, _tokens(tokenizer, REFERENCE_TEXTS))
    np.save(folder / REFERENCES, references, allow_pickle=False)
    return length


def _features(model: Any, tokens: Tensor) -> Tensor:
    """Embed tokens as the library does.

    Without a mask: CLIP looks only back from the end of the text, behind which all padding lies;
    SigLIP was trained to see its padding.
    """
    rows: Tensor = model.get_text_features(input_ids=tokens).pooler_output
    return rows


def _library_tokenizer(source: Source) -> Any:
    try:
        library = transformers.AutoTokenizer.from_pretrained(source.folder, local_files_only=True)
    except Exception as error:  # a damaged file can fail anywhere in the library
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _unusable(source, reason) from error
    if library.pad_token_id is None:
        raise _unusable(source, "it has no token for padding")
    return library


def _plain_tokenizer(library: Any, source: Source) -> tokenizers.Tokenizer:
    """Return the tokenizer as one that runs without the library."""
    if isinstance(library, transformers.SiglipTokenizer):
        return from_sentencepiece(library)
    backend = getattr(library, "backend_tokenizer", None)
    if backend is None:
        raise _unusable(source, f"{type(library).__name__} has no form that runs by itself")
    return tokenizers.Tokenizer.from_str(backend.to_str())


def _unusable(source: Source, reason: str) -> UsageError:
    return UsageError(
        f"the tokenizer of {source.name} cannot be used: {reason}; --no-text imports the image "
        "side alone"
    )


def _compared_tokens(
    tokenizer: tokenizers.Tokenizer, library: Any, length: int
) -> Int64[ndarray, "texts length"]:
    """Return the tokens of the probes, which must be those of the library.

    Raises:
        ModelError: If they are not.
    """
    found = _tokens(tokenizer, _PROBES)
    expected = library(list(_PROBES), padding="max_length", truncation=True, max_length=length)[
        "input_ids"
    ]
    for text, row, wanted in zip(_PROBES, found, expected, strict=True):
        if row.tolist() != wanted:
            raise ModelError(
                f"the tokenizer written differs from the original one on {text[:40]!r}; "
                "--no-text imports the image side alone; report this with the name of the model"
            )
    return found


def _tokens(
    tokenizer: tokenizers.Tokenizer, texts: tuple[str, ...]
) -> Int64[ndarray, "texts length"]:
    return np.array([each.ids for each in tokenizer.encode_batch(list(texts))], np.int64)
