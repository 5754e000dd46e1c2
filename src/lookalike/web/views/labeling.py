"""The page Label: what a person says of some pictures, propagated to all others."""

from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from lookalike.errors import UsageError
from lookalike.storage.annotations import Statement
from lookalike.web import labels, queueing
from lookalike.web.access import person, place, with_collection
from lookalike.web.galleries import image_record, open_collections
from lookalike.web.given_numbers import ids_of, whole
from lookalike.web.models import HostedCollection, JobKind, Role
from lookalike.web.work import grouping_options
from lookalike.web.writing import note, when_free

_OF_LABELS: Final = (JobKind.PROPAGATE, JobKind.UNDO)
_AT_WORK: Final = "Labels are being worked on; that is possible again in a moment."


@require_GET
@with_collection(Role.EDITOR)
def label(request: HttpRequest, hosted: HostedCollection) -> HttpResponse:
    """Show the cluster whose label would tell most, and what has been labeled."""
    if not hosted.exists:
        return render(request, "web/empty.html", place(request, hosted))
    collection = open_collections.get(hosted)
    names, chosen = labels.clusterings_of(collection, request.GET.get("clusters", ""))
    at = whole(request.GET.get("at", ""))
    content: dict[str, Any] = {
        **_place(request, hosted, JobKind.CLUSTERS),
        "clusterings": names,
        "clusters": chosen,
        "at": at,
        "n_images": len(collection),
        "labels": labels.label_table(collection),
        "provenances": labels.PROVENANCES,
        "history": labels.history(collection),
        "n_doubtful": len(collection.catalog.knowledge.annotations.doubtful(100)),
    }
    if chosen:
        content |= labels.proposal(collection, chosen, at)
    return render(request, "web/label.html", content)


@require_POST
@with_collection(Role.EDITOR)
@when_free
def label_pictures(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Give the pictures that were shown the words that a person typed, but for those taken out."""
    sent = request.POST
    shown, fits = ids_of(sent.getlist("shown")), ids_of(sent.getlist("fits"))
    try:
        words = labels.read_words(sent.get("words", ""))
        said = labels.statements(words, shown, fits)
        detail = {
            "labels": words,
            "cluster": whole(sent["cluster"]) if "cluster" in sent else None,
            "clusters": sent.get("clusters", ""),
        }
        labels.say(hosted, detail, said)
    except UsageError as error:
        messages.error(request, str(error))
    else:
        note(request, hosted, "labeled", f"{', '.join(words)}: {len(shown)} pictures")
        n = len(set(shown) & set(fits))
        messages.success(request, f"{', '.join(words)}: {n} picture{'' if n == 1 else 's'}")
    return _back(request, hosted)


@require_POST
@with_collection(Role.EDITOR)
def label_clusters(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for clusters to be found in a collection that has none."""
    back = redirect("label", slug=hosted.slug)
    if not hosted.exists:
        return back
    try:
        options = grouping_options(request.POST.dict(), open_collections.get(hosted))
    except UsageError as error:
        messages.error(request, str(error))
        return back
    if queueing.ask(hosted, person(request), JobKind.CLUSTERS, options) is not None:
        note(request, hosted, "clusters asked", options["name"])
    return back


@require_GET
@with_collection(Role.EDITOR)
def label_preview(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Show what propagating would give before it is done."""
    if not hosted.exists:
        return redirect("label", slug=hosted.slug)
    collection = open_collections.get(hosted)
    names, chosen = labels.clusterings_of(collection, request.GET.get("clusters", ""))
    content = {**_place(request, hosted), "clusters": chosen, "clusterings": names}
    try:
        content |= labels.previewed(collection, chosen)
    except UsageError as error:
        content["nothing"] = str(error) if not chosen else "Label a cluster first."
    return render(request, "web/label_preview.html", content)


@require_POST
@with_collection(Role.EDITOR)
def label_propagate(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask for every picture to be given the probability of every label."""
    if not hosted.exists:
        return redirect("label", slug=hosted.slug)
    asked = request.POST.get("clusters", "")
    try:
        chosen = labels.ready_to_propagate(open_collections.get(hosted), asked)
    except UsageError as error:
        messages.error(request, str(error))
        return redirect("label", slug=hosted.slug)
    options = {"clusters": chosen}
    others = [JobKind.UNDO]
    user = person(request)
    if queueing.ask(hosted, user, JobKind.PROPAGATE, options, not_beside=others) is None:
        messages.info(request, _AT_WORK)
    else:
        note(request, hosted, "propagation asked", chosen)
    return redirect("label_review", slug=hosted.slug)


@require_http_methods(["GET", "POST"])
@with_collection(Role.EDITOR)
@when_free
def label_review(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Ask whether a picture shows a word, those nearest to one half first; take the answer."""
    if request.method == "POST":
        return _reviewed(request, hosted)
    if not hosted.exists:
        return redirect("label", slug=hosted.slug)
    collection = open_collections.get(hosted)
    found = labels.under_review(
        collection, request.GET.get("word", ""), whole(request.GET.get("at", ""))
    )
    known = [each["label"] for each in labels.label_table(collection) if each["counts"][1]]
    asked = found["asked"]
    content = {
        **_place(request, hosted),
        **found,
        "known": known,
        "image": image_record(collection, asked.id) if asked else None,
        "history": labels.history(collection)[:1],
        "skipping": urlencode({"word": found["word"], "at": found["at"] + 1}),
    }
    return render(request, "web/label_review.html", content)


def _reviewed(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    sent = request.POST
    word, answer = sent.get("label", ""), sent.get("answer", "")
    if answer not in ("yes", "no"):
        raise UsageError("the answer is yes or no; press one of the buttons")
    said = [Statement(image, word, answer == "yes") for image in ids_of(sent.getlist("id"))]
    detail = {"labels": [word], "cluster": None, "clusters": "", "review": True}
    labels.say(hosted, detail, said)
    note(request, hosted, "reviewed", f"{word}: {answer} of {', '.join(sent.getlist('id'))}")
    query = urlencode({"word": sent.get("word", ""), "at": whole(sent.get("at", ""))})
    return redirect(f"{reverse('label_review', args=[hosted.slug])}?{query}")


@require_POST
@with_collection(Role.EDITOR)
@when_free
def label_undo(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Take back the last action whole; probabilities that have to be worked out again are a job."""
    if queueing.waiting(hosted, *_OF_LABELS) is not None:
        messages.info(request, _AT_WORK)
    elif (action := labels.long_undo(open_collections.get(hosted))) is not None:
        options, others = {"action": action}, [JobKind.PROPAGATE]
        if queueing.ask(hosted, person(request), JobKind.UNDO, options, not_beside=others):
            note(request, hosted, "labeling undone", "propagate")
    else:
        _take_back(request, hosted)
    return _back(request, hosted)


def _take_back(request: HttpRequest, hosted: HostedCollection) -> None:
    try:
        undone = labels.undone(hosted)
    except UsageError as error:
        messages.error(request, str(error))
    else:
        note(request, hosted, "labeling undone", undone["kind"])
        messages.success(request, "The last action was taken back.")


def _place(request: HttpRequest, hosted: HostedCollection, *kinds: JobKind) -> dict[str, Any]:
    """Return what every page of labeling is given: also the work that goes on."""
    return {
        **place(request, hosted),
        "job": queueing.shown(hosted, *_OF_LABELS, *kinds),
        "may_undo": queueing.waiting(hosted, *_OF_LABELS) is None,
    }


def _back(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Go on where the form was: the page Label, the review, or an image."""
    sent = request.POST
    if sent.get("then") == "review":
        return redirect(f"{reverse('label_review', args=[hosted.slug])}?{sent.get('query', '')}")
    if image := whole(sent.get("image", "")):
        return redirect("image", slug=hosted.slug, image_id=image)
    query = urlencode({"clusters": sent.get("clusters", ""), "at": whole(sent.get("at", ""))})
    return redirect(f"{reverse('label', args=[hosted.slug])}?{query}")
