"""Long work asked for, paused, resumed and cancelled: the same from pages and from programs."""

import uuid
from typing import Any, Final

from lookalike.errors import UsageError
from lookalike.web.models import HostedCollection, Job, User

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
    if not job.steer(action):
        raise UsageError(f"{action[:20]!r} cannot be done with a job; {', '.join(ACTIONS)} can")
