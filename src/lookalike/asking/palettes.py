"""The palette of a picture, from a file or from a collection, as plain values."""

from pathlib import Path
from typing import Any

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.features.palette import PaletteColor, palette
from lookalike.gathering.places import content, named
from lookalike.images.decoding import decode


def tell_palette(picture: Path, image_id: int | None, n_colors: int) -> dict[str, Any]:
    """Return the main colors of a picture, and the text that asks for them.

    Args:
        picture: A file, or a collection if `image_id` is given.
        image_id: Of an image of the collection.
        n_colors: At most so many.

    Raises:
        UsageError: If the number makes no sense, there is no such image, or an id is missing.
        ImageError: If the picture cannot be read.
    """
    if image_id is not None:
        with Collection.open(picture) as opened:
            colors = palette(opened.picture(image_id), n_colors)
    elif picture.is_dir():
        raise UsageError(f"{picture} is a folder; name a picture, or a collection with --id")
    else:
        data = content(picture)
        with named(picture):
            colors = palette(decode(data, (128, 128)).pixels, n_colors)
    return {"colors": [color.to_json() for color in colors], "query": _as_query(colors)}


def _as_query(colors: list[PaletteColor]) -> str:
    # Rounded down, so that they never exceed 100 together.
    shares = [(color.color, int(100 * color.share)) for color in colors]
    return ",".join(f"{color}:{percent}" for color, percent in shares if percent)
