"""Streaming embeddings into one `.npy` file that is then mapped into memory.

The rows of a million images are a gigabyte; they are written once, as they come, and never held.
The file is written rather than mapped while it grows: on a full disk, writing gives an error, and
a mapped page gives a dead process.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lookalike.arrays import Embeddings, Ids, normalize
from lookalike.atomic import environment_fault
from lookalike.errors import UsageError
from lookalike.failpoints import failpoint
from lookalike.index.rows import Rows


def gather_rows(
    batches: Iterable[tuple[Ids, Embeddings]], dim: int, n: int, path: Path | None
) -> Rows:
    """Scale all embeddings to unit length and keep them, in a file if a path is given.

    Args:
        batches: Ids, ascending over all batches, and their embeddings.
        dim: Length of an embedding.
        n: Number of embeddings expected.
        path: Where the rows are written; deleted again if that fails.

    Raises:
        UsageError: If an embedding has another length or values that are not finite, or the ids do
            not ascend.
        EnvironmentFault: If the file cannot be written.
    """
    units = _units(batches, dim)
    if path is None:
        kept = [(np.empty(0, np.int64), np.empty((0, dim), np.float32)), *units]
        return Rows(np.concatenate([ids for ids, _ in kept]), np.concatenate([r for _, r in kept]))
    try:
        return Rows(_write(units, dim, n, path), map_rows(path), path=path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise environment_fault(error, f"{path} could not be written") from error
        raise


def map_rows(path: Path) -> Embeddings:
    """Map a file of rows into memory; nothing is read before it is needed.

    Raises:
        OSError, ValueError: If it is not there or no array.
    """
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.ndim != 2 or mapped.dtype != np.float32 or not mapped.flags.c_contiguous:
        raise ValueError(f"it holds {mapped.dtype} {mapped.shape}, not rows of float32")
    # A plain array over the same memory: numpy's memmap class costs time at each look-up.
    return np.asarray(mapped)


def _units(batches: Iterable[tuple[Ids, Embeddings]], dim: int) -> Iterator[tuple[Ids, Embeddings]]:
    for ids, rows in batches:
        if rows.shape[1] != dim:
            raise UsageError(f"an embedding has {rows.shape[1]} dimensions instead of {dim}")
        is_finite = np.isfinite(rows).all(axis=1)
        if not is_finite.all():
            raise UsageError(
                f"the embedding of image {ids[np.argmin(is_finite)]} has values that are not "
                "finite; look at the image and the model it was made with"
            )
        yield ids, normalize(rows)


def _write(units: Iterator[tuple[Ids, Embeddings]], dim: int, n: int, path: Path) -> Ids:
    all_ids = [np.empty(0, np.int64)]
    with path.open("wb") as file:
        _write_header(file, n, dim)
        failpoint("index.rows_begun")
        for ids, rows in units:
            file.write(rows.tobytes())
            all_ids.append(ids)
        found = sum(map(len, all_ids))
        if found != n:
            # The header has room for a longer number, so the rows stay where they are.
            file.seek(0)
            _write_header(file, found, dim)
    failpoint("index.rows_written")
    return np.concatenate(all_ids)


def _write_header(file: BinaryIO, n: int, dim: int) -> None:
    layout = {"descr": "<f4", "fortran_order": False, "shape": (n, dim)}
    np.lib.format.write_array_header_1_0(file, layout)
