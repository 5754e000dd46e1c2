"""Searches that a person wants to ask again."""

from typing import ClassVar

from django.db import models

from lookalike.web.models.accounts import User
from lookalike.web.models.collections import HostedCollection


class SavedSearch(models.Model):
    """A query under a name."""

    owner = models.ForeignKey(User, on_delete=models.CASCADE)
    collection = models.ForeignKey(HostedCollection, on_delete=models.CASCADE)
    name = models.CharField(max_length=120)
    query = models.JSONField()
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "collection", "name"], name="one_of_a_name")
        ]
