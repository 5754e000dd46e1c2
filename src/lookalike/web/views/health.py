"""Whether the server is well, for programs that watch over it."""

import shutil

from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from lookalike.web import metrics as figures
from lookalike.web.home import ServerHome
from lookalike.web.models import ApiToken

_LEAST_FREE = 0.05


@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """Say that the process answers."""
    return HttpResponse("ok\n", "text/plain")


@require_GET
def ready(request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served: the database answers and the disk is not full."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("database\n", "text/plain", status=503)
    disk = shutil.disk_usage(ServerHome.from_environment().path)
    if disk.free < _LEAST_FREE * disk.total:
        return HttpResponse("disk\n", "text/plain", status=503)
    return HttpResponse("ok\n", "text/plain")


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """Give the figures of the running server to staff, or to a program with a token of theirs."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    found = ApiToken.find(token) if kind == "Bearer" else None
    user = request.user if found is None else found.user
    if not user.is_staff:
        raise Http404("there is no such page")
    return HttpResponse(figures.figures(), "text/plain; version=0.0.4; charset=utf-8")
