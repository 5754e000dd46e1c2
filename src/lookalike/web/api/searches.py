"""REST: a person's own searches under a name."""

from datetime import datetime
from typing import Any

from django.http import Http404, HttpRequest
from ninja import Field, Router, Schema

from lookalike.web import saving
from lookalike.web.api.common import FAULTS, FAULTS_OF_CHANGES, changing, hosted, opened, person
from lookalike.web.asking import Asked
from lookalike.web.models import HostedCollection, Role, SavedSearch
from lookalike.web.writing import note

router = Router()


class SavedOut(Schema):
    """A search that can be asked again."""

    id: int
    name: str
    address: str = Field(description="Behind the question mark of the search page.")
    query: dict[str, Any] = Field(description="As `search` takes it.")
    created: datetime


class SaveIn(Schema):
    """A search to be kept, in the place of one of the same name."""

    name: str
    query: dict[str, Any] | None = Field(None, description="As `search` takes it.")
    address: str | None = Field(None, description="Instead: as it stands in an address.")


@router.get(
    "/collections/{name}/searches", response={200: list[SavedOut], **FAULTS}, tags=["saved"]
)
def list_searches(request: HttpRequest, name: str) -> Any:
    """List your saved searches of a collection."""
    place = hosted(request, name)
    return [_saved_out(request, name, each) for each in saving.saved_by(person(request), place)]


@router.post(
    "/collections/{name}/searches", response={200: SavedOut, **FAULTS_OF_CHANGES}, tags=["saved"]
)
@changing(Role.VIEWER)
def make_search(request: HttpRequest, name: str, sent: SaveIn) -> Any:
    """Keep a search under a name."""
    place, user = hosted(request, name), person(request)
    collection = opened(request, name)
    if sent.address is None:
        kept = saving.save_query(user, place, sent.name, sent.query or {}, collection)
    else:
        asked = Asked.from_address(sent.address)
        kept = saving.save_asked(user, place, sent.name, asked, collection)
    note(request, place, "search saved", kept.name)
    return _saved_out(request, name, kept)


@router.get(
    "/collections/{name}/searches/{search_id}",
    response={200: SavedOut, **FAULTS},
    tags=["saved"],
)
def get_search(request: HttpRequest, name: str, search_id: int) -> Any:
    """Open one of your saved searches: its query can be asked as it is."""
    return _saved_out(request, name, _mine(request, hosted(request, name), search_id))


@router.delete(
    "/collections/{name}/searches/{search_id}",
    response={200: SavedOut, **FAULTS_OF_CHANGES},
    tags=["saved"],
)
@changing(Role.VIEWER)
def forget_search(request: HttpRequest, name: str, search_id: int) -> Any:
    """Forget one of your saved searches; tells which it was."""
    place = hosted(request, name)
    found = _mine(request, place, search_id)
    told = _saved_out(request, name, found)
    saving.delete(person(request), found)
    note(request, place, "search deleted", found.name)
    return told


def _mine(request: HttpRequest, place: HostedCollection, search_id: int) -> SavedSearch:
    mine = SavedSearch.objects.filter(owner=person(request), collection=place)
    found = mine.filter(pk=search_id).first() if search_id < 2**62 else None
    if found is None:
        raise Http404("you have no such saved search here")
    return found


def _saved_out(request: HttpRequest, name: str, kept: SavedSearch) -> dict[str, Any]:
    return {
        "id": kept.pk,
        "name": kept.name,
        "address": kept.address,
        "query": saving.content_of(kept, opened(request, name).card, person(request)),
        "created": kept.created,
    }
