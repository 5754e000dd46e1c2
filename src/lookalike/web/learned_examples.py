"""What a model sees in pictures that it did not learn from, as one picture.

Four rows: the picture, its label map, the label map after encoding and decoding, and what is
decoded from the code that the network predicts for the picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from lookalike.arrays import LabelMap, Pixels
from lookalike.atomic import write_atomically
from lookalike.datasets.base import LabeledImage, ListedDataset
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.scenes import colorize
from lookalike.datasets.splits import split_positions
from lookalike.errors import ImageError
from lookalike.features.model import Model
from lookalike.images.decoding import decode
from lookalike.images.thumbnails import encode_webp
from lookalike.progress import Progress

N_EXAMPLES: Final = 6
_CELL: Final = 160


def draw_examples(
    model: Path, dataset: ListedDataset, place: Path, progress: Progress, n: int = N_EXAMPLES
) -> None:
    """Draw `n` held-out pictures and what the model makes of them into a WebP file.

    Nothing is drawn if no picture can be read or none has a label map.
    """
    opened = Model.open(model, threads=1)
    with progress.task("Drawing examples", n) as task:
        columns = []
        for image in _held_out(dataset, n):
            column = _column(opened, image)
            if column is not None:
                columns.append(column)
            task.advance()
    if columns:
        write_atomically(place, encode_webp(np.concatenate(columns, axis=1), quality=80))


def _held_out(dataset: ListedDataset, n: int) -> Sequence[LabeledImage]:
    learned, measured = split_positions(dataset)
    return [dataset[position] for position in (measured or learned)[:n]]


def _column(model: Model, image: LabeledImage) -> Pixels | None:
    if image.read_label_map is None:
        return None
    card = model.card
    try:
        seen = decode(image.read_bytes(), (card.image_size, card.image_size)).pixels
    except ImageError:
        return None
    drawn = shrink_label_maps(image.read_label_map()[None], card.grid)
    layout = model.encode(seen[None]).layout
    if layout is None:
        return None
    codes = (model.encode_label_maps(drawn), layout)
    decoded = [model.decode_codes(code)[0].argmax(axis=0).astype(np.uint8) for code in codes]
    maps = [_painted(label_map, card.palette) for label_map in (drawn[0], *decoded)]
    return np.concatenate([_cell(seen, Image.Resampling.BICUBIC), *maps])


def _painted(label_map: LabelMap, palette: tuple[tuple[int, int, int], ...]) -> Pixels:
    return _cell(colorize(label_map, palette), Image.Resampling.NEAREST)


def _cell(pixels: Pixels, how: Image.Resampling) -> Pixels:
    """Return pixels at the size of a cell, with a white rim below and at the right."""
    side = _CELL - 6
    cell = np.full((_CELL, _CELL, 3), 255, np.uint8)
    cell[:side, :side] = np.asarray(Image.fromarray(pixels).resize((side, side), how))
    return cell
