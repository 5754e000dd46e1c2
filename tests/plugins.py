"""A package that adds a descriptor, laid out as an installer would."""

import importlib
import sys
from pathlib import Path

REDNESS = """
import numpy as np
from lookalike.features.descriptors import Descriptor

def redness(pixels, sizes):
    return pixels.mean(axis=(1, 2)).astype(np.float32)[:, :2]

def nearness(queries, rows):
    apart = np.linalg.norm(queries[:, None] - rows, axis=2)
    return (1 - apart / 2).astype(np.float32)

NAME = Descriptor("NAME", 3, 2, redness, similarity=nearness)

def make():
    return NAME
"""


def install_package(
    site: Path, package: str, name: str, code: str = REDNESS, target: str = "make"
) -> None:
    """Write the package and what tells of its entry point into `site`, which is on the path."""
    (site / f"{package}.py").write_text(code.replace("NAME", name))
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    points = f"[lookalike.descriptors]\n{name} = {package}:{target}\n"
    (info / "entry_points.txt").write_text(points)
    importlib.invalidate_caches()
    sys.modules.pop(package, None)
