"""What every request passes through: its number, headers, faults."""

import logging
import re
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, TypeAlias

from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.shortcuts import render

from lookalike.errors import (
    CollectionLockedError,
    EnvironmentFault,
    LookalikeError,
    MismatchError,
    NotACollectionError,
)
from lookalike.web import metrics

Respond: TypeAlias = Callable[[HttpRequest], HttpResponseBase]

log = logging.getLogger("lookalike.web.requests")

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")

STATUS_OF: Final[tuple[tuple[type[LookalikeError], HTTPStatus], ...]] = (
    (NotACollectionError, HTTPStatus.SERVICE_UNAVAILABLE),
    (CollectionLockedError, HTTPStatus.CONFLICT),
    (MismatchError, HTTPStatus.CONFLICT),
    (EnvironmentFault, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: LookalikeError) -> HTTPStatus:
    """Return the status with which an error of the library is answered."""
    for kind, status in STATUS_OF:
        if isinstance(error, kind):
            return status
    return HTTPStatus.UNPROCESSABLE_ENTITY


class RequestLog:
    """Gives each request a number, which the answer carries too, and logs it when it is done."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass a request on."""
        given = request.headers.get("X-Request-Id", "")
        number = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        started = time.perf_counter()
        response = self._respond(request)
        response["X-Request-Id"] = number
        seconds = time.perf_counter() - started
        metrics.observe(request, response.status_code, seconds)
        facts = {
            "request_id": number,
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "ms": round(1000 * seconds, 1),
        }
        log.info("%s %s", request.method, request.path, extra=facts)
        return response


class Headers:
    """Headers that Django does not set by itself."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass a request on and complete the answer."""
        response = self._respond(request)
        response.setdefault("Permissions-Policy", "camera=(self), geolocation=(), microphone=()")
        response.setdefault("Cache-Control", "private, no-store")
        return response


class Faults:
    """Turns errors of the library into one line for the person, with a fitting status."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass a request on."""
        return self._respond(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer an error that was raised on purpose; all others are bugs and stay errors."""
        if not isinstance(exception, LookalikeError):
            return None
        status = status_of(exception)
        if request.path.startswith("/api/"):
            return JsonResponse({"error": str(exception)}, status=status)
        template = "web/fault_part.html" if request.headers.get("HX-Request") else "web/fault.html"
        return render(request, template, {"fault": str(exception)}, status=status)
