"""The process that decodes files for a `workers.DecodePool`, one after the other, until it dies.

It imports little, so that a new one is soon there; it obeys nobody but its standard input, and
ends with it, so that it never outlives the process that started it.
"""

import importlib
import json
import os
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any, BinaryIO, Final, TypeAlias

from PIL import AvifImagePlugin, Image

from lookalike.errors import ImageError, ImageLimitError
from lookalike.images.decoding import Decoded, DecodeLimits, decode
from lookalike.images.files import content_hash, read_content
from lookalike.images.outcomes import DecodedFile, FailedFile, Outcome, pack

Decoder: TypeAlias = Callable[[bytes, tuple[int, int] | None, DecodeLimits], Decoded]

READY: Final = b"ready"
"""Said once, before the first request is read."""

PATH_LENGTH: Final = struct.Struct("<I")
"""A request is the length of a path and the path."""

_BOOT: Final = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from lookalike.images.worker_process import main; main(json.loads(sys.argv[2]))"
)
"""What the interpreter of a worker runs: it finds modules where its parent finds them."""


def decode_file(
    path: bytes, size: tuple[int, int], limits: DecodeLimits, decoder: Decoder = decode
) -> Outcome:
    """Read and decode one file; whatever is wrong with it becomes a `FailedFile`."""
    try:
        content = read_content(path, limits.max_bytes)
    except ImageError as error:
        return FailedFile(path, error.reason, None, None, None, transient=True)
    digest, n_bytes = content_hash(content.data), len(content.data)
    try:
        decoded = decoder(content.data, size, limits)
    except ImageError as error:
        is_over_limit = isinstance(error, ImageLimitError)
        return FailedFile(path, error.reason, digest, n_bytes, content.mtime_ns, is_over_limit)
    return DecodedFile(
        path=path,
        hash=digest,
        pixels=decoded.pixels,
        width=decoded.width,
        height=decoded.height,
        format=decoded.format,
        size=n_bytes,
        mtime_ns=content.mtime_ns,
        metadata=decoded.metadata,
    )


def command(
    size: tuple[int, int], limits: DecodeLimits, seconds: float, decoder: Decoder
) -> list[str]:
    """Return the command line of a worker.

    The decoder goes by its name, so it must be a function of a module.
    """
    order = {
        "size": size,
        "limits": asdict(limits),
        "seconds": seconds,
        "decoder": (decoder.__module__, decoder.__qualname__),
    }
    return [sys.executable, "-c", _BOOT, json.dumps(sys.path), json.dumps(order)]


def main(order: dict[str, Any]) -> None:
    """Answer requests from standard input on standard output until there are no more."""
    module, name = order["decoder"]
    limits = DecodeLimits(**order["limits"])
    answer = partial(
        decode_file,
        size=tuple(order["size"]),
        limits=limits,
        decoder=getattr(importlib.import_module(module), name),
    )
    _confine(limits)
    requests, answers = _take_pipes()
    with suppress(BrokenPipeError):
        answers.write(READY)
        answers.flush()
        _serve(requests, answers, answer, order["seconds"])


def _serve(
    requests: BinaryIO, answers: BinaryIO, answer: Callable[[bytes], Outcome], seconds: float
) -> None:
    while True:
        length = requests.read(PATH_LENGTH.size)
        if len(length) < PATH_LENGTH.size:
            return
        path = requests.read(*PATH_LENGTH.unpack(length))
        # The parent ends what hangs; this ends it when the parent is no more.
        signal.setitimer(signal.ITIMER_REAL, 2 * seconds)
        outcome = answer(path)
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(pack(outcome))
        answers.flush()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for ourselves and give everybody else, C libraries above all, nothing."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return requests, answers


def _confine(limits: DecodeLimits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    # Our own limit of pixels is checked; there are as many processes as there should be threads.
    Image.MAX_IMAGE_PIXELS = None
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    for kind, most in ((resource.RLIMIT_AS, limits.max_memory), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            continue  # macOS knows the first and does not let it be set
