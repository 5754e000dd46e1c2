"""REST, version 1: its routers, and how faults are answered."""

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from lookalike import __version__
from lookalike.errors import CollectionLockedError, LookalikeError
from lookalike.web.api import (
    backups,
    browsing,
    collections,
    duplicates,
    evaluations,
    jobs,
    labels,
    learning,
    searches,
    searching,
    server_backups,
)
from lookalike.web.api.security import BrowserAuth, TokenAuth
from lookalike.web.gate import RETRY_SECONDS
from lookalike.web.middleware import status_of

api = NinjaAPI(
    title="Lookalike",
    version=__version__,
    description=(
        "Finds pictures by what is in them and where it is. Changes take an `Idempotency-Key`: "
        "what comes with the same key within a day gets the same answer and is done once."
    ),
    auth=[TokenAuth(), BrowserAuth()],
    urls_namespace="api",
    docs_url=None,
)
for subject in (
    collections,
    searching,
    searches,
    browsing,
    labels,
    duplicates,
    jobs,
    backups,
    server_backups,
    learning,
    evaluations,
):
    api.add_router("", subject.router)


@api.exception_handler(LookalikeError)
def _fault(request: HttpRequest, error: LookalikeError) -> HttpResponse:
    answer = api.create_response(request, {"error": str(error)}, status=status_of(error))
    if isinstance(error, CollectionLockedError):
        answer["Retry-After"] = str(RETRY_SECONDS)
    return answer


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
