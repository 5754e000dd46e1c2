"""Pictures and label maps as the network wants them, in files that are mapped into memory.

Every picture is decoded once, at the size of training, and streamed to a file of the training
folder. Batches read from the mapped file, so memory does not grow with the data set: the system
keeps in memory what fits and drops the rest.
"""

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from lookalike.arrays import VOID, LabelMap, Pixels
from lookalike.datasets.base import Dataset, LabeledImage
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.union import n_targets_of, sources_of
from lookalike.errors import DatasetError, ImageError
from lookalike.images.decoding import PREPROCESS_VERSION, decode
from lookalike.progress import Progress

_DECODERS: Final = min(8, os.cpu_count() or 1)
_AHEAD: Final = 32
"""Pictures decoded ahead of the one being written: bounds memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Decoded pictures of a data set, or some of them.

    Attributes:
        pixels: RGB, mapped from a file.
        label_maps: Label maps, mapped from a file; `None` where the data set has none.
        labels: Which classes each picture has.
        unreadable: Names of pictures left out, with the reason.
        source: Which of the joined data sets each picture is from.
        known: Which classes each of these sets can tell.
        is_single: Whether pictures of each set have exactly one of them.
        rows: Which row of the files each picture is; `None` if these are all, in order.
        features: What an external encoder gives for each picture and, where there are two sides,
            for its mirror image, mapped from a file; `None` without one.
    """

    pixels: UInt8[ndarray, "stored side side 3"] | UInt8[Tensor, "stored side side 3"]
    label_maps: (
        UInt8[ndarray, "stored map_side map_side"]
        | UInt8[Tensor, "stored map_side map_side"]
        | None
    )
    labels: Bool[ndarray, "items classes"]
    unreadable: tuple[str, ...]
    source: Int64[Tensor, " items"]
    known: Bool[Tensor, "sources classes"]
    is_single: Bool[Tensor, " sources"]
    rows: Int64[ndarray, " items"] | None = None
    features: Float32[ndarray, "stored sides channels cells cells"] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take_pixels(self, positions: Tensor) -> UInt8[Tensor, "batch side side 3"]:
        """Return a batch of pictures."""
        return _take(self.pixels, self._rows(positions))

    def take_label_maps(self, positions: Tensor) -> UInt8[Tensor, "batch map_side map_side"]:
        """Return a batch of label maps.

        Raises:
            DatasetError: If the data set has none.
        """
        if self.label_maps is None:
            raise DatasetError("these pictures have no label maps; learn from a set that has them")
        return _take(self.label_maps, self._rows(positions))

    def take_labels(self, positions: Tensor) -> Bool[Tensor, "batch classes"]:
        """Return the labels of a batch."""
        return torch.from_numpy(self.labels[positions.numpy()])

    def take_features(
        self, positions: Tensor, is_mirrored: Bool[Tensor, " batch"] | None = None
    ) -> Float32[Tensor, "batch channels cells cells"]:
        """Return what the external encoder gave for a batch, some pictures of it mirrored.

        Raises:
            DatasetError: If there is no external encoder.
        """
        if self.features is None:
            raise DatasetError("these pictures have no features of an external encoder")
        rows = self._rows(positions)
        sides = np.zeros_like(rows) if is_mirrored is None else is_mirrored.numpy().astype(np.int64)
        return torch.from_numpy(self.features[rows, sides])

    def subset(self, positions: Int64[ndarray, " some"]) -> "Pictures":
        """Return some of these pictures; nothing but what is known of them is copied."""
        chosen = torch.from_numpy(positions)
        return replace(
            self,
            labels=self.labels[positions],
            source=self.source[chosen],
            rows=self._rows(chosen),
        )

    def mapped(self) -> Int64[Tensor, " mapped"]:
        """Return the positions of pictures with a label map: of unions not all need have one."""
        if self.label_maps is None:
            return torch.zeros(0, dtype=torch.int64)
        has_map = [
            (self.take_label_maps(positions) != VOID).flatten(1).any(dim=1).cpu()
            for positions in blocks(len(self))
        ]
        return torch.cat(has_map).nonzero().flatten()

    def moved_to(self, device: str) -> "Pictures":
        """Return the same pictures in the memory of a graphics processor, if half of it is free.

        Otherwise batches are copied there one by one.
        """
        if device != "cuda" or isinstance(self.pixels, Tensor):
            return self
        free, _ = torch.cuda.mem_get_info()
        maps = self.label_maps
        if 2 * (self.pixels.nbytes + (0 if maps is None else maps.nbytes)) > free:
            return self
        return replace(
            self,
            pixels=torch.from_numpy(self.pixels).to(device),
            label_maps=None if maps is None else torch.from_numpy(np.asarray(maps)).to(device),
        )

    def _rows(self, positions: Tensor) -> Int64[ndarray, " batch"]:
        chosen: Int64[ndarray, " batch"] = positions.numpy()
        return chosen if self.rows is None else self.rows[chosen]


def _take(
    array: UInt8[ndarray, "stored *shape"] | UInt8[Tensor, "stored *shape"],
    rows: Int64[ndarray, " batch"],
) -> UInt8[Tensor, "batch *shape"]:
    if isinstance(array, Tensor):
        return array[torch.from_numpy(rows).to(array.device)]
    return torch.from_numpy(array[rows])


def blocks(n: int, size: int = 256) -> Iterator[Int64[Tensor, " block"]]:
    """Give the positions 0 to `n − 1` in order, `size` at a time."""
    for first in range(0, n, size):
        yield torch.arange(first, min(n, first + size))


def fingerprint(dataset: Dataset, positions: Sequence[int]) -> str:
    """Return a digest of classes, names and labels: what a resumed run must find unchanged."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((dataset.classes, dataset.has_label_maps, PREPROCESS_VERSION)).encode())
    for position in positions:
        image = dataset[position]
        digest.update(repr((image.name, image.labels)).encode())
    return digest.hexdigest()


def load_pictures(
    dataset: Dataset,
    positions: Sequence[int],
    files: Path,
    *,
    side: int,
    map_side: int,
    progress: Progress,
    drawn_by: str = "",
) -> Pictures:
    """Decode pictures into files beginning with `files`, or map the files of an earlier run.

    Pictures that cannot be read are left out and named in `unreadable`.

    Args:
        dataset: Where the pictures come from.
        positions: Which of them.
        files: Folder and first part of the names of the files.
        side: Side of the squares that pictures are stretched to.
        map_side: The same for label maps, each cell of which takes its most frequent value.
        progress: Where progress is shown.
        drawn_by: What drew label maps that the data set has not itself; another one draws others.

    Raises:
        DatasetError: If no picture can be read, or a label map contradicts the classes.
    """
    wanted = {
        "fingerprint": fingerprint(dataset, positions),
        "side": side,
        "map_side": map_side,
        "drawn_by": drawn_by,
    }
    listing = files.with_name(f"{files.name}.json")
    content = json.loads(listing.read_text(encoding="utf-8")) if listing.is_file() else {}
    if any(content.get(key) != value for key, value in wanted.items()):
        with progress.task("Reading pictures", len(positions)) as task:
            kept, unreadable = [], []
            with (
                _path(files, "pixels").open("wb") as pixels,
                _path(files, "maps").open("wb") as maps,
            ):
                for position, image, decoded in _decode_ahead(dataset, positions, side):
                    task.advance()
                    if isinstance(decoded, ImageError):
                        unreadable.append(f"{image.name}: {decoded.reason}")
                        task.note(f"{len(unreadable)} unreadable")
                        continue
                    kept.append(position)
                    _write(pixels, decoded)
                    if dataset.has_label_maps:
                        _write(maps, _read_label_map(image, dataset, map_side))
        content = {**wanted, "kept": kept, "unreadable": unreadable}
        listing.write_text(json.dumps(content), encoding="utf-8")
    if positions and not content["kept"]:
        raise DatasetError(
            f"none of the {len(positions)} pictures of {dataset.name} can be read; "
            f"the first: {content['unreadable'][0]}"
        )
    return _map_files(dataset, files, content)


def _map_files(dataset: Dataset, files: Path, content: dict[str, Any]) -> Pictures:
    kept, side, map_side = content["kept"], content["side"], content["map_side"]
    labels = np.zeros((len(kept), len(dataset.classes)), bool)
    for row, position in enumerate(kept):
        labels[row, list(dataset[position].labels)] = True
    sources = sources_of(dataset)
    ends = np.cumsum([source.n for source in sources])
    known = torch.zeros(len(sources), len(dataset.classes), dtype=torch.bool)
    for row, source in enumerate(sources):
        known[row, list(source.classes)] = True
    return Pictures(
        pixels=_map_file(_path(files, "pixels"), (len(kept), side, side, 3)),
        label_maps=_map_file(_path(files, "maps"), (len(kept), map_side, map_side))
        if dataset.has_label_maps
        else None,
        labels=labels,
        unreadable=tuple(str(reason) for reason in content["unreadable"]),
        source=torch.from_numpy(np.searchsorted(ends, np.asarray(kept, np.int64), side="right")),
        known=known,
        is_single=torch.tensor([source.is_single_label for source in sources]),
    )


def _map_file(path: Path, shape: tuple[int, ...]) -> UInt8[ndarray, "..."]:
    if shape[0] == 0:
        return np.zeros(shape, np.uint8)
    # Copy-on-write, because PyTorch warns about arrays that cannot be written.
    return np.asarray(np.memmap(path, np.uint8, "c", shape=shape))


def _path(files: Path, what: str) -> Path:
    return files.with_name(f"{files.name}.{what}")


def _write(file: BinaryIO, array: UInt8[ndarray, "..."]) -> None:
    file.write(np.ascontiguousarray(array).data)


def _decode_ahead(
    dataset: Dataset, positions: Iterable[int], side: int
) -> Iterator[tuple[int, LabeledImage, Pixels | ImageError]]:
    """Read in this thread, because data sets need not bear several; decode in others."""
    with ThreadPoolExecutor(_DECODERS) as pool:
        waiting: deque[tuple[int, LabeledImage, Future[Pixels | ImageError]]] = deque()
        for position in positions:
            image = dataset[position]
            waiting.append((position, image, pool.submit(_decode, image.read_bytes(), side)))
            if len(waiting) > _AHEAD:
                first, its_image, decoded = waiting.popleft()
                yield first, its_image, decoded.result()
        for first, its_image, decoded in waiting:
            yield first, its_image, decoded.result()


def _decode(data: bytes, side: int) -> Pixels | ImageError:
    try:
        return decode(data, (side, side)).pixels
    except ImageError as error:
        return error


def _read_label_map(image: LabeledImage, dataset: Dataset, side: int) -> LabelMap:
    n_classes = n_targets_of(dataset)
    if image.read_label_map is None and not all(s.has_label_maps for s in sources_of(dataset)):
        return np.full((side, side), VOID, np.uint8)
    if image.read_label_map is None:
        raise DatasetError(
            f"{image.name} has no label map, but its data set says that all have one; "
            "add the label map or remove the picture"
        )
    label_map = image.read_label_map()
    largest = int(label_map.max(where=label_map != VOID, initial=0))
    if largest > n_classes:
        raise DatasetError(
            f"the label map of {image.name} has the value {largest}, but there are only "
            f"{n_classes} classes; values are 0, 1 to {n_classes}, and {VOID} for void"
        )
    smaller: LabelMap = shrink_label_maps(label_map[None], side)[0]
    return smaller
