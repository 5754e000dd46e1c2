"""All pairs of hashes that differ in few bits, without comparing all with all.

Multi-index hashing (M. Norouzi, A. Punjani, D. J. Fleet, *Fast Exact Search in Hamming Space with
Multi-Index Hashing*, PAMI 2014), as a join: 128 bits are cut into 8 bands of 16. If two hashes
differ in at most `8 q + a` bits, `a` below 8, they differ in at most `q` bits in one of the first
`a + 1` bands, or in fewer than `q` in one of the others. For each band, and each choice of so many
of its bits, the hashes are sorted by the band without these bits, and those that come out equal are
compared in full. Nothing is missed, and memory is a few numbers for each hash, however many pairs
there are.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Int64, UInt8, UInt16
from numpy import ndarray

from lookalike.errors import UsageError
from lookalike.images.perceptual_hash import N_BITS, Hashes
from lookalike.progress import SILENT, Progress

N_BANDS: Final = 8
_BAND_BITS: Final = N_BITS // N_BANDS

LARGEST_RADIUS: Final = 3 * N_BANDS - 1
"""Beyond, three bits of a band may differ, and sorting without them takes too long."""

Pairs: TypeAlias = tuple[Int64[ndarray, " pairs"], Int64[ndarray, " pairs"]]

# Neighboring bits of a hash tell nearly the same; mixed, bands are more evenly filled.
_MIXED: Final = np.random.default_rng(0).permutation(N_BITS)


def near_pairs(hashes: Hashes, radius: int, progress: Progress = SILENT) -> Iterator[Pairs]:
    """Give all pairs of different rows whose hashes differ in at most `radius` bits.

    Args:
        hashes: One row for each item.
        radius: From 0 to 23 of 128 bits.
        progress: Told of every time that the hashes are sorted.

    Yields:
        Positions of the first and of the second of each pair, in either order; a pair may come more
        than once.

    Raises:
        UsageError: If the radius is out of range.
    """
    check_radius(radius)
    words, bands = np.ascontiguousarray(hashes).view(np.uint64), _bands(hashes)
    left, right = words[:, 0].copy(), words[:, 1].copy()
    masks = [
        (band, mask)
        for band in range(N_BANDS)
        for mask in _masks(radius // N_BANDS - (band > radius % N_BANDS))
    ]
    with progress.task("Comparing fingerprints", len(masks), "passes") as task:
        for band, mask in masks:
            for first, second in _equal_pairs(bands[:, band] & mask):
                is_near = np.bitwise_count(left[first] ^ left[second]) <= radius
                first, second = first[is_near], second[is_near]
                differing = np.bitwise_count(left[first] ^ left[second])
                differing += np.bitwise_count(right[first] ^ right[second])
                is_near = differing <= radius
                if is_near.any():
                    yield first[is_near], second[is_near]
            task.advance()


def distances(hashes: Hashes, other: UInt8[ndarray, " 16"]) -> Int64[ndarray, " items"]:
    """Return in how many bits each hash differs from another one."""
    apart: ndarray = np.bitwise_count(hashes ^ other).sum(axis=1, dtype=np.int64)
    return apart


def check_radius(radius: int) -> None:
    """Refuse a radius that is out of range.

    Raises:
        UsageError: If it is.
    """
    if not 0 <= radius <= LARGEST_RADIUS:
        raise UsageError(
            f"near-duplicates may differ in 0 to {LARGEST_RADIUS} of {N_BITS} bits, not in {radius}"
        )


def _equal_pairs(keys: UInt16[ndarray, " items"]) -> Iterator[Pairs]:
    """Give all pairs of equal keys, those side by side in order first, then those farther apart."""
    order = np.argsort(keys, kind="stable")
    ascending = keys[order]
    starts = np.arange(len(keys))
    for apart in range(1, len(keys)):
        starts = starts[starts + apart < len(keys)]
        starts = starts[ascending[starts] == ascending[starts + apart]]
        if len(starts) == 0:
            return
        yield order[starts], order[starts + apart]


def _masks(n_free: int) -> list[np.uint16]:
    """Return the masks that drop each choice of `n_free` bits of a band; none for -1."""
    if n_free < 0:
        return []
    everything = (1 << _BAND_BITS) - 1
    return [
        np.uint16(everything & ~sum(1 << bit for bit in dropped))
        for dropped in combinations(range(_BAND_BITS), n_free)
    ]


def _bands(hashes: Hashes) -> UInt16[ndarray, "items bands"]:
    mixed = [
        np.packbits(np.unpackbits(block, axis=1)[:, _MIXED], axis=1)
        for block in np.array_split(hashes, len(hashes) // _BLOCK + 1)
    ]
    return np.ascontiguousarray(np.concatenate(mixed)).view(np.uint16)


_BLOCK: Final = 1 << 16
