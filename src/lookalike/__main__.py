"""The program `lookalike`, also started by `python -m lookalike`.

Whatever goes wrong ends here as one line on standard error and an exit code.
"""

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

import typer
from typer.exceptions import TyperException

from lookalike.cli import app
from lookalike.errors import EnvironmentFault, LookalikeError
from lookalike.terminal import drop_output, show_error, show_json

INTERRUPTED: Final = 130
GO_ON: Final = "interrupted; run the same command again to go on"

YES: Final = ("1", "true", "t", "yes", "y", "on")
"""What turns an option on in the environment."""


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files hold characters that not every terminal knows.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = int(app(list(words), prog_name="lookalike", standalone_mode=False) or 0)
        sys.stdout.flush()
        # Some versions of Typer turn Ctrl-C into this code, others into an exception.
        return _fail(GO_ON, INTERRUPTED, words) if code == INTERRUPTED else code
    except TyperException as error:
        return _fail(error.format_message(), error.exit_code, words)
    except LookalikeError as error:
        return _fail(str(error), error.exit_code, words)
    except OSError as error:
        reason = f"{error.filename or 'the system'}: {error.strerror or error}"
        return _fail(reason, EnvironmentFault.exit_code, words)
    except MemoryError:
        return _fail("the machine has no memory left for this", EnvironmentFault.exit_code, words)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(GO_ON, INTERRUPTED, words)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _fail(message: str, code: int, words: Sequence[str]) -> int:
    try:
        if _wants_json(words):
            show_json({"error": message, "exit_code": code})
        sys.stdout.flush()
    except OSError:
        drop_output()
    if message:  # without any words there is none, and the help is shown already
        show_error(message)
    return code


def _wants_json(words: Sequence[str]) -> bool:
    return "--json" in words or os.environ.get("LOOKALIKE_JSON", "").lower() in YES


if __name__ == "__main__":
    main()
