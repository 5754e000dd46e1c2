"""The search page and its hits."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from lookalike.asking.telling import tell
from lookalike.collection import Collection
from lookalike.model_folder import ModelCard
from lookalike.web import queueing, results, saving, uploads
from lookalike.web.access import person, with_collection
from lookalike.web.asking import MOST_CHARACTERS, UPLOAD, Asked, query_from_json
from lookalike.web.completing import MOST, completions
from lookalike.web.galleries import image_record, open_collections
from lookalike.web.models import HostedCollection, Job, JobKind, Role, User
from lookalike.weighing import DEFAULT_WEIGHTS

HANDLES = ("n", "ne", "e", "se", "s", "sw", "w", "nw")
N_WELCOME = 60
"""Pictures shown while nothing is asked."""


@require_GET
@login_required
def start(request: HttpRequest) -> HttpResponseBase:
    """Go to the only collection there is, or to the list."""
    seen = HostedCollection.objects.open_to(person(request))[:2]
    if len(seen) == 1:
        return redirect("search", slug=seen[0].slug)
    return redirect("collections")


@require_GET
@with_collection()
def search(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Show the search page; all that it asks is in the address."""
    running = queueing.waiting(hosted, JobKind.INDEX)
    if not hosted.exists:
        return render(request, "web/empty.html", _place(request, hosted, running))
    asked = Asked.of(request.GET)
    question = saving.Question.of(asked, person(request), hosted)
    if question.kept is None and question.asked != asked:
        return redirect(f"{request.path}?{question.asked.to_address()}")
    collection = open_collections.get(hosted)
    is_part = request.headers.get("HX-Target") == "hits"
    if is_part and running and request.GET.get("seen") == str(len(collection)):
        return HttpResponse(status=HTTPStatus.NO_CONTENT)  # a page that waits for pictures has all
    page = "web/hits.html" if is_part else "web/search.html"
    content = {
        **_place(request, hosted, running),
        "asked": asked,
        "opened": _opened(question, person(request)),
        "sliders": _sliders(collection, question),
        "examples": _examples(person(request), collection, asked),
        "has_colors": {"color", "color_layout"} <= collection.catalog.descriptors.keys(),
        "has_shape": "shape" in collection.catalog.descriptors,
        "handles": HANDLES,
        "before_round": asked.without_last_round().to_address(),
        "n_rounds": len(asked.rounds),
        "has_layout": collection.card.has_layout,
        "card": collection.card,
        "labels": _labels(collection.card),
        "saved": saving.saved_by(person(request), hosted),
        **_found(request, collection, question),
    }
    return render(request, page, content)


def _opened(question: saving.Question, user: User) -> dict[str, Any] | None:
    """Return what is shown of a saved search that no address can say: all of it, in words."""
    if question.kept is None:
        return None
    content = question.kept.query["query"]
    return {
        "name": question.kept.name,
        "told": tell(query_from_json(content, user)),
        "ids": [each["id"] for each in content.get("positives", ()) if "id" in each],
        **{name: content.get(name) for name in ("cut", "min_score", "sort", "hide_duplicates")},
    }


def _place(request: HttpRequest, hosted: HostedCollection, job: Job | None) -> dict[str, Any]:
    return {"collection": hosted, "job": job, "role": hosted.role_of(person(request)), "Role": Role}


def _found(
    request: HttpRequest, collection: Collection, question: saving.Question
) -> dict[str, Any]:
    if len(collection) == 0:
        return {"page": None, "n_images": 0}
    if question.asked.is_empty and question.kept is None:
        return {"page": None, "n_images": len(collection), "newest": _newest(collection)}
    query = question.to_query(person(request), collection)
    cursor = request.GET.get("cursor", "")
    page = results.find(question.name, collection, query, cursor)
    return {"page": page, "n_images": len(collection), "cursor": cursor}


def _newest(collection: Collection) -> list[dict[str, Any]]:
    ids = collection.catalog.ids()[-N_WELCOME:][::-1]
    return [
        {"id": record.id, "width": record.width, "height": record.height}
        for record in collection.images(ids)
    ]


def _sliders(collection: Collection, question: saving.Question) -> list[dict[str, Any]]:
    kept = question.kept.query["query"].get("weights") if question.kept else None
    moved = dict(question.asked.weights) or dict(kept or {})
    usual = {} if moved else DEFAULT_WEIGHTS
    return [
        {
            "name": name,
            "weight": moved.get(name, usual.get(name, 0.0)),
            "is_moved": name in moved,
        }
        for name in collection.catalog.descriptors
    ]


def _examples(user: User, collection: Collection, asked: Asked) -> list[dict[str, Any]]:
    signed = [(each, "plus") for each in asked.likes] + [(each, "minus") for each in asked.unlikes]
    return [_shown_example(user, collection, *each) for each in signed]


def _shown_example(user: User, collection: Collection, example: str, sign: str) -> dict[str, Any]:
    name, _, box = example.partition("@")
    if name.startswith(UPLOAD):
        sent = uploads.find(user, name.removeprefix(UPLOAD))
        width, height = sent.width, sent.height
    else:
        record = image_record(collection, int(name))
        width, height = (record.width, record.height) if record else (0, 0)
    return {
        "width": width,
        "height": height,
        "example": example,
        "sign": sign,
        "is_upload": name.startswith(UPLOAD),
        "token": name.removeprefix(UPLOAD),
        "name": name,
        "box": box,
    }


def _labels(card: ModelCard) -> list[dict[str, Any]]:
    """Return what can be painted: names with the color and value of each, background last."""
    if not card.has_layout:
        return []
    colors = ["#{:02x}{:02x}{:02x}".format(*color) for color in card.palette]
    names = [*enumerate(card.classes, start=1), (0, "background")]
    return [{"value": value, "name": name, "color": colors[value]} for value, name in names]


@require_GET
@with_collection()
def suggest(request: HttpRequest, hosted: HostedCollection) -> JsonResponse:
    """Complete the last word of a search: keys of filters, and labels of the collection."""
    text = request.GET.get("q", "")[:MOST_CHARACTERS]
    start, _, last = text.rpartition(" ")
    found = completions(open_collections.get(hosted), last) if hosted.exists and last else []
    before = f"{start} " if start else ""
    kept = saving.suggested(person(request), hosted, text) if text else []
    return JsonResponse({"suggestions": [*(before + each for each in found), *kept[:MOST]]})
