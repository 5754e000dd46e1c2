"""Searches that are kept, and what they find given to other programs."""

from typing import Final, Literal, cast

import numpy as np
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from lookalike.arrays import NO_ID
from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.knowing.exporting import Selected, stream
from lookalike.web import results, saving
from lookalike.web.access import person, with_collection
from lookalike.web.asking import MOST_HITS, Asked
from lookalike.web.galleries import open_collections
from lookalike.web.given_numbers import whole
from lookalike.web.models import HostedCollection, SavedSearch
from lookalike.web.models.searches import SAVED
from lookalike.web.writing import note

_TYPES: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_TYPES_ZIP: Final = "application/zip"


@require_POST
@with_collection()
def save(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Keep the search of an address under a name."""
    asked = Asked.from_address(request.POST.get("address", ""))
    collection, name = open_collections.get(hosted), request.POST.get("name", "")
    try:
        kept = saving.save_asked(person(request), hosted, name, asked, collection)
    except UsageError as error:
        messages.error(request, str(error))
    else:
        note(request, hosted, "search saved", kept.name)
        messages.success(request, f"Saved as {kept.name}")
    return redirect(f"{reverse('search', args=[hosted.slug])}?{asked.to_address()}")


@require_POST
@with_collection()
def delete(request: HttpRequest, hosted: HostedCollection, search_id: int) -> HttpResponseBase:
    """Forget one of the person's own searches."""
    mine = SavedSearch.objects.filter(owner=person(request), collection=hosted, pk=search_id)
    if (found := mine.first()) is None:
        messages.error(request, "that search was deleted before")
    else:
        saving.delete(person(request), found)
        note(request, hosted, "search deleted", found.name)
        messages.success(request, f"{found.name} is deleted")
    asked = Asked.from_address(request.POST.get("address", ""))
    is_gone = found is not None and asked.q == f"{SAVED}{found.name}"
    address = "" if is_gone else asked.to_address()
    return redirect(f"{reverse('search', args=[hosted.slug])}?{address}")


@require_GET
@with_collection()
def export(request: HttpRequest, hosted: HostedCollection, kind: str) -> HttpResponseBase:
    """Give what a search finds as a list or an archive of originals; all of it if nothing is asked.

    `n` is how many hits at most; an archive is sent while it is made.
    """
    if kind not in ("csv", "json", "zip"):
        raise Http404("there is no such export")
    collection = open_collections.get(hosted)
    selected = _selected(request, hosted, collection)
    note(request, hosted, "exported", f"{len(selected.ids)} pictures as {kind}")
    pieces = stream(collection, selected, cast(Literal["csv", "json", "zip"], kind))
    answer = StreamingHttpResponse(pieces, content_type=_TYPES.get(kind, _TYPES_ZIP))
    answer["Content-Disposition"] = f'attachment; filename="{hosted.slug}.{kind}"'
    if kind == "zip":
        answer["Content-Encoding"] = "identity"  # pictures do not get smaller
    return answer


def _selected(request: HttpRequest, hosted: HostedCollection, collection: Collection) -> Selected:
    asked = Asked.of(request.GET)
    n = whole(request.GET.get("n", ""))
    if asked.is_empty or len(collection) == 0:
        return Selected(collection.catalog.ids()[: n or None])
    n = min(n or MOST_HITS, MOST_HITS)
    question = saving.Question.of(asked, person(request), hosted)
    query = question.to_query(person(request), collection)
    hits = results.everything(question.name, collection, query, n)
    ids, scores = hits.ids[0][:n], hits.scores[0][:n]
    found = ids != NO_ID
    pairs = zip(ids[found].tolist(), scores[found].tolist(), strict=True)
    return Selected(np.asarray(ids[found], np.int64), dict(pairs))
