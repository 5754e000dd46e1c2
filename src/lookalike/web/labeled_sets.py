"""Labeled data sets that the server may read, and a look into them before anything begins."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from lookalike.datasets import open_dataset
from lookalike.datasets.coco import Level, is_coco
from lookalike.datasets.opening import LEVELS, is_labeled, parse_spec
from lookalike.datasets.pictures import SUFFIXES
from lookalike.datasets.scenes import CLASSES, SUPERCATEGORIES
from lookalike.datasets.splits import split_positions
from lookalike.errors import UsageError
from lookalike.web.home import allowed_roots

SCENES: Final = "scenes:"
MOST_SCENES: Final = 20_000

_PART_OF_ALL: Final = {"": 1.0, "train": 2 / 3, "test": 1 / 3}
_LONGEST: Final = 4000
_DEPTH: Final = 2
_MOST_LOOKED_AT: Final = 300
_LOOKED_AT_IN_EACH: Final = 50
_LOOKING_SECONDS: Final = 1.0
_MOST_FOUND: Final = 40
_REMEMBERED: Final = 16
_PATIENCE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a data set holds.

    Attributes:
        name: Its name.
        n: Pictures.
        n_learned: How many of them are learned from.
        n_held_out: How many are kept to measure on.
        classes: Names of the classes.
        has_label_maps: Whether it says where things are.
        is_single_label: Whether every picture has exactly one label.
        has_levels: Whether its classes have supercategories.
        is_drawn: Whether the pictures are drawn when they are first needed.
    """

    name: str
    n: int
    n_learned: int
    n_held_out: int
    classes: tuple[str, ...]
    has_label_maps: bool
    is_single_label: bool
    has_levels: bool
    is_drawn: bool = False


def checked(spec: str) -> str:
    """Return the words for a data set if the server may read it.

    Raises:
        UsageError: If it does not lie below an allowed folder, or more scenes are asked for than
            are drawn for one person.
    """
    spec = spec.strip()
    if not spec or not spec.isprintable() or len(spec) > _LONGEST:
        raise UsageError("give a folder with labeled pictures, or scenes:N for generated ones")
    if spec.startswith(SCENES):
        _n_scenes(spec)
        return spec
    parsed = parse_spec(spec)
    place = Path(parsed.source).expanduser().resolve()
    if not any(place.is_relative_to(root) for root in allowed_roots()):
        raise UsageError(
            f"{parsed.source[:200]} does not lie below a folder that this server may read; "
            "allow it with --root when the server is started"
        )
    column = f"@{parsed.labels_column}" if parsed.labels_column is not None else ""
    return f"{place}{column}{'' if parsed.part is None else f'#{parsed.part}'}"


def checked_level(level: str) -> Level:
    """Return the level of COCO's classes that is asked for.

    Raises:
        UsageError: If there is none of that name.
    """
    found = next((each for each in LEVELS if each == (level or LEVELS[0])), None)
    if found is None:
        raise UsageError(f"no level {level[:40]!r}; the levels are {', '.join(LEVELS)}")
    return found


def _n_scenes(spec: str) -> int:
    numbers, _, part = spec.removeprefix(SCENES).partition("#")
    n, _, seed = numbers.partition(":")
    if part not in _PART_OF_ALL:
        raise UsageError(f"no part {part[:40]!r} of scenes; the parts are train, test")
    is_number = n.isascii() and n.isdigit() and len(n) < 7
    if not is_number or not 1 <= int(n) <= MOST_SCENES:
        raise UsageError(
            f"{spec[:40]!r} is not scenes:N or scenes:N:SEED with N from 1 to {MOST_SCENES}"
        )
    if seed and not (seed.isascii() and seed.isdigit() and len(seed) < 10):
        raise UsageError(f"{seed[:40]!r} is no seed of scenes; give a whole number")
    return int(n)


def found_below_roots() -> list[str]:
    """Return folders below the allowed ones that hold labeled pictures, a few levels deep.

    It is a help, not a list of all there are: after a second it looks no further.
    """
    end = time.monotonic() + _LOOKING_SECONDS
    found: dict[str, None] = {}
    for n, (folder, below) in enumerate(_folders()):
        if n >= _MOST_LOOKED_AT or len(found) >= _MOST_FOUND or time.monotonic() > end:
            break
        with suppress(OSError):
            if is_labeled(folder) or _looks_like_classes(below):
                found[str(folder)] = None
    return list(found)


def _looks_like_classes(below: Sequence[Path]) -> bool:
    """Tell whether folders look like those of classes; data sets beside each other do not.

    What opens a data set walks through all of it, which a list must not.
    """
    return not any(map(is_labeled, below)) and sum(map(_has_picture, below)) > 1


def _has_picture(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        some = islice(entries, _LOOKED_AT_IN_EACH)
        return any(Path(each.name).suffix.lower() in SUFFIXES for each in some)


def _folders() -> Iterator[tuple[Path, list[Path]]]:
    """Give the allowed folders and those in them, nearest first, each with what lies in it."""
    level = list(allowed_roots())
    for _ in range(_DEPTH + 1):
        following: list[Path] = []
        for folder in level:
            below: list[Path] = []
            with suppress(OSError):
                if not is_labeled(folder):
                    shown = filter(_is_shown, os.scandir(folder))
                    below = sorted(Path(each.path) for each in shown)
            yield folder, below
            following += below
        level = following


def _is_shown(entry: "os.DirEntry[str]") -> bool:
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")


class LooksInTime:
    """Looks into data sets in a thread of its own, once for each state of them."""

    def __init__(
        self, look: Callable[[str, Level], Look], patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._look = look
        self._patience = patience
        self._lock = threading.Lock()
        self._working = ThreadPoolExecutor(1, thread_name_prefix="looks")
        self._found: OrderedDict[tuple[str, str, int], Future[Look]] = OrderedDict()

    def get(self, spec: str, level: Level) -> Look | None:
        """Return what a data set holds; `None` while it is still being read.

        Raises:
            LookalikeError: If it is no data set.
        """
        key = (spec, level, _changed(spec))
        with self._lock:
            if key not in self._found:
                self._found[key] = self._working.submit(self._look, spec, level)
                while len(self._found) > _REMEMBERED:
                    self._found.popitem(last=False)[1].cancel()
            self._found.move_to_end(key)
            future = self._found[key]
        try:
            return future.result(self._patience)
        except NotYet:
            return None
        except Exception:
            with self._lock:
                self._found.pop(key, None)
            raise


def _changed(spec: str) -> int:
    try:
        return Path(parse_spec(spec).source).stat().st_mtime_ns
    except OSError:
        return 0


def look(spec: str, level: Level) -> Look:
    """Say what a data set holds; generated scenes are not drawn for that."""
    if spec.startswith(SCENES):
        return _look_at_scenes(spec, level)
    dataset = open_dataset(spec, level=level)
    learned, held_out = split_positions(dataset)
    return Look(
        name=dataset.name,
        n=len(dataset),
        n_learned=len(learned),
        n_held_out=len(held_out),
        classes=tuple(dataset.classes),
        has_label_maps=dataset.has_label_maps,
        is_single_label=dataset.is_single_label,
        has_levels=is_coco(Path(parse_spec(spec).source)),
    )


def _look_at_scenes(spec: str, level: Level) -> Look:
    n = round(_n_scenes(spec) * _PART_OF_ALL[spec.partition("#")[2]])
    held_out = round(0.1 * n)
    classes = CLASSES if level == "names" else dict.fromkeys(SUPERCATEGORIES)
    return Look(spec, n, n - held_out, held_out, tuple(classes), True, False, True, is_drawn=True)


looks_in_time: Final = LooksInTime(look)
