"""Who may what: the one way from a request to a collection.

A collection that a person must not see does not exist for them: the answer is 404, never 403.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponseBase

from lookalike.web.models import HostedCollection, Role, User

View: TypeAlias = Callable[..., HttpResponseBase]


def person(request: HttpRequest) -> User:
    """Return who makes a request behind `login_required`."""
    return cast(User, request.user)


def hosted(user: User, slug: str, role: Role = Role.VIEWER) -> HostedCollection:
    """Return the collection of that name if a person may do with it what `role` may.

    Raises:
        Http404: If not, or if there is none.
    """
    found = HostedCollection.objects.open_to(user, role).filter(slug=slug).first()
    if found is None:
        raise Http404("there is no such collection")
    return found


def with_collection(role: Role = Role.VIEWER) -> Callable[[View], View]:
    """Give a view the collection that its address names, in place of the name."""

    def decorate(view: View) -> View:
        @login_required
        @wraps(view)
        def inner(request: HttpRequest, slug: str, *args: Any, **words: Any) -> HttpResponseBase:
            return view(request, hosted(person(request), slug, role), *args, **words)

        return inner

    return decorate


def place(request: HttpRequest, hosted: HostedCollection) -> dict[str, Any]:
    """Return what every page of a collection is given: where it is, and what one may do there."""
    return {"collection": hosted, "role": hosted.role_of(person(request)), "Role": Role}


def staff_only(view: View) -> View:
    """Let only staff see a view; it does not exist for others."""

    @login_required
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **words: Any) -> HttpResponseBase:
        if not person(request).is_staff:
            raise Http404("there is no such page")
        return view(request, *args, **words)

    return inner
