"""A decoder that does to its process whatever a file tells it to, as broken decoders do."""

import os
import re
import signal
import sys
import time
from pathlib import Path

from lookalike.images.decoding import Decoded, DecodeLimits
from lookalike.images.decoding import decode as decode_well


def decode(data: bytes, size: tuple[int, int] | None, limits: DecodeLimits) -> Decoded:
    """Obey the first line, if it is an order, and decode the rest."""
    line, _, rest = data.partition(b"\n")
    order, *argument = line.decode("latin-1").split(maxsplit=1)
    if order in ORDERS:
        ORDERS[order](*argument)
        return decode_well(rest, (1, 1) if order == "shrink" else size, limits)
    return decode_well(data, size, limits)


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep(seconds: str) -> None:
    time.sleep(float(seconds))


def _hang_holding_the_interpreter() -> None:
    re.match("(a+)+$", "a" * 60 + "b")


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _crash_once(marker: str) -> None:
    if not Path(marker).exists():
        Path(marker).touch()
        _crash()


def _chatter() -> None:
    """What C libraries print must neither reach the terminal nor be taken for an answer."""
    os.write(1, b"warning " * 1000)
    os.write(2, b"warning " * 1000)
    print("warning", flush=True)  # noqa: T201


def _hoard() -> None:
    bytearray(2**30)


def _raise() -> None:
    raise RuntimeError("not one of the errors a decoder may raise")


def _write_pid(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    time.sleep(60)


def _write_modules(path: str) -> None:
    Path(path).write_text("\n".join(sys.modules))


def _nothing() -> None:
    pass


ORDERS = {
    "crash": _crash,
    "die": _die,
    "sleep": _sleep,
    "hang": _hang_holding_the_interpreter,
    "stop": _stop,
    "crash-once": _crash_once,
    "chatter": _chatter,
    "hoard": _hoard,
    "raise": _raise,
    "pid": _write_pid,
    "modules": _write_modules,
    "shrink": _nothing,
}
