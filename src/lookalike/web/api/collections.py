"""REST: what collections hold."""

from typing import Any, Final

from django.http import HttpRequest
from ninja import Router, Schema

from lookalike.images.scanning import display_path
from lookalike.web import galleries, knowledge
from lookalike.web.api.common import FAULTS, hosted, opened, person
from lookalike.web.api.schemas import CollectionOut, ImageOut
from lookalike.web.galleries import open_collections
from lookalike.web.models import HostedCollection, Role, User

router = Router()

MOST_IDS: Final = 200


class IndexOut(Schema):
    """An index, and the share of the true nearest neighbors that it was measured to find."""

    descriptor: str
    kind: str
    images: int
    newer: int
    measured_recall: float | None


class StatusOut(Schema):
    """What a collection holds, how accurate its indexes are, and what room it takes."""

    images: int
    files: dict[str, int]
    model: str
    revision: int
    bytes: int
    bytes_of: dict[str, int]
    indexes: list[IndexOut]


class LabelSaid(Schema):
    """A label of an image, and who says so: a person, a data set, the model, or propagation."""

    label: str
    by: str
    probability: float


class KnownOut(Schema):
    """What is known of an image and who says it; never where it was taken."""

    id: int
    labels: list[LabelSaid]
    captions: list[dict[str, str]]
    attributes: list[dict[str, Any]]


@router.get("/collections", response={200: list[CollectionOut], **FAULTS}, tags=["collections"])
def list_collections(request: HttpRequest) -> Any:
    """List the collections that you may see."""
    user = person(request)
    return [_collection_out(each, user) for each in HostedCollection.objects.open_to(user)]


@router.get("/collections/{name}", response={200: CollectionOut, **FAULTS}, tags=["collections"])
def get_collection(request: HttpRequest, name: str) -> Any:
    """Tell what a collection is."""
    return _collection_out(hosted(request, name), person(request))


@router.get("/collections/{name}/status", response={200: StatusOut, **FAULTS}, tags=["collections"])
def get_status(request: HttpRequest, name: str) -> Any:
    """Tell what a collection holds, how accurate its indexes are, and what room it takes."""
    collection = opened(request, name, Role.EDITOR)
    status = collection.status()
    return {
        **status,
        "indexes": [{**each, "images": each["n"]} for each in status["indexes"]],
    }


@router.get("/collections/{name}/images", response={200: list[ImageOut], **FAULTS}, tags=["images"])
def images(request: HttpRequest, name: str, ids: str) -> Any:
    """Tell what is known of images, by ids separated by commas; unknown ones are left out."""
    collection = opened(request, name)
    wanted = [int(each) for each in ids.split(",") if each.strip().isdecimal()][:MOST_IDS]
    records = [galleries.image_record(collection, each) for each in wanted if each < 2**62]
    return [
        {
            "id": record.id,
            "hash": record.hash.hex(),
            "bytes": record.n_bytes,
            "width": record.width,
            "height": record.height,
            "format": record.format,
            "paths": [display_path(path) for path in record.paths],
            "labels": dict(record.labels),
        }
        for record in records
        if record is not None
    ]


@router.get(
    "/collections/{name}/images/{image_id}/known",
    response={200: KnownOut, **FAULTS},
    tags=["images"],
)
def get_known(request: HttpRequest, name: str, image_id: int) -> Any:
    """Tell who says what of an image: labels, captions, attributes."""
    return knowledge.said_of(opened(request, name), image_id)


def _collection_out(each: HostedCollection, user: User) -> dict[str, Any]:
    role = each.role_of(user)
    content = {
        "name": each.slug,
        "title": each.title,
        "role": "" if role is None else role.label,
        "images": 0,
        "descriptors": [],
        "has_layout": False,
        "has_words": False,
    }
    if each.exists:
        collection = open_collections.get(each)
        content |= {
            "images": len(collection),
            "descriptors": list(collection.catalog.descriptors),
            "has_layout": collection.card.has_layout,
            "has_words": collection.card.has_text,
        }
    return content
