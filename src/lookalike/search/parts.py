"""What a query is made of once it is asked: parts that propose images and score them.

Pictures and words as examples are compared by the searcher itself, many queries at once. Every
other way to ask (a painted layout, colors, regions, captions …) is a `Part`: made for one query by
a `PartMaker` of `lookalike.search.makers`, searched and weighed like a descriptor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from jaxtyping import Float64
from numpy import ndarray

from lookalike.arrays import Embeddings, Ids
from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.images.decoding import Decoded
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration
from lookalike.search.examples import FileExample, IdExample, PixelsExample, RegionExample
from lookalike.search.kept_maps import KeptMaps
from lookalike.search.queries import Query
from lookalike.search.region_gallery import RegionGallery
from lookalike.storage.catalog import Catalog


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Images that one part of a query would show.

    Attributes:
        ids: Their ids, each once, in any order.
        probed_clusters: Clusters that were visited for them; 0 where none exist.
        is_exact: Whether these are surely the best of the part: every image was compared.
    """

    ids: Ids
    probed_clusters: int = 0
    is_exact: bool = True


@runtime_checkable
class Part(Protocol):
    """One part of one query."""

    @property
    def name(self) -> str:
        """Its key in `Hits.parts` and in `Query.weights`, where it counts 1 unless it is named."""
        ...

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return at least the `n` best images of this part, only among `allowed` ids if given.

        Fewer come only where no other image has any evidence, or none is left.
        """
        ...

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of each image in decades, 0 or more; 0 is no evidence.

        The score of an image does not depend on what else is asked for.
        """
        ...


@runtime_checkable
class RankingPart(Part, Protocol):
    """A part whose proposals are the best by its very scores: alone, it need propose no more."""

    def alone(self, k: int) -> int:
        """Return how many images are to be proposed for `k` hits where nothing else is asked."""
        ...


@runtime_checkable
class LocatedPart(Protocol):
    """A part that also knows where in an image the match is."""

    def boxes(self, ids: Ids) -> Float64[ndarray, "items 4"]:
        """Return x0, y0, x1, y1 of each match as shares of the picture; `nan` without one."""
        ...


@runtime_checkable
class PictureReader(Protocol):
    """Reads pictures that examples stand for, and turns them into embeddings."""

    def encode(
        self,
        examples: Sequence[FileExample | PixelsExample | RegionExample],
        descriptors: Sequence[str],
    ) -> Mapping[str, Embeddings]:
        """Return one row per example for each of the `descriptors`; see `ExampleEncoder`."""
        ...

    def decoded(self, example: IdExample | FileExample | PixelsExample, side: int) -> Decoded:
        """Return the whole picture, stretched to a square.

        Raises:
            ImageError: If it cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What parts are made from: one state of a collection.

    Attributes:
        indexes: By descriptor.
        calibrations: By descriptor.
        catalog: The truth.
        model: Gives the model; it is opened when first asked for.
        kept: What a maker wants to find again at the next query, under a key of its own. Goes when
            the collection changes.
        reader: Reads and encodes pictures that need not be in the collection.
        regions: Reads the regions of all images.
        label_maps: Gives the label maps that the model saw in images.
    """

    indexes: Mapping[str, VectorIndex]
    calibrations: Mapping[str, Calibration]
    catalog: Catalog
    model: Callable[[], Model]
    kept: dict[str, Any] = field(default_factory=dict)
    reader: PictureReader | None = None
    regions: Callable[[], RegionGallery] | None = None
    label_maps: Callable[[Ids], KeptMaps] | None = None

    @property
    def has_regions(self) -> bool:
        """Whether any image has regions."""
        return self.regions is not None and self.catalog.regions.is_used

    @property
    def pictures(self) -> PictureReader:
        """What reads and encodes pictures.

        Raises:
            UsageError: If there is nothing that does.
        """
        if self.reader is None:
            raise UsageError("pictures cannot be read here; there is no collection around")
        return self.reader

    def open_regions(self) -> RegionGallery:
        """Return the regions of all images; they are read when first asked for.

        Raises:
            UsageError: If there are none.
        """
        if self.regions is None:
            raise UsageError("regions cannot be searched here; there is no collection around")
        if "regions" not in self.kept:
            self.kept["regions"] = self.regions()
        gallery: RegionGallery = self.kept["regions"]
        return gallery

    def index(self, descriptor: str) -> VectorIndex:
        """Return the index of a descriptor.

        Raises:
            UsageError: If the collection has no such descriptor.
        """
        if descriptor not in self.indexes:
            raise UsageError(
                f"there is no descriptor {descriptor!r} in this collection; "
                f"it has: {', '.join(self.indexes)}"
            )
        return self.indexes[descriptor]


PartMaker: TypeAlias = Callable[[Query, Context], Sequence[Part]]
"""Makes the parts of one kind that a query has; none where it has none of the kind."""

FilterMaker: TypeAlias = Callable[[Query, Context], Ids | None]
"""Returns the ids, ascending, that a query lets pass; `None` where it has no filter of the kind."""
