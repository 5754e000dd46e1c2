"""Runs the real program in a process of its own, as a person would."""

import json
import os
import subprocess
import sys
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


def started_anew(*words: str | bytes | Path, cwd: Path | None = None, **environment: str) -> Done:
    """Run `lookalike words…`, from the start of Python on; `forking.lookalike` is quicker."""
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *words],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)
