"""Changes that are made once, however often they are asked for.

A program sends a key of its own with a change, `Idempotency-Key: 0b3f…`. What comes with the same
key within a day gets the same answer and changes nothing; while the first is at work the second is
refused with 409, and a key that comes with something else is refused with 422. That is how *The
Idempotency-Key HTTP Header Field* of the IETF (draft-ietf-httpapi-idempotency-key-header) has it.

Only what succeeded is remembered: a change that was refused can be asked for again. A server that
is killed at work leaves a key without an answer; who asks again makes the change anew, and what it
makes has the same id, so that it is not there twice.
"""

import hashlib
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeAlias, cast

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from ninja.errors import HttpError

from lookalike.web.middleware import Respond
from lookalike.web.models import KeptAnswer, User
from lookalike.web.models.answers import KEPT_HOURS, LEASE_SECONDS

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[!-~]{1,128}")
_HELD: Final = "held_answer"

Operation: TypeAlias = Callable[..., Any]


def once(view: Operation) -> Operation:
    """Make a change of REST that can be asked for again; its answer is plain JSON."""

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **words: Any) -> Any:
        key = request.headers.get(HEADER, "").strip().strip('"')
        if not key:
            return view(request, *args, **words)
        if not _KEY.fullmatch(key):
            raise HttpError(422, f"{HEADER} takes 1 to 128 visible ASCII characters")
        held = _hold(cast(User, request.user), key, _digest(request))
        if isinstance(held, HttpResponseBase):
            return held
        setattr(request, _HELD, held)
        return view(request, *args, **words)

    return inner


def id_for(request: HttpRequest) -> uuid.UUID:
    """Return the id of what a request makes; the same one when it is asked for again."""
    held: KeptAnswer | None = getattr(request, _HELD, None)
    return uuid.uuid4() if held is None else held.made_id


def token_for(request: HttpRequest) -> str:
    """Return a name that nobody can guess for what a request makes; "" without a key."""
    held: KeptAnswer | None = getattr(request, _HELD, None)
    return "" if held is None else salted_hmac(__name__, str(held.made_id)).hexdigest()[:32]


class KeptAnswers:
    """Remembers the answers to changes that were made under a key."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass a request on; keep its answer if it succeeded."""
        response = self._respond(request)
        held: KeptAnswer | None = getattr(request, _HELD, None)
        if held is None:
            return response
        if response.status_code < HTTPStatus.MULTIPLE_CHOICES and isinstance(
            response, HttpResponse
        ):
            held.status, held.content = response.status_code, response.content.decode()
            held.save(update_fields=["status", "content"])
        else:
            held.delete()
        return response


def _hold(user: User, key: str, digest: str) -> KeptAnswer | HttpResponseBase:
    """Return the place of the answer that is to come, or the answer that there is."""
    now = timezone.now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    old = now - timedelta(hours=KEPT_HOURS)
    KeptAnswer.objects.filter(user=user, key=key, created__lt=old).delete()
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(user=user, key=key, digest=digest, lease_until=until)
    except IntegrityError:
        found = KeptAnswer.objects.filter(user=user, key=key).first()
    if found is not None and found.digest != digest:
        raise HttpError(422, f"this {HEADER} came with something else before; give a new one")
    if found is not None and found.status is not None:
        return _again(found)
    # Left by a process that died: only one of those who ask now goes on with it.
    if found is not None and found.lease_until < now:
        dead = KeptAnswer.objects.filter(pk=found.pk, lease_until=found.lease_until)
        if dead.update(lease_until=until):
            return found
    busy = JsonResponse(
        {"error": f"what this {HEADER} asks for is being done; ask again in a moment"},
        status=HTTPStatus.CONFLICT,
    )
    busy["Retry-After"] = "1"
    return busy


def _again(found: KeptAnswer) -> HttpResponse:
    response = HttpResponse(found.content, "application/json; charset=utf-8", found.status)
    response[REPLAYED] = "true"
    return response


def _digest(request: HttpRequest) -> str:
    """Return the SHA-256 of what is asked: address and content, not how it was packed."""
    digest = hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode())
    if request.content_type == "multipart/form-data":
        for name, values in sorted(request.POST.lists()):
            digest.update(repr((name, values)).encode())
        for name in sorted(request.FILES):
            for file in request.FILES.getlist(name):
                digest.update(repr((name, hashlib.sha256(file.read()).hexdigest())).encode())
                file.seek(0)
    else:
        digest.update(request.body)
    return digest.hexdigest()
