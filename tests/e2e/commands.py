"""Runs the real program in a process of its own, as a person would."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on standard output."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line of complaint on standard error, without progress."""
        lines = [line for line in self.err.splitlines() if line.startswith("lookalike: ")]
        assert len(lines) == 1, f"expected one line of complaint, got: {self.err}"
        assert "Traceback" not in self.err
        return lines[0].removeprefix("lookalike: ")


def lookalike(
    *words: str | bytes | Path,
    cwd: Path | None = None,
    file_limit: int | None = None,
    **environment: str,
) -> Done:
    """Run `lookalike words…`; `file_limit` is the largest file it may write, in bytes."""
    done = subprocess.run(
        [*_program(file_limit), *words],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _program(file_limit: int | None) -> Sequence[str]:
    if file_limit is None:
        return [sys.executable, "-m", "lookalike"]
    limited = (
        "import resource, runpy;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({file_limit}, {file_limit}));"
        "runpy.run_module('lookalike', run_name='__main__')"
    )
    return [sys.executable, "-c", limited]
