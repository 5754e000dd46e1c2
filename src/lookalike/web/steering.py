"""Long work asked for, paused, resumed and cancelled: the same from pages and from programs."""

import uuid
from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404

from lookalike.errors import UsageError
from lookalike.web.models import HostedCollection, Job, JobKind, Role, User

OF_OWNERS: Final = (JobKind.BACKUP, JobKind.RESTORE)
"""Jobs whose reports name what only owners may know of."""

ACTIONS: Final = ("pause", "resume", "cancel")


def make_once(
    hosted: HostedCollection,
    user: User,
    kind: str,
    options: dict[str, Any],
    job_id: uuid.UUID | None = None,
) -> Job:
    """Make a job; with an id that is there already, return that one."""
    wanted = {"collection": hosted, "created_by": user, "kind": kind, "options": options}
    job, _ = Job.objects.get_or_create(pk=job_id or uuid.uuid4(), defaults=wanted)
    return job


def jobs_of(hosted: HostedCollection, user: User) -> QuerySet[Job]:
    """Return the jobs of a collection that a person may know of, the last first."""
    role = hosted.role_of(user)
    jobs: QuerySet[Job] = hosted.jobs.all()
    return jobs if role == Role.OWNER else jobs.exclude(kind__in=OF_OWNERS)


def find(hosted: HostedCollection, user: User, job_id: uuid.UUID) -> Job:
    """Return a job that a person may know of.

    Raises:
        Http404: If there is none.
    """
    found = jobs_of(hosted, user).filter(pk=job_id).first()
    if found is None:
        raise Http404("there is no such job")
    return found


def steer(job: Job, action: str) -> None:
    """Pause, resume or cancel a job; one that is over stays as it is.

    Raises:
        UsageError: If there is no such action.
    """
    if not job.steer(action):
        raise UsageError(f"{action[:20]!r} cannot be done with a job; {', '.join(ACTIONS)} can")
