"""Generated scenes with exact label maps: a data set that needs no download.

A scene is a small landscape with one to five things in it, drawn from a seed. What is in it and
where it is vary independently, which is what the self-encoding method has to tell apart. On disk
a set of scenes is a COCO folder like any other::

    images/000000.jpg …
    annotations/instances.json     things and stuff with the exact masks of what is visible
    annotations/captions.json
"""

import glob
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.arrays import VOID, LabelMap, Pixels
from lookalike.datasets.coco import CocoDataset, Level, open_coco
from lookalike.datasets.scene_files import Job, scene_generator, write_coco
from lookalike.datasets.scene_painting import (
    CLASSES,
    PALETTE,
    SUPERCATEGORIES,
    THINGS,
    Scene,
    Thing,
    mirror,
    render_mirror_pair,
    render_scene,
)
from lookalike.errors import EnvironmentFault, UsageError
from lookalike.progress import SILENT, Progress

__all__ = [
    "CLASSES",
    "GENERATOR_VERSION",
    "MAX_SCENES",
    "PALETTE",
    "SUPERCATEGORIES",
    "THINGS",
    "Scene",
    "Thing",
    "colorize",
    "mirror",
    "open_scenes",
    "render_mirror_pair",
    "render_scene",
    "scene_generator",
    "write_mirror_pairs",
    "write_scenes",
]

GENERATOR_VERSION: Final = 2
"""Changes whenever the same seed gives other scenes; part of the cache's folder names."""

MAX_SCENES: Final = 100_000
"""The annotations of larger sets would fill the memory."""

_PICTURES_PX: Final = 128

_ABANDONED_SECONDS: Final = 24 * 3600
"""Partial sets that nobody has added to for this long belong to no running process."""


def write_scenes(
    folder: str | os.PathLike[str],
    n: int,
    seed: int = 0,
    *,
    progress: Progress = SILENT,
    pictures_px: int = _PICTURES_PX,
    workers: int | None = None,
) -> None:
    """Write `n` scenes as a COCO folder: whole, or not at all.

    The same seed gives the same bytes, whatever the number of workers; the first scenes of a
    larger set are those of a smaller one with the same seed.

    Args:
        folder: Folder to make; it must not exist, or be empty.
        n: Number of scenes.
        seed: Decides everything.
        progress: Told of each scene.
        pictures_px: Side of the square pictures, in pixels.
        workers: Processes to draw in; by default one for each processor.

    Raises:
        UsageError: If a number is out of range or the folder holds something.
        EnvironmentFault: If the folder cannot be written.
    """
    _check(n, seed, pictures_px)
    _write(Path(folder), Job("", seed, 0, n, pictures_px, mirrored=False), progress, workers)


def write_mirror_pairs(
    folder: str | os.PathLike[str],
    n: int,
    seed: int = 0,
    *,
    progress: Progress = SILENT,
    pictures_px: int = _PICTURES_PX,
    workers: int | None = None,
) -> None:
    """Write `n` scenes, each followed by its mirror image, as a COCO folder of `2 n` pictures.

    Scene `i` is `images/{i:06d}-scene.jpg`, its mirror image `images/{i:06d}-mirror.jpg`. The two
    have the same content and another layout. Arguments and errors are those of `write_scenes`.
    """
    _check(n, seed, pictures_px)
    _write(Path(folder), Job("", seed, 0, n, pictures_px, mirrored=True), progress, workers)


def open_scenes(
    n: int, seed: int = 0, *, level: Level = "names", progress: Progress = SILENT
) -> CocoDataset:
    """Open `n` generated scenes, drawn at the first use and kept in the cache folder.

    The cache folder is `LOOKALIKE_CACHE` or, where that is not set, the user's cache folder of the
    platform. Several processes may open the same set at once.

    Args:
        n: Number of scenes.
        seed: Decides everything.
        level: Whether each kind of thing and stuff is a class, or each group of kinds.
        progress: Told of each scene that is drawn.

    Raises:
        UsageError: If a number is out of range.
        EnvironmentFault: If the cache folder cannot be written.
    """
    dataset = open_coco(cached_scenes(n, seed, progress=progress), level)
    dataset.name = f"scenes:{n}:{seed}"
    if level == "names":
        dataset.palette = PALETTE
    return dataset


def cached_scenes(n: int, seed: int = 0, *, progress: Progress = SILENT) -> Path:
    """The COCO folder of `n` generated scenes in the cache folder, drawn if it is not there."""
    _check(n, seed, _PICTURES_PX)
    folder = cache_folder() / f"scenes-{GENERATOR_VERSION}-{n}-{seed}"
    if not folder.is_dir():
        job = Job("", seed, 0, n, _PICTURES_PX, mirrored=False)
        _write(folder, job, progress, None, is_cache=True)
    return folder


def cache_folder() -> Path:
    """The folder for what can be made again: `LOOKALIKE_CACHE` or the platform's."""
    if chosen := os.environ.get("LOOKALIKE_CACHE"):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise EnvironmentFault(
            "there is no home folder to keep generated scenes in; set LOOKALIKE_CACHE to a folder"
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "lookalike"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home) / "lookalike" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "lookalike"


def colorize(label_map: LabelMap, palette: tuple[tuple[int, int, int], ...] = PALETTE) -> Pixels:
    """Draw a label map: background and classes by `palette`, void and unknown values gray.

    Example:
        >>> colorize(np.array([[0, 1, 255]], np.uint8), ((0, 0, 0), (9, 8, 7))).tolist()
        [[[0, 0, 0], [9, 8, 7], [128, 128, 128]]]
    """
    colors = np.full((VOID + 1, 3), 128, np.uint8)
    colors[: len(palette)] = palette
    drawn: Pixels = colors[label_map]
    return drawn


def _check(n: int, seed: int, pictures_px: int) -> None:
    if not 1 <= n <= MAX_SCENES:
        raise UsageError(
            f"a set of {n} scenes cannot be made; ask for 1 to {MAX_SCENES:,}, as in scenes:2000:7"
        )
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed of the scenes is {seed}; give a number from 0 to 2^63 - 1")
    if not 32 <= pictures_px <= 2048:
        raise UsageError(f"pictures of {pictures_px} pixels cannot be drawn; choose 32 to 2048")


def _write(
    folder: Path, job: Job, progress: Progress, workers: int | None, *, is_cache: bool = False
) -> None:
    n_pictures = (job.stop - job.start) * (2 if job.mirrored else 1)
    try:
        with _made_whole(folder, is_cache=is_cache) as partial:
            job = Job(str(partial), job.seed, job.start, job.stop, job.px, job.mirrored)
            with progress.task("Drawing scenes", n_pictures) as task:
                write_coco(partial, job, workers, task)
    except OSError as error:
        raise EnvironmentFault(
            f"scenes cannot be written to {folder}: {error.strerror or error}; "
            "check space and rights, or set LOOKALIKE_CACHE to another folder"
        ) from error


@contextmanager
def _made_whole(folder: Path, *, is_cache: bool) -> Iterator[Path]:
    """Give a temporary folder beside `folder` that takes its name when all went well."""
    if not is_cache and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists already; choose a new folder for the scenes")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    partial.mkdir()
    try:
        yield partial
        try:
            partial.rename(folder)
        except OSError:
            # Another process was faster: its scenes are the same as ours.
            if not (is_cache and folder.is_dir()):
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed while drawing this set left behind."""
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(leftover, ignore_errors=True)
