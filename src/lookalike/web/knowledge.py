"""What is known of one image, fit to be shown: who says what, and nothing of where it was taken."""

import io
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.features.palette import palette
from lookalike.knowing.noting import describe
from lookalike.storage.records import ImageRecord
from lookalike.web import galleries
from lookalike.web.models import HostedCollection

_SAID_BY: Final = {"person": "said by a person", "data set": "from the data set"}
_GUESSED: Final = (("Propagated", "propagated"), ("Seen in it", "model"))
_GIVEN: Final = tuple(_SAID_BY)
_PLACES: Final = ("gps", "latitude", "longitude", "altitude", "geo", "location")
"""Keys of attributes that would tell where a picture was taken contain one of these."""

_COLORS: Final = 6


def known_of(collection: Collection, record: ImageRecord) -> dict[str, Any]:
    """Return labels by who says them, captions and attributes of an image."""
    [known] = describe(collection, [record.id])
    told = [_told(each) for each in sorted(known["labels"], key=_by_trust)]
    return {
        "said": [each for each in told if each["is_given"]],
        "guessed": [
            (title, rows)
            for title, by in _GUESSED
            if (rows := [each for each in told if each["provenance"] == by])
        ],
        "captions": known["captions"],
        "attributes": [each for each in known["attributes"] if not _tells_place(each["key"])],
    }


def said_of(collection: Collection, image_id: int) -> dict[str, Any]:
    """Return who says what of an image, as plain values.

    Raises:
        UsageError: If there is no such image.
    """
    if image_id >= 2**62:
        raise UsageError(f"there is no image with id {image_id} in the collection")
    [known] = describe(collection, [image_id])
    return {
        "id": image_id,
        "labels": [
            {"label": each["name"], "by": each["by"], "probability": each["probability"]}
            for each in sorted(known["labels"], key=_by_trust)
        ],
        "captions": known["captions"],
        "attributes": [each for each in known["attributes"] if not _tells_place(each["key"])],
    }


def _tells_place(key: str) -> bool:
    return any(place in key.lower() for place in _PLACES)


def _told(label: dict[str, Any]) -> dict[str, Any]:
    by, probability = label["by"], label["probability"]
    return {
        "name": label["name"],
        "provenance": by,
        "by": _SAID_BY.get(by, by),
        "is_given": by in _GIVEN,
        "percent": round(100 * probability),
        "is_denied": by in _GIVEN and probability < 0.5,
    }


def _by_trust(label: dict[str, Any]) -> tuple[bool, float, str]:
    return label["by"] != "person", -label["probability"], label["name"]


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
