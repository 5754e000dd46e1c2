"""What can be done with pictures that were picked: search with them, or take them along."""

from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlencode

import numpy as np
from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from lookalike.arrays import Ids
from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.knowing.exporting import Selected, stream
from lookalike.web.access import with_collection
from lookalike.web.asking import MOST_EXAMPLES
from lookalike.web.galleries import open_collections
from lookalike.web.models import AuditEntry, HostedCollection

MOST_PICKED: Final = 20_000
_Kind: TypeAlias = Literal["csv", "json", "zip"]
_KINDS: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "zip": "application/zip",
}


@require_POST
@with_collection()
def picked(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Do what `do` says with the pictures `id`, or `ids` divided by commas."""
    collection = open_collections.get(hosted) if hosted.exists else None
    if collection is None:
        raise UsageError("nothing has been indexed yet, so that nothing can be picked")
    ids = _ids(request, collection)
    what = request.POST.get("do", "")
    if what == "search":
        return _search(request, hosted, ids)
    if what not in _KINDS:
        raise UsageError(
            f"{what[:20]!r} cannot be done with pictures; choose search, csv, json or zip"
        )
    AuditEntry.write(request, f"exported {what}", f"{hosted.slug}, {len(ids)} pictures")
    answer = StreamingHttpResponse(
        stream(collection, Selected(ids), cast(_Kind, what)), _KINDS[what]
    )
    answer["Content-Disposition"] = f'attachment; filename="{hosted.slug}.{what}"'
    if what == "zip":
        # Pictures are compressed already; so said, nobody does it a second time.
        answer["Content-Encoding"] = "identity"
    return answer


def _ids(request: HttpRequest, collection: Collection) -> Ids:
    """Read which pictures are meant, each once, in the order given.

    Raises:
        UsageError: If there are none, too many, or some are not in the collection.
    """
    sent = [*request.POST.getlist("id"), *request.POST.get("ids", "").split(",")]
    texts = list(dict.fromkeys(each for each in sent if each))
    if not texts or len(texts) > MOST_PICKED:
        raise UsageError(f"{len(texts)} pictures are picked; pick from 1 to {MOST_PICKED:,}")
    if not all(each.isascii() and each.isdigit() and len(each) <= 18 for each in texts):
        raise UsageError("pictures are picked by their numbers")
    ids = np.array([int(each) for each in texts], np.int64)
    if not np.isin(ids, collection.catalog.ids()).all():
        raise UsageError("some of these pictures are gone; load the page again")
    return ids


def _search(request: HttpRequest, hosted: HostedCollection, ids: Ids) -> HttpResponseBase:
    if len(ids) > MOST_EXAMPLES:
        messages.info(
            request, f"{MOST_EXAMPLES} of the {len(ids)} pictures, evenly spread, are asked with"
        )
        ids = ids[np.linspace(0, len(ids) - 1, MOST_EXAMPLES).round().astype(np.int64)]
    asked = urlencode([("like", image_id) for image_id in ids.tolist()])
    return redirect(f"{reverse('search', args=[hosted.slug])}?{asked}")
