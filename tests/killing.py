"""Killing a function at a failpoint, in a forked process, without the time a new Python takes."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from lookalike import failpoints


def failpoints_of(function: Callable[[], object], log: Path) -> list[str]:
    """Names of the failpoints that `function` passes, as `name:1`, `name:2`, … in their order."""
    assert _fork(function, LOOKALIKE_FAILPOINT_LOG=str(log)) == 0
    passed = log.read_text().split()
    return [f"{name}:{passed[: place + 1].count(name)}" for place, name in enumerate(passed)]


def kill_at(failpoint: str, function: Callable[[], object]) -> None:
    """Run `function` and have it killed at `failpoint`, which it must reach."""
    assert _fork(function, LOOKALIKE_FAILPOINT=failpoint) == -signal.SIGKILL, failpoint


def _fork(function: Callable[[], object], **environment: str) -> int:
    with warnings.catch_warnings():
        # Threads that wait for work do no harm to what is run here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _run(function, environment)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _run(function: Callable[[], object], environment: dict[str, str]) -> None:
    failpoints._passed.clear()
    os.environ.update(environment)
    try:
        function()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
