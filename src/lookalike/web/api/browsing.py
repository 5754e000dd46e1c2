"""REST: clusters, maps and subjects."""

from typing import Any, Final

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from lookalike.search.clusters import view_clusters
from lookalike.search.subjects import count_facets, pictures_of
from lookalike.web.api.common import FAULTS, opened
from lookalike.web.browsing import whole_tree

router = Router()

MOST_PICTURES: Final = 1000


class ClusterOut(Schema):
    """A cluster, what stands out in it, and the images nearest to its center."""

    cluster: int
    size: int
    names: list[dict[str, Any]]
    nearest: list[int]


class ClusteringOut(Schema):
    """Clusters under a name, the largest first."""

    name: str
    descriptor: str
    unplaced: int = Field(description="Images that came since; a job places them.")
    clusters: list[ClusterOut]


class MapOut(Schema):
    """Images and their places, across and down, each from 0 to 1."""

    name: str
    descriptor: str
    unplaced: int
    facts: dict[str, Any]
    ids: list[int]
    x: list[float]
    y: list[float]


class FacetOut(Schema):
    """A subject with the number of its pictures and of the subjects right beneath it."""

    name: str
    pictures: int
    children: int


class ProbableOut(Schema):
    """An image and how probable it is."""

    id: int
    probability: float


class SubjectOut(Schema):
    """A subject, what is beneath it, and its most probable pictures; no subject is the top."""

    subject: str | None
    above: list[str]
    total: int
    beneath: list[FacetOut]
    images: list[ProbableOut]


@router.get("/collections/{name}/clusters", response={200: list[str], **FAULTS}, tags=["browse"])
def list_clusterings(request: HttpRequest, name: str) -> Any:
    """List the names under which clusters are kept; a job of kind `clusters` makes them."""
    return opened(request, name).catalog.knowledge.clusterings.names()


@router.get(
    "/collections/{name}/clusters/{of}", response={200: ClusteringOut, **FAULTS}, tags=["browse"]
)
def get_clusters(request: HttpRequest, name: str, of: str) -> Any:
    """Show all clusters of a name, the largest first."""
    catalog = opened(request, name).catalog
    clusterings = catalog.knowledge.clusterings
    return {
        "name": of,
        "descriptor": clusterings.open(of).descriptor,
        "unplaced": len(clusterings.unplaced(of)),
        "clusters": [each.to_json() for each in view_clusters(catalog, of)],
    }


@router.get("/collections/{name}/maps", response={200: list[str], **FAULTS}, tags=["browse"])
def list_maps(request: HttpRequest, name: str) -> Any:
    """List the names under which maps are kept; a job of kind `map` makes them."""
    return opened(request, name).catalog.knowledge.maps.names()


@router.get("/collections/{name}/maps/{of}", response={200: MapOut, **FAULTS}, tags=["browse"])
def get_map(request: HttpRequest, name: str, of: str) -> Any:
    """Give the place of every image on a map."""
    maps = opened(request, name).catalog.knowledge.maps
    descriptor, facts = maps.facts(of)
    found = maps.points(of)
    return {
        "name": of,
        "descriptor": descriptor,
        "unplaced": len(maps.unplaced(of)),
        "facts": facts,
        "ids": found.ids.tolist(),
        "x": found.points[:, 0].tolist(),
        "y": found.points[:, 1].tolist(),
    }


@router.get("/collections/{name}/subjects", response={200: SubjectOut, **FAULTS}, tags=["browse"])
def get_subjects(
    request: HttpRequest, name: str, subject: str = "", start: Query[int] = 0, k: Query[int] = 20
) -> Any:
    """Show a subject of the catalog with counts, and `k` of its pictures from `start` on."""
    collection = opened(request, name)
    tree, chosen = whole_tree(collection), subject or None
    facets, total = count_facets(collection.catalog, tree, chosen)
    start, k = min(max(start, 0), total), min(max(k, 0), MOST_PICTURES)
    ranked = [] if chosen is None else pictures_of(collection.catalog, tree, chosen, start + k)
    return {
        "subject": chosen,
        "above": list(tree.ancestors(chosen)[:0:-1]) if chosen else [],
        "total": total,
        "beneath": [
            {"name": each.name, "pictures": each.pictures, "children": each.n_children}
            for each in facets
        ],
        "images": [{"id": image_id, "probability": p} for image_id, p in ranked[start:]],
    }
