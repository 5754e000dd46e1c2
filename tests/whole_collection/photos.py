"""What the tests of a collection ask and change."""

import json
import os

import numpy as np

from tests.small_sets import write_pictures

N = 40


def path_of(collection, image_id):
    return os.fsdecode(collection.images([int(image_id)])[0].paths[0])


def id_of(collection, path):
    return collection.catalog.ids_of_paths([os.fsencode(path)])[os.fsencode(path)]


def add_pictures(collection, n, seed=1):
    return write_pictures(collection.path.parent / "pictures" / f"more-{seed}", n, seed)


def update(collection, **options):
    return collection.add(collection.path.parent / "pictures", workers=0, **options)


def index_card(collection, descriptor="content"):
    return json.loads((collection.path / "index" / f"{descriptor}.json").read_text())


def exact_order(collection, image_id, descriptor):
    """Ids by cosine similarity to one of them, slowly and without any index."""
    ids = collection.catalog.ids()
    rows = collection.vectors(ids, descriptor).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarities = rows @ rows[ids == image_id][0]
    order = sorted(zip(-similarities.round(6), ids.tolist(), strict=True))
    return [other for _, other in order if other != image_id]
