"""Words to tokens, as the text side of a model reads them.

Nothing here is imported by a search by pictures but this module itself: the package `tokenizers`
is loaded with the first words.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import MissingExtraError, ModelError


class Tokenizer:
    """Cuts words into tokens as its file says, padding and longest text included.

    Args:
        path: A file of the package `tokenizers`.
        length: Tokens of each text.

    Raises:
        MissingExtraError: If that package is not installed.
        ModelError: If the file cannot be read.
    """

    def __init__(self, path: Path, length: int) -> None:
        try:
            import tokenizers  # noqa: PLC0415 - the extra `text`
        except ModuleNotFoundError as error:
            raise MissingExtraError("tokenizers", "text", "a search by words") from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises no class of its own
            raise ModelError(
                f"{path} is no tokenizer that can be read: {error}; import the model again"
            ) from error
        self._path = path
        self._length = length

    def encode(self, texts: Sequence[str]) -> Int64[ndarray, "texts length"]:
        """Return the tokens of each text.

        Raises:
            ModelError: If the file pads or cuts texts to another length than the model reads.
        """
        rows = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        if any(len(row) != self._length for row in rows):
            raise ModelError(
                f"{self._path} does not give {self._length} tokens for each text, as the model's "
                "card says; import the model again"
            )
        return np.array(rows, np.int64).reshape(len(rows), self._length)


def read_references(path: Path, dim: int) -> Embeddings:
    """Read the rows of ordinary words that similarities are judged against.

    Raises:
        ModelError: If the file holds something else.
    """
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(f"{path} cannot be read: {error}; import the model again") from error
    if rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] != dim or not len(rows):
        raise ModelError(
            f"{path} holds {rows.dtype} {rows.shape}, not rows of {dim} float32; import the "
            "model again"
        )
    found: Embeddings = rows
    return found
