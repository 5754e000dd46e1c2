"""Cursors: where a list goes on, in the state of the collection in which it was begun."""

import hashlib
import json
from typing import Any, Final

from django.core.signing import BadSignature, Signer
from ninja.errors import HttpError

from lookalike.errors import UsageError

_SALT: Final = "lookalike.rest.cursor"


def cursor_to(what: Any, state: str, at: int) -> str:
    """Return the cursor to place `at` of a list.

    Args:
        what: What is listed, as plain values; the cursor holds for nothing else.
        state: Of the collection; the cursor holds for no other one.
        at: Places that came before.
    """
    return Signer(salt=_SALT).sign(f"{at}.{_digest(what)}.{_digest(state)}")


def read_cursor(cursor: str, what: Any, state: str) -> int:
    """Return the place that a cursor leads to; 0 for an empty one.

    Raises:
        UsageError: If it is not one of ours, or of another list.
        HttpError: With 409 if the collection has changed since.
    """
    if not cursor:
        return 0
    try:
        at, told, of_state = Signer(salt=_SALT).unsign(cursor).split(".")
    except (BadSignature, ValueError):
        raise UsageError("that is no cursor of this server; begin anew without one") from None
    if told != _digest(what):
        raise UsageError("the cursor belongs to another question; begin anew without one")
    if of_state != _digest(state):
        raise HttpError(409, "the collection has changed since; begin anew without the cursor")
    return int(at)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
