"""Long work, as rows: taken by a worker under a lease, paused, resumed, cancelled."""

import uuid
from datetime import timedelta
from typing import ClassVar, Final, TypeVar

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from lookalike.web.models.accounts import User
from lookalike.web.models.collections import HostedCollection

LEASE_SECONDS: Final = 15.0
"""A worker that has not been heard of for so long has died, and its job is taken by another."""


class JobKind(models.TextChoices):
    """What a job does."""

    INDEX = "index"
    CLUSTERS = "clusters"
    MAP = "map"
    PROPAGATE = "propagate"
    UNDO = "undo"
    DUPLICATES = "duplicates"
    VERIFY = "verify"
    BACKUP = "backup"
    RESTORE = "restore"
    EVALUATE = "evaluate"


class JobState(models.TextChoices):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Wish(models.TextChoices):
    """What a person wants a running job to do; the worker sees it within a second."""

    NONE = ""
    PAUSE = "pause"
    CANCEL = "cancel"


OVER: Final = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


AnyWork = TypeVar("AnyWork", bound="LongWork")


class LongWork(models.Model):
    """What all long work has: where it stands, who does it, how it ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    wish = models.CharField(max_length=8, choices=Wish.choices, default=Wish.NONE, blank=True)
    step = models.CharField(max_length=80, blank=True)
    n_done = models.PositiveBigIntegerField(default=0)
    n_expected = models.PositiveBigIntegerField(null=True)
    note = models.CharField(max_length=200, blank=True)
    report = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    worker = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    started = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)

    RESUMABLE: ClassVar[tuple[JobState, ...]] = (JobState.PAUSED,)

    class Meta:
        abstract = True
        ordering: ClassVar = ["-created"]
        indexes: ClassVar = [models.Index(fields=["state", "created"])]

    @property
    def is_over(self) -> bool:
        """Whether nothing will happen to it any more by itself."""
        return self.state in OVER

    @property
    def share(self) -> float | None:
        """How much of the step is done, from 0 to 1; `None` while that is not known."""
        if self.state == JobState.DONE:
            return 1.0
        return min(1.0, self.n_done / self.n_expected) if self.n_expected else None

    @property
    def took(self) -> timedelta | None:
        """How long it took from when a worker began; `None` before its end."""
        return self.finished - self.started if self.started and self.finished else None

    @classmethod
    def take(cls: type[AnyWork], worker: str) -> "AnyWork | None":
        """Take the oldest work that waits or whose worker has died; `None` if there is none.

        Two workers never take the same one: the second finds it changed.
        """
        now = timezone.now()
        is_free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
        with transaction.atomic():
            found = cls._default_manager.filter(is_free).order_by("created").first()
            if found is None:
                return None
            n_taken = cls._default_manager.filter(is_free, pk=found.pk).update(
                state=JobState.RUNNING,
                worker=worker,
                lease_until=now + timedelta(seconds=LEASE_SECONDS),
                started=found.started or now,
                error="",
            )
        return cls._default_manager.get(pk=found.pk) if n_taken else None

    def renew(self) -> Wish | None:
        """Tell that the worker lives, store its progress, and return what is wished.

        Returns:
            `None` if the work has been taken by another worker, which this one must leave alone.
        """
        mine = self._mine()
        until = timezone.now() + timedelta(seconds=LEASE_SECONDS)
        n_renewed = mine.update(
            lease_until=until,
            step=self.step,
            n_done=self.n_done,
            n_expected=self.n_expected,
            note=self.note,
        )
        if not n_renewed:
            return None
        everything = type(self)._default_manager
        return Wish(everything.values_list("wish", flat=True).get(pk=self.pk))

    def keep(self) -> None:
        """Tell that the worker lives while a step takes longer than the lease."""
        mine = self._mine()
        mine.update(lease_until=timezone.now() + timedelta(seconds=LEASE_SECONDS))

    def end(self, state: JobState, *, error: str = "") -> bool:
        """Store how it ended; `False` if another worker has it by now."""
        mine = self._mine()
        return bool(
            mine.update(
                state=state,
                wish=Wish.NONE,
                n_done=self.n_done,
                n_expected=self.n_expected,
                note=self.note,
                report=self.report,
                error=error,
                finished=None if state == JobState.PAUSED else timezone.now(),
            )
        )

    def steer(self, action: str) -> bool:
        """Pause, resume or cancel it; `False` if there is no such action.

        What no worker has taken yet is settled at once; a worker sees the wish within a second.
        """
        mine = type(self)._default_manager.filter(pk=self.pk)
        if action == "resume":
            waiting = mine.filter(state__in=self.RESUMABLE)
            waiting.update(state=JobState.QUEUED, wish=Wish.NONE, finished=None)
        elif action in (Wish.PAUSE, Wish.CANCEL):
            ended = JobState.PAUSED if action == Wish.PAUSE else JobState.CANCELLED
            if not mine.filter(state__in=[JobState.QUEUED, JobState.PAUSED]).update(state=ended):
                mine.filter(state=JobState.RUNNING).update(wish=action)
        else:
            return False
        return True

    def _mine(self: AnyWork) -> "models.QuerySet[AnyWork]":
        everything = type(self)._default_manager
        return everything.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)


class Job(LongWork):
    """One piece of long work on a collection."""

    collection = models.ForeignKey(HostedCollection, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=20)


class ServerBackupJob(LongWork):
    """A copy of the server's own database that is being made; it belongs to no collection."""

    kind: ClassVar[str] = "server backup"


class LearningRun(LongWork):
    """A model that is learned for a person; it belongs to no collection.

    `options` holds what was ordered, see `lookalike.web.trainings.Order`. All its files lie in
    `ServerHome.trainings`, in a folder named by its id.
    """

    title = models.CharField(max_length=120, unique=True)
    kind: ClassVar[str] = "learn"
    RESUMABLE: ClassVar[tuple[JobState, ...]] = (JobState.PAUSED, JobState.FAILED)
