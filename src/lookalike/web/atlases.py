"""Small pictures of a map, many to a file, as a graphics card takes them.

An atlas holds the pictures of a map in the order of their ids, `PER_PART` to a part. It depends on
nothing but which pictures these are, so its key is the digest of their ids and of when the
collection was made: another map of the same pictures has the same atlas, and a picture that comes
or goes gives another one. All of it is derived, and made again when it is missing.
"""

import hashlib
import io
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from PIL import Image, ImageOps

from lookalike.arrays import Ids
from lookalike.atomic import write_atomically
from lookalike.collection import Collection
from lookalike.errors import ImageError
from lookalike.progress import Progress
from lookalike.search.maps import snap_to_grid
from lookalike.storage.maps import MapPoints
from lookalike.web import galleries
from lookalike.web.home import ServerHome
from lookalike.web.models import HostedCollection

ACROSS: Final = 16
PER_PART: Final = ACROSS * ACROSS
MOST_DRAWN: Final = 20_000
"""Beyond so many, one picture stands for all around it."""

_CELLS: Final = 141  # whose square is the largest below `MOST_DRAWN`
_MANY: Final = 4_096
_LARGE_EDGE: Final = 64
_SMALL_EDGE: Final = 32
"""Texture memory: 16 parts of 4 MiB for 4,096 pictures, 79 of 1 MiB for 20,000."""

_KEPT_SECONDS: Final = 30 * 86_400.0
_KEY: Final = re.compile(r"[0-9a-f]{32}")
_BLANK: Final = (128, 128, 128)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What is drawn of a map.

    Attributes:
        key: Of the atlas.
        ids: Pictures, ascending.
        points: Across and down, each from 0 to 1.
        counts: Pictures that each stands for, itself among them.
    """

    key: str
    ids: Ids
    points: Float64[ndarray, "items 2"]
    counts: Int64[ndarray, " items"]

    @property
    def edge(self) -> int:
        """Pixels of a side of each small picture."""
        return edge_for(len(self.ids))

    @property
    def n_parts(self) -> int:
        """Files of the atlas."""
        return -(-len(self.ids) // PER_PART)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; places to four decimals, a tenth of a picture on a large screen."""
        return {
            "ids": self.ids.tolist(),
            "x": self.points[:, 0].round(4).tolist(),
            "y": self.points[:, 1].round(4).tolist(),
            "counts": self.counts.tolist(),
            "edge": self.edge,
            "across": ACROSS,
        }


def edge_for(n: int) -> int:
    """Return the pixels of a side of each small picture of so many."""
    return _LARGE_EDGE if n <= _MANY else _SMALL_EDGE


def drawn_of(held: MapPoints, made: str) -> Drawn:
    """Choose what is drawn of a map: all pictures, or the middle one of each cell of a grid.

    Args:
        held: The map.
        made: Tells the collection from another one that lay at its place before.
    """
    ids, points, counts = held.ids, held.points, np.ones(len(held.ids), np.int64)
    if len(ids) > MOST_DRAWN:
        shown, of_each = snap_to_grid(held, _CELLS, _CELLS)
        found = np.sort(shown[shown >= 0])
        at = np.searchsorted(ids, found)
        counts = of_each.ravel()[_first_places(shown.ravel(), found)]
        ids, points = found, points[at]
    key = hashlib.blake2b(ids.tobytes() + made.encode(), digest_size=16).hexdigest()
    return Drawn(key, ids, points, counts)


def _first_places(
    values: Int64[ndarray, " cells"], wanted: Int64[ndarray, " items"]
) -> Int64[ndarray, " items"]:
    order = np.argsort(values, kind="stable")
    return order[np.searchsorted(values[order], wanted)]


def prepare(hosted: HostedCollection, collection: Collection, name: str) -> Drawn:
    """Return what is drawn of a map, and note which pictures are in its atlas.

    Raises:
        UsageError: If there is no map of that name.
    """
    points = collection.catalog.knowledge.maps.points(name)
    drawn = drawn_of(points, str(collection.manifest.created))
    place = _folder(hosted, drawn.key)
    if not (place / "ids.npy").exists():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = io.BytesIO()
        np.save(file, drawn.ids, allow_pickle=False)
        write_atomically(place / "ids.npy", file.getvalue())
    return drawn


def part(hosted: HostedCollection, collection: Collection, key: str, number: int) -> bytes | None:
    """Return a part of an atlas as WebP, made if it is missing; `None` if there is none such."""
    place = _folder(hosted, key) if _KEY.fullmatch(key) else None
    if place is None or not (place / "ids.npy").is_file():
        return None
    made = place / f"{number}.webp"
    if made.is_file():
        return made.read_bytes()
    ids = np.load(place / "ids.npy", allow_pickle=False)
    of_part = ids[number * PER_PART : (number + 1) * PER_PART]
    if len(of_part) == 0:
        return None
    content = _draw(hosted, collection, of_part, edge_for(len(ids)))
    write_atomically(made, content)
    return content


def make_all(
    hosted: HostedCollection, collection: Collection, drawn: Drawn, progress: Progress
) -> None:
    """Make every part that is missing."""
    with progress.task("Making small pictures", len(drawn.ids)) as task:
        for number in range(drawn.n_parts):
            part(hosted, collection, drawn.key, number)
            task.advance(min(PER_PART, len(drawn.ids) - number * PER_PART))


def delete_old() -> int:
    """Delete atlases that were begun long ago; return how many."""
    before = time.time() - _KEPT_SECONDS
    old = [
        place
        for place in ServerHome.from_environment().atlases.glob("*/*")
        if place.is_dir() and place.stat().st_mtime < before
    ]
    for place in old:
        shutil.rmtree(place, ignore_errors=True)
    return len(old)


def _folder(hosted: HostedCollection, key: str) -> Path:
    return ServerHome.from_environment().atlases / str(hosted.pk) / key


def _draw(hosted: HostedCollection, collection: Collection, ids: Ids, edge: int) -> bytes:
    canvas = Image.new("RGB", (ACROSS * edge, ACROSS * edge), _BLANK)
    for at, image_id in enumerate(ids.tolist()):
        tile = _tile(hosted, collection, image_id, edge)
        if tile is not None:
            canvas.paste(tile, (at % ACROSS * edge, at // ACROSS * edge))
    file = io.BytesIO()
    canvas.save(file, "WEBP", quality=82, method=2)
    return file.getvalue()


def _tile(
    hosted: HostedCollection, collection: Collection, image_id: int, edge: int
) -> Image.Image | None:
    """Return the middle of a picture; `None` if it is gone or its file cannot be read."""
    record = galleries.image_record(collection, image_id)
    if record is None:
        return None
    try:
        small = galleries.thumbnail(hosted, record)
    except ImageError:
        return None
    with Image.open(io.BytesIO(small), formats=["WEBP"]) as image:
        return ImageOps.fit(image.convert("RGB"), (edge, edge))
