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
from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

_HEADER_MS: Final = 10_000
_WATCH_SECONDS: Final = 0.5


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def main(host: str, port: int, parent: int) -> None:
    """Answer requests until asked to end."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    Granian(
        "lookalike.web.asgi:application",
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        websockets=False,
        workers=1,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADER_MS),
        log_level=LogLevels.error,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
