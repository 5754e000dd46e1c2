"""A model and a small collection that the end-to-end tests share."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from forking import lookalike

from tests.tiny_model import write_tiny_model

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}


def paint(folder: Path, n: int = 12) -> list[Path]:
    """Write pictures of one color in the left and another in the right half, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(n)
    names = list(COLORS)
    paths = []
    for number in range(n):
        left, right = names[number % 3], names[(number // 3) % 3]
        pixels = np.empty((48, 64, 3), np.uint8)
        pixels[:, :32], pixels[:, 32:] = COLORS[left], COLORS[right]
        noise = rng.integers(-20, 20, pixels.shape)
        pixels = np.clip(pixels.astype(int) + noise, 0, 255).astype(np.uint8)
        path = folder / f"{number:03d}-{left}-{right}.png"
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    paint(folder)
    return folder


@pytest.fixture(scope="session")
def collection(tmp_path_factory, model, pictures) -> Path:
    """Twelve pictures; tests must not change it."""
    folder = tmp_path_factory.mktemp("collections") / "photos.lookalike"
    done = lookalike("index", folder, pictures, "--model", model, "--json")
    assert done.code == 0, done.err
    return folder
