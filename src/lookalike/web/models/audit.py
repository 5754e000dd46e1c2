"""Who did what, when; rows are only ever added, and each seals those before it."""

import hashlib
import json
from typing import ClassVar

from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from lookalike.web.models.accounts import User


class AuditEntry(models.Model):
    """One thing that somebody did.

    `seal` is the SHA-256 of the entry and of the seal before it, so that a row that was changed or
    taken out later is noticed.
    """

    when = models.DateTimeField()
    who = models.CharField(max_length=150)
    what = models.CharField(max_length=40)
    target = models.CharField(max_length=200, blank=True)
    address = models.CharField(max_length=45, blank=True)
    seal = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-id"]

    @classmethod
    def write(cls, request: HttpRequest, what: str, target: str = "") -> None:
        """Add an entry for the person who makes a request."""
        who = request.user.get_username() if isinstance(request.user, User) else ""
        address = request.META.get("REMOTE_ADDR") or ""
        with transaction.atomic():
            last = cls.objects.order_by("-id").first()
            entry = cls(when=timezone.now(), who=who, what=what, target=target, address=address)
            entry.seal = entry.sealed(last.seal if last else "")
            entry.save()

    def sealed(self, before: str) -> str:
        """Return the seal that this entry has after one with the seal `before`."""
        content = [before, self.when.isoformat(), self.who, self.what, self.target, self.address]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @classmethod
    def first_broken(cls) -> "AuditEntry | None":
        """Return the first entry that is not as it was written; `None` if all are."""
        before = ""
        for entry in cls.objects.order_by("id").iterator():
            if entry.seal != entry.sealed(before):
                return entry
            before = entry.seal
        return None
