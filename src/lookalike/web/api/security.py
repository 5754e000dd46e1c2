"""How programs prove who they are: a token, or the session of the browser they run in."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer, SessionAuth

from lookalike.web.models import ApiToken, User

_READING = ("GET", "HEAD", "OPTIONS")


class TokenAuth(HttpBearer):
    """`Authorization: Bearer look_…`; tokens that only read may still search."""

    def authenticate(self, request: HttpRequest, token: str) -> User | None:
        """Return who the token belongs to; `None` if it does not hold."""
        found = ApiToken.find(token)
        if found is None:
            return None
        request.user = found.user
        request.may_write = found.may_write  # type: ignore[attr-defined]
        return found.user


class BrowserAuth(SessionAuth):
    """The session cookie, with Django's protection against forged requests."""

    def authenticate(self, request: HttpRequest, key: str | None) -> User | AnonymousUser | None:
        """Return who the session belongs to."""
        return request.user if isinstance(request.user, User) else None


def check_may_write(request: HttpRequest) -> None:
    """Refuse a token that only reads.

    Raises:
        HttpError: With status 403.
    """
    if not getattr(request, "may_write", True):
        raise HttpError(403, "this token only reads; make one that may also change things")
