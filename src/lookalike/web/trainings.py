"""Models learned in the browser: what is ordered, how it is done, how far it is.

A run lies in a folder of its own in the server's home, see `lookalike.web.learning_process`. The
worker starts that process and listens to it, so that nothing here imports PyTorch; a process that
is stopped at any point is started again and goes on at its last pass.
"""

import csv
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any, Final

from lookalike.atomic import write_atomically
from lookalike.errors import EnvironmentFault, LookalikeError, UsageError
from lookalike.learning.budget import Plan, part_of
from lookalike.learning.history import HISTORY
from lookalike.learning.recipes import Recipe
from lookalike.model_folder import CARD, ModelCard, read_card
from lookalike.progress import Progress, Task
from lookalike.web import labeled_sets
from lookalike.web.home import ServerHome
from lookalike.web.models import JobState, LearningRun

MOST_MINUTES: Final = 7 * 24 * 60

_PROCESS: Final = (sys.executable, "-m", "lookalike.web.learning_process")
_END_SECONDS: Final = 10.0
_TAIL: Final = 2000
_NEEDED: Final = ("torch", "onnx")

PRESETS: Final[Mapping[str, Recipe]] = {
    "quick": Recipe(image_size=64, epochs=6, self_encoder_epochs=8),
    "small": Recipe(image_size=64, epochs=20, self_encoder_epochs=20),
    "standard": Recipe(),
}
"""Recipes by the name that the page gives them."""

CHANGEABLE: Final = (
    "image_size", "epochs", "self_encoder_epochs", "backbone", "self_encoder", "code_weight",
    "code_dim", "batch_size", "learning_rate", "label_share", "pretraining", "seed", "device",
)  # fmt: skip
"""Options of a recipe that can be changed in the browser."""

_TYPES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("code_weight", "learning_rate", "label_share"), float),
    **dict.fromkeys(("backbone", "self_encoder", "pretraining", "device"), str),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What a person wants to have learned.

    Attributes:
        title: What the person calls it.
        dataset: Words for the pictures.
        level: Whether COCO's categories are the classes or their supercategories.
        preset: The recipe it began with.
        recipe: All options.
        minutes: The most that it may take; `None` without a limit.
    """

    title: str
    dataset: str
    level: str
    preset: str
    recipe: Recipe
    minutes: int | None

    def to_json(self) -> dict[str, Any]:
        """Return all but the title as plain JSON values."""
        content = {**asdict(self), "recipe": self.recipe.to_dict()}
        del content["title"]
        return content


def missing_extra() -> str | None:
    """Return the package of the extra `learn` that is not installed; `None` if all are there."""
    return next((name for name in _NEEDED if importlib.util.find_spec(name) is None), None)


def ordered(sent: Mapping[str, str]) -> Order:
    """Return the order that a form or a program sends.

    Args:
        sent: `title`, `dataset`, `level`, `preset`, `minutes`, and options of the recipe under
            their own names; what is empty is as in the preset.

    Raises:
        UsageError: If something is missing, contradicts something else, or is not allowed.
    """
    title = " ".join(sent.get("title", "").split())
    if not title or not title.isprintable() or len(title) > 120:
        raise UsageError("give the model a name of at most 120 characters")
    if LearningRun.objects.filter(title__iexact=title).exists():
        raise UsageError(f"there is a model called {title!r} already; choose another name")
    preset = sent.get("preset") or "standard"
    if preset not in PRESETS:
        raise UsageError(f"no recipe {preset[:40]!r}; the recipes are {', '.join(PRESETS)}")
    return Order(
        title=title,
        dataset=labeled_sets.checked(sent.get("dataset", "")),
        level=labeled_sets.checked_level(sent.get("level", "")),
        preset=preset,
        recipe=_changed(PRESETS[preset], sent),
        minutes=_minutes(sent.get("minutes", "").strip()),
    )


def _changed(recipe: Recipe, sent: Mapping[str, str]) -> Recipe:
    given = {name: sent[name].strip() for name in CHANGEABLE if sent.get(name, "").strip()}
    changes = {name: _read(name, text) for name, text in given.items()}
    backbone = str(changes.get("backbone", ""))
    if backbone.endswith(".onnx"):  # a path, which a browser must not make the server open
        raise UsageError("an encoder of one's own is given on the command line: lookalike learn")
    return replace(recipe, **changes)


def _read(name: str, text: str) -> Any:
    kind = _TYPES.get(name, int)
    try:
        if len(text) > 60 or not text.isascii():
            raise ValueError
        return kind(text)
    except ValueError as error:
        raise UsageError(f"{name} must be a number, got {text[:40]!r}") from error


def _minutes(text: str) -> int | None:
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) < 7
    if not is_number or not 1 <= int(text) <= MOST_MINUTES:
        raise UsageError(
            f"{text[:20]!r} is no number of minutes; give 1 to {MOST_MINUTES}, or leave it out"
        )
    return int(text)


def look_at(order: Order) -> None:
    """Look into the pictures of an order, so that what is none is refused before anything begins.

    Raises:
        LookalikeError: If it is no data set. One that takes long to read is found out later.
    """
    labeled_sets.looks_in_time.get(order.dataset, labeled_sets.checked_level(order.level))


def folder_of(run: LearningRun) -> Path:
    """Return where the files of a run lie."""
    return ServerHome.from_environment().trainings / str(run.pk)


def model_of(run: LearningRun) -> Path | None:
    """Return the model folder of a run that is done; `None` before, or if it was deleted."""
    model = folder_of(run) / "model"
    return model if run.state == JobState.DONE and (model / CARD).is_file() else None


def card_of(run: LearningRun) -> ModelCard | None:
    """Return the card of the model of a run that is done."""
    model = model_of(run)
    if model is None:
        return None
    with suppress(LookalikeError):
        return read_card(model)
    return None


def history_of(run: LearningRun) -> list[dict[str, float | str]]:
    """Return one row for each pass so far, figures under their names."""
    text = history_text_of(run)
    return [] if text is None else [_row(each) for each in csv.DictReader(text.splitlines())]


def history_text_of(run: LearningRun) -> str | None:
    """Return the figures of all passes so far as CSV; `None` before the first."""
    folder = folder_of(run)
    for place in (folder / "model" / HISTORY, folder / "model.training" / HISTORY):
        with suppress(FileNotFoundError):
            return place.read_text(encoding="utf-8")
    return None


def _row(texts: Mapping[str, str]) -> dict[str, float | str]:
    given = {name: text for name, text in texts.items() if text}
    return {name: text if name == "stage" else float(text) for name, text in given.items()}


def plan_of(run: LearningRun) -> Plan | None:
    """Return the plan that was made when the run began; `None` before that."""
    try:
        content = json.loads((folder_of(run) / "plan.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    known = {field.name for field in fields(Recipe)}
    content["recipe"] = {k: v for k, v in content["recipe"].items() if k in known}
    return Plan.from_json(content)


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run is.

    Attributes:
        passes: Passes that are done.
        planned: Passes there will be; `None` while unknown.
        seconds_left: Until the model is finished; `None` while unknown.
    """

    passes: int
    planned: int | None
    seconds_left: float | None


def pace_of(run: LearningRun, rows: list[dict[str, float | str]]) -> Pace:
    """Work out how far a run is from the passes that were measured and those that are planned."""
    plan = plan_of(run)
    if plan is None or not plan.passes:
        return Pace(len(rows), None, None)
    seconds: dict[str, float] = dict(plan.seconds)
    done: dict[str, int] = {}
    for row in rows:
        part = part_of(str(row["stage"]))
        done[part] = done.get(part, 0) + 1
        seconds[part] = float(row["seconds"])
    left = {part: max(0, n - done.get(part, 0)) for part, n in plan.passes.items()}
    is_known = all(part in seconds for part, n in left.items() if n)
    waiting = sum(n * seconds.get(part, 0.0) for part, n in left.items())
    return Pace(len(rows), sum(plan.passes.values()), waiting if is_known else None)


def learn(run: LearningRun, progress: Progress) -> dict[str, Any]:
    """Do or go on with a run in a process of its own; what the worker calls.

    Raises:
        LookalikeError: What the process finds wrong.
        EnvironmentFault: If it dies of something else.
    """
    absent = missing_extra()
    if absent is not None:
        raise EnvironmentFault(
            f"learning needs {absent}; install it with: pip install 'lookalike[learn]'"
        )
    folder = folder_of(run)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(folder / "order.json", json.dumps(run.options).encode())
    with tempfile.TemporaryFile() as complaints, _process(folder, complaints) as process:
        found = _listen(process, progress)
        code = process.wait()
        complaints.seek(0)
        tail = complaints.read()[-_TAIL:].decode(errors="replace").strip()
    if "report" in found:
        return dict(found["report"])
    if "error" in found:
        raise LookalikeError(found["error"])
    reason = "it was killed" if code == -signal.SIGKILL else f"it ended with code {code}"
    last = "".join(tail.splitlines()[-1:])
    raise EnvironmentFault(f"the process that learns is gone: {reason}; {last or 'try it again'}")


@contextmanager
def _process(folder: Path, complaints: IO[bytes]) -> "Iterator[subprocess.Popen[str]]":
    """Start the process; it is gone when this is left, however that happens."""
    process = subprocess.Popen(
        [*_PROCESS, str(folder), str(os.getpid())],
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _listen(process: "subprocess.Popen[str]", progress: Progress) -> dict[str, Any]:
    """Pass on what the process says until it has no more to say; return the last of it."""
    said: dict[str, Any] = {}
    if process.stdout is None:
        return said
    lines = iter(process.stdout)
    for line in lines:
        said = _read_line(line)
        while "step" in said:
            with progress.task(said["step"], said["expected"]) as task:
                said = _listen_to_step(lines, task, said)
        if said:
            break
    return said


def _listen_to_step(lines: Iterator[str], task: Task, said: dict[str, Any]) -> dict[str, Any]:
    """Pass on one step; return the first line that is not of it."""
    step, n_done = said["step"], 0
    while said.get("step") == step and said["done"] >= n_done:
        if said["expected"] is not None:
            task.expect(said["expected"])
        task.note(said["note"])
        task.advance(said["done"] - n_done)
        n_done = said["done"]
        said = _read_line(next(lines, ""))
    return said


def _read_line(line: str) -> dict[str, Any]:
    """Return what a line says; nothing if the process was killed while it wrote it."""
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return said


def delete_abandoned() -> None:
    """Delete the files of runs that were cancelled, and those that belong to no run any more."""
    trainings = ServerHome.from_environment().trainings
    if not trainings.is_dir():
        return
    kept = LearningRun.objects.exclude(state=JobState.CANCELLED)
    names = {str(pk) for pk in kept.values_list("pk", flat=True)}
    for folder in trainings.iterdir():
        if folder.name not in names:
            shutil.rmtree(folder, ignore_errors=True)
