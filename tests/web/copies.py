"""A gallery that a test may change: a copy with clusters, and with copies of its first picture."""

import shutil

from PIL import Image

from lookalike import Collection
from lookalike.search.clusters import make_clusters
from tests.web.conftest import N

HALF, SMALL = N + 1, N + 2
"""Ids of the first picture at half the size, and as a small file."""


def copy_of(gallery, place):
    """Copy a gallery into a folder; add two copies of its first picture."""
    own = place / "own.lookalike"
    shutil.copytree(gallery, own)
    (place / "more").mkdir()
    with Collection.open(own, writable=True) as collection:
        [record] = collection.images([1])
        with Image.open(record.paths[0].decode()) as picture:
            picture.resize((picture.width // 2, picture.height // 2)).save(place / "more/a.png")
            picture.convert("RGB").save(place / "more/b.jpg", quality=60)
        collection.add(place / "more", workers=0)
        make_clusters(collection.catalog, "content", k=3)
    return own
