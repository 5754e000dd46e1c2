"""Named places between two persistent steps where a test can stop the process dead.

`LOOKALIKE_FAILPOINT=name` (or `name:3` for the third time it is reached) makes the process kill
itself there with SIGKILL, as a power cut would. Without the variable a failpoint costs one
dictionary look-up. `LOOKALIKE_FAILPOINT_LOG=file` appends the name of each failpoint passed, from
which the tests learn all names, so that none is forgotten.
"""

import os
import signal
from collections import Counter
from pathlib import Path

_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Die here if the environment asks for it."""
    log = os.environ.get("LOOKALIKE_FAILPOINT_LOG")
    if log:
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
    wanted = os.environ.get("LOOKALIKE_FAILPOINT")
    if wanted:
        _passed[name] += 1
        wanted_name, _, nth = wanted.partition(":")
        if name == wanted_name and _passed[name] == int(nth or 1):
            os.kill(os.getpid(), signal.SIGKILL)
