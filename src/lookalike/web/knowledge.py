"""What is known of one image, fit to be shown: who says what, and nothing of where it was taken."""

import io
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.collection import Collection
from lookalike.errors import ImageError
from lookalike.features.palette import palette
from lookalike.knowing.noting import describe
from lookalike.storage.records import ImageRecord
from lookalike.web import galleries
from lookalike.web.models import HostedCollection

_SAID_BY: Final = {
    "person": "said by a person",
    "data set": "from the data set",
    "propagated": "carried over",
    "model": "seen by the model",
}
_ORDER: Final = tuple(_SAID_BY)
_GIVEN: Final = ("person", "data set")
_PLACES: Final = ("gps", "latitude", "longitude", "altitude", "geo", "location")
"""Keys of attributes that would tell where a picture was taken contain one of these."""

_COLORS: Final = 6


def known_of(collection: Collection, record: ImageRecord) -> dict[str, Any]:
    """Return labels by who says them, captions and attributes of an image."""
    [known] = describe(collection, [record.id])
    told = [_told(each) for each in sorted(known["labels"], key=_by_trust)]
    return {
        "said": [each for each in told if each["is_given"]],
        "guessed": [each for each in told if not each["is_given"]],
        "captions": known["captions"],
        "attributes": [
            each
            for each in known["attributes"]
            if not any(place in each["key"].lower() for place in _PLACES)
        ],
    }


def _told(label: dict[str, Any]) -> dict[str, Any]:
    by, probability = label["by"], label["probability"]
    return {
        "name": label["name"],
        "by": _SAID_BY.get(by, by),
        "is_given": by in _GIVEN,
        "percent": round(100 * probability),
        "is_denied": by in _GIVEN and probability < 0.5,
    }


def _by_trust(label: dict[str, Any]) -> tuple[int, float, str]:
    place = _ORDER.index(label["by"]) if label["by"] in _ORDER else len(_ORDER)
    return place, -label["probability"], label["name"]


def palette_of(hosted: HostedCollection, record: ImageRecord) -> list[dict[str, Any]]:
    """Return the main colors of an image with the search that asks for each; none without file."""
    try:
        small = galleries.thumbnail(hosted, record)
    except ImageError:
        return []
    with Image.open(io.BytesIO(small), formats=["WEBP"]) as image:
        found = palette(np.asarray(image.convert("RGB")), _COLORS)
    ends = np.cumsum([color.share for color in found])
    return [
        {
            **color.to_json(),
            "percent": round(100 * color.share),
            "query": f"{color.color}:{max(1, int(100 * color.share))}",
            "left": f"{100 * (end - color.share):.2f}",
            "width": f"{100 * color.share:.2f}",
        }
        for color, end in zip(found, ends.tolist(), strict=True)
    ]
