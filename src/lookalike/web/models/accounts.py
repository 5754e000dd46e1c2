"""People, and what they prove themselves with."""

import hashlib
import secrets
from datetime import timedelta
from typing import ClassVar, Final

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone

WELCOME_HOURS: Final = 24
TOKEN_PREFIX: Final = "look_"
_SECRET_BYTES: Final = 32
_SHOWN: Final = 8
_NOTED: Final = timedelta(hours=1)


class User(AbstractUser):
    """A person. Staff may do everything; all others what their memberships say."""


def digest(secret: str) -> str:
    """Return what is stored of a secret that has 256 random bits: its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


class WelcomeLink(models.Model):
    """A link that opens an account once, so that there is never a default password."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    digest = models.CharField(max_length=64, unique=True)
    expires = models.DateTimeField()

    @classmethod
    def make(cls, user: User) -> str:
        """Make a link for a person and return its secret, which is not kept."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        expires = timezone.now() + timedelta(hours=WELCOME_HOURS)
        cls.objects.create(user=user, digest=digest(secret), expires=expires)
        return secret

    @classmethod
    def redeem(cls, secret: str) -> User | None:
        """Use a link up and return the person whom it opens; `None` if it is none any more."""
        link = cls.objects.select_related("user").filter(digest=digest(secret)).first()
        if link is None:
            return None
        # Only one of two requests that come at once deletes it.
        n_deleted, _ = cls.objects.filter(pk=link.pk).delete()
        return link.user if n_deleted and link.expires > timezone.now() else None


class ApiToken(models.Model):
    """What a program proves itself with; shown once, stored as a digest."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    shown = models.CharField(max_length=16, help_text="First characters, to tell tokens apart.")
    digest = models.CharField(max_length=64, unique=True)
    may_write = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created"]

    @classmethod
    def make(cls, user: User, name: str, *, may_write: bool, days: int | None) -> str:
        """Make a token and return it; only its digest is kept."""
        token = TOKEN_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        expires = None if days is None else timezone.now() + timedelta(days=days)
        cls.objects.create(
            user=user,
            name=name,
            shown=token[: len(TOKEN_PREFIX) + _SHOWN],
            digest=digest(token),
            may_write=may_write,
            expires=expires,
        )
        return token

    @classmethod
    def find(cls, token: str) -> "ApiToken | None":
        """Return the token that a program shows if it holds now, and note its use now and then.

        A write costs more than a search, and people are shown the day.
        """
        now = timezone.now()
        found = cls.objects.select_related("user").filter(digest=digest(token)).first()
        if found is None or not found.user.is_active or (found.expires and found.expires <= now):
            return None
        if found.last_used is None or now - found.last_used > _NOTED:
            cls.objects.filter(pk=found.pk).update(last_used=now)
        return found
