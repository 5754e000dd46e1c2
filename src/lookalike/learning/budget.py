"""How many passes fit into the time a person gives: measured by a small trial before the training.

The number of passes is settled before the first step, since the learning rate follows it; so a run
that is interrupted goes on to the very same result. Importing this module does not import PyTorch.
"""

import csv
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lookalike.datasets.base import Dataset, ListedDataset
from lookalike.datasets.union import thin_out
from lookalike.errors import UsageError
from lookalike.learning.guides import NO_GUIDES, Guides
from lookalike.learning.history import HISTORY
from lookalike.learning.recipes import Recipe, learn
from lookalike.progress import SILENT, Progress, Task

_TRIAL_PICTURES: Final = 256
_TRIAL_PASSES: Final = 2
"""The first pass of a process is slower than those that follow."""
_PREPARING: Final = ("Reading pictures", "Encoding pictures")
"""Tasks whose time grows with the pictures and that are no passes."""
_LEARNED_SHARE: Final = 0.9
_MARGIN: Final = 1.1
"""Machines are never as free as during the trial."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A training before it begins.

    Attributes:
        recipe: All options, passes settled.
        passes: How many there will be of each part: `pretraining`, `layers`, `self-encoder`,
            `network`; empty where that is not known before.
        seconds: How long a pass of each part is expected to take; empty without a trial.
        overhead: Expected seconds for reading pictures and writing the model; 0 without a trial.
    """

    recipe: Recipe
    passes: Mapping[str, int]
    seconds: Mapping[str, float]
    overhead: float = 0.0

    @property
    def expected_seconds(self) -> float | None:
        """Seconds of the whole training; `None` without a trial."""
        if not self.seconds:
            return None
        learning = sum(n * self.seconds.get(part, 0.0) for part, n in self.passes.items())
        return self.overhead + learning

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "recipe": self.recipe.to_dict(),
            "passes": dict(self.passes),
            "seconds": dict(self.seconds),
            "overhead": self.overhead,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Plan":
        """Return what `to_json` gave."""
        return cls(**{**content, "recipe": Recipe(**content["recipe"])})


def part_of(stage: str) -> str:
    """Name the part of a plan to which a stage of the history belongs.

    Example:
        >>> [part_of(stage) for stage in ("contrastive", "map layer 2", "self-encoder", "joint")]
        ['pretraining', 'layers', 'self-encoder', 'network']
    """
    if stage.startswith("map layer") or stage == "wake-sleep":
        return "layers"
    if stage in ("network", "joint", "trunk"):
        return "network"
    return "self-encoder" if stage == "self-encoder" else "pretraining"


def planned(dataset: Dataset, recipe: Recipe) -> Plan:
    """Plan a training without a limit; nothing is measured."""
    n = n_learned(dataset)
    has_codes = recipe.learns_self_encoder and dataset.has_label_maps
    if recipe.pretraining or (has_codes and recipe.self_encoder in _LAYERED):
        return Plan(recipe, {}, {})
    passes = {"self-encoder": recipe.self_encoder_epochs_for(n)} if has_codes else {}
    return Plan(recipe, {**passes, "network": recipe.epochs_for(n)}, {})


_LAYERED: Final = ("stacked", "belief", "wake-sleep")


def fitted(
    dataset: ListedDataset,
    recipe: Recipe,
    minutes: float,
    place: Path,
    *,
    validate: ListedDataset | None = None,
    guides: Guides = NO_GUIDES,
    progress: Progress = SILENT,
) -> Plan:
    """Plan a training that takes at most `minutes`: fewer passes than the recipe's if need be.

    A trial on a few hundred of the pictures measures a pass of each part. All parts are shortened
    alike. More passes than the recipe's there never are: they would not help.

    Args:
        dataset: What is to be learned from.
        recipe: The options.
        minutes: The most that trial and training may take, to the finished model.
        place: A folder for the trial, which is gone afterwards.
        validate: Pictures to measure on, if they are others.
        guides: Networks that help.
        progress: Where progress is shown.

    Raises:
        UsageError: If not even one pass of each part fits.
    """
    trial = _tried(dataset, recipe, place, validate, guides, progress)
    n = n_learned(dataset, validate)
    overhead = trial.overhead(len(dataset) + len(validate or ()))
    # At last all of them are measured, which takes less than a pass over them.
    overhead += trial.seconds(len(validate or ())).get("network", 0.0)
    most = max(_passes_of(recipe, n).values())
    for step in range(most, 0, -1):
        changed = replace(recipe, **_passes_of(recipe, n, step / most))
        plan = Plan(changed, trial.passes(changed, n), trial.seconds(n), overhead)
        needed = trial.total + _MARGIN * (plan.expected_seconds or 0.0)
        if needed <= 60 * minutes:
            return plan
    least = math.ceil(needed / 60)
    raise UsageError(
        f"{minutes:g} minutes are too few for {len(dataset)} pictures with this recipe; "
        f"give about {least}, choose smaller pictures, or fewer"
    )


def is_whole(plan: Plan, recipe: Recipe, n: int) -> bool:
    """Tell whether a plan has all passes of the recipe over `n` pictures."""
    return _passes_of(plan.recipe, n) == _passes_of(recipe, n)


def _passes_of(recipe: Recipe, n: int, share: float = 1.0) -> dict[str, Any]:
    """Return the passes that a recipe may be shortened by, under the names of its options."""
    passes = {
        "epochs": recipe.epochs_for(n),
        "self_encoder_epochs": recipe.self_encoder_epochs_for(n),
    }
    if recipe.pretraining is not None:
        passes["pretraining_epochs"] = recipe.pretraining_epochs_for(n)
    return {name: max(1, round(share * each)) for name, each in passes.items()}


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a small training took.

    Attributes:
        n: Pictures it learned from.
        passed: Seconds of the last pass of each stage, by stage.
        reading: Seconds of reading all pictures of the trial, and of encoding them.
        n_read: Pictures that were read.
        rest: Seconds of everything else, which does not grow with the pictures.
        total: Seconds of the trial itself.
    """

    n: int
    passed: Mapping[str, float]
    reading: float
    n_read: int
    rest: float
    total: float

    def passes(self, recipe: Recipe, n: int) -> dict[str, int]:
        """Return the passes of each part over `n` pictures."""
        counts: dict[str, int] = {}
        for stage in self.passed:
            part = part_of(stage)
            if part == "layers":
                counts[part] = counts.get(part, 0) + recipe.layer_epochs_for(n)
            elif part == "network":
                counts[part] = recipe.epochs_for(n)
            elif part == "self-encoder":
                counts[part] = recipe.self_encoder_epochs_for(n)
        prepared = sum(part_of(stage) == "pretraining" for stage in self.passed)
        if prepared:
            # They are divided among the stages, of which each has one at least.
            counts["pretraining"] = max(prepared, recipe.pretraining_epochs_for(n))
        return counts

    def seconds(self, n: int) -> dict[str, float]:
        """Return the seconds of a pass of each part over `n` pictures; of the slowest stage."""
        slowest: dict[str, float] = {}
        for stage, seconds in self.passed.items():
            part = part_of(stage)
            slowest[part] = max(slowest.get(part, 0.0), seconds * n / self.n)
        return slowest

    def overhead(self, n: int) -> float:
        """Return the seconds for preparing `n` pictures, measuring and writing a model."""
        return self.rest + self.reading * n / max(1, self.n_read)


def _tried(
    dataset: ListedDataset,
    recipe: Recipe,
    place: Path,
    validate: ListedDataset | None,
    guides: Guides,
    progress: Progress,
) -> _Trial:
    part = thin_out(dataset, _TRIAL_PICTURES)
    measured = None if validate is None else thin_out(validate, _TRIAL_PICTURES)
    small = replace(
        recipe,
        epochs=_TRIAL_PASSES,
        self_encoder_epochs=_TRIAL_PASSES,
        pretraining_epochs=_TRIAL_PASSES if recipe.pretraining else None,
    )
    remove_trial(place)
    watch = _Watch()
    started = time.perf_counter()
    with progress.task("Measuring how fast this machine learns"):
        card = learn(part, place, small, validate=measured, guides=guides, progress=watch)
    total = time.perf_counter() - started
    with (place / HISTORY).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    remove_trial(place)
    learned = sum(float(row["seconds"]) for row in rows)
    return _Trial(
        n=int(card.training_data["pictures"]),
        passed={row["stage"]: float(row["seconds"]) for row in rows},
        reading=watch.seconds,
        n_read=len(part) + len(measured or ()),
        rest=max(0.0, total - learned - watch.seconds),
        total=total,
    )


def remove_trial(place: Path) -> None:
    """Remove what a trial that was interrupted left."""
    for leftover in (place, place.with_name(f"{place.name}.training")):
        shutil.rmtree(leftover, ignore_errors=True)


def n_learned(dataset: Dataset, validate: Dataset | None = None) -> int:
    """Return about how many pictures are learned from; all, if others are measured on."""
    share = _LEARNED_SHARE if validate is None else 1.0
    return max(1, round(share * len(dataset)))


class _Watch:
    """A `Progress` that shows nothing and measures how long pictures are read and encoded."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def _timed(self) -> Iterator[Task]:
        started = time.perf_counter()
        with SILENT.task(_PREPARING[0]) as task:
            yield task
        self.seconds += time.perf_counter() - started

    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> AbstractContextManager[Task]:
        """Open a task, measured if pictures are read or encoded in it."""
        is_timed = description in _PREPARING
        return self._timed() if is_timed else SILENT.task(description, total, unit)
