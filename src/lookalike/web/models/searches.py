"""Searches that a person wants to ask again."""

from typing import ClassVar, Final
from urllib.parse import urlencode

from django.db import models

from lookalike.web.models.accounts import User
from lookalike.web.models.collections import HostedCollection

SAVED: Final = "saved:"
"""Begins what asks for a saved search in the box of words."""


class SavedSearch(models.Model):
    """A search under a name: `query` holds its `address`, or the whole `query` as JSON.

    What an address can say is kept as one, since the search page shows and changes all of it there;
    anything else is kept as the query value itself.
    """

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

    @property
    def address(self) -> str:
        """What stands behind the question mark of the search page that shows it."""
        own: str | None = self.query.get("address")
        return urlencode({"q": f"{SAVED}{self.name}"}) if own is None else own
