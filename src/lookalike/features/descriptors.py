"""Descriptors: named ways to turn a picture into a row of numbers, beside those of the model.

A descriptor has a name, a version, and a function from pictures to rows; pictures are compared by
the inner product of their rows, scaled to length 1, or by the descriptor's own similarity. Those
of this package stand in `BUILT_IN`. Another package adds one by an entry point of the group
`lookalike.descriptors` whose name is that of the descriptor and which leads to a `Descriptor`, or
to a function without arguments that returns one. It is loaded when it is asked for, not before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Final, TypeAlias

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy import ndarray

from lookalike.arrays import Embeddings, PixelBatch
from lookalike.errors import UsageError
from lookalike.features.color import color_rows, layout_rows
from lookalike.features.shape import aspect_rows, brightness_rows, shape_rows
from lookalike.features.silhouettes import silhouette_rows
from lookalike.features.texture import texture_rows
from lookalike.images.decoding import stretch

GROUP: Final = "lookalike.descriptors"
"""Entry points of this group are descriptors of other packages."""

SIDE: Final = 128
"""Descriptors see pictures stretched to so many pixels in both directions."""

MODEL_NAMES: Final = ("content", "layout")
"""These come from the model, and from nowhere else."""

Sizes: TypeAlias = Int64[ndarray, "batch 2"]
"""Height and width of each picture as it is seen, in pixels."""

Extract: TypeAlias = Callable[[PixelBatch, Sizes], Embeddings]
Similarity: TypeAlias = Callable[
    [Float32[ndarray, "queries dim"], Float32[ndarray, "items dim"]],
    Float32[ndarray, "queries items"],
]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A way to describe pictures.

    Attributes:
        name: Small letters, digits and underscores.
        version: Grows whenever the same picture would get another row; what was stored by another
            version is extracted again and never compared.
        dim: Length of a row.
        extract: Rows, all finite, of a batch of pictures, given as RGB of `SIDE` × `SIDE` pixels
            and the sizes that they have as files. A row of zeros is like no other.
        needs_pixels: Whether `extract` looks at the pictures; otherwise it is given empty ones.
        similarity: Compares rows of length 1 in its own way, -1 to 1, higher is more alike, each
            pair by itself; `None` for the inner product. All images are compared then. Where the
            length of a row matters, append a number 1 to it, so that it can be told afterwards.
    """

    name: str
    version: int
    dim: int
    extract: Extract
    needs_pixels: bool = True
    similarity: Similarity | None = None


def _of_pixels(rows: Callable[[PixelBatch], Embeddings]) -> Extract:
    return partial(_extract_pixels, rows)


def _extract_pixels(
    rows: Callable[[PixelBatch], Embeddings], pixels: PixelBatch, sizes: Sizes
) -> Embeddings:
    return rows(pixels)


def _aspect(pixels: PixelBatch, sizes: Sizes) -> Embeddings:
    return aspect_rows(sizes)


BUILT_IN: Final[Mapping[str, Descriptor]] = {
    each.name: each
    for each in (
        Descriptor("color", 1, 304, _of_pixels(color_rows)),
        Descriptor("color_layout", 1, 193, _of_pixels(layout_rows)),
        Descriptor("texture", 1, 54, _of_pixels(texture_rows)),
        Descriptor("shape", 1, 385, _of_pixels(shape_rows)),
        Descriptor("brightness", 1, 85, _of_pixels(brightness_rows)),
        Descriptor("silhouette", 1, 35, _of_pixels(silhouette_rows)),
        Descriptor("aspect", 1, 2, _aspect, needs_pixels=False),
    )
}

STANDARD: Final = ("color", "color_layout", "texture", "shape")
"""What a new collection has if nothing else is said: what colors, painting, swatches and sketches
are compared with."""


def read_names(text: str) -> tuple[str, ...]:
    """Read a list of descriptors such as `color,texture`, or `all`, or `none`.

    Raises:
        UsageError: If one is not known.

    Example:
        >>> read_names("texture, aspect"), read_names("none")
        (('texture', 'aspect'), ())
    """
    if text.strip() == "all":
        return (*BUILT_IN, *sorted(_registered().keys() - BUILT_IN.keys()))
    if text.strip() == "none":
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        _check_name(name)
    return names


def find(names: Iterable[str]) -> dict[str, Descriptor]:
    """Return the descriptors of these names.

    Raises:
        UsageError: If one is not known, or a package that provides one is broken or clashes with
            another.
    """
    return {name: _find(name) for name in names}


def find_same(versions: Mapping[str, tuple[int, int]]) -> dict[str, Descriptor]:
    """Return those descriptors that are installed in the same version and dimension.

    Args:
        versions: Version and dimension by name.

    Raises:
        UsageError: If a package that provides one is broken or clashes with another.
    """
    registered = _registered() if versions.keys() - BUILT_IN.keys() else {}
    known = {
        name: BUILT_IN[name] if name in BUILT_IN else _find(name)
        for name in versions
        if name in BUILT_IN or name in registered
    }
    return {
        name: descriptor
        for name, descriptor in known.items()
        if (descriptor.version, descriptor.dim) == versions[name]
    }


def describe(
    descriptors: Iterable[Descriptor], pixels: PixelBatch, sizes: Sizes
) -> dict[str, Embeddings]:
    """Return the rows of a batch of pictures by name of descriptor.

    Args:
        descriptors: Which.
        pixels: RGB at any size; stretched to `SIDE` here. May have no pixels at all if none of
            the descriptors looks at them.
        sizes: Height and width that the pictures have as files.

    Raises:
        UsageError: If a descriptor gives rows of another shape or values that are not finite.
    """
    wanted = list(descriptors)
    if any(each.needs_pixels for each in wanted):
        pixels = standard_size(pixels)
    return {each.name: _checked(each, each.extract(pixels, sizes), len(sizes)) for each in wanted}


def standard_size(pixels: PixelBatch) -> UInt8[ndarray, "batch side side 3"]:
    """Stretch pictures to the size that descriptors see."""
    if pixels.shape[1:3] == (SIDE, SIDE):
        return pixels
    return np.stack([stretch(picture, (SIDE, SIDE)) for picture in pixels])


def _checked(descriptor: Descriptor, rows: Embeddings, n: int) -> Embeddings:
    expected = (n, descriptor.dim)
    if rows.shape != expected or not np.isfinite(rows).all():
        found = "values that are not finite" if rows.shape == expected else f"rows of {rows.shape}"
        raise UsageError(
            f"the descriptor {descriptor.name!r} gave {found} for {n} pictures, it should give "
            f"{expected}; leave it out with --descriptors, or have it mended"
        )
    return rows.astype(np.float32, copy=False)


def _registered() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _check_name(name: str) -> None:
    if name in MODEL_NAMES:
        raise UsageError(
            f"{name!r} comes from the model and is always there; --descriptors chooses what is "
            f"extracted beside it: {', '.join(BUILT_IN)}"
        )
    registered = _registered()
    if name not in BUILT_IN and name not in registered:
        known = ", ".join([*BUILT_IN, *sorted(registered.keys() - BUILT_IN.keys())])
        raise UsageError(f"there is no descriptor {name!r}; choose all, none, or some of: {known}")


def _find(name: str) -> Descriptor:
    _check_name(name)
    points = _registered().get(name, [])
    packages = [_package(point) for point in points]
    if name in BUILT_IN and points:
        raise UsageError(
            f"the package {packages[0]} registers a descriptor {name!r}, which Lookalike has "
            "itself; uninstall it, or have it renamed"
        )
    if len(set(packages)) > 1 or len(points) > 1:
        raise UsageError(
            f"the packages {' and '.join(sorted(packages))} both register a descriptor {name!r}; "
            "uninstall one of them"
        )
    return BUILT_IN[name] if name in BUILT_IN else _load(points[0])


def _load(point: EntryPoint) -> Descriptor:
    # Whatever a foreign package raises is its fault, and the package must be named.
    try:
        loaded = point.load()
        descriptor = loaded if isinstance(loaded, Descriptor) else loaded()
    except Exception as error:
        raise UsageError(
            f"the descriptor {point.name!r} of the package {_package(point)} cannot be loaded "
            f"({type(error).__name__}: {error}); uninstall it, or have it mended"
        ) from error
    if not isinstance(descriptor, Descriptor) or descriptor.name != point.name:
        found = descriptor.name if isinstance(descriptor, Descriptor) else type(descriptor).__name__
        raise UsageError(
            f"the package {_package(point)} registers {found!r} as the descriptor {point.name!r}; "
            "its entry point must lead to a lookalike Descriptor of that name"
        )
    return descriptor


def _package(point: EntryPoint) -> str:
    return repr(point.dist.name) if point.dist else repr(point.value)


def sizes_of(pairs: Sequence[tuple[int, int]]) -> Sizes:
    """Return heights and widths as an array; see `Sizes`."""
    return np.array(pairs, np.int64).reshape(len(pairs), 2)
