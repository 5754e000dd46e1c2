"""The collections that a server shows, and who may do what with them."""

import os
from pathlib import Path
from typing import ClassVar

from django.db import models
from django.db.models import Q, QuerySet

from lookalike.web.models.accounts import User


class Role(models.IntegerChoices):
    """What a person may do with a collection; each may all that those before it may."""

    VIEWER = 1, "viewer"
    EDITOR = 2, "editor"
    OWNER = 3, "owner"


class HostedCollections(models.Manager["HostedCollection"]):
    """Every way to a collection goes through `open_to`."""

    def open_to(self, user: User, role: Role = Role.VIEWER) -> "QuerySet[HostedCollection]":
        """Return the collections with which a person may do what `role` may."""
        if user.is_staff:
            return self.all()
        return self.filter(memberships__user_id=user.pk, memberships__role__gte=role)


class HostedCollection(models.Model):
    """A collection that the server shows."""

    slug = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)
    path = models.CharField(max_length=4096, unique=True, help_text="Its folder, absolute.")
    sources = models.JSONField(default=list, help_text="Folders that `index` keeps it up with.")
    created = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[HostedCollections] = HostedCollections()

    class Meta:
        ordering: ClassVar = ["title"]

    def __str__(self) -> str:
        return self.title

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return Path(os.fsdecode(self.path))

    @property
    def exists(self) -> bool:
        """Whether it has been made; before the first indexing there is none."""
        return (self.folder / "collection.json").is_file()

    def role_of(self, user: User) -> Role | None:
        """Return what a person may do with it; `None` if nothing."""
        if user.is_staff:
            return Role.OWNER
        found = self.memberships.filter(Q(user_id=user.pk)).first()
        return None if found is None else Role(found.role)


class Membership(models.Model):
    """What one person may do with one collection."""

    collection = models.ForeignKey(
        HostedCollection, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.PositiveSmallIntegerField(choices=Role.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["collection", "user"], name="one_role_each")
        ]
