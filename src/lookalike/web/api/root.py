"""The routes of REST, version 1."""

import logging
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from ninja import File, NinjaAPI, Query
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.files import UploadedFile

from lookalike import __version__
from lookalike.asking.answers import answer
from lookalike.errors import ImageError, LookalikeError
from lookalike.images.scanning import display_path
from lookalike.search.queries import PixelsExample
from lookalike.search.queries import Query as QueryValue
from lookalike.web import galleries, uploads
from lookalike.web.access import hosted
from lookalike.web.api.schemas import (
    CollectionOut,
    Fault,
    Found,
    ImageOut,
    JobIn,
    JobOut,
    SearchIn,
    Upload,
)
from lookalike.web.api.security import BrowserAuth, TokenAuth, check_may_write
from lookalike.web.asking import MOST_HITS, query_from_json
from lookalike.web.galleries import open_collections
from lookalike.web.middleware import status_of
from lookalike.web.models import HostedCollection, Job, Role, User

log = logging.getLogger("lookalike.web.api")

MOST_IDS = 200

FAULTS: dict[int, Any] = {
    400: Fault,
    401: Fault,
    404: Fault,
    409: Fault,
    413: Fault,
    415: Fault,
    422: Fault,
    503: Fault,
}

api = NinjaAPI(
    title="Lookalike",
    version=__version__,
    description="Finds pictures by what is in them and where it is.",
    auth=[TokenAuth(), BrowserAuth()],
    urls_namespace="api",
    docs_url=None,
)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


@api.exception_handler(LookalikeError)
def _fault(request: HttpRequest, error: LookalikeError) -> HttpResponse:
    return api.create_response(request, {"error": str(error)}, status=status_of(error))


@api.exception_handler(Http404)
def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return api.create_response(request, {"error": str(error) or "not found"}, status=404)


@api.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    return api.create_response(request, {"error": str(error)}, status=error.status_code)


@api.exception_handler(AuthenticationError)
def _unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    text = "sign in, or show a token: Authorization: Bearer look_…"
    return api.create_response(request, {"error": text}, status=401)


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0] if error.errors else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:])
    text = f"{place}: {first.get('msg', 'is not valid')}"
    return api.create_response(request, {"error": text}, status=422)


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


@api.get("/collections", response={200: list[CollectionOut], **FAULTS}, tags=["collections"])
def list_collections(request: HttpRequest) -> Any:
    """List the collections that you may see."""
    user = _user(request)
    return [_collection_out(each, user) for each in HostedCollection.objects.open_to(user)]


@api.get("/collections/{name}", response={200: CollectionOut, **FAULTS}, tags=["collections"])
def get_collection(request: HttpRequest, name: str) -> Any:
    """Tell what a collection holds."""
    return _collection_out(hosted(_user(request), name), _user(request))


@api.post("/collections/{name}/search", response={200: Found, **FAULTS}, tags=["search"])
def search(request: HttpRequest, name: str, sent: SearchIn) -> Any:
    """Find the pictures that a query asks for."""
    collection = open_collections.get(hosted(_user(request), name))
    query = query_from_json(sent.query, _user(request))
    revision = collection.catalog.revision
    return {**answer(collection, query, sent.k), "revision": revision}


@api.post("/collections/{name}/search/picture", response={200: Found, **FAULTS}, tags=["search"])
def search_picture(
    request: HttpRequest,
    name: str,
    picture: File[UploadedFile],
    k: Query[int] = 10,
) -> Any:
    """Find pictures like one that is sent with the request; it is not kept."""
    collection = open_collections.get(hosted(_user(request), name))
    try:
        pixels = uploads.decode_upload(picture.read())
    except ImageError as error:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        return api.create_response(request, {"error": error.reason}, status=status)
    k = min(max(k, 1), MOST_HITS)
    query = QueryValue((PixelsExample.of(pixels),))
    return {**answer(collection, query, k), "revision": collection.catalog.revision}


@api.post("/uploads", response={200: Upload, **FAULTS}, tags=["search"])
def upload(request: HttpRequest, picture: File[UploadedFile]) -> Any:
    """Send a picture to search with for a day; only you can use it."""
    try:
        kept = uploads.keep(_user(request), uploads.decode_upload(picture.read()))
    except ImageError as error:
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        return api.create_response(request, {"error": error.reason}, status=status)
    return {
        "upload": kept.token,
        "width": kept.width,
        "height": kept.height,
        "expires": kept.expires,
    }


@api.get("/collections/{name}/images", response={200: list[ImageOut], **FAULTS}, tags=["images"])
def images(request: HttpRequest, name: str, ids: str) -> Any:
    """Tell what is known of images, by ids separated by commas; unknown ones are left out."""
    collection = open_collections.get(hosted(_user(request), name))
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


def _job_out(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "kind": job.kind,
        "state": job.state,
        "step": job.step,
        "done": job.n_done,
        "expected": job.n_expected,
        "note": job.note,
        "report": job.report,
        "error": job.error,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
    }


@api.get("/collections/{name}/jobs", response={200: list[JobOut], **FAULTS}, tags=["jobs"])
def list_jobs(request: HttpRequest, name: str) -> Any:
    """List the last jobs of a collection."""
    return [_job_out(job) for job in hosted(_user(request), name).jobs.all()[:50]]


@api.post("/collections/{name}/jobs", response={200: JobOut, 403: Fault, **FAULTS}, tags=["jobs"])
def make_job(request: HttpRequest, name: str, sent: JobIn) -> Any:
    """Ask for a collection to be brought up to date with its folders."""
    check_may_write(request)
    collection = hosted(_user(request), name, Role.EDITOR)
    if sent.kind != "index":
        text = f"there is no job of kind {sent.kind[:40]!r}; the only one is 'index'"
        return api.create_response(request, {"error": text}, status=422)
    job = Job.objects.create(
        collection=collection,
        created_by=_user(request),
        kind="index",
        options={"sources": collection.sources},
    )
    return _job_out(job)


@api.get("/collections/{name}/jobs/{job_id}", response={200: JobOut, **FAULTS}, tags=["jobs"])
def get_job(request: HttpRequest, name: str, job_id: UUID) -> Any:
    """Tell how far a job is."""
    found = hosted(_user(request), name).jobs.filter(pk=job_id).first()
    if found is None:
        raise Http404("there is no such job")
    return _job_out(found)
