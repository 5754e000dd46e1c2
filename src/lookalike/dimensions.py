"""What is kept of a network's `content`: some of its dimensions, or a projection onto fewer.

It lies in a model folder as `selection.npy`, which the card names with its checksum, and is either

- a row of integers: the dimensions that are kept, ascending; or
- a matrix with one row more than `content` has dimensions: an affine map whose last row is the
  offset, `y = x @ matrix[:-1] + matrix[-1]`.

Whatever is made of a picture goes through it, pictures of the collection and queries alike, and is
scaled to length 1 afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from lookalike.arrays import Embeddings, normalize
from lookalike.errors import ModelError, UsageError
from lookalike.model_folder import SELECTION, ModelCard, read_card, write_card

SelectionArray: TypeAlias = Int64[ndarray, " dims"] | Float32[ndarray, "of_and_offset dims"]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A map from embeddings of `of` dimensions to embeddings of `dims`.

    Attributes:
        of: Length of the embeddings that it takes.
        array: The dimensions that are kept, ascending, or an affine map with the offset last.

    Raises:
        UsageError: If the array does not fit `of`, repeats a dimension or is not finite.

    Example:
        >>> Selection(3, np.array([0, 2])).apply(np.array([[0.6, 0.0, 0.8]], np.float32))
        array([[0.6, 0.8]], dtype=float32)
    """

    of: int
    array: SelectionArray

    def __post_init__(self) -> None:
        if self.array.ndim == 1:
            is_sound = bool((np.diff(self.array, prepend=-1) > 0).all()) and self.dims <= self.of
            is_sound = is_sound and (self.dims == 0 or int(self.array[-1]) < self.of)
        else:
            is_sound = len(self.array) == self.of + 1 and bool(np.isfinite(self.array).all())
        if not is_sound or self.dims == 0:
            raise UsageError(
                f"an array of {self.array.dtype} {self.array.shape} selects nothing sound of "
                f"{self.of} dimensions; give ascending dimensions, or a matrix of {self.of + 1} "
                "rows, the last of them the offset"
            )

    @property
    def dims(self) -> int:
        """Length of the embeddings that it gives."""
        return int(self.array.shape[-1])

    @property
    def columns(self) -> tuple[int, ...] | None:
        """The dimensions that are kept; `None` for a projection, which mixes all of them."""
        return tuple(self.array.tolist()) if self.array.ndim == 1 else None

    def apply(self, embeddings: Float32[ndarray, "items of"]) -> Embeddings:
        """Return embeddings of `dims` dimensions, scaled to length 1; rows of zeros stay zero."""
        if self.array.ndim == 1:
            return normalize(embeddings[:, self.array])
        return normalize(embeddings @ self.array[:-1] + self.array[-1])


def add_selection(folder: Path, selection: Selection, facts: Mapping[str, Any]) -> ModelCard:
    """Let a model give selected dimensions from now on; return its new card.

    Args:
        folder: A model folder that nobody else uses yet: files are not replaced atomically.
        selection: Takes the `content` of the model's network.
        facts: How it was chosen, as plain values for the card.

    Raises:
        UsageError: If the selection takes embeddings of another length, or the model has one.
    """
    card = read_card(folder)
    if card.selection or selection.of != card.content_dim:
        raise UsageError(
            f"model {card.id} gives {card.content_dim} of {card.network_dim} dimensions, the "
            f"selection takes {selection.of}; select from the model as it was learned"
        )
    np.save(folder / SELECTION, selection.array, allow_pickle=False)
    facts = {**facts, "of": selection.of, "dims": selection.dims}
    return write_card(folder, replace(card, content_dim=selection.dims, selection=facts))


def read_selection(folder: Path, card: ModelCard) -> Selection | None:
    """Return the selection of a model folder, `None` if its card speaks of none.

    Raises:
        ModelError: If it is missing, cannot be read or does not fit the card.
    """
    if not card.selection:
        return None
    path = folder / SELECTION
    try:
        array = np.load(path, allow_pickle=False)
        kind = np.int64 if array.ndim == 1 else np.float32
        if SELECTION not in card.files or array.ndim not in (1, 2) or array.dtype != kind:
            raise ValueError(f"it holds {array.dtype} {array.shape}")
        selection = Selection(card.network_dim, array)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"{path} cannot be used: {error}; copy the model again") from error
    if selection.dims != card.content_dim:
        raise ModelError(
            f"{path} gives {selection.dims} dimensions, the card says {card.content_dim}; "
            "copy the model again"
        )
    return selection
