"""Decoding in worker processes, which may crash or hang on a file without harm to the others.

Each process has a thread here that keeps it: gives it one path at a time, waits for the answer, and
when there is none, kills it, starts another and gives it the same file once more. The processes are
plain interpreters and not `multiprocessing`: they never run the program's main module again, and
what they say is data, never a pickle.
"""

import math
import os
import queue
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Final

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.images.decoding import DEFAULT_LIMITS, DecodeLimits, decode
from lookalike.images.outcomes import LENGTHS, DecodedFile, FailedFile, Outcome, unpack
from lookalike.images.worker_process import PATH_LENGTH, READY, Decoder, command, decode_file

__all__ = ["MOST_WORKERS", "DecodePool", "DecodedFile", "FailedFile"]

_AHEAD: Final = 64
"""Pictures that may be in work or wait for the caller, beyond two for each worker: the workers
stay busy while a network encodes a batch."""

_MOST_AHEAD: Final = 256

MOST_WORKERS: Final = 256
"""More would bring a machine down before they decoded anything."""

_START_SECONDS: Final = 60.0
"""How long a worker may take to be ready; half a second is usual."""

_MOST_HEADER: Final = 2**16

_READ_BYTES: Final = 2**18

_CLOSED: Final = "this DecodePool is closed; open another one"


class DecodePool:
    """Decodes files to pictures of one size, in several processes; use it in a `with` statement.

    A file on which a process crashes, or which takes longer than `seconds`, is given once more to
    a fresh process, and is then reported as failed. Processes can use no more memory than
    `limits.max_memory`. They end with this process, however it ends.

    Args:
        workers: Number of processes; 0 decodes in this one, without protection.
        size: Height and width of the pictures.
        limits: The largest file and picture that is accepted.
        seconds: Longest time for one file. It may take it twice, starting a process included.
        decoder: What decodes; a function of a module, as it goes to the processes by name.

    Raises:
        UsageError: If there are fewer than 0 or more than 256 workers, or if `seconds` or `size`
            is not positive.
    """

    def __init__(
        self,
        workers: int,
        size: tuple[int, int],
        limits: DecodeLimits = DEFAULT_LIMITS,
        seconds: float = 2.4,
        *,
        decoder: Decoder = decode,
    ) -> None:
        if not 0 <= workers <= MOST_WORKERS or not 0 < seconds < math.inf or min(size) < 1:
            raise UsageError(
                f"workers={workers}, seconds={seconds}, size={size}: give 0 to {MOST_WORKERS} "
                "workers, some time and at least one pixel"
            )
        self._setup = _Setup(size, limits, seconds, decoder)
        self._look_ahead = max(workers, min(_AHEAD + 2 * workers, _MOST_AHEAD))
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = _Closing()
        self._keepers = [
            threading.Thread(target=self._keep, daemon=True, name=f"decode-{number}")
            for number in range(workers)
        ]
        for keeper in self._keepers:
            keeper.start()

    def decode(self, paths: Iterable[bytes]) -> Iterator[DecodedFile | FailedFile]:
        """Decode files, in any order; each path gives exactly one outcome.

        `paths` is read in the caller's thread, one by one as outcomes are taken, and only so far
        ahead that the workers stay busy meanwhile (at most 256 pictures).

        Raises:
            EnvironmentFault: If a worker process cannot be started.
            UsageError: If the pool is closed.
        """
        if not self._keepers:
            yield from (self._setup.decode_here(path) for path in paths)
            return
        call = _Call()
        in_flight = 0
        try:
            for path in paths:
                self._submit(path, call)
                in_flight += 1
                if in_flight >= self._look_ahead or not call.results.empty():
                    in_flight -= 1
                    yield call.take()
            for _ in range(in_flight):
                yield call.take()
        finally:
            call.is_abandoned = True

    def close(self) -> None:
        """End the worker processes at once, whatever they are doing."""
        self._closing.close()
        for _ in self._keepers:
            self._tasks.put(None)
        for keeper in self._keepers:
            keeper.join()
        self._closing.release()

    def __enter__(self) -> "DecodePool":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _submit(self, path: bytes, call: "_Call") -> None:
        if self._closing.is_closed:
            raise UsageError(_CLOSED)
        self._tasks.put(_Task(path, call))

    def _keep(self) -> None:
        worker = _Worker(self._setup, self._closing)
        with suppress(OSError):  # if it cannot be started, the first file will tell
            worker.launch()
        try:
            while (task := self._tasks.get()) is not None:
                if not task.call.is_abandoned:
                    task.call.results.put(_answer(worker, task.path, self._setup))
        finally:
            worker.stop()


@dataclass(frozen=True, slots=True)
class _Setup:
    size: tuple[int, int]
    limits: DecodeLimits
    seconds: float
    decoder: Decoder

    @property
    def n_pixel_bytes(self) -> int:
        return 3 * self.size[0] * self.size[1]

    def command(self) -> list[str]:
        return command(self.size, self.limits, self.seconds, self.decoder)

    def decode_here(self, path: bytes) -> Outcome:
        return decode_file(path, self.size, self.limits, self.decoder)


@dataclass(slots=True)
class _Failure:
    """Something that is not the fault of a file, to be raised where outcomes are taken."""

    error: Exception


@dataclass(slots=True)
class _Call:
    """One run of `DecodePool.decode`; it may be given up while files are still in work."""

    results: "queue.SimpleQueue[Outcome | _Failure]" = field(default_factory=queue.SimpleQueue)
    is_abandoned: bool = False

    def take(self) -> Outcome:
        result = self.results.get()
        if isinstance(result, _Failure):
            raise result.error
        return result


@dataclass(frozen=True, slots=True)
class _Task:
    path: bytes
    call: _Call


class _Closing:
    """An event that also wakes whoever waits for a pipe."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self._writer.close()

    def release(self) -> None:
        self.reader.close()


class _NoAnswerError(Exception):
    """A worker died, took too long or talked nonsense."""


def _answer(worker: "_Worker", path: bytes, setup: _Setup) -> Outcome | _Failure:
    """Have a file decoded, in a fresh process if the first one brings no answer."""
    reason = ""
    end = None
    try:
        for _ in range(2):
            worker.start()
            now = time.monotonic()
            end = end or now + 2 * setup.seconds
            # The second time, what is left after starting a process, but no less than half.
            allowed = min(setup.seconds, max(end - now, setup.seconds / 2))
            try:
                return worker.ask(path, now + allowed)
            except _NoAnswerError as error:
                worker.stop()
                reason = str(error)
    except Exception as error:  # not the fault of this file, so the caller must hear of it
        worker.stop()
        return _Failure(error)
    return FailedFile(path, f"tried twice: {reason}", None, None, None, transient=True)


class _Worker:
    """One worker process, or none at the moment; belongs to one thread."""

    def __init__(self, setup: _Setup, closing: _Closing) -> None:
        self._setup = setup
        self._closing = closing
        self._process: subprocess.Popen[bytes] | None = None
        self._selector: selectors.BaseSelector
        self._received = bytearray()
        self._is_ready = False

    def launch(self) -> subprocess.Popen[bytes]:
        """Start a process if there is none, without waiting until it is ready."""
        if self._process is None:
            self._is_ready = False
            self._received.clear()
            self._process = subprocess.Popen(
                self._setup.command(),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                process_group=0,  # Ctrl-C in the terminal is for the parent alone
            )
            self._selector = selectors.DefaultSelector()
            self._selector.register(_pipe(self._process.stdout), selectors.EVENT_READ)
            self._selector.register(self._closing.reader, selectors.EVENT_READ)
        return self._process

    def start(self) -> None:
        """See to it that there is a process that waits for a request.

        Raises:
            EnvironmentFault: If there cannot be one.
        """
        try:
            process = self.launch()
            if not self._is_ready:
                self._read(len(READY), time.monotonic() + _START_SECONDS)
                self._is_ready = True
                _pipe(process.stderr).close()
        except (OSError, _NoAnswerError) as error:
            raise EnvironmentFault(
                f"a decoding process cannot be started ({self._last_words() or error}); "
                "decode without with: --workers 0"
            ) from error

    def ask(self, path: bytes, deadline: float) -> Outcome:
        """Have the process decode a file.

        Raises:
            _NoAnswerError: If it gives no answer until `deadline` (monotonic) or none that can
                be understood.
            UsageError: If the pool is closed meanwhile.
        """
        with suppress(BrokenPipeError):  # then there is no answer either, which tells why
            _pipe(self.launch().stdin).write(PATH_LENGTH.pack(len(path)) + path)
        n_header, n_pixels = LENGTHS.unpack(self._read(LENGTHS.size, deadline))
        if n_header > _MOST_HEADER or n_pixels not in (0, self._setup.n_pixel_bytes):
            raise _NoAnswerError("the decoder gave a wrong answer")
        header = self._read(n_header, deadline)
        pixels = self._read(n_pixels, deadline)
        try:
            return unpack(path, bytes(header), pixels, self._setup.size)
        except (ValueError, KeyError, TypeError) as error:
            raise _NoAnswerError("the decoder gave a wrong answer") from error

    def stop(self) -> None:
        """Kill the process, if there is one; it has nothing to lose."""
        process, self._process = self._process, None
        if process is None:
            return
        self._selector.close()
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # it may hang in the kernel, on a lost disk
            process.wait(timeout=1)
        for pipe in (process.stdin, process.stdout, process.stderr):
            _pipe(pipe).close()

    def _read(self, length: int, deadline: float) -> bytearray:
        """Take the next bytes of what the process says, waiting for them if need be."""
        while len(self._received) < length:
            ready = self._selector.select(max(0.0, deadline - time.monotonic()))
            if self._closing.is_closed:
                raise UsageError(_CLOSED)
            if not ready:
                raise _NoAnswerError(f"it took longer than {self._setup.seconds:g} s")
            part = os.read(_pipe(self.launch().stdout).fileno(), _READ_BYTES)
            if not part:
                raise _NoAnswerError(self._cause_of_death())
            self._received += part
        taken = self._received[:length]
        del self._received[:length]
        return taken

    def _cause_of_death(self) -> str:
        try:
            code = self.launch().wait(timeout=1)
        except subprocess.TimeoutExpired:
            return "the decoder stopped answering"
        if code >= 0:
            return f"the decoder ended with exit code {code}"
        if code == -signal.SIGALRM:
            return f"it took longer than {self._setup.seconds:g} s"
        if code == -signal.SIGKILL:
            return "the decoder was killed, perhaps for lack of memory"
        return f"the decoder crashed ({signal.Signals(-code).name})"

    def _last_words(self) -> str:
        """Return the last line that a process which did not get ready wrote on standard error."""
        if self._process is None:
            return ""
        self._process.kill()
        lines = _pipe(self._process.stderr).read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise RuntimeError("a worker process is started with all three pipes")
    return pipe


def _environment() -> dict[str, str]:
    """One thread for each process, and no warnings turned into errors."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
