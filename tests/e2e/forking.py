"""Runs the real program many times without the second that each start of Python takes.

A process that has loaded the program, but not yet used it, forks a copy of itself for each command.
Run as a script it is that process; `Forker` is the other end, in the test.
"""

import atexit
import contextlib
import functools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from commands import Done


class Forker:
    """Starts commands one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        *words: str | bytes | Path,
        watch: Callable[[int], None] | None = None,
        cwd: Path | None = None,
        file_limit: int | None = None,
        **environment: str,
    ) -> Done:
        """Run `lookalike words…`; `watch` is given its process id and may kill it.

        A negative code is a signal; `file_limit` is the largest file it may write, in bytes.
        """
        out, err = self._folder / "out", self._folder / "err"
        order = {
            "words": [os.fsdecode(word) for word in words],
            "environment": environment,
            "out": str(out),
            "err": str(err),
            "cwd": str(cwd or Path.cwd()),
            "file_limit": file_limit,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        if watch is not None:
            watch(pid)
        code = int(self._process.stdout.readline())
        return Done(code, out.read_text(errors="replace"), err.read_text(errors="replace"))

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


def lookalike(*words: str | bytes | Path, **options: Any) -> Done:
    """As `commands.started_anew`, from one process that all tests of a run share."""
    return _shared().run(*words, **{**os.environ, "COLUMNS": "200", **options})


@functools.cache
def _shared() -> Forker:
    remaining = contextlib.ExitStack()
    atexit.register(remaining.close)
    return remaining.enter_context(forker())


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
    os.chdir(order["cwd"])
    if order["file_limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_limit"], order["file_limit"]))
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
