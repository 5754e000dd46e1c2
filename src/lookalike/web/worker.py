"""The process that does long work: `python -m lookalike.web.worker PARENT`.

It takes one job at a time from the database, under a lease that it renews while it works. Killed at
any point it leaves a job that is taken again when the lease is over, and goes on where it was:
indexing commits in batches, and does only what is new. It ends when the process `PARENT`, which
started it, is gone.
"""

import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, TypeAlias

import django
from django.db import DatabaseError, close_old_connections, connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lookalike.web.settings")
django.setup()

from lookalike.errors import (  # noqa: E402 - Django must be set up first
    CollectionLockedError,
    LookalikeError,
    UsageError,
)
from lookalike.failpoints import failpoint  # noqa: E402
from lookalike.progress import Progress, Task  # noqa: E402
from lookalike.web import atlases, backups, trainings, uploads  # noqa: E402
from lookalike.web.models import (  # noqa: E402
    Job,
    JobState,
    KeptAnswer,
    LearningRun,
    ServerBackupJob,
    Wish,
)
from lookalike.web.models.jobs import LEASE_SECONDS, LongWork  # noqa: E402
from lookalike.web.work import WORK  # noqa: E402

log = logging.getLogger("lookalike.web.worker")

AnyJob: TypeAlias = Job | ServerBackupJob | LearningRun

IDLE_SECONDS: Final = 0.5
RENEW_SECONDS: Final = 0.5
CLEAN_SECONDS: Final = 600.0


class _StoppedError(Exception):
    """A person wants the job to pause or to end, or another worker has it."""

    def __init__(self, wish: Wish | None) -> None:
        super().__init__(wish)
        self.wish = wish


class JobProgress:
    """Stores in the database how far a job is, and stops it when that is wished."""

    def __init__(self, job: LongWork) -> None:
        self._job = job
        self._renewed = 0.0

    @contextmanager
    def task(
        self, description: str, total: int | None = None, unit: str = "images"
    ) -> Iterator[Task]:
        """Open a task; it becomes the job's step."""
        self._job.step, self._job.n_done, self._job.n_expected = description, 0, total
        self.renew(force=True)
        yield self
        self.renew(force=True)

    def advance(self, n: int = 1) -> None:
        """Say that `n` more units are done."""
        self._job.n_done += n
        self.renew()

    def expect(self, total: int) -> None:
        """Set the number of units now known to be needed in all."""
        self._job.n_expected = total

    def note(self, text: str) -> None:
        """Show a few words."""
        self._job.note = text[:200]

    def renew(self, *, force: bool = False) -> None:
        """Renew the lease; stop if a person wants it or another worker has taken the job.

        Raises:
            _StoppedError: Then.
        """
        now = time.monotonic()
        if not force and now - self._renewed < RENEW_SECONDS:
            return
        self._renewed = now
        wish = self._job.renew()
        if wish is None or wish != Wish.NONE:
            raise _StoppedError(wish)


def work_on(job: AnyJob, progress: Progress) -> None:
    """Do a job; leaves its report in it.

    Raises:
        UsageError: If nobody knows how to.
    """
    if job.kind not in WORK:
        raise UsageError(f"there is no work of kind {job.kind!r}; is the worker older than that?")
    with _heartbeat(job):
        job.report = WORK[job.kind](job, progress)
    failpoint("web.job.worked")


@contextmanager
def _heartbeat(job: LongWork) -> Iterator[None]:
    """Keep the lease through steps that tell of no progress for longer than it lasts."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(LEASE_SECONDS / 3):
            try:
                job.keep()
            except DatabaseError:  # locked for long: the next beat may come in time
                log.warning("the lease of a job was not renewed", extra={"job": str(job.pk)})
        connection.close()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run_job(job: AnyJob) -> None:
    """Do a job and store how it ended."""
    try:
        work_on(job, JobProgress(job))
    except _StoppedError as stopped:
        if stopped.wish is not None:
            job.end(JobState.PAUSED if stopped.wish == Wish.PAUSE else JobState.CANCELLED)
    except CollectionLockedError as error:
        job.note = str(error)[:200]
        job.end(JobState.QUEUED)
        time.sleep(2 * IDLE_SECONDS)
    except LookalikeError as error:
        job.end(JobState.FAILED, error=str(error))
    except Exception:
        log.exception("a job failed", extra={"job": str(job.pk)})
        job.end(JobState.FAILED, error="an error in the program; the log of the server has it")
    else:
        job.end(JobState.DONE)


def serve(stop: threading.Event, parent: int, *kinds: type[AnyJob]) -> None:
    """Take jobs until told to stop, or until `parent`, which started this process, is gone.

    Of several kinds those named first come first.
    """
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    cleaned = 0.0
    while not stop.is_set() and os.getppid() == parent:
        close_old_connections()
        if time.monotonic() - cleaned > CLEAN_SECONDS:
            cleaned = time.monotonic()
            clean(kinds[0])
        job = _next(kinds, name)
        if job is None:
            stop.wait(IDLE_SECONDS)
        else:
            run_job(job)


def _next(kinds: Sequence[type[AnyJob]], name: str) -> AnyJob | None:
    return next((job for kind in kinds if (job := kind.take(name)) is not None), None)


def clean(kind: type[AnyJob]) -> None:
    """Delete what is kept for a time only, once that is over, and what nobody needs any more."""
    if kind is LearningRun:
        trainings.delete_abandoned()
    else:
        uploads.delete_expired()
        atlases.delete_old()
        KeptAnswer.delete_old()
        backups.delete_strays()


def _serve_learning(stop: threading.Event, parent: int) -> None:
    """Take runs; what is wrong here ends the whole process, which is started again."""
    try:
        serve(stop, parent, LearningRun)
    except Exception:
        log.exception("the thread that waits for learning ended")
        os._exit(1)


def main(parent: int) -> None:
    """Run the worker until it is asked to end."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        # What is at work is abandoned: batches are whole, and the lease lets another go on.
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Learning takes hours, so it has a thread of its own, which waits for a process of its own.
    threading.Thread(target=_serve_learning, args=(stop, parent), daemon=True).start()
    serve(stop, parent, ServerBackupJob, Job)


if __name__ == "__main__":
    main(int(sys.argv[1]))
