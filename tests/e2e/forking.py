"""Runs the real program many times without the second that each start of Python takes.

A process that has loaded the program, but not yet used it, forks a copy of itself for each command.
Run as a script it is that process; `Forker` is the other end, in the test.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (or minus the signal) and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Forker:
    """Starts commands one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, *words: str | Path, watch: Callable[[int], None] | None = None, **environment: str
    ) -> Ended:
        """Run `lookalike words…`; `watch` is given its process id and may kill it."""
        out, err = self._folder / "out", self._folder / "err"
        order = {
            "words": list(map(str, words)),
            "environment": environment,
            "out": str(out),
            "err": str(err),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if watch is not None:
            watch(pid)
        code = int(self._process.stdout.readline())
        return Ended(code, out.read_text(), err.read_text())

    def close(self) -> None:
        self._process.communicate()


@contextlib.contextmanager
def forker() -> Iterator[Forker]:
    with tempfile.TemporaryDirectory() as folder:
        started = Forker(Path(folder))
        try:
            yield started
        finally:
            started.close()


def kill_after(seconds: float, log: Path) -> Callable[[int], None]:
    """Kill a process so long after the first line in its failpoint log, if it still runs."""

    def watch(pid: int) -> None:
        while _is_alive(pid) and not log.exists():
            time.sleep(0.001)
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    return watch


def _is_alive(pid: int) -> bool:
    """Whether it runs; one that has ended stays in the list until its parent asks for its code."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def _serve() -> None:
    # Loaded here, once, so that no command has to.
    import lookalike.__main__
    import lookalike.collection  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _obey(order)
        _answer(pid)
        _, status = os.waitpid(pid, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _obey(order: dict[str, Any]) -> None:
    from lookalike.__main__ import main

    for descriptor, name in ((1, "out"), (2, "err")):
        file = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])
    sys.argv = ["lookalike", *order["words"]]
    code = 70
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
