"""Answers to changes that may be asked for twice: the second time nothing is done again."""

import uuid
from datetime import timedelta
from typing import ClassVar, Final

from django.db import models
from django.utils import timezone

from lookalike.web.models.accounts import User

KEPT_HOURS: Final = 24
LEASE_SECONDS: Final = 60.0
"""A request that has not been answered for so long has died with its process."""

_IDS: Final = uuid.UUID("6b0a1c5e-6f0f-4f0b-9d5b-1f6f2f0f9a11")


class KeptAnswer(models.Model):
    """What a change was answered with; `status` is empty while it is being made."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    key = models.CharField(max_length=128)
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    status = models.PositiveSmallIntegerField(null=True)
    content = models.TextField(blank=True)
    lease_until = models.DateTimeField()
    created = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "key"], name="one_answer_for_a_key")
        ]

    @property
    def made_id(self) -> uuid.UUID:
        """The id of what this change makes: the same when it is made anew after a kill."""
        return uuid.uuid5(_IDS, f"{self.pk} {self.created.isoformat()}")

    @classmethod
    def delete_old(cls) -> int:
        """Delete the answers whose day is over; return how many."""
        old = cls.objects.filter(created__lt=timezone.now() - timedelta(hours=KEPT_HOURS))
        n, _ = old.delete()
        return n
