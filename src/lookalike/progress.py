"""How long work reports its progress without knowing who listens.

The library calls a `Progress`; the command line draws a bar from it, a web job stores it, and a
test or a quiet caller passes `SILENT`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol, runtime_checkable


@runtime_checkable
class Task(Protocol):
    """One piece of work in progress."""

    def advance(self, n: int = 1) -> None:
        """Say that `n` more units are done."""
        ...

    def expect(self, total: int) -> None:
        """Set the number of units now known to be needed in all."""
        ...

    def note(self, text: str) -> None:
        """Show a few words beside the bar: losses, rate, failures."""
        ...


@runtime_checkable
class Progress(Protocol):
    """Opens tasks."""

    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> AbstractContextManager[Task]:
        """Open a task; `total` is `None` while unknown."""
        ...


class _SilentTask:
    def advance(self, n: int = 1) -> None:
        pass

    def expect(self, total: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class Silent:
    """A `Progress` that shows nothing."""

    @contextmanager
    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> Iterator[Task]:
        """Open a task that shows nothing."""
        yield _SilentTask()


SILENT: Final = Silent()

SILENT_TASK: Final[Task] = _SilentTask()
"""A task that shows nothing."""
