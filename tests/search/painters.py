"""Small real pictures, a real encoder for them, and collections of known embeddings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from lookalike.arrays import Embeddings, Ids, Pixels, normalize
from lookalike.index.base import VectorIndex
from lookalike.index.exact import exact_index
from lookalike.search.calibration import Calibration, fit_calibration
from lookalike.search.queries import FileExample, PixelsExample
from lookalike.search.searcher import Searcher


def painted(left: tuple[int, int, int], right: tuple[int, int, int]) -> Pixels:
    """A picture of two halves."""
    pixels = np.empty((8, 8, 3), np.uint8)
    pixels[:, :4], pixels[:, 4:] = left, right
    return pixels


@dataclass
class ColorEncoder:
    """`content`: mean color. `layout`: mean color of the left and of the right half, not unit."""

    encoded: list[int] = field(default_factory=list)

    def encode(
        self, examples: Sequence[FileExample | PixelsExample], descriptors: Sequence[str]
    ) -> Mapping[str, Embeddings]:
        self.encoded.append(len(examples))
        return embed([self._pixels(example) for example in examples], descriptors)

    def _pixels(self, example: FileExample | PixelsExample) -> Pixels:
        if isinstance(example, PixelsExample):
            return example.pixels
        with Image.open(example.path) as image:
            return np.asarray(image.convert("RGB"))


def embed(pictures: Sequence[Pixels], descriptors: Sequence[str]) -> dict[str, Embeddings]:
    columns = np.stack([p.reshape(8, 2, 4, 3).mean(axis=(0, 2)) / 255 for p in pictures])
    known = {"content": columns.mean(axis=1), "layout": columns.reshape(len(pictures), 6)}
    return {name: known[name].astype(np.float32) for name in descriptors}


def color_searcher(pictures: Sequence[Pixels], ids: Ids) -> Searcher:
    rows = embed(pictures, ["content", "layout"])
    return searcher_of({name: exact_index(ids, normalize(r)) for name, r in rows.items()})


def searcher_of(indexes: Mapping[str, VectorIndex]) -> Searcher:
    return Searcher(indexes, calibrations_of(indexes), ColorEncoder())


def calibrations_of(indexes: Mapping[str, VectorIndex]) -> dict[str, Calibration]:
    return {name: fit_calibration(index) for name, index in indexes.items()}
