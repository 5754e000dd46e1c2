"""What an external encoder gives for the training pictures: computed once, kept in a file.

The encoder is frozen, so each picture and each mirror image need it only once in a training. They
are the only views there are: crops and colors would need it in every epoch. Label maps are mirrored
with their pictures, so codes fit what the heads see.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import torch

from lookalike.learning.augmentation import view_pixels
from lookalike.learning.external import ExternalEncoder
from lookalike.learning.pictures import Pictures, blocks
from lookalike.learning.stages import whole_views
from lookalike.progress import Progress, Task

_BLOCK: Final = 32
"""Pictures encoded at once."""


def with_features(
    pictures: Pictures,
    encoder: ExternalEncoder,
    files: Path,
    *,
    is_learned: bool,
    progress: Progress,
) -> Pictures:
    """Return the pictures with their features, computed now or mapped from an earlier run.

    Features are written as they are computed, so memory does not grow with the data set. The file
    takes `4 · sides · channels · side²` bytes per picture: 6 kB for picture and mirror image at 768
    numbers, 800 kB at 2048 channels of 7 × 7 cells.

    Args:
        pictures: All pictures of a set, at the encoder's own size.
        encoder: What is asked.
        files: Folder and first part of the names of the files, `load_pictures`' files among them.
        is_learned: Whether heads learn from them, and mirror images are wanted too.
        progress: Where progress is shown.
    """
    n_sides = 2 if is_learned else 1
    shape = (len(pictures), n_sides, encoder.n_channels, encoder.side, encoder.side)
    wanted = {
        "pictures": json.loads(files.with_name(f"{files.name}.json").read_text(encoding="utf-8")),
        "encoder": encoder.sha256,
        "settings": repr((encoder.scaling, encoder.output)),
        "shape": list(shape),
    }
    listing, path = (
        files.with_name(f"{files.name}.{end}") for end in ("features.json", "features")
    )
    if not listing.is_file() or json.loads(listing.read_text(encoding="utf-8")) != wanted:
        listing.unlink(missing_ok=True)
        with path.open("wb") as file, progress.task("Encoding pictures", len(pictures)) as task:
            _write(file, pictures, encoder, n_sides, task)
        listing.write_text(json.dumps(wanted), encoding="utf-8")
    if not len(pictures):
        return replace(pictures, features=np.zeros(shape, np.float32))
    # Copy-on-write, because PyTorch warns about arrays that cannot be written.
    return replace(pictures, features=np.asarray(np.memmap(path, np.float32, "c", shape=shape)))


@torch.no_grad()
def _write(
    file: BinaryIO, pictures: Pictures, encoder: ExternalEncoder, n_sides: int, task: Task
) -> None:
    for positions in blocks(len(pictures), _BLOCK):
        pixels = pictures.take_pixels(positions)
        sides = []
        for is_mirrored in (False, True)[:n_sides]:
            views = whole_views(len(positions), is_mirrored=is_mirrored)
            sides.append(encoder(view_pixels(pixels, views, encoder.image_size)))
        file.write(torch.stack(sides, dim=1).contiguous().numpy().data)
        task.advance(len(positions))
