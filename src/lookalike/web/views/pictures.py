"""Pictures as bytes, the page of one image, and uploads."""

import io
import os
from http import HTTPStatus
from pathlib import Path
from typing import Final

import numpy as np
from django.contrib.auth.decorators import login_required
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
)
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST
from PIL import Image

from lookalike.collection import Collection
from lookalike.errors import ImageError
from lookalike.images.files import content_hash, display_path, read_content
from lookalike.search.queries import IdExample, Query
from lookalike.storage.records import ImageRecord
from lookalike.web import galleries, results, uploads
from lookalike.web.access import person, place, with_collection
from lookalike.web.asking import UPLOAD
from lookalike.web.galleries import open_collections
from lookalike.web.knowledge import known_of, palette_of
from lookalike.web.models import HostedCollection

_BACKGROUND_ALPHA: Final = 60
_CLASS_ALPHA: Final = 190
_FOREVER: Final = "private, max-age=604800, immutable"
"""Addresses of pictures hold the start of their content hash, so what lies there never changes."""

_DENSITY: Final = 0.334
"""Pixels of a file in one of the page: a small picture is enlarged to three times its size where
there is room for that, and no further. A density gives the picture that size by itself, so that it
keeps its proportions whatever bounds it."""

_MOST_ORIGINAL: Final = 512 * 2**20


def _image(collection: Collection, image_id: int) -> ImageRecord:
    record = galleries.image_record(collection, image_id)
    if record is None:
        raise Http404("there is no such image")
    return record


def _webp(content: bytes) -> HttpResponse:
    return HttpResponse(content, "image/webp", headers={"Cache-Control": _FOREVER})


@require_GET
@with_collection()
def thumbnail(request: HttpRequest, hosted: HostedCollection, image_id: int) -> HttpResponse:
    """Give the small picture of an image."""
    record = _image(open_collections.get(hosted), image_id)
    try:
        return _webp(galleries.thumbnail(hosted, record))
    except ImageError:
        return HttpResponse("the file of this image cannot be read", status=HTTPStatus.GONE)


@require_GET
@with_collection()
def large(request: HttpRequest, hosted: HostedCollection, image_id: int) -> HttpResponse:
    """Give the large picture of an image."""
    record = _image(open_collections.get(hosted), image_id)
    try:
        return _webp(galleries.large_picture(record))
    except ImageError:
        return HttpResponse("the file of this image cannot be read", status=HTTPStatus.GONE)


@require_GET
@with_collection()
def layout(request: HttpRequest, hosted: HostedCollection, image_id: int) -> HttpResponse:
    """Give the layout that the model saw in an image, as colors to lay over it."""
    collection = open_collections.get(hosted)
    record = _image(collection, image_id)
    if not collection.card.has_layout:
        raise Http404("the model of this collection knows no layout")
    codes = collection.vectors([record.id], "layout")
    seen = collection.model.decode_codes(codes)[0].argmax(axis=0)
    colors = np.array(collection.card.palette, np.uint8)[seen]
    alpha = np.where(seen == 0, _BACKGROUND_ALPHA, _CLASS_ALPHA).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.dstack([colors, alpha])).save(file, "PNG")
    return HttpResponse(file.getvalue(), "image/png", headers={"Cache-Control": _FOREVER})


@require_GET
@with_collection()
def original(request: HttpRequest, hosted: HostedCollection, image_id: int) -> HttpResponseBase:
    """Give the file of an image to be saved; never to be shown as a page."""
    record = _image(open_collections.get(hosted), image_id)
    for path in record.paths:
        try:
            content = read_content(path, _MOST_ORIGINAL)
        except ImageError:
            continue
        if content_hash(content.data) == record.hash:
            name = Path(os.fsdecode(path)).name
            answer = FileResponse(io.BytesIO(content.data), as_attachment=True, filename=name)
            answer["Content-Type"] = "application/octet-stream"
            answer["Content-Security-Policy"] = "sandbox; default-src 'none'"
            return answer
    raise Http404("the file of this image is gone or has changed")


@require_GET
@with_collection()
def image(request: HttpRequest, hosted: HostedCollection, image_id: int) -> HttpResponse:
    """Show one image: large, what the model sees in it and why, its files, what is like it."""
    collection = open_collections.get(hosted)
    record = _image(collection, image_id)
    page = results.find(f"like={record.id}", collection, Query((IdExample(record.id),)))
    content = {
        **place(request, hosted),
        "image": record,
        "short": record.hash.hex()[:12],
        "density": _DENSITY,
        "name": display_path(record.paths[0].rpartition(b"/")[2]),
        "paths": [display_path(path) for path in record.paths],
        "labels": [(name, round(100 * share)) for name, share in record.labels],
        **known_of(collection, record),
        "palette": palette_of(hosted, record),
        "legend": _legend(collection, record),
        "similar": page.hits[:12],
        "has_layout": collection.card.has_layout,
    }
    return render(request, "web/image.html", content)


def _legend(collection: Collection, record: ImageRecord) -> list[tuple[str, str, int]]:
    """Name the classes in the decoded layout with color and percent of the picture."""
    if not collection.card.has_layout:
        return []
    seen = collection.model.decode_codes(collection.vectors([record.id], "layout"))[0].argmax(
        axis=0
    )
    counts = np.bincount(seen.ravel(), minlength=len(collection.card.palette))
    names = ("background", *collection.card.classes)
    order = [int(at) for at in np.argsort(-counts) if counts[at]]
    return [
        (names[at], "#{:02x}{:02x}{:02x}".format(*collection.card.palette[at]), share)
        for at in order
        if (share := round(100 * counts[at] / seen.size)) > 0
    ]


@require_POST
@login_required
def upload(request: HttpRequest) -> JsonResponse:
    """Take a picture to search with; the answer says what it is called from now on."""
    sent = request.FILES.get("picture")
    if sent is None:
        return JsonResponse(
            {"error": f"no picture arrived; {uploads.MOST_BYTES // 2**20} MiB is the most"},
            status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        )
    try:
        kept = uploads.keep(person(request), uploads.decode_upload(sent.read()))
    except ImageError as error:
        return JsonResponse({"error": error.reason}, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return JsonResponse(
        {"example": UPLOAD + kept.token, "width": kept.width, "height": kept.height}
    )


@require_GET
@login_required
def uploaded(request: HttpRequest, token: str) -> HttpResponse:
    """Give a picture that the person sent."""
    return _webp(uploads.place_of(uploads.find(person(request), token)).read_bytes())
