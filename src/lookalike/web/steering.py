"""Long work asked for, paused, resumed and cancelled: the same from pages and from programs."""

import uuid
from typing import Any, Final

from lookalike.errors import UsageError
from lookalike.web.models import HostedCollection, Job, JobState, User, Wish

ACTIONS: Final = ("pause", "resume", "cancel")


def ask(
    hosted: HostedCollection,
    user: User,
    kind: str,
    options: dict[str, Any],
    job_id: uuid.UUID | None = None,
) -> Job:
    """Ask for long work; with an id that is there already, return that job."""
    wanted = {"collection": hosted, "created_by": user, "kind": kind, "options": options}
    job, _ = Job.objects.get_or_create(pk=job_id or uuid.uuid4(), defaults=wanted)
    return job


def steer(job: Job, action: str) -> None:
    """Pause, resume or cancel a job; one that is over stays as it is.

    Raises:
        UsageError: If there is no such action.
    """
    mine = Job.objects.filter(pk=job.pk)
    if action not in ACTIONS:
        raise UsageError(f"{action[:20]!r} cannot be done with a job; {', '.join(ACTIONS)} can")
    if action == "resume":
        mine.filter(state=JobState.PAUSED).update(state=JobState.QUEUED, wish=Wish.NONE)
        return
    ended = JobState.PAUSED if action == Wish.PAUSE else JobState.CANCELLED
    # What no worker has taken yet is settled at once; a worker sees the wish within a second.
    if not mine.filter(state__in=[JobState.QUEUED, JobState.PAUSED]).update(state=ended):
        mine.filter(state=JobState.RUNNING).update(wish=action)
