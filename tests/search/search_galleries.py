"""Regions as a collection has them, in memory."""

import numpy as np

from lookalike.arrays import normalize
from lookalike.index.exact import exact_index
from lookalike.search.calibration import fit_calibration
from lookalike.search.region_gallery import PER_IMAGE, RegionGallery, fit_best

N_IMAGES = 60
WITHOUT = 4
"""An image that has no regions."""

LABELS = ("cat", "dog")
FULL = 2**64 - 1


def gallery_of(rng, n_images: int = N_IMAGES) -> RegionGallery:
    """Some regions for each image but one: boxes, labels and vectors drawn at random."""
    images = [i for i in range(1, n_images + 1) if i != WITHOUT]
    ids = [PER_IMAGE * i + place for i in images for place in range(rng.integers(1, 9))]
    n = len(ids)
    corners = rng.uniform(0, 0.6, (n, 2))
    sizes = rng.uniform(0.1, 0.4, (n, 2))
    return made_of(rng, ids, np.hstack([corners, sizes]), rng.integers(-1, len(LABELS), n).tolist())


def made_of(rng, ids, boxes, labels, masks=None) -> RegionGallery:
    """A gallery of just these regions, with vectors drawn at random."""
    region_ids = np.array(ids, np.int64)
    outlines = np.array(boxes, np.float32).reshape(len(ids), 4)
    indexes = {
        name: exact_index(region_ids, normalize(rng.standard_normal((len(ids), 6))))
        for name in ("content", "color", "texture")
    }
    return RegionGallery(
        region_ids,
        outlines,
        (outlines[:, 2] * outlines[:, 3]).astype(np.float32),
        np.array([FULL] * len(ids) if masks is None else masks, np.uint64),
        np.array(labels, np.int64),
        LABELS,
        indexes,
        {name: fit_calibration(index) for name, index in indexes.items()},
        fit_best(region_ids, indexes["content"]),
    )
