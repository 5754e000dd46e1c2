"""Searches under a name: a person's own, for one collection.

They lie in the server's database and not in the collection, whose own saved searches belong to all
who may see it and take a collection that is open for writing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.model_folder import ModelCard
from lookalike.search.queries import Query
from lookalike.web import uploads
from lookalike.web.addressing import asked_from_query
from lookalike.web.asking import Asked, query_from_json
from lookalike.web.models import HostedCollection, SavedSearch, User
from lookalike.web.models.searches import SAVED

MOST_SAVED: Final = 200
MOST_NAME: Final = 120
MOST_BYTES: Final = 2**18
"""Of a query as it is kept: three drawings of 128 × 128 pixels, each all noise, and more."""

_EXAMPLES: Final = ("positives", "negatives")


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks in an address, together with the saved search that it names.

    Attributes:
        asked: What the address says; its words are empty where they name a saved search.
        kept: The saved search, if that is one that no address can say; the address adds to it.
    """

    asked: Asked
    kept: SavedSearch | None = None

    @classmethod
    def of(cls, asked: Asked, user: User, hosted: HostedCollection) -> "Question":
        """Read an address.

        Raises:
            UsageError: If it names a saved search that is not there.
        """
        found = find(user, hosted, asked.q)
        if found is None:
            return cls(asked)
        if "address" in found.query:
            return cls(asked_by(found))
        return cls(replace(asked, q=""), found)

    @property
    def name(self) -> str:
        """Tells it from all others of the collection; a search that is saved anew is another."""
        return f"{self.asked.to_address()}#{self.kept.pk if self.kept else ''}"

    def to_json(self, card: ModelCard, user: User) -> dict[str, Any]:
        """Return the query as REST takes it."""
        own = self.asked.to_json(card, user)
        return own if self.kept is None else _joined(self.kept.query["query"], own)

    def to_query(self, user: User, collection: Collection) -> Query:
        """Return the query value that every way of asking shares.

        Raises:
            UsageError: If an upload has expired or the query makes no sense.
        """
        return query_from_json(self.to_json(collection.card, user), user)


def _joined(kept: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a query: examples and rounds follow those it has, all else takes their place."""
    content = {**kept, **added}
    for name in _EXAMPLES:
        if name in kept and name in added:
            content[name] = [*kept[name], *added[name]]
    if "feedback" in kept and "feedback" in added:
        rounds = [*kept["feedback"]["rounds"], *added["feedback"]["rounds"]]
        content["feedback"] = {**kept["feedback"], "rounds": rounds}
    return content


def saved_by(user: User, hosted: HostedCollection) -> list[SavedSearch]:
    """Return a person's searches of a collection, by name."""
    return list(SavedSearch.objects.filter(owner=user, collection=hosted))


def save_asked(
    user: User, hosted: HostedCollection, name: str, asked: Asked, collection: Collection
) -> SavedSearch:
    """Keep what an address asks; see `save_query`."""
    question = Question.of(asked, user, hosted)
    if question.kept is not None:
        return save_query(user, hosted, name, question.to_json(collection.card, user), collection)
    if question.asked.is_empty:
        raise UsageError("nothing is asked yet; search for something, then save it")
    question.to_query(user, collection)  # one that makes no sense is not kept
    return _save(user, hosted, name, {"address": question.asked.to_address()})


def save_query(
    user: User,
    hosted: HostedCollection,
    name: str,
    content: Mapping[str, Any],
    collection: Collection,
) -> SavedSearch:
    """Keep a query as REST takes it, in the place of one of the same name.

    Pictures that were sent for it no longer expire.

    Raises:
        UsageError: If it has no name or is no query, is too large, or there are too many.
    """
    query = query_from_json(content, user)
    # Uploads stay tokens rather than becoming pixels.
    examples = {part: list(content[part]) for part in _EXAMPLES if content.get(part)}
    kept = {**query.to_json(), **examples}
    if (asked := asked_from_query(kept, query, user, collection)) is not None:
        return _save(user, hosted, name, {"address": asked.to_address()})
    if (n_bytes := len(json.dumps(kept))) > MOST_BYTES:
        raise UsageError(
            f"the search takes {n_bytes} bytes, {MOST_BYTES} are the most that are kept; send its "
            "pictures as uploads and name their tokens"
        )
    return _save(user, hosted, name, {"query": kept})


@transaction.atomic
def _save(user: User, hosted: HostedCollection, name: str, content: dict[str, Any]) -> SavedSearch:
    name = " ".join(name.split())
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise UsageError(f"give the search a name of at most {MOST_NAME} characters")
    mine = SavedSearch.objects.filter(owner=user, collection=hosted)
    old = mine.filter(name=name).first()
    if old is None and mine.count() >= MOST_SAVED:
        raise UsageError(f"{MOST_SAVED} saved searches are the most; delete one")
    made = SavedSearch(owner=user, collection=hosted, name=name, query=content)
    for token in tokens_of(made):
        uploads.find(user, token)
    if old is not None:
        delete(user, old)
    uploads.keep_for_good(user, tokens_of(made))
    made.save()
    return made


def delete(user: User, search: SavedSearch) -> None:
    """Forget a search; pictures that no other one needs expire as others do."""
    search.delete()
    others = SavedSearch.objects.filter(owner=user)
    needed = {token for other in others for token in tokens_of(other)}
    uploads.let_expire(user, tokens_of(search) - needed)


def asked_by(search: SavedSearch) -> Asked:
    """Return what the address of a saved search asks for."""
    return Asked.from_address(search.address)


def tokens_of(search: SavedSearch) -> set[str]:
    """Return the tokens of the pictures that were sent for a search."""
    if "address" in search.query:
        return set(asked_by(search).uploads)
    query = search.query["query"]
    examples = [each for part in _EXAMPLES for each in query.get(part, ())]
    return {each["upload"] for each in examples if "upload" in each}


def content_of(search: SavedSearch, card: ModelCard, user: User) -> dict[str, Any]:
    """Return a saved search as REST takes it: uploads by their tokens."""
    kept: dict[str, Any] | None = search.query.get("query")
    return asked_by(search).to_json(card, user) if kept is None else kept


def named(user: User, hosted: HostedCollection, name: str) -> SavedSearch:
    """Return the search of a name.

    Raises:
        UsageError: If there is none.
    """
    mine = SavedSearch.objects.filter(owner=user, collection=hosted)
    bare = name.strip().strip('"')
    found = (
        mine.filter(name=name.strip()).first()
        or mine.filter(Q(name__iexact=name.strip()) | Q(name__iexact=bare)).first()
    )
    if found is None:
        raise UsageError(f"you have no saved search {bare[:80]!r} here")
    return found


def find(user: User, hosted: HostedCollection, text: str) -> SavedSearch | None:
    """Return the search that `saved:NAME` asks for; `None` if the text asks for something else.

    Raises:
        UsageError: If there is none of that name.
    """
    return named(user, hosted, text.removeprefix(SAVED)) if text.startswith(SAVED) else None


def suggested(user: User, hosted: HostedCollection, text: str) -> list[str]:
    """Return the saved searches that a text may be the beginning of, as they are asked for."""
    start = text.removeprefix(SAVED).strip().lower()
    return [
        SAVED + each.name for each in saved_by(user, hosted) if each.name.lower().startswith(start)
    ]
