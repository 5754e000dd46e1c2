"""Pictures that people search with; they belong to no collection and expire."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from django.db import models
from django.utils import timezone

from lookalike.web.models.accounts import User

KEPT_HOURS: Final = 24


def new_token() -> str:
    """Return a name that cannot be guessed."""
    return secrets.token_urlsafe(18)


def expiry() -> datetime:
    """Return when a picture uploaded now is deleted."""
    return timezone.now() + timedelta(hours=KEPT_HOURS)


class UploadedPicture(models.Model):
    """An upload, re-encoded; the bytes that were sent are not kept."""

    token = models.CharField(max_length=32, primary_key=True, default=new_token)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(default=expiry, db_index=True)
