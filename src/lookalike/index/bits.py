"""Embeddings as bits, compared by how many of them differ.

A long code ranks, a short one of 32 bits selects what is ranked: a cascade, as in A. Krizhevsky, G.
Hinton, *Using Very Deep Autoencoders for Content-Based Image Retrieval*, ESANN 2011. Both are signs
of projections learned from the collection by iterative quantization: principal components, turned
so that the signs lose as little as possible (Y. Gong, S. Lazebnik, *Iterative Quantization*, CVPR
2011). Embeddings that are bits already, −1 and 1, are their own long code.
"""

import io
import zipfile
from collections.abc import Iterator
from typing import Any, Final, final

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8, UInt32, UInt64
from numpy import ndarray

from lookalike.arrays import Embeddings
from lookalike.errors import DamagedCollectionError
from lookalike.index.codes import faiss, use_threads

_SHORT_BITS: Final = 32
_WORD: Final = 64
"""Long codes are filled up to whole words, which are compared at once."""

_LONG_BITS: Final = 256
"""Bits of a long code at least: shorter embeddings are turned several times, each time anew."""
_MOST_TURNS: Final = 32

_LEAST_TRAINING: Final = 64
"""Fewer rows than these, or than dimensions, are repeated."""
_BLOCK: Final = 1 << 14
"""Rows turned into bits at once."""

_EQUAL: Final = 1e-5
"""Relative difference of numbers that are meant to be equal."""


@final
class Projection:
    """Numbers to bits: `A (x − m) ≥ 0`.

    Args:
        matrix: `A`, one row for each bit.
        mean: `m`.
    """

    def __init__(
        self, matrix: Float32[ndarray, "bits dim"], mean: Float32[ndarray, " dim"]
    ) -> None:
        self.matrix, self.mean = matrix, mean

    @classmethod
    def learn(cls, sample: Embeddings, n_bits: int, seeds: list[int]) -> "Projection":
        """Learn `n_bits` projections for each of the seeds, at most as many as dimensions."""
        n = max(len(sample), _LEAST_TRAINING, sample.shape[1] + 1)
        rows = np.resize(sample, (n, sample.shape[1]))
        turns = [_iterative_quantization(rows, n_bits, seed) for seed in seeds]
        return cls(np.concatenate([matrix for matrix, _ in turns]), turns[0][1])

    def bits(self, rows: Embeddings) -> Bool[ndarray, "items bits"]:
        """Return the bits of each row."""
        found: ndarray = (rows - self.mean) @ self.matrix.T >= 0
        return found


def _iterative_quantization(
    rows: Embeddings, n_bits: int, seed: int
) -> tuple[Float32[ndarray, "bits dim"], Float32[ndarray, " dim"]]:
    transform = faiss.ITQTransform(rows.shape[1], min(n_bits, rows.shape[1]), True)
    transform.itq.seed = seed
    use_threads(len(rows))
    transform.train(rows)
    matrix = faiss.vector_to_array(transform.pca_then_itq.A)
    return matrix.reshape(-1, rows.shape[1]), faiss.vector_to_array(transform.mean)


@final
class BinaryCodes:
    """Short and long codes of all rows in stored order.

    Args:
        short: Gives the short code.
        long: Gives the long code; `None` where the rows are bits themselves.
        short_codes: Short codes of the rows added so far.
        faiss_index: Their long codes, an `IndexBinaryFlat`.
    """

    def __init__(
        self,
        short: Projection,
        long: Projection | None,
        short_codes: UInt32[ndarray, " stored"],
        faiss_index: Any,
    ) -> None:
        self._short, self._long = short, long
        self._short_codes, self.faiss_index = short_codes, faiss_index

    @classmethod
    def train(cls, sample: Embeddings, seed: int, *, are_bits: bool) -> "BinaryCodes":
        """Learn the projections; the codes are still to be added."""
        dim = sample.shape[1]
        short = Projection.learn(sample, _SHORT_BITS, [seed])
        n_turns = min(_MOST_TURNS, -(-_LONG_BITS // dim))
        long = None
        if not are_bits:
            long = Projection.learn(sample, dim, [seed + turn for turn in range(n_turns)])
        n_bits = dim if long is None else len(long.matrix)
        index = faiss.IndexBinaryFlat(-(-n_bits // _WORD) * _WORD)
        return cls(short, long, np.empty(0, np.uint32), index)

    @classmethod
    def from_bytes(cls, content: UInt8[ndarray, " bytes"]) -> "BinaryCodes":
        """Read what `to_bytes` gave; DamagedCollectionError if it is something else."""
        try:
            with np.load(io.BytesIO(content.tobytes()), allow_pickle=False) as parts:
                short = Projection(parts["short"], parts["short_mean"])
                long = Projection(parts["long"], parts["long_mean"])
                index = faiss.deserialize_index_binary(parts["codes"])
                return cls(short, long if len(long.matrix) else None, parts["short_codes"], index)
        except (OSError, ValueError, KeyError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
            reason = str(error).partition("\n")[0]
            raise DamagedCollectionError(
                f"the codes of an index cannot be read: {reason}"
            ) from error

    def to_bytes(self) -> bytes:
        """Return everything as NumPy's archive of arrays, the long codes in FAISS's format."""
        nothing = Projection(np.empty((0, self.dim), np.float32), self._short.mean)
        long = self._long or nothing
        content = io.BytesIO()
        np.savez(
            content,
            short=self._short.matrix,
            short_mean=self._short.mean,
            long=long.matrix,
            long_mean=long.mean,
            short_codes=self._short_codes,
            codes=faiss.serialize_index_binary(self.faiss_index),
        )
        return content.getvalue()

    def __len__(self) -> int:
        return int(self.faiss_index.ntotal)

    @property
    def dim(self) -> int:
        """Length of the embeddings."""
        return len(self._short.mean)

    @property
    def n_bits(self) -> int:
        """Bits of a long code."""
        return self.dim if self._long is None else len(self._long.matrix)

    @property
    def are_bits(self) -> bool:
        """Whether the rows are bits themselves, so that differing bits rank like the rows do."""
        return self._long is None

    def add(self, rows: Embeddings) -> Iterator[int]:
        """Append the codes of `rows`; yields the number of rows done, block by block."""
        parts = [self._short_codes]
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            parts.append(self._short_code(block))
            self.faiss_index.add(self._long_code(block))
            yield len(block)
        self._short_codes = np.concatenate(parts)

    def _short_code(self, rows: Embeddings) -> UInt32[ndarray, " items"]:
        return _packed(self._short.bits(rows), _SHORT_BITS).view(np.uint32)[:, 0]

    def _long_code(self, rows: Embeddings) -> UInt8[ndarray, "items bytes"]:
        return _packed(rows >= 0 if self._long is None else self._long.bits(rows), _WORD)

    def within_radius(
        self,
        query: Float32[ndarray, " dim"],
        wanted: int,
        passing: Int64[ndarray, " passing"] | None,
    ) -> Int64[ndarray, " found"]:
        """Return the positions of all rows whose short code differs in few bits.

        The radius grows bit by bit until there are `wanted` of them or no more to be had.

        Args:
            query: A unit row.
            wanted: How many.
            passing: Positions of the rows that count, ascending; `None` for all.
        """
        codes = self._short_codes if passing is None else self._short_codes[passing]
        differing = np.bitwise_count(codes ^ self._short_code(query[None])[0])
        met = np.bincount(differing, minlength=_SHORT_BITS + 1).cumsum()
        inside = np.flatnonzero(differing <= met.searchsorted(min(wanted, len(codes))))
        return inside if passing is None else passing[inside]

    def nearest(
        self,
        query: Float32[ndarray, " dim"],
        depth: int,
        among: Int64[ndarray, " candidates"] | None,
    ) -> Int64[ndarray, " found"]:
        """Return the positions of the `depth` rows whose long code differs in fewest bits.

        All that differ in as many bits as the last of them are among them, so more may come.

        Args:
            query: A unit row.
            depth: How many, at least 1.
            among: Positions of the rows that count, ascending; `None` for all.
        """
        code = self._long_code(query[None])
        if among is None:
            return self._nearest_of_all(code, depth)
        if len(among) <= depth:
            return among
        differing = np.bitwise_count(self._words[among] ^ code.view(np.uint64)).sum(axis=1)
        least = np.partition(differing, depth - 1)[depth - 1]
        nearest: ndarray = among[differing <= least]
        return nearest

    def _nearest_of_all(
        self, code: UInt8[ndarray, "1 bytes"], depth: int
    ) -> Int64[ndarray, " found"]:
        use_threads(1)
        differing, _ = self.faiss_index.search(code, min(depth, len(self)))
        _, _, found = self.faiss_index.range_search(code, int(differing[0, -1]) + 1)
        return np.sort(found)

    @property
    def _words(self) -> UInt64[ndarray, "stored words"]:
        # No copy: the memory belongs to FAISS, whose index lives as long as this object.
        n_bytes = self.faiss_index.ntotal * self.faiss_index.code_size
        stored: ndarray = faiss.rev_swig_ptr(self.faiss_index.xb.data(), n_bytes)
        return stored.view(np.uint64).reshape(self.faiss_index.ntotal, -1)


def are_bits(rows: Embeddings) -> bool:
    """Tell whether every row consists of one number, positive or negative, but not zero."""
    for start in range(0, len(rows), _BLOCK):
        sizes = np.abs(rows[start : start + _BLOCK])
        largest = sizes.max(axis=1, keepdims=True)
        if not (np.abs(sizes - largest) <= _EQUAL * largest).all() or not (largest > 0).all():
            return False
    return len(rows) > 0


def _packed(bits: Bool[ndarray, "items bits"], step: int) -> UInt8[ndarray, "items bytes"]:
    """Pack bits into bytes, filled up with zeros to a multiple of `step` bits."""
    packed: ndarray = np.packbits(np.pad(bits, ((0, 0), (0, -bits.shape[1] % step))), axis=1)
    return packed
