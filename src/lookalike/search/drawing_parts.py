"""Queries by drawing: a sketch against edges, a swatch against textures, an outline."""

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from lookalike.arrays import NO_ID, Embeddings, Ids, PixelBatch, normalize
from lookalike.errors import UsageError
from lookalike.features.descriptors import standard_size
from lookalike.features.shape import EDGES, GRID, ORIENTATIONS, shape_rows
from lookalike.features.silhouettes import drawn_mask, moments
from lookalike.features.texture import texture_rows
from lookalike.images.decoding import stretch
from lookalike.index.base import VectorIndex
from lookalike.search.calibration import Calibration, fit_similarities
from lookalike.search.drawings import Drawing
from lookalike.search.parts import Context, Proposal
from lookalike.search.queries import Query
from lookalike.search.scanning import index_for, sampled_rows

_SHIFTS: Final = tuple(itertools.product((-1, 0, 1), repeat=2))
"""Cells by which a drawing may lie beside what it shows, down and across."""

_LEAST_EDGE: Final = 1e-6

_DISORDERED: Final = 60
"""Disordered drawings that tell how common a similarity is."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A drawing in the space of one descriptor, at one place or at several.

    Attributes:
        name: Of the part.
        index: Of the descriptor.
        calibration: Turns the best similarity into a score.
        points: One unit row for each place.
    """

    name: str
    index: VectorIndex
    calibration: Calibration
    points: Float32[ndarray, "places dim"]

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        """Return the `n` best at every place."""
        hits = self.index.search(self.points, n, allowed=allowed)
        ids = np.unique(hits.ids)
        probed = 0 if hits.probed_clusters is None else int(hits.probed_clusters.sum())
        return Proposal(ids[ids != NO_ID], probed, hits.is_exact)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        """Return the rarity of the best place; 0 for images without the descriptor."""
        best = self.index.similarities(self.points, ids).max(axis=0)
        return np.asarray(np.nan_to_num(self.calibration.scores(best), nan=0.0))


def drawing_parts(query: Query, context: Context) -> list[Drawn]:
    """Return the parts of a query that are drawings."""
    parts = []
    if query.sketch is not None:
        parts.append(_sketch_part(query.sketch, context))
    if query.texture is not None:
        index = index_for(context, "texture", "swatches")
        rows = texture_rows(_batch(query.texture, context))
        parts.append(Drawn("swatch", index, context.calibrations["texture"], rows))
    if query.shape is not None:
        index = index_for(context, "silhouette", "outlines")
        row = moments(drawn_mask(query.shape.pixels))[None]
        parts.append(Drawn("outline", index, context.calibrations["silhouette"], row))
    return parts


def _batch(drawing: Drawing, context: Context) -> PixelBatch:
    """Return a drawing as sharp as pictures are that have gone through the model's size."""
    side = context.model().card.image_size
    return standard_size(stretch(drawing.pixels, (side, side))[None])


def _sketch_part(sketch: Drawing, context: Context) -> Drawn:
    """Compare the edges of a line drawing with those of pictures, at nine places.

    References:
        QBIC correlated edge maps block by block, with small shifts (W. Niblack and others, SPIE
        1908, 1993); directions of edges by cell do better than edges alone (M. Eitz and others,
        *Sketch-Based Image Retrieval: Benchmark and Bag-of-Features Descriptors*, IEEE TVCG 17(11),
        2011).
    """
    index = index_for(context, "shape", "sketches")
    edges = shape_rows(_batch(sketch, context))[:, :EDGES]
    if edges.max() < _LEAST_EDGE:
        raise UsageError("the sketch is blank; draw some lines on it")
    calibration = _calibrate_sketch(edges[0], sampled_rows(context, "shape"))
    return Drawn("sketch", index, calibration, shifted(edges[0]))


def shifted(edges: Float32[ndarray, " edges"]) -> Float32[ndarray, "places dim"]:
    """Return unit rows of `shape` for edges moved by up to one cell; what leaves is lost."""
    cells = edges.reshape(GRID, GRID, ORIENTATIONS)
    wide = np.pad(cells, ((1, 1), (1, 1), (0, 0)))
    places = [
        wide[1 - down : 1 - down + GRID, 1 - right : 1 - right + GRID].reshape(-1)
        for down, right in _SHIFTS
    ]
    return normalize(np.pad(np.stack(places), ((0, 0), (0, 1))))


def _calibrate_sketch(edges: Float32[ndarray, " edges"], rows: Embeddings) -> Calibration:
    """Compare random images with the same lines in disorder: moved, mirrored and turned.

    Lines on paper resemble pictures less than pictures do each other, so what is common among
    pictures says nothing of them.
    """
    rng = np.random.default_rng(0)
    found = []
    for _ in range(_DISORDERED):
        points = shifted(_disordered(edges, rng))
        found.append((rows @ points.T).max(axis=1).astype(np.float64))
    return fit_similarities(np.concatenate(found))


def _disordered(
    edges: Float32[ndarray, " edges"], rng: np.random.Generator
) -> Float32[ndarray, " edges"]:
    cells = edges.reshape(GRID, GRID, ORIENTATIONS)
    moved = np.roll(cells, rng.integers(0, (GRID, GRID, ORIENTATIONS)), axis=(0, 1, 2))
    turned = np.rot90(moved, int(rng.integers(4)))
    return np.ascontiguousarray(turned[:, :: int(rng.choice((1, -1)))]).reshape(-1)
