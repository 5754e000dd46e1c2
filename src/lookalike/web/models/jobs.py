"""Long work, as rows: taken by a worker under a lease, paused, resumed, cancelled."""

import uuid
from datetime import timedelta
from typing import ClassVar, Final

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


class Job(models.Model):
    """One piece of long work on a collection."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(HostedCollection, on_delete=models.CASCADE, related_name="jobs")
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    kind = models.CharField(max_length=20)
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

    class Meta:
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

    @classmethod
    def take(cls, worker: str) -> "Job | None":
        """Take the oldest job that waits or whose worker has died; `None` if there is none.

        Two workers never take the same one: the second finds it changed.
        """
        now = timezone.now()
        is_free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
        with transaction.atomic():
            found = cls.objects.filter(is_free).order_by("created").first()
            if found is None:
                return None
            n_taken = cls.objects.filter(is_free, pk=found.pk).update(
                state=JobState.RUNNING,
                worker=worker,
                lease_until=now + timedelta(seconds=LEASE_SECONDS),
                started=found.started or now,
                error="",
            )
        return cls.objects.get(pk=found.pk) if n_taken else None

    def renew(self) -> Wish | None:
        """Tell that the worker lives, store its progress, and return what is wished.

        Returns:
            `None` if the job has been taken by another worker, which this one must leave alone.
        """
        mine = Job.objects.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)
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
        return Wish(Job.objects.values_list("wish", flat=True).get(pk=self.pk))

    def keep(self) -> None:
        """Tell that the worker lives while a step takes longer than the lease."""
        mine = Job.objects.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)
        mine.update(lease_until=timezone.now() + timedelta(seconds=LEASE_SECONDS))

    def end(self, state: JobState, *, error: str = "") -> bool:
        """Store how it ended; `False` if another worker has it by now."""
        mine = Job.objects.filter(pk=self.pk, state=JobState.RUNNING, worker=self.worker)
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
