"""The process that learns a model: `python -m lookalike.web.learning_process FOLDER PARENT`.

It is started by the worker, which reads what it says: one JSON object a line, `step`, `done`,
`expected` and `note` while it works, at last `report` or `error`. Nothing here knows Django. The
folder holds `order.json`, what is to be learned; it fills with::

    plan.json          the recipe with its passes settled, and how long they should take
    model.training/    checkpoints and history, until the model is finished
    model/             the model folder
    examples.webp      what the model sees in pictures that it did not learn from
    lock               held by the one process that works here

It ends with the process `PARENT`, which started it, however that one ended.
"""

import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

from lookalike.atomic import write_atomically
from lookalike.datasets import open_dataset
from lookalike.datasets.base import ListedDataset
from lookalike.errors import EnvironmentFault, LookalikeError
from lookalike.learning.budget import Plan, fitted, planned
from lookalike.learning.recipes import Recipe, learn
from lookalike.progress import Progress, Task
from lookalike.web.learned_examples import draw_examples

ORDER: Final = "order.json"
PLAN: Final = "plan.json"
MODEL: Final = "model"
EXAMPLES: Final = "examples.webp"

_WATCH_SECONDS: Final = 0.5
_LOCK_SECONDS: Final = 30.0
_SAY_SECONDS: Final = 0.25
_PULSE_SECONDS: Final = 1.0


class Lines:
    """A `Progress` that says as lines of JSON how far the work is, at least once a second.

    The worker sees from each line that the process lives, and looks whether it is to stop.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._turn = threading.Lock()
        self._content: dict[str, Any] = {}
        self._said = 0.0
        self._begin("Starting", None)

    @contextmanager
    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> Iterator[Task]:
        """Open a task."""
        self._begin(description, total)
        yield self
        self.say()

    def advance(self, n: int = 1) -> None:
        """Say that `n` more units are done."""
        self._content["done"] += n
        if time.monotonic() - self._said >= _SAY_SECONDS:
            self.say()

    def expect(self, total: int) -> None:
        """Set the number of units now known to be needed in all."""
        self._content["expected"] = total

    def note(self, text: str) -> None:
        """Show a few words."""
        self._content["note"] = text

    def say(self) -> None:
        """Say how far it is."""
        self._said = time.monotonic()
        self.write(self._content)

    def write(self, content: dict[str, Any]) -> None:
        """Write a line, whole even if several threads have something to say."""
        with self._turn:
            self._out.write(json.dumps(content) + "\n")
            self._out.flush()

    def _begin(self, step: str, total: int | None) -> None:
        self._content = {"step": step, "done": 0, "expected": total, "note": ""}
        self.say()


def work(folder: Path, progress: Progress) -> dict[str, Any]:
    """Learn what a folder orders, or go on with it; return the report.

    Raises:
        LookalikeError: If it cannot be done.
    """
    order = json.loads((folder / ORDER).read_text(encoding="utf-8"))
    with _alone(folder):
        dataset = open_dataset(order["dataset"], level=order["level"], progress=progress)
        plan = _plan(folder, order, dataset, progress)
        model = folder / MODEL
        card = learn(dataset, model, plan.recipe, resume=True, progress=progress)
        if card.has_layout:
            draw_examples(model, dataset, folder / EXAMPLES, progress)
    return {
        "model": card.id,
        "measured": dict(card.measured),
        "training_data": dict(card.training_data),
        "classes": list(card.classes),
        "has_layout": card.has_layout,
    }


def _plan(folder: Path, order: dict[str, Any], dataset: ListedDataset, progress: Progress) -> Plan:
    """Return the plan that was made when the work began, or make it."""
    place = folder / PLAN
    if place.is_file():
        return Plan.from_json(json.loads(place.read_text(encoding="utf-8")))
    recipe = Recipe(**order["recipe"])
    if order["minutes"] is None:
        plan = planned(dataset, recipe)
    else:
        minutes = float(order["minutes"])
        plan = fitted(dataset, recipe, minutes, folder / "trial", progress=progress)
    write_atomically(place, json.dumps(plan.to_json()).encode())
    return plan


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out, which may come when the first one's worker was lost."""
    with (folder / "lock").open("w") as lock:
        end = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > end:
                    text = f"another process still learns in {folder}; try again in a minute"
                    raise EnvironmentFault(text) from error
                time.sleep(_WATCH_SECONDS)
        yield


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def main(folder: Path, parent: int) -> int:
    """Do the work of a folder; return the exit code."""
    lines = Lines(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # whatever a library prints must not come between the lines
    for target, words in ((_end_with, (parent,)), (_pulse, (lines,))):
        threading.Thread(target=target, args=words, daemon=True).start()
    try:
        lines.write({"report": work(folder, lines)})
    except LookalikeError as error:
        lines.write({"error": str(error)})
        return 1
    return 0


def _pulse(lines: Lines) -> None:
    while True:
        time.sleep(_PULSE_SECONDS)
        lines.say()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
