"""The descriptors of a collection beside those of its model: chosen, extracted, filled in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from lookalike.arrays import Embeddings
from lookalike.errors import UsageError
from lookalike.features.descriptors import (
    MODEL_NAMES,
    Descriptor,
    describe,
    find,
    find_same,
    sizes_of,
)
from lookalike.features.model import Model
from lookalike.gathering.filling import fill_in
from lookalike.gathering.ingest import IngestOptions, IngestReport
from lookalike.images.decoding import Decoded
from lookalike.progress import Progress
from lookalike.shelves.images import Shelf
from lookalike.storage.catalog import Catalog


def versions(names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return version and dimension of descriptors by name.

    Raises:
        UsageError: If one is not known.
    """
    return {name: (each.version, each.dim) for name, each in find(names).items()}


def choose_descriptors(catalog: Catalog, shelf: Shelf, names: Sequence[str]) -> None:
    """Have exactly these descriptors beside those of the model from now on.

    Nothing is extracted yet. What is no longer wanted goes, its index too.

    Raises:
        UsageError: If a name is not known.
    """
    wanted = versions(names)
    gone = catalog.chosen.specs().keys() - wanted.keys()
    catalog.chosen.choose(wanted)
    for name in sorted(gone):
        shelf.discard(name)


def renewed(catalog: Catalog) -> dict[str, Descriptor]:
    """Return the chosen descriptors; what another version of one has made is forgotten.

    Raises:
        UsageError: If a package that provided one is not installed any more.
    """
    held = catalog.chosen.specs()
    known = find_same({name: (spec.version, spec.dim) for name, spec in held.items()})
    missing = sorted(held.keys() - known.keys())
    if missing:
        try:
            known |= find(missing)
        except UsageError as error:
            raise UsageError(
                f"the collection has a descriptor {missing[0]!r} that cannot be extracted any "
                f"more: {error}; without it: --descriptors {_others(held, missing)}"
            ) from error
        catalog.chosen.choose({n: (each.version, each.dim) for n, each in known.items()})
    return known


def _others(held: Mapping[str, object], missing: Sequence[str]) -> str:
    return ",".join(name for name in held if name not in missing) or "none"


def completed(
    report: IngestReport, catalog: Catalog, options: IngestOptions, progress: Progress
) -> IngestReport:
    """Fill in what images lack of the chosen descriptors, and tell what still lacks some."""
    descriptors = {each.name: each for each in options.descriptors}
    return replace(report, lacking=fill_in(catalog, descriptors, options, progress))


def encode(
    model: Callable[[], Model], names: Sequence[str], pictures: Sequence[Decoded]
) -> dict[str, Embeddings]:
    """Embed pictures from outside a collection; the model is loaded only if it is needed.

    Args:
        model: Gives the collection's model.
        names: Descriptors wanted, of the model or installed.
        pictures: Decoded to the size that the model takes.
    """
    pixels = np.stack([picture.pixels for picture in pictures])
    sizes = sizes_of([(picture.height, picture.width) for picture in pictures])
    own = find([name for name in names if name not in MODEL_NAMES])
    rows = describe(own.values(), pixels, sizes)
    if own.keys() != set(names):
        rows |= model().encode(pixels).descriptors
    return {name: rows[name] for name in names}
