"""Noise, gradients and colors that generated scenes are painted with.

Colors are RGB triples in 0 to 255. Pictures being painted are float32 in the same range, one plane
for each channel, which NumPy adds and multiplies several times faster than interleaved channels.
"""

import colorsys
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32
from numpy import ndarray
from PIL import Image

Number: TypeAlias = int | float
Color: TypeAlias = tuple[Number, Number, Number]
Range: TypeAlias = tuple[Number, Number]
Field: TypeAlias = Float32[ndarray, "height width"]
Canvas: TypeAlias = Float32[ndarray, "3 height width"]


def value_noise(rng: np.random.Generator, size: tuple[int, int], cells: Range) -> Field:
    """Smooth noise in `[-1, 1]`: random values on a coarse lattice, interpolated (value noise).

    Args:
        rng: Source of the lattice.
        size: Height and width in pixels.
        cells: Lattice cells down and across; few cells give large blotches.
    """
    return fractal_noise(rng, size, cells, octaves=1)


def fractal_noise(
    rng: np.random.Generator, size: tuple[int, int], cells: Range, octaves: int = 3
) -> Field:
    """Sum of smooth noises, each twice as fine and half as strong as the one before.

    The octaves are added up on the finest lattice and stretched to the picture together, which
    takes a third of the time that stretching each would.

    Args:
        rng: Source of the lattices.
        size: Height and width in pixels.
        cells: Lattice cells of the first octave, down and across.
        octaves: Number of noises.

    Returns:
        Values within `±(2 − 2^(1 − octaves))`.
    """
    lattice = _random_lattice(rng, cells)
    for octave in range(1, octaves):
        finer = _random_lattice(rng, (cells[0] * 2**octave, cells[1] * 2**octave))
        lattice = _stretched(lattice, finer.shape) + finer * np.float32(0.5**octave)
    largest = 2.0 - 0.5 ** (octaves - 1)
    # Cubic interpolation overshoots.
    return _stretched(lattice, size).clip(-largest, largest)


def _random_lattice(rng: np.random.Generator, cells: Range) -> Field:
    rows, columns = (max(2, round(count) + 1) for count in cells)
    lattice: ndarray = rng.random((rows, columns), dtype=np.float32) * 2 - 1
    return lattice


def _stretched(
    field: Float32[ndarray, "rows columns"], size: tuple[int, int]
) -> Float32[ndarray, "height width"]:
    height, width = size
    return np.asarray(Image.fromarray(field).resize((width, height), Image.Resampling.BICUBIC))


def plane(color: Color) -> Float32[ndarray, "3 1 1"]:
    """A canvas of one color, of any size by broadcasting."""
    return np.asarray(color, np.float32).reshape(3, 1, 1)


def gradient(top: Color, bottom: Color, share: Field) -> Canvas:
    """Blend two colors: `top` where `share` is 0, `bottom` where it is 1."""
    first = plane(top)
    blend: ndarray = first + share * (plane(bottom) - first)
    return blend


def mix(first: Color, second: Color, share: Number) -> Color:
    """Blend two colors.

    Example:
        >>> mix((0, 0, 0), (100, 200, 50), 0.5)
        (50.0, 100.0, 25.0)
    """
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def vary(rng: np.random.Generator, color: Color, amount: Number = 18.0) -> Color:
    """A color near `color`: common lightness and each channel differ by up to `amount`."""
    common, *own = rng.uniform(-amount, amount, 4).tolist()
    red, green, blue = (
        min(255.0, max(0.0, channel + common + 0.5 * change))
        for channel, change in zip(color, own, strict=True)
    )
    return red, green, blue


def vivid(
    rng: np.random.Generator,
    saturation: Range = (0.45, 0.85),
    lightness: Range = (0.55, 0.95),
) -> Color:
    """A color of any hue, for things whose color says nothing about what they are."""
    hue, s, v = rng.random(), rng.uniform(*saturation), rng.uniform(*lightness)
    red, green, blue = colorsys.hsv_to_rgb(hue, s, v)
    return red * 255, green * 255, blue * 255


def lit(color: Color, tint: Color) -> Color:
    """The color of a surface under light of the color `tint` (1 is full light)."""
    return color[0] * tint[0], color[1] * tint[1], color[2] * tint[2]
