"""Searches under a name: a person's own, for one collection."""

from typing import Final

from django.db import transaction

from lookalike.errors import UsageError
from lookalike.web import uploads
from lookalike.web.asking import Asked
from lookalike.web.models import HostedCollection, SavedSearch, User

MOST_SAVED: Final = 200
MOST_NAME: Final = 120
SAVED: Final = "saved:"
"""Begins what asks for a saved search in the box of words."""


def saved_by(user: User, hosted: HostedCollection) -> list[SavedSearch]:
    """Return a person's searches of a collection, by name."""
    return list(SavedSearch.objects.filter(owner=user, collection=hosted))


@transaction.atomic
def save(user: User, hosted: HostedCollection, name: str, asked: Asked) -> SavedSearch:
    """Keep a search, in the place of one of the same name; pictures sent for it no longer expire.

    Raises:
        UsageError: If it has no name, asks for nothing, or there are too many.
    """
    name = " ".join(name.split())
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise UsageError(f"give the search a name of at most {MOST_NAME} characters")
    if asked.is_empty:
        raise UsageError("nothing is asked yet; search for something, then save it")
    mine = SavedSearch.objects.filter(owner=user, collection=hosted)
    if mine.count() >= MOST_SAVED:
        raise UsageError(f"{MOST_SAVED} saved searches are the most; delete one")
    for token in asked.uploads:
        uploads.find(user, token)
    if (old := mine.filter(name=name).first()) is not None:
        delete(user, old)
    uploads.keep_for_good(user, asked.uploads)
    content = {"address": asked.to_address()}
    return SavedSearch.objects.create(owner=user, collection=hosted, name=name, query=content)


def delete(user: User, search: SavedSearch) -> None:
    """Forget a search; pictures that no other one needs expire as others do."""
    search.delete()
    others = SavedSearch.objects.filter(owner=user)
    needed = {token for other in others for token in asked_by(other).uploads}
    uploads.let_expire(user, set(asked_by(search).uploads) - needed)


def asked_by(search: SavedSearch) -> Asked:
    """Return what a saved search asks for."""
    return Asked.from_address(search.query["address"])


def find(user: User, hosted: HostedCollection, text: str) -> SavedSearch | None:
    """Return the search that `saved:NAME` asks for; `None` if the text asks for something else.

    Raises:
        UsageError: If there is none of that name.
    """
    if not text.startswith(SAVED):
        return None
    name = text.removeprefix(SAVED).strip().strip('"')
    found = SavedSearch.objects.filter(owner=user, collection=hosted, name__iexact=name).first()
    if found is None:
        raise UsageError(f"you have no saved search {name[:80]!r} here")
    return found


def suggested(user: User, hosted: HostedCollection, text: str) -> list[str]:
    """Return the saved searches that a text may be the beginning of, as they are asked for."""
    start = text.removeprefix(SAVED).strip().lower()
    return [
        SAVED + each.name for each in saved_by(user, hosted) if each.name.lower().startswith(start)
    ]
