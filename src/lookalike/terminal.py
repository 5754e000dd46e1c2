"""What the command line shows: progress bars, tables, one-line errors, JSON.

Results go to standard output, everything else to standard error, so that output can be piped.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress import Task as RichTask
from rich.table import Table
from rich.text import Text

from lookalike.progress import Task

_ENDLESS: Final = 100_000
"""Width in characters that no table reaches."""


class _RateColumn(ProgressColumn):
    """Units per second."""

    def render(self, task: RichTask) -> Text:
        """Show the rate, or nothing while it is unknown."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} {task.fields['unit']}/s" if speed else "", style="dim")


class _BarTask:
    def __init__(self, bars: RichProgress, task_id: TaskID) -> None:
        self._bars = bars
        self._id = task_id

    def advance(self, n: int = 1) -> None:
        self._bars.advance(self._id, n)

    def expect(self, total: int) -> None:
        self._bars.update(self._id, total=total)

    def note(self, text: str) -> None:
        self._bars.update(self._id, note=text)


class Bars:
    """A `Progress` that draws bars on standard error: done, rate, time left, notes."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    @contextmanager
    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> Iterator[Task]:
        """Open a bar; it stays on the screen when the work is done."""
        columns = (
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
        )
        with RichProgress(*columns, console=self._console) as bars:
            task_id = bars.add_task(description, total=total, unit=unit, note="")
            yield _BarTask(bars, task_id)
            task = bars.tasks[0]
            if not task.finished:
                bars.update(task_id, total=task.completed)


def say(text: str) -> None:
    """Print a line for people on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(text))


def show_error(text: str) -> None:
    """Print one line that says what went wrong."""
    line = " ".join(text.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print(
        Text.assemble(("lookalike: ", "bold red"), line)
    )


def show_json(content: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # A path that is no text, or a terminal that does not know all letters.
        text = json.dumps(content, indent=2, allow_nan=False)
    _write(text + "\n")


def show_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
) -> None:
    """Print a table on standard output; columns of numbers are aligned to the right."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column, heading in enumerate(headings):
        is_number = all(isinstance(row[column], int | float) for row in rows) and bool(rows)
        table.add_column(_cell(heading), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    # Whoever reads it from a pipe wants each row on one line, however long.
    console = Console(width=None if sys.stdout.isatty() else _ENDLESS, highlight=False)
    with console.capture() as drawn:
        console.print(table)
    _write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))


def drop_output() -> None:
    """Let what is still to be written go nowhere, so that Python does not fail on it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_bytes(data: bytes) -> None:
    """Print bytes as they are on standard output: names of files need not be text."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        drop_output()


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as in `… | head`; nothing is wrong.
        drop_output()


def _cell(value: object) -> Text:
    return Text(f"{value:.3f}" if isinstance(value, float) else str(value))
