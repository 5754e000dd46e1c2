"""The process that answers requests: `python -m lookalike.web.front HOST PORT PARENT`.

It ends with the process that started it, however that one ended, so that the port is free again.
That process names itself as `PARENT`: who asked only now would take for its parent whoever adopted
it while it was starting.
"""

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

if TYPE_CHECKING:
    from lookalike.web.gate import Application

_PARENT: Final = "LOOKALIKE_FRONT_PROCESS"
"""Environment variable by which this process names itself to the one that it starts."""

_HEADER_MS: Final = 10_000
_WATCH_SECONDS: Final = 0.5
_GRACE_SECONDS: Final = 5


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def leave_with(parent: int, grace: float = _GRACE_SECONDS) -> None:
    """End this process, whatever its threads wait for, some seconds after its parent is gone.

    An answer that was half sent when the loop ended waits for ever, and would keep the port.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        time.sleep(grace)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def in_worker() -> "Application":
    """Return what answers requests, inside the process that does."""
    leave_with(int(os.environ[_PARENT]))
    from lookalike.web.asgi import application  # noqa: PLC0415 - the first process needs no Django

    return application


def main(host: str, port: int, parent: int) -> None:
    """Answer requests until asked to end."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ[_PARENT] = str(os.getpid())
    Granian(
        "lookalike.web.front:in_worker",
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        workers=1,
        workers_kill_timeout=_GRACE_SECONDS,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS),
        log_level=LogLevels.error,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
