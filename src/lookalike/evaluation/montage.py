"""Clusters as a picture, one row for each, as in Figure 4 of the paper."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.arrays import Pixels
from lookalike.evaluation.pens import FADED, INK, PAPER, rounded, write_line
from lookalike.evaluation.pictures import Picture

_CELL: Final = 104
_GAP: Final = 10
_MARGIN: Final = 40
_TEXT: Final = 250
_TITLE: Final = 92


def draw_montage(found: Mapping[str, Any], picture: Picture, title: str, subtitle: str) -> Pixels:
    """Draw clusters, largest first: how many pictures, what they show, those nearest the center.

    Args:
        found: `clusters`, each with `size`, `labels` (name, share in the cluster, share in the
            gallery), `nearest`, ids of pictures, and perhaps `title` in place of the size.
        picture: Gives the pixels of an id.
        title: Headline.
        subtitle: A line beneath.
    """
    clusters = found["clusters"]
    most = max(len(cluster["nearest"]) for cluster in clusters)
    width = 2 * _MARGIN + _TEXT + most * (_CELL + _GAP) - _GAP
    height = _MARGIN + _TITLE + len(clusters) * (_CELL + _GAP) + _MARGIN - _GAP
    canvas = Image.new("RGB", (width, height), PAPER)
    write_line(canvas, (_MARGIN, _MARGIN - 8), title, 28, INK, width - 2 * _MARGIN)
    write_line(canvas, (_MARGIN, _MARGIN + 32), subtitle, 16, FADED, width - 2 * _MARGIN)
    for row, cluster in enumerate(clusters):
        y = _MARGIN + _TITLE + row * (_CELL + _GAP)
        _describe(canvas, cluster, y)
        for place, image_id in enumerate(cluster["nearest"]):
            x = _MARGIN + _TEXT + place * (_CELL + _GAP)
            shown = Image.fromarray(picture(image_id)).resize(
                (_CELL, _CELL), Image.Resampling.BICUBIC
            )
            canvas.paste(shown, (x, y), rounded((_CELL, _CELL), 7))
    return np.asarray(canvas)


def _describe(canvas: Image.Image, cluster: Mapping[str, Any], y: int) -> None:
    width = _TEXT - 20
    title = cluster.get("title", f"{cluster['size']} pictures")
    write_line(canvas, (_MARGIN, y + 4), title, 17, INK, width)
    for line, (name, own, everywhere) in enumerate(cluster["labels"]):
        text = f"{name} {_percent(own)} (of all {_percent(everywhere)})"
        write_line(canvas, (_MARGIN, y + 28 + 19 * line), text, 14, FADED, width)


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
