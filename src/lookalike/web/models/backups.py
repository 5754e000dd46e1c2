"""Copies of collections, and of the server's own database."""

import uuid
from typing import ClassVar

from django.db import models

from lookalike.web.models.accounts import User
from lookalike.web.models.collections import HostedCollection


class Backup(models.Model):
    """A copy that was found sound; its folder in the server's home has its id as name.

    One without collection is of the server itself, or of a collection that is gone; both are seen
    by staff alone.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    collection = models.ForeignKey(
        HostedCollection, on_delete=models.SET_NULL, null=True, related_name="backups"
    )
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True)
    is_of_server = models.BooleanField(default=False)
    name = models.CharField(max_length=120, help_text="What was copied.")
    made = models.DateTimeField()
    n_images = models.PositiveBigIntegerField(null=True)
    n_bytes = models.PositiveBigIntegerField()
    checksum = models.CharField(max_length=64)

    class Meta:
        ordering: ClassVar = ["-made"]
