"""Asking for long work from a page, once, and telling the page what is being worked on."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from lookalike.web.models import HostedCollection, Job, JobKind, JobState, User


def waiting(hosted: HostedCollection, *kinds: JobKind) -> Job | None:
    """Return the first job of these kinds that waits for the worker or is at work."""
    states = [JobState.QUEUED, JobState.RUNNING]
    return hosted.jobs.filter(kind__in=kinds, state__in=states).last()


def shown(hosted: HostedCollection, *kinds: JobKind) -> Job | None:
    """Return the job of these kinds that a page shows.

    That at work, else the last if it failed, or pauses and can be taken up again.
    """
    last = hosted.jobs.filter(kind__in=kinds).first()
    is_left = last is not None and last.state in (JobState.FAILED, JobState.PAUSED)
    return waiting(hosted, *kinds) or (last if is_left else None)


@transaction.atomic
def ask(
    hosted: HostedCollection,
    person: User | None,
    kind: JobKind,
    options: dict[str, Any],
    *,
    not_beside: Sequence[JobKind] = (),
) -> Job | None:
    """Ask for work; `None` if such work, or that of a kind it cannot go beside, waits already."""
    # Of two requests at once one sees the job of the other.
    HostedCollection.objects.select_for_update().get(pk=hosted.pk)
    if waiting(hosted, kind, *not_beside) is not None:
        return None
    return Job.objects.create(collection=hosted, created_by=person, kind=kind, options=options)
