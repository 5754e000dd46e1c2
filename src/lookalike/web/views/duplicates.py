"""The page Duplicates: nearly equal pictures side by side, and what is decided about them."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.knowing.deduplicating import decide as store_decision
from lookalike.knowing.kept_duplicates import KeptDuplicates
from lookalike.web import queueing
from lookalike.web.access import person, place, with_collection
from lookalike.web.duplicates import (
    PAGE,
    ask_for_groups,
    decided,
    kept_groups,
    removable_list,
    shown_groups,
    was_given_up,
)
from lookalike.web.galleries import open_collections
from lookalike.web.given_numbers import ids_of, whole
from lookalike.web.models import HostedCollection, JobKind, Role
from lookalike.web.writing import note, when_free, writing

_SAID: Final = {
    "keep": "That one stays, whatever is measured.",
    "same": "These count as copies of each other from now on.",
    "different": "These count as different pictures from now on.",
    "forget": "What was decided about these is forgotten.",
}


@require_GET
@with_collection()
def duplicates(request: HttpRequest, hosted: HostedCollection) -> HttpResponse:
    """Show groups of nearly equal pictures, the largest first."""
    if not hosted.exists:
        return render(request, "web/empty.html", place(request, hosted))
    collection, kept = open_collections.get(hosted), kept_groups(hosted)
    standing = kept.standing(collection)
    if standing is None and len(collection) and not was_given_up(hosted):
        ask_for_groups(hosted, person(request))
    content: dict[str, Any] = {
        **place(request, hosted),
        "n_images": len(collection),
        "standing": standing,
        "job": queueing.shown(hosted, JobKind.DUPLICATES),
        "may_search": queueing.waiting(hosted, JobKind.DUPLICATES) is None,
    }
    if standing is None:
        return render(request, "web/duplicates_sought.html", content)
    content |= _page(request, collection, kept)
    return render(request, "web/duplicates.html", content)


def _page(request: HttpRequest, collection: Collection, kept: KeptDuplicates) -> dict[str, Any]:
    n_groups, n_removable = kept.count()
    last = max(1, -(-n_groups // PAGE))
    number = min(max(1, whole(request.GET.get("page", ""))), last)
    shown, n_decided = decided(collection)
    return {
        "groups": shown_groups(collection, kept.groups((number - 1) * PAGE, PAGE)),
        "n_groups": n_groups,
        "n_removable": n_removable,
        "page": number,
        "last": last,
        "before": number - 1,
        "after": number + 1 if number < last else 0,
        "decided": shown,
        "n_decided": n_decided,
        "just_decided": _just_decided(request),
    }


def _just_decided(request: HttpRequest) -> list[int]:
    given = request.GET.get("decided", "")
    return ids_of(given.split(",")) if given else []


@require_POST
@with_collection(Role.EDITOR)
@when_free
def decide(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Store what a person decided; it holds for the pictures, however their files are called."""
    verdict, number = request.POST.get("verdict", ""), whole(request.POST.get("page", ""))
    query: dict[str, Any] = {"page": number or 1}
    try:
        ids = ids_of(request.POST.getlist("id"))
        with writing(hosted) as collection:
            store_decision(collection, verdict, ids)
    except UsageError as error:
        messages.error(request, str(error))
    else:
        note(request, hosted, f"duplicates {verdict}", ", ".join(map(str, ids)))
        messages.success(request, _SAID[verdict])
        if verdict != "forget":
            query["decided"] = ",".join(map(str, ids))
    return redirect(f"{reverse('duplicates', args=[hosted.slug])}?{urlencode(query)}")


@require_POST
@with_collection(Role.EDITOR)
def find(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for groups to be looked for: among all pictures, or for those that are new."""
    is_anew = request.POST.get("which") == "all"
    if hosted.exists and ask_for_groups(hosted, person(request), is_anew=is_anew) is not None:
        note(request, hosted, "duplicates asked", "all" if is_anew else "new")
    return redirect("duplicates", slug=hosted.slug)


@require_GET
@with_collection()
def removable(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Give the list of files that could go; nothing is ever deleted here."""
    if not hosted.exists:
        return redirect("duplicates", slug=hosted.slug)
    collection, kept = open_collections.get(hosted), kept_groups(hosted)
    if kept.standing(collection) is None:
        return redirect("duplicates", slug=hosted.slug)
    answer = HttpResponse(removable_list(collection, kept.groups()), "text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{hosted.slug}-copies.txt"'
    return answer
