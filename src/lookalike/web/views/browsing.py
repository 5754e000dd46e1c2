"""The page Browse: clusters, subjects and the map of a collection, without a query."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from lookalike.collection import Collection
from lookalike.errors import UsageError
from lookalike.images.scanning import display_path
from lookalike.search import clusters as found
from lookalike.search.subjects import Facet, Taxonomy, count_facets, pictures_of
from lookalike.web import atlases, queueing
from lookalike.web.access import person, with_collection
from lookalike.web.browsing import whole_tree
from lookalike.web.galleries import image_record, open_collections
from lookalike.web.models import AuditEntry, HostedCollection, JobKind, Role
from lookalike.web.work import grouping_options

PAGE: Final = 120
"""Pictures on a page."""

N_MONTAGE: Final = 8
N_EXAMPLES: Final = 10
"""Pictures nearest to the center with which a cluster is searched for."""

_FOREVER: Final = "private, max-age=604800, immutable"


@require_GET
@with_collection()
def clusters(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Show the clusters of a collection, the largest first."""
    if not hosted.exists:
        return redirect("search", slug=hosted.slug)
    collection = open_collections.get(hosted)
    clusterings = collection.catalog.knowledge.clusterings
    name = _chosen(request.GET.get("of", ""), clusterings.names())
    views = found.view_clusters(collection.catalog, name, n_nearest=N_MONTAGE) if name else []
    content = {
        **_place(request, hosted, collection, JobKind.CLUSTERS),
        "names": clusterings.names(),
        "of": name,
        "cards": [_card(view) for view in views],
        "n_unplaced": len(clusterings.unplaced(name)) if name else 0,
    }
    return render(request, "web/clusters.html", content)


@require_GET
@with_collection()
def cluster(request: HttpRequest, hosted: HostedCollection, number: int) -> HttpResponseBase:
    """Show the pictures of one cluster, nearest to its center first."""
    if not hosted.exists:
        return redirect("search", slug=hosted.slug)
    collection = open_collections.get(hosted)
    clusterings = collection.catalog.knowledge.clusterings
    name = _chosen(request.GET.get("of", ""), clusterings.names())
    views = found.view_clusters(collection.catalog, name, n_nearest=N_EXAMPLES) if name else []
    view = next((each for each in views if each.cluster == number), None)
    if view is None:
        raise UsageError("there is no such cluster any more; go back to all clusters")
    paging = _paging(request, view.size)
    ids = clusterings.nearest(name, number, PAGE, offset=paging["start"]).tolist()
    content = {
        **_place(request, hosted, collection, JobKind.CLUSTERS),
        "of": name,
        "card": _card(view),
        "members": _members(collection, ids),
        "paging": paging,
    }
    return render(request, "web/cluster.html", content)


@require_GET
@with_collection()
def subjects(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Show a subject of the catalog: what is beneath it, and its pictures, most probable first."""
    if not hosted.exists:
        return redirect("search", slug=hosted.slug)
    collection = open_collections.get(hosted)
    tree = whole_tree(collection)
    subject = request.GET.get("subject") or None
    facets, total = count_facets(collection.catalog, tree, subject)
    paging = _paging(request, total)
    ids = [] if subject is None else _pictures(collection, tree, subject, paging["start"], PAGE)
    content = {
        **_place(request, hosted, collection, JobKind.CLUSTERS),
        "subject": subject,
        "above": tree.ancestors(subject)[:0:-1] if subject else (),
        "cards": [_subject_card(collection, tree, each) for each in facets if each.pictures],
        "total": total,
        "members": _members(collection, ids),
        "paging": paging,
    }
    return render(request, "web/subjects.html", content)


@require_GET
@with_collection()
def map_page(request: HttpRequest, hosted: HostedCollection) -> HttpResponseBase:
    """Show the map; its places and small pictures are fetched by the page."""
    if not hosted.exists:
        return redirect("search", slug=hosted.slug)
    collection = open_collections.get(hosted)
    kept = collection.catalog.knowledge.maps
    name = _chosen(request.GET.get("of", ""), kept.names())
    descriptor, facts = kept.facts(name) if name else ("", {})
    content = {
        **_place(request, hosted, collection, JobKind.MAP),
        "names": kept.names(),
        "of": name,
        "descriptor": descriptor,
        "trustworthiness": (facts.get("trustworthiness") or {}).get("all"),
        "n_unplaced": len(kept.unplaced(name)) if name else 0,
    }
    return render(request, "web/map.html", content)


@require_GET
@with_collection()
def map_points(request: HttpRequest, hosted: HostedCollection) -> JsonResponse:
    """Give the places of a map and where its small pictures lie."""
    if not hosted.exists:
        raise UsageError("nothing has been indexed yet, so that there is no map")
    collection = open_collections.get(hosted)
    drawn = atlases.prepare(hosted, collection, request.GET.get("of", "content"))
    parts = [reverse("atlas", args=[hosted.slug, drawn.key, n]) for n in range(drawn.n_parts)]
    return JsonResponse({**drawn.to_json(), "parts": parts})


@require_GET
@with_collection()
def atlas(request: HttpRequest, hosted: HostedCollection, key: str, number: int) -> HttpResponse:
    """Give some of the small pictures of a map."""
    content = atlases.part(hosted, open_collections.get(hosted), key, number)
    if content is None:
        # A page that was open for long asks so; it reloads.
        return HttpResponse("there are no such small pictures any more", status=HTTPStatus.GONE)
    return HttpResponse(content, "image/webp", headers={"Cache-Control": _FOREVER})


@require_POST
@with_collection(Role.EDITOR)
def group(request: HttpRequest, hosted: HostedCollection, kind: str) -> HttpResponseBase:
    """Ask for clusters or a map to be made anew, or for new pictures to be put into them."""
    if kind not in (JobKind.CLUSTERS, JobKind.MAP):
        raise Http404("there is no such work")
    back = redirect("map" if kind == JobKind.MAP else "browse", slug=hosted.slug)
    if not hosted.exists:
        return back
    try:
        options = grouping_options(request.POST.dict(), open_collections.get(hosted))
    except UsageError as error:
        messages.error(request, str(error))
        return back
    if queueing.ask(hosted, person(request), JobKind(kind), options) is None:
        messages.info(request, "That is being made already.")
        return back
    AuditEntry.write(request, f"{kind} asked", hosted.slug)
    back["Location"] += f"?of={options['name']}" if not options["anew"] else ""
    return back


def _place(
    request: HttpRequest, hosted: HostedCollection, collection: Collection, kind: JobKind
) -> dict[str, Any]:
    return {
        "collection": hosted,
        "job": queueing.shown(hosted, kind),
        "role": hosted.role_of(person(request)),
        "Role": Role,
        "n_images": len(collection),
        "descriptors": list(collection.catalog.descriptors),
    }


def _chosen(asked: str, names: Sequence[str]) -> str:
    """Return what is shown: what is asked for, else `content`, else the first; "" if none is."""
    if asked:
        return asked
    return "content" if "content" in names else next(iter(names), "")


def _card(view: found.ClusterView) -> dict[str, Any]:
    return {
        "number": view.cluster,
        "size": view.size,
        "names": [(label, round(100 * own)) for label, own, _, _ in view.names],
        "title": " · ".join(label for label, *_ in view.names) or f"Cluster {view.cluster}",
        "nearest": view.nearest,
    }


def _subject_card(collection: Collection, tree: Taxonomy, facet: Facet) -> dict[str, Any]:
    return {
        "name": facet.name,
        "size": facet.pictures,
        "n_children": facet.n_children,
        "nearest": _pictures(collection, tree, facet.name, 0, N_MONTAGE // 2),
    }


def _pictures(
    collection: Collection, tree: Taxonomy, subject: str, start: int, n: int
) -> list[int]:
    ranked = pictures_of(collection.catalog, tree, subject, start + n)
    return [image_id for image_id, _ in ranked[start:]]


def _paging(request: HttpRequest, total: int) -> dict[str, Any]:
    text = request.GET.get("page", "1")
    last = max(1, -(-total // PAGE))
    page = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
    page = min(max(1, page), last)
    kept = request.GET.copy()
    kept.pop("page", None)
    return {
        "page": page,
        "last": last,
        "start": (page - 1) * PAGE,
        "total": total,
        "before": page - 1,
        "after": page + 1 if page < last else 0,
        "rest": kept.urlencode(),
    }


def _members(collection: Collection, ids: Sequence[int]) -> list[dict[str, Any]]:
    records = [image_record(collection, image_id) for image_id in ids]
    return [
        {
            "id": record.id,
            "name": display_path(record.paths[0].rpartition(b"/")[2]),
            "labels": [name for name, _ in record.labels[:5]],
            "width": record.width,
            "height": record.height,
        }
        for record in records
        if record is not None
    ]
