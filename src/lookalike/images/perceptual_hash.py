"""Perceptual hashes: bits that stay when a picture is encoded again, scaled or brightened.

Two hashes of 64 bits each, both of the whole picture in gray:

- the signs of its 64 lowest frequencies but the mean, by a cosine transform of 32 × 32 pixels (the
  DCT hash of C. Zauner, *Implementation and Benchmarking of Perceptual Image Hash Functions*,
  thesis, FH Hagenberg, 2010, which compares with the median instead: with signs the hash of the
  mirrored picture follows from the hash itself);
- whether each of 8 × 8 pixels is brighter than its right neighbor (N. Krawetz, *Kind of Like That*,
  The Hacker Factor Blog, 2013).

Near-duplicates differ in few of the 128 bits, ordinary pairs in 64 on average.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image

from lookalike.arrays import Pixels

N_BITS: Final = 128
N_BYTES: Final = N_BITS // 8

PLAIN: Final = 3.0
"""Below this standard deviation of gray levels, of 256, there is nothing to be told by bits."""

Hashes: TypeAlias = UInt8[ndarray, "items 16"]

_SIDE: Final = 32
_GRID: Final = 8
_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a picture is told by, apart from its embeddings.

    Attributes:
        bits: Perceptual hash, 16 bytes.
        contrast: Standard deviation of the gray levels of 32 × 32 pixels, from 0 to 128.
        sharpness: Variance of the Laplacian of the gray levels (J. L. Pech-Pacheco et al., *Diatom
            autofocusing in brightfield microscopy*, ICPR 2000); comparable between copies that were
            read at one size.
    """

    bits: bytes
    contrast: float
    sharpness: float

    @property
    def is_plain(self) -> bool:
        """Whether the picture has hardly any structure, so that its bits say nothing."""
        return self.contrast < PLAIN


def fingerprint(pixels: Pixels) -> Fingerprint:
    """Return the fingerprint of a picture as indexing reads it, stretched to a square or not."""
    gray = Image.fromarray(pixels).convert("L")
    small = _averaged(gray, _SIDE, _SIDE)
    spectrum = _COSINES @ small @ _COSINES.T
    frequencies = spectrum[_LOWEST[:, 0], _LOWEST[:, 1]] > 0
    columns = _averaged(gray, _GRID + 1, _GRID)
    falls = (columns[:, :-1] > columns[:, 1:]).ravel()
    bits = np.packbits(np.concatenate([frequencies, falls])).tobytes()
    return Fingerprint(bits, float(small.std()), _sharpness(np.asarray(gray, np.float32)))


def mirrored(hashes: Hashes) -> Hashes:
    """Return the hashes of the same pictures with left and right exchanged.

    Odd horizontal frequencies change their sign, and what falls to the right falls to the left:
    exactly so where no two neighbors are equally bright.
    """
    blocks = np.array_split(hashes, len(hashes) // _BLOCK + 1)
    return np.concatenate([_mirrored(block) for block in blocks])


def _mirrored(hashes: Hashes) -> Hashes:
    bits = np.unpackbits(hashes, axis=1)
    frequencies = bits[:, : N_BITS // 2] ^ (_LOWEST[:, 1] % 2).astype(np.uint8)
    rows = 1 - bits[:, N_BITS // 2 :].reshape(-1, _GRID, _GRID)[:, :, ::-1]
    return np.packbits(np.hstack([frequencies, rows.reshape(len(bits), _GRID**2)]), axis=1)


def _averaged(gray: Image.Image, width: int, height: int) -> Float32[ndarray, "height width"]:
    return np.asarray(gray.resize((width, height), Image.Resampling.BOX), np.float32)


def _sharpness(gray: Float32[ndarray, "height width"]) -> float:
    if min(gray.shape) < 3:
        return 0.0
    middle = gray[1:-1, 1:-1]
    around = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float((around - 4 * middle).var())


def _lowest_frequencies() -> UInt8[ndarray, "64 2"]:
    """List vertical and horizontal frequency of the lowest ones by length, without the mean."""
    all_ = np.argwhere(np.ones((_SIDE, _SIDE)))[1:]
    order = np.argsort((all_**2).sum(axis=1), kind="stable")[: N_BITS // 2]
    return all_[order].astype(np.uint8)


def _cosines() -> Float32[ndarray, "32 32"]:
    """Return the discrete cosine transform of type II as a matrix, but for its lengths."""
    places = np.arange(_SIDE)
    return np.cos(np.pi / _SIDE * np.outer(places, places + 0.5)).astype(np.float32)


_LOWEST: Final = _lowest_frequencies()
_COSINES: Final = _cosines()
