"""Small painted pictures with exact label maps, made in memory."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.datasets.base import LabeledImage

CLASSES = ("red", "green", "blue")
PALETTE = ((0, 0, 0), (220, 40, 40), (40, 200, 60), (50, 80, 230))
SIDE = 48


@dataclass
class ToyDataset:
    """Pictures of colored boxes; a class is a color."""

    images: Sequence[LabeledImage]
    name: str = "toy boxes"
    classes: tuple[str, ...] = CLASSES
    relevant_classes: frozenset[int] = frozenset(range(3))
    palette: tuple[tuple[int, int, int], ...] = PALETTE
    has_label_maps: bool = True
    is_single_label: bool = False

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> LabeledImage:
        return self.images[position]


def boxes(n: int, seed: int = 0, **changes: object) -> ToyDataset:
    """`n` pictures with one to three boxes."""
    rng = np.random.default_rng(seed)
    maps = [draw_boxes(rng) for _ in range(n)]
    return ToyDataset([labeled(f"{i:03d}.png", m) for i, m in enumerate(maps)], **changes)


def single_boxes(n: int, seed: int = 0) -> ToyDataset:
    """`n` pictures of one color each, without label maps."""
    rng = np.random.default_rng(seed)
    images = []
    for i in range(n):
        label_map = np.zeros((SIDE, SIDE), np.uint8)
        label_map[8:40, 8:40] = rng.integers(1, 4)
        images.append(labeled(f"{i:03d}.png", label_map, has_label_map=False))
    return ToyDataset(images, has_label_maps=False, is_single_label=True)


def draw_boxes(rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    label_map = np.zeros((side, side), np.uint8)
    for value in rng.permutation(3)[: rng.integers(1, 4)] + 1:
        height, width = rng.integers(side // 4, side // 2, size=2)
        top, left = rng.integers(0, side - height), rng.integers(0, side - width)
        label_map[top : top + height, left : left + width] = value
    return label_map


def paint(label_map: np.ndarray) -> np.ndarray:
    colors = np.full((256, 3), 128, np.uint8)
    colors[: len(PALETTE)] = PALETTE
    return colors[label_map]


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def labeled(
    name: str,
    label_map: np.ndarray,
    *,
    data: bytes | None = None,
    has_label_map: bool = True,
) -> LabeledImage:
    read_label_map: Callable[[], np.ndarray] | None = partial(np.copy, label_map)
    return LabeledImage(
        name=name,
        path=Path(name),
        labels=tuple(int(v) - 1 for v in np.unique(label_map) if v not in (0, 255)),
        captions=(),
        read_bytes=partial(bytes, png(paint(label_map)) if data is None else data),
        read_label_map=read_label_map if has_label_map else None,
    )
