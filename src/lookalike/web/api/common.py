"""What the routes of REST share: who asks, what can go wrong, how changes are let in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeAlias, cast

from django.http import Http404, HttpRequest

from lookalike.collection import Collection
from lookalike.web import access
from lookalike.web.api.schemas import Fault
from lookalike.web.api.security import check_may_write
from lookalike.web.galleries import open_collections
from lookalike.web.idempotency import once
from lookalike.web.models import HostedCollection, Role, User

Operation: TypeAlias = Callable[..., Any]

_STATUSES: Final = (400, 401, 404, 409, 413, 415, 422, 503)
FAULTS: Final[dict[int, Any]] = dict.fromkeys(_STATUSES, Fault)
FAULTS_OF_CHANGES: Final[dict[int, Any]] = {**FAULTS, 403: Fault}


def person(request: HttpRequest) -> User:
    """Return who asks."""
    return cast(User, request.user)


def staff(request: HttpRequest) -> User:
    """Return who asks, if that is staff; else 404."""
    if not person(request).is_staff:
        raise Http404("there is no such page")
    return person(request)


def changing_as_staff(view: Operation) -> Operation:
    """Let a change in: from staff, once for each key."""
    kept = once(view)

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **words: Any) -> Any:
        check_may_write(request)
        staff(request)
        return kept(request, *args, **words)

    return inner


def hosted(request: HttpRequest, name: str, role: Role = Role.VIEWER) -> HostedCollection:
    """Return a collection if the person may do with it what `role` may; else 404."""
    return access.hosted(person(request), name, role)


def opened(request: HttpRequest, name: str, role: Role = Role.VIEWER) -> Collection:
    """Return the same, open to be read."""
    return open_collections.get(hosted(request, name, role))


def changing(role: Role) -> Callable[[Operation], Operation]:
    """Let a change of a collection in: from those who may, once for each key.

    It stands beneath the route, so that it sees what was checked.
    """

    def decorate(view: Operation) -> Operation:
        kept = once(view)

        @wraps(view)
        def inner(request: HttpRequest, name: str, *args: Any, **words: Any) -> Any:
            check_may_write(request)
            # Before an earlier answer is given again, for who asks may no longer see it.
            hosted(request, name, role)
            return kept(request, *args, name=name, **words)

        return inner

    return decorate
