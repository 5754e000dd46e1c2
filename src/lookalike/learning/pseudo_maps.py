"""Label maps for pictures that have none, from a segmentation network that somebody else trained.

Its classes are matched by name with those to be learned; what it sees besides is background. Maps
are computed once, one picture after the other, and kept in the training folder as they come, so a
run that was killed goes on where it stopped.
"""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from lookalike.arrays import BACKGROUND, VOID, LabelMap
from lookalike.atomic import write_atomically
from lookalike.datasets.base import Dataset, LabeledImage
from lookalike.datasets.label_maps import shrink_label_maps
from lookalike.datasets.union import Source, n_targets_of, same_name, sources_of
from lookalike.errors import UsageError
from lookalike.images.decoding import decode
from lookalike.learning.devices import Device
from lookalike.learning.foreign import ForeignNetwork, checksum, open_network
from lookalike.learning.guides import Segmenter

_LEAST_CONFIDENCE: Final = 0.5
"""Pixels whose most probable class is less probable than this are void."""
_LEAST_SHARE: Final = 0.01
"""Where less of a picture than this has a class, the network saw nothing it knows."""
_DONE: Final = 1


def read_label_names(path: Path) -> tuple[str, ...]:
    """Read the class names of a segmentation network: one a line, in order, background among them.

    The list ends at the first empty line; what follows is commentary.

    Raises:
        UsageError: If there is no such file or nothing in it.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a list of class names ({error})") from error
    names = [line.strip() for line in lines]
    names = names[: names.index("")] if "" in names else names
    if not names:
        raise UsageError(f"{path} names no class; write one a line, in the network's order")
    return tuple(names)


def match_classes(
    names: Sequence[str], classes: Sequence[str], without: Sequence[str] = ()
) -> UInt8[ndarray, " 256"]:
    """Return the label map value of each class number of a segmentation network.

    Args:
        names: Its class names, in order.
        classes: The classes to be learned.
        without: Names, as the network gives them, to be taken for background all the same.

    Raises:
        UsageError: If no name is among the classes, or a name left out is not the network's.
    """
    unknown = [name for name in without if name not in names]
    if unknown:
        raise UsageError(
            f"the segmentation network has no class {unknown[0]!r} to leave out; "
            f"it has {', '.join(names)}"
        )
    values = {same_name(name): i + 1 for i, name in enumerate(classes)}
    table = np.full(256, BACKGROUND, np.uint8)
    for number, name in enumerate(names):
        if name not in without:
            table[number] = values.get(same_name(name), BACKGROUND)
    if not table.any():
        raise UsageError(
            f"the segmentation network knows none of the classes to be learned; it has "
            f"{', '.join(names[:8])} …, and they are {', '.join(classes[:8])} …"
        )
    return table


@dataclass(frozen=True, slots=True, eq=False)
class MapMaker:
    """A segmentation network that draws label maps of given classes.

    Attributes:
        network: The network.
        table: Label map value of each of its class numbers.
        n_classes: How many classes it has, background among them.
    """

    network: ForeignNetwork
    table: UInt8[ndarray, " 256"]
    n_classes: int

    def draw(self, data: bytes) -> LabelMap:
        """Return the label map of an encoded picture, stretched to what the network reads.

        Raises:
            ImageError: If it is no picture.
            UsageError: If the network gives something else than a map of its classes.
        """
        pixels = decode(data, (self.network.height, self.network.width)).pixels
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
        label_map: LabelMap = self.table[most_probable(self.network.run(image), self.n_classes)]
        return label_map


def most_probable(output: Float[Tensor, "1 ..."], n_classes: int) -> UInt8[ndarray, "height width"]:
    """Return class numbers; where the network gives scores, unsure pixels become void.

    Args:
        output: Class numbers `(1, height, width)`, also with an axis of length 1 after the first;
            or scores or probabilities `(1, height, width, classes)` or
            `(1, classes, height, width)`.
        n_classes: Number of classes.

    Raises:
        UsageError: If it is none of these.
    """
    if output.ndim == 4 and output.shape[1] == 1 and output.shape[3] != n_classes:
        output = output[:, 0]
    if output.ndim == 3 and float(output.max()) < n_classes:
        return output[0].to(torch.uint8).cpu().numpy()
    if output.ndim != 4 or n_classes not in (output.shape[1], output.shape[3]):
        raise UsageError(
            f"the segmentation network gives an array of {list(output.shape)}, which is no map of "
            f"the {n_classes} classes that were named; give the names that belong to it"
        )
    is_last = output.shape[3] == n_classes
    return _surely_most_probable(output[0] if is_last else output[0].movedim(0, -1))


def _surely_most_probable(
    scores: Float[Tensor, "height width classes"],
) -> UInt8[ndarray, "height width"]:
    is_probability = bool((scores >= 0).all()) and bool(((scores.sum(-1) - 1).abs() < 0.05).all())
    shares = scores if is_probability else scores.softmax(dim=-1)
    confidence, number = shares.max(dim=-1)
    numbers = number.to(torch.uint8).masked_fill(confidence < _LEAST_CONFIDENCE, VOID)
    return numbers.cpu().numpy()


def open_map_maker(segmenter: Segmenter, classes: Sequence[str], device: Device) -> MapMaker:
    """Open a segmentation network for these classes.

    Raises:
        UsageError: If its files are missing or do not fit each other or the classes.
    """
    names = read_label_names(segmenter.labels)
    table = match_classes(names, classes, segmenter.without)
    table[VOID] = VOID
    network = open_network(segmenter.network, segmenter.normalization, device)
    return MapMaker(network, table, len(names))


class PseudoMapped:
    """A data set in which pictures without label map have one that a network drew.

    Args:
        dataset: The pictures.
        maker: Draws the maps.
        cache: Keeps them.
        parts: Names of the data sets for whose pictures it draws; `None` for all.
    """

    has_label_maps: Final = True

    def __init__(
        self,
        dataset: Dataset,
        maker: MapMaker,
        cache: "MapCache",
        parts: tuple[str, ...] | None = None,
    ) -> None:
        self.name = dataset.name
        self.classes = dataset.classes
        self.relevant_classes = dataset.relevant_classes
        self.palette = dataset.palette
        self.is_single_label = dataset.is_single_label
        self.n_targets = n_targets_of(dataset)
        sources = sources_of(dataset)
        self._is_drawn = [s.has_label_maps or parts is None or s.name in parts for s in sources]
        self.sources: tuple[Source, ...] = tuple(
            replace(source, has_label_maps=is_drawn)
            for source, is_drawn in zip(sources, self._is_drawn, strict=True)
        )
        self._ends = list(accumulate(source.n for source in sources))
        self._dataset, self._maker, self._cache = dataset, maker, cache

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, position: int) -> LabeledImage:
        image = self._dataset[position]
        is_drawn = self._is_drawn[bisect_right(self._ends, position)]
        if image.read_label_map is not None or not is_drawn:
            return image
        return replace(image, read_label_map=partial(self._draw, position, image))

    def _draw(self, position: int, image: LabeledImage) -> LabelMap:
        found = self._cache.read(position)
        if found is None:
            label_map = self._maker.draw(image.read_bytes())
            found = void_if_empty(shrink_label_maps(label_map[None], self._cache.side)[0])
            self._cache.write(position, found)
        return found


def void_if_empty(label_map: LabelMap) -> LabelMap:
    """Return the map, or one of void alone if next to nothing in it has a class.

    A network that knows twenty classes and sees none of them does not say that the picture is
    background: it may show what only the others stand for.
    """
    labeled = (label_map != BACKGROUND) & (label_map != VOID)
    return label_map if labeled.mean() >= _LEAST_SHARE else np.full_like(label_map, VOID)


class MapCache:
    """Label maps by position in two files: a byte for each that is there, and the maps.

    Args:
        files: Folder and first part of the names of the files.
        n: Number of pictures.
        side: Side of the maps.
        key: What they were made from; maps made from anything else are thrown away.
    """

    def __init__(self, files: Path, n: int, side: int, key: dict[str, Any]) -> None:
        self.side = side
        listing = files.with_name(f"{files.name}.json")
        wanted = {**key, "n": n, "side": side}
        places = [files.with_name(f"{files.name}.{end}") for end in ("done", "maps")]
        is_there = all(place.is_file() for place in (listing, *places))
        is_same = is_there and json.loads(listing.read_text("utf-8")) == wanted
        if not is_same:
            # Were it left, a run killed just now could go on with the files of another.
            listing.unlink(missing_ok=True)
        mode: Any = "r+" if is_same else "w+"
        self._done = np.memmap(places[0], np.uint8, mode, shape=(max(n, 1),))
        self._maps = np.memmap(places[1], np.uint8, mode, shape=(max(n, 1), side, side))
        if not is_same:
            write_atomically(listing, json.dumps(wanted).encode())

    def read(self, position: int) -> LabelMap | None:
        """Return a map, or `None` if it is still to be made."""
        return np.array(self._maps[position]) if self._done[position] == _DONE else None

    def write(self, position: int, label_map: LabelMap) -> None:
        """Keep a map."""
        self._maps[position] = label_map
        self._done[position] = _DONE


def with_pseudo_maps(
    dataset: Dataset, segmenter: Segmenter, files: Path, side: int, device: Device, digest: str
) -> PseudoMapped:
    """Give every picture of a data set a label map.

    Args:
        dataset: The pictures; label maps of its own are kept.
        segmenter: The network that draws the others.
        files: Folder and first part of the names of the files that keep them.
        side: Side of the maps that are kept.
        device: Where the network runs.
        digest: Of the pictures; other ones need other maps.
    """
    classes = dataset.classes[: n_targets_of(dataset)]
    maker = open_map_maker(segmenter, classes, device)
    key = {
        "pictures": digest,
        "network": checksum(segmenter.network),
        "values": maker.table.tolist(),
    }
    _check_parts(dataset, segmenter)
    return PseudoMapped(dataset, maker, MapCache(files, len(dataset), side, key), segmenter.parts)


def _check_parts(dataset: Dataset, segmenter: Segmenter) -> None:
    names = [source.name for source in sources_of(dataset)]
    unknown = [part for part in segmenter.parts or () if part not in names]
    if unknown:
        raise UsageError(
            f"no data set {unknown[0]!r} to draw label maps for; there are {', '.join(names)}"
        )
