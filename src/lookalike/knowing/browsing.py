"""What is known of a collection as pictures: montages of clusters, maps, reliability of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray
from PIL import Image, ImageOps

from lookalike.arrays import Pixels
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation.contact_sheet import sheet_png
from lookalike.evaluation.montage import draw_montage
from lookalike.evaluation.pens import PAPER
from lookalike.evaluation.plots import to_png
from lookalike.evaluation.reliability_plot import plot_reliability
from lookalike.search.clusters import ClusterView
from lookalike.search.maps import grid_of, snap_to_grid
from lookalike.search.reliability import Reliability

_MISSING: Final = np.full((8, 8, 3), 225, np.uint8)
"""Stands for a picture whose file can no longer be read."""

_CELL: Final = 64
_LARGEST_MAP: Final = 2_400
"""Pixels across and down."""

MOST_CLUSTERS: Final = 100
"""Rows of a montage at most, those of the largest clusters."""


def draw_clusters(
    collection: Collection, views: Sequence[ClusterView], name: str, file: Path
) -> None:
    """Draw clusters into a PNG file, one row each, the largest first.

    Raises:
        UsageError: If `file` is a folder.
        EnvironmentFault: If it cannot be written.
    """
    check_drawable(file)
    shown = views[:MOST_CLUSTERS]
    found = {
        "clusters": [
            {
                "size": view.size,
                "labels": [(label, own, everywhere) for label, own, everywhere, _ in view.names],
                "nearest": view.nearest,
                "title": f"cluster {view.cluster}: {view.size} pictures",
            }
            for view in shown
        ]
    }
    left_out = f"; the largest {len(shown)} are shown" if len(shown) < len(views) else ""
    montage = draw_montage(
        found,
        lambda image_id: picture_or_blank(collection, image_id),
        title=f"Clusters {name!r} of {collection.path.name}",
        subtitle=f"{len(views)} clusters{left_out}; nearest to the center first",
    )
    write_atomically(file, sheet_png(montage))


def picture_or_blank(collection: Collection, image_id: int, longer_side: int = 128) -> Pixels:
    """Return a picture of the collection, or a blank one where its file cannot be read."""
    try:
        return collection.picture(image_id, longer_side)
    except ImageError:
        return _MISSING


def check_drawable(file: Path) -> None:
    """Raise UsageError if `file` is a folder."""
    if file.is_dir():
        raise UsageError(f"nothing can be drawn into {file}, a folder; name a PNG file")


def draw_proposals(collection: Collection, rows: Mapping[str, Sequence[int]], file: Path) -> None:
    """Draw pictures that a person shall label into a PNG file, one row for each heading.

    Raises:
        UsageError: If `file` is a folder or there is nothing to be labeled.
        EnvironmentFault: If it cannot be written.
    """
    check_drawable(file)
    if not any(rows.values()):
        raise UsageError("every picture has been labeled; there is nothing to be drawn")
    found = [
        {"size": len(ids), "labels": [], "nearest": list(ids), "title": title}
        for title, ids in rows.items()
    ]
    montage = draw_montage(
        {"clusters": found},
        lambda image_id: picture_or_blank(collection, image_id),
        title="To be labeled",
        subtitle=f"of {collection.path.name}",
    )
    write_atomically(file, sheet_png(montage))


def draw_reliability(measured: Reliability | None, file: Path) -> None:
    """Draw how often what was said with some probability came true into a PNG file.

    Raises:
        UsageError: If `file` is a folder, or too few pictures are labeled to tell.
        EnvironmentFault: If it cannot be written.
    """
    check_drawable(file)
    if measured is None:
        raise UsageError("too few pictures are labeled to tell; label or check at least 20")
    figure = plot_reliability(measured.predicted, measured.observed, measured.counts)
    write_atomically(file, to_png(figure))


def draw_map(collection: Collection, name: str, file: Path, *, cells: int | None = None) -> None:
    """Draw a map into a PNG file: a grid whose cells show the pictures that lie there.

    Args:
        collection: Whose map it is.
        name: Of the map.
        file: To be written.
        cells: Across and down; by the number of pictures if not given.

    Raises:
        UsageError: If `file` is a folder, or there is no such map.
        EnvironmentFault: If it cannot be written.
    """
    check_drawable(file)
    points = collection.catalog.knowledge.maps.points(name)
    side = cells or grid_of(len(points.ids))
    shown = _trimmed(snap_to_grid(points, side, side)[0])
    edge = max(16, min(_CELL, _LARGEST_MAP // side))
    canvas = Image.new("RGB", (shown.shape[1] * edge, shown.shape[0] * edge), PAPER)
    for (row, column), image_id in np.ndenumerate(shown):
        if image_id >= 0:
            pixels = picture_or_blank(collection, int(image_id), longer_side=2 * edge)
            tile = ImageOps.fit(Image.fromarray(pixels), (edge - 2, edge - 2))
            canvas.paste(tile, (column * edge + 1, row * edge + 1))
    write_atomically(file, sheet_png(np.asarray(canvas)))


def _trimmed(shown: Int64[ndarray, "rows columns"]) -> Int64[ndarray, "kept_rows kept_columns"]:
    """Leave out rows and columns at the edges in which no picture lies."""
    held = shown >= 0
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    return shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
