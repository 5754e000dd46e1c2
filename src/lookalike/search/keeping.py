"""Which of several copies is the best one, and why."""

from collections.abc import Set
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from lookalike.storage.duplicates import Prints

_LOSSLESS: Final = ("PNG", "TIFF", "BMP")
"""Formats that lose nothing; GIF, which has few colors, comes last."""

_REASONS: Final = ("kept by decision", "more pixels", "larger file", "better format", "sharper")


def best_first(
    prints: Prints, members: Int64[ndarray, " members"], keeps: Set[int]
) -> Int64[ndarray, " members"]:
    """Order copies: those that are to stay, then by pixels, bytes, format, sharpness, lowest id."""
    table = _criteria(prints, members, keeps)
    return members[np.lexsort((members, *(-column for column in table[::-1])))]


def reason_to_keep(prints: Prints, keep: int, next_best: int, keeps: Set[int]) -> str:
    """Say in a few words what the best copy has before the next best one."""
    table = _criteria(prints, np.array([keep, next_best], np.int64), keeps)
    for column, reason in zip(table, _REASONS, strict=True):
        if column[0] > column[1]:
            return reason
    return "first in the collection"


def _criteria(
    prints: Prints, members: Int64[ndarray, " members"], keeps: Set[int]
) -> tuple[ndarray, ...]:
    """Return what counts, most important first; more is better."""
    formats = prints.formats[members]
    quality = np.isin(formats, _LOSSLESS).astype(np.int64) - (formats == "GIF")
    is_kept = np.array([at in keeps for at in members.tolist()], np.int64)
    columns = (prints.n_pixels, prints.n_bytes)
    return (is_kept, *(c[members] for c in columns), quality, prints.sharpness[members])
