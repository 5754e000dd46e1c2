"""REST: searching, with what lies in the collection and with pictures that are sent."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

import numpy as np
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from ninja import Field, File, Query, Router, Schema
from ninja.files import UploadedFile

from lookalike.arrays import NO_ID
from lookalike.asking.answers import answer
from lookalike.collection import Collection
from lookalike.errors import ImageError, UsageError
from lookalike.knowing.exporting import Selected, stream
from lookalike.search.queries import PixelsExample
from lookalike.search.queries import Query as QueryValue
from lookalike.web import saving, uploads
from lookalike.web.api.common import FAULTS, hosted, opened, person
from lookalike.web.api.cursors import cursor_to, read_cursor
from lookalike.web.api.schemas import Fault, Found, SearchIn, Upload
from lookalike.web.asking import MOST_HITS, query_from_json
from lookalike.web.galleries import open_collections
from lookalike.web.given_numbers import MOST_IDS
from lookalike.web.idempotency import once, token_for
from lookalike.web.models import HostedCollection
from lookalike.web.writing import note

router = Router()

_TYPES: Final = {"csv": "text/csv", "json": "application/json"}
_FILE: Final[dict[str, Any]] = {
    "responses": {
        200: {
            "description": "The list.",
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "object"}},
            },
        }
    }
}


class ExportIn(Schema):
    """What is exported: what a query finds, or images by id, or everything."""

    query: dict[str, Any] | None = None
    saved: str | None = Field(None, description="Instead: the name of one of your saved searches.")
    ids: list[int] | None = Field(None, max_length=MOST_IDS)
    k: int = Field(MOST_HITS, ge=1, le=MOST_HITS)


@router.post("/collections/{name}/search", response={200: Found, **FAULTS}, tags=["search"])
def search(request: HttpRequest, name: str, sent: SearchIn) -> Any:
    """Find the pictures that a query or a saved search asks for; `cursor` leads to more."""
    place = hosted(request, name)
    collection = open_collections.get(place)
    if (content := _content(request, place, collection, sent.query, sent.saved)) is None:
        raise UsageError("nothing is asked; give a query, or the name of a saved search")
    query = query_from_json(content, person(request))
    revision = collection.catalog.revision
    what = [name, content]
    start = read_cursor(sent.cursor, what, str(revision))
    end = min(start + sent.k, MOST_HITS)
    found = answer(collection, query, end)
    hits = found["hits"][start:]
    # Hits that are sorted are the best so many, in another order; more would mix with them.
    is_ranking = query.sort == "score" or not (query.positives or query.has_parts)
    goes_on = is_ranking and len(hits) == sent.k and end < min(MOST_HITS, len(collection))
    cursor = cursor_to(what, str(revision), end) if goes_on else ""
    return {**found, "hits": hits, "revision": revision, "cursor": cursor}


@router.post("/collections/{name}/search/picture", response={200: Found, **FAULTS}, tags=["search"])
def search_picture(
    request: HttpRequest,
    name: str,
    picture: File[UploadedFile],
    k: Query[int] = 10,
) -> Any:
    """Find pictures like one that is sent with the request; it is not kept."""
    collection = opened(request, name)
    try:
        pixels = uploads.decode_upload(picture.read())
    except ImageError as error:
        return _no_picture(error)
    k = min(max(k, 1), MOST_HITS)
    query = QueryValue((PixelsExample.of(pixels),))
    return {**answer(collection, query, k), "revision": collection.catalog.revision}


@router.post("/uploads", response={200: Upload, 403: Fault, **FAULTS}, tags=["search"])
@once
def upload(request: HttpRequest, picture: File[UploadedFile]) -> Any:
    """Send a picture to search with for a day; only you can use it."""
    try:
        pixels = uploads.decode_upload(picture.read())
        kept = uploads.keep(person(request), pixels, token_for(request))
    except ImageError as error:
        return _no_picture(error)
    return {
        "upload": kept.token,
        "width": kept.width,
        "height": kept.height,
        "expires": kept.expires,
    }


@router.post(
    "/collections/{name}/export/{kind}", response=FAULTS, openapi_extra=_FILE, tags=["search"]
)
def export_list(
    request: HttpRequest, name: str, kind: Literal["csv", "json"], sent: ExportIn
) -> Any:
    """List pictures for other programs: id, score, path, size, hash and labels of each."""
    place = hosted(request, name)
    collection = open_collections.get(place)
    content = _content(request, place, collection, sent.query, sent.saved)
    selected = _selected(request, collection, sent, content)
    note(request, place, "exported", f"{len(selected.ids)} pictures as {kind}")
    listed = StreamingHttpResponse(stream(collection, selected, kind), content_type=_TYPES[kind])
    listed["Content-Disposition"] = f'attachment; filename="{place.slug}.{kind}"'
    return listed


def _content(
    request: HttpRequest,
    place: HostedCollection,
    collection: Collection,
    query: dict[str, Any] | None,
    saved: str | None,
) -> dict[str, Any] | None:
    """Return the query that is asked, in itself or by the name of a saved search, if any is."""
    if saved is None:
        return query
    if query is not None:
        raise UsageError("give a query or the name of a saved search, not both")
    found = saving.named(person(request), place, saved)
    return saving.content_of(found, collection.card, person(request))


def _selected(
    request: HttpRequest, collection: Collection, sent: ExportIn, content: dict[str, Any] | None
) -> Selected:
    """Choose what is exported; all of it is known to be there before anything is sent."""
    if sent.ids is not None and content is not None:
        raise UsageError("give ids or a query, not both")
    if sent.ids is not None:
        chosen = list(dict.fromkeys(sent.ids))
        if any(not 0 <= each < 2**62 for each in chosen):
            raise UsageError("some of these ids are no ids of images; give those of hits")
        collection.images(chosen)
        return Selected(np.array(chosen, np.int64))
    if content is None:
        return Selected(collection.catalog.ids())
    return _found(collection, query_from_json(content, person(request)), sent.k)


def _found(collection: Collection, query: QueryValue, k: int) -> Selected:
    hits = collection.search(query, k)
    is_found = hits.ids[0] != NO_ID
    ids = hits.ids[0][is_found].astype(np.int64)
    scores: Mapping[int, float] = dict(
        zip(ids.tolist(), hits.scores[0][is_found].tolist(), strict=True)
    )
    return Selected(ids, scores)


def _no_picture(error: ImageError) -> HttpResponse:
    return JsonResponse({"error": error.reason}, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
