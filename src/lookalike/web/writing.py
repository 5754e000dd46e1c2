"""How a page changes a collection: open for writing for the moment of the change, and no longer."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from lookalike.collection import Collection
from lookalike.errors import CollectionLockedError
from lookalike.web.access import View, place
from lookalike.web.models import AuditEntry, HostedCollection, JobKind, JobState

PATIENCE_SECONDS: Final = 2.0
"""So long a request waits for another, or for a job, that changes the same collection; it takes the
place of one that could be answered."""

_POLL_SECONDS: Final = 0.05

_MOST_TARGET: Final = 200

_turns: Final[defaultdict[str, threading.Lock]] = defaultdict(threading.Lock)


@contextmanager
def writing(hosted: HostedCollection) -> Iterator[Collection]:
    """Open a collection to be changed; requests of one server take turns.

    Raises:
        CollectionLockedError: If another process writes, or this one takes too long.
    """
    end = time.monotonic() + _patience(hosted)
    turn = _turns[hosted.path]
    if not turn.acquire(timeout=PATIENCE_SECONDS):
        raise CollectionLockedError(f"{hosted.title} is being changed by somebody else")
    try:
        with _opened(hosted, end) as collection:
            yield collection
    finally:
        turn.release()


def _patience(hosted: HostedCollection) -> float:
    """Return how long to wait for another process: not at all for one that takes long anyway."""
    is_indexing = hosted.jobs.filter(kind=JobKind.INDEX, state=JobState.RUNNING).exists()
    return 0.0 if is_indexing else PATIENCE_SECONDS


def _opened(hosted: HostedCollection, end: float) -> Collection:
    """Open a collection for writing as soon as another process lets go of it."""
    while True:
        try:
            return Collection.open(hosted.folder, writable=True)
        except CollectionLockedError:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_SECONDS)


def when_free(view: View) -> View:
    """Answer a change that another process keeps out with an offer to try it again."""

    @wraps(view)
    def inner(
        request: HttpRequest, hosted: HostedCollection, *args: Any, **words: Any
    ) -> HttpResponseBase:
        try:
            return view(request, hosted, *args, **words)
        except CollectionLockedError:
            sent = [(name, each) for name, all_ in request.POST.lists() for each in all_]
            sent = [pair for pair in sent if pair[0] != "csrfmiddlewaretoken"]
            content = {**place(request, hosted), "sent": sent}
            return render(request, "web/being_written.html", content, status=HTTPStatus.CONFLICT)

    return inner


def note(request: HttpRequest, hosted: HostedCollection, what: str, target: str) -> None:
    """Write a change into the audit log."""
    AuditEntry.write(request, what, f"{hosted.slug}: {target}"[:_MOST_TARGET])
