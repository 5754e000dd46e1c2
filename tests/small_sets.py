"""Small sets of pictures in the colors of the tiny model's classes."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.tiny_model import CELLS, CLASSES, SIZE, paint


def draw_map(rng: np.random.Generator, label: int, n_cells: int = 8) -> np.ndarray:
    """A label map of a few cells that all show one class, on background."""
    cells = np.zeros(CELLS * CELLS, np.uint8)
    cells[rng.choice(len(cells), n_cells, replace=False)] = label + 1
    return cells.reshape(CELLS, CELLS)


def write_masks(folder: Path, n: int, seed: int = 0) -> Path:
    """Write a data set of masks: picture `i` shows class `i % 3`, anywhere."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    names = ["background", *CLASSES]
    (folder / "labels.txt").write_text("".join(f"{n}\t{name}\n" for n, name in enumerate(names)))
    for number in range(n):
        label_map = draw_map(rng, number % len(CLASSES))
        pixels = paint(label_map)
        save(folder / "images" / f"{number:03}.png", pixels)
        scale = len(pixels) // len(label_map)
        mask = label_map.repeat(scale, 0).repeat(scale, 1)
        save(folder / "masks" / f"{number:03}.png", mask)
    return folder


def write_pictures(folder: Path, n: int, seed: int = 0) -> list[Path]:
    """Write `n` pictures of cells in random colors, none like another: `000.png`, `001.png`, …"""
    folder.mkdir(parents=True, exist_ok=True)
    colors = np.random.default_rng(seed).integers(0, 256, (n, CELLS, CELLS, 3), np.uint8)
    pixels = colors.repeat(SIZE // CELLS, 1).repeat(SIZE // CELLS, 2)
    return [save(folder / f"{number:03}.png", picture) for number, picture in enumerate(pixels)]


def save(path: Path, pixels: np.ndarray, comment: str = "") -> Path:
    """Save a PNG; another comment gives another file of the same picture."""
    info = PngInfo()
    info.add_text("Comment", comment)
    Image.fromarray(pixels).save(path, pnginfo=info)
    return path
