"""How many requests are let in: some are at work, some wait, all others are asked to come again.

A processor serves a few requests at once as fast as it serves many, and each of the many waits for
all others. So those that are let in are answered in time however many come. The gate stands before
Django, where turning a request away costs next to nothing; nobody can take all of its places, and
what somebody sends must have arrived whole, and not too slowly, before it takes one.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias
from urllib.parse import quote_from_bytes

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]
"""As ASGI has them."""

MOST_AT_WORK: Final = 4
MOST_INSIDE: Final = 40
MOST_ARRIVING: Final = 200
MOST_OF_ONE: Final = 20
"""Places that one session or token can take inside, and arriving; strangers share as many."""

LONGEST_WAIT: Final = 5.0
"""Seconds after which a request that waits for work to be done is asked to come again, too."""

MOST_BYTES: Final = 64 * 2**20
"""Of one request; what is a little too long is answered by those who know what it is."""

MOST_BYTES_HELD: Final = 512 * 2**20
"""Of all requests that are inside or arriving."""

PATIENCE: Final = 10.0
LEAST_RATE: Final = 50_000
"""A request may take that many seconds to arrive, and one more for each so many bytes."""

RETRY_SECONDS: Final = 2
_ALWAYS_OPEN: Final = "/healthz/"
_STRANGER: Final = "a stranger"
_IN_ADDRESSES: Final = "!$%&'()*+,-./:;=?@_~"


class _RefusedError(Exception):
    """A request is not let in."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class _Places:
    """A number of places, of which nobody can take more than some."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self.taken: Counter[str] = Counter()

    @contextmanager
    def hold(self, who: str) -> Iterator[None]:
        if self.taken.total() >= self._most or self.taken[who] >= self._most_of_one:
            raise _busy()
        self.taken[who] += 1
        try:
            yield
        finally:
            self.taken[who] -= 1
            self.taken += Counter()  # those that are gone take no memory


def _busy() -> _RefusedError:
    return _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "busy; come again in a moment")


class Gate:
    """An ASGI application that serves another one to as many requests as it can bear.

    What an answer streams after it has begun holds up nobody's work. It belongs to one event loop.

    Args:
        application: Answers requests.
        session_cookie: Name of the cookie that tells one session from another.
        most_at_work: Requests that are answered at once.
        most_inside: Requests that are answered or wait until others are.
        most_of_one: Places inside that one session or token can take; strangers share as many.
        longest_wait: Seconds after which one that waits is turned away.
        patience: Seconds that a request may take to arrive, besides those for its length.

    Attributes:
        n_refused: Requests turned away so far.
    """

    def __init__(
        self,
        application: Application,
        session_cookie: str,
        *,
        most_at_work: int = MOST_AT_WORK,
        most_inside: int = MOST_INSIDE,
        most_of_one: int = MOST_OF_ONE,
        longest_wait: float = LONGEST_WAIT,
        patience: float = PATIENCE,
    ) -> None:
        self._application = application
        self._session_cookie = session_cookie
        self._at_work = asyncio.Semaphore(most_at_work)
        self._inside = _Places(most_inside, most_of_one)
        self._arriving = _Places(MOST_ARRIVING, most_of_one)
        self._longest_wait = longest_wait
        self._patience = patience
        self._n_bytes_held = 0
        self.n_refused = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve a request, at once or after a while, or ask to come again."""
        scope = _cleaned(scope)
        if scope["path"].startswith(_ALWAYS_OPEN):
            await self._application(scope, receive, send)
            return
        try:
            await self._let_in(scope, receive, send)
        except _RefusedError as refused:
            self.n_refused += refused.status == HTTPStatus.SERVICE_UNAVAILABLE
            await _refuse(refused, scope, send)

    async def _let_in(self, scope: Message, receive: Receive, send: Send) -> None:
        who = self._who(scope)
        content = bytearray()
        try:
            with self._arriving.hold(who):
                await self._arrive(scope, receive, content)
            with self._inside.hold(who):
                await self._serve(scope, bytes(content), send)
        except _DisconnectedError:
            return
        finally:
            self._n_bytes_held -= len(content)

    async def _arrive(self, scope: Message, receive: Receive, content: bytearray) -> None:
        """Take in what is sent, as long as it is not too long, and comes fast enough."""
        announced = int(_header(scope, b"content-length") or 0)
        if announced > MOST_BYTES:
            raise _too_large()
        started, is_whole = asyncio.get_running_loop().time(), False
        while not is_whole:
            message = await _before(receive, started + self._patience + len(content) / LEAST_RATE)
            self._keep(message.get("body", b""), content)
            is_whole = not message.get("more_body", False)

    def _keep(self, part: bytes, content: bytearray) -> None:
        if len(content) + len(part) > MOST_BYTES:
            raise _too_large()
        if self._n_bytes_held + len(part) > MOST_BYTES_HELD:
            raise _busy()
        content.extend(part)
        self._n_bytes_held += len(part)

    async def _serve(self, scope: Message, content: bytes, send: Send) -> None:
        try:
            async with asyncio.timeout(self._longest_wait):
                await self._at_work.acquire()
        except TimeoutError as error:
            raise _busy() from error
        work = _Work(self._at_work)

        async def arrived() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        async def answer(message: Message) -> None:
            work.end()
            await send(message)

        try:
            await self._application(scope, arrived, answer)
        finally:
            work.end()

    def _who(self, scope: Message) -> str:
        """Return what tells one person from another, before anybody has looked who it is."""
        if token := _header(scope, b"authorization"):
            return token
        try:
            cookies = SimpleCookie(_header(scope, b"cookie"))
        except CookieError:
            return _STRANGER
        name = self._session_cookie
        return cookies[name].value or _STRANGER if name in cookies else _STRANGER


class _Work:
    """A place at work, given back once: as soon as the answer begins."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def end(self) -> None:
        if self._places is not None:
            self._places.release()
            self._places = None


class _DisconnectedError(Exception):
    """Whoever asked is gone."""


async def _before(receive: Receive, time: float) -> Message:
    try:
        async with asyncio.timeout_at(time):
            message = await receive()
    except TimeoutError as error:
        text = "the request did not arrive in time; send it again"
        raise _RefusedError(HTTPStatus.REQUEST_TIMEOUT, text) from error
    if message["type"] == "http.disconnect":
        raise _DisconnectedError
    return message


def _too_large() -> _RefusedError:
    text = f"the request is longer than {MOST_BYTES // 2**20} MiB; send less at once"
    return _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)


def _cleaned(scope: Message) -> Message:
    """Return the scope with an address in ASCII, and without names that could pass for others.

    `X_Real_Ip` would be taken for `X-Real-Ip`, which a proxy sets and others must not.
    """
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    query = quote_from_bytes(scope["query_string"], safe=_IN_ADDRESSES).encode()
    return {**scope, "headers": headers, "query_string": query}


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin1") for key, value in scope["headers"] if key == name), "")


async def _refuse(refused: _RefusedError, scope: Message, send: Send) -> None:
    text = f"{refused.text}\n".encode()
    headers = {
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": str(len(text)).encode(),
        b"cache-control": b"no-store",
    }
    if refused.status == HTTPStatus.SERVICE_UNAVAILABLE:
        again = str(RETRY_SECONDS).encode()
        headers[b"retry-after"] = again
        if scope["method"] == "GET" and "text/html" in _header(scope, b"accept"):
            headers[b"refresh"] = again  # browsers come again by themselves
    else:
        headers[b"connection"] = b"close"
    begin = {"type": "http.response.start", "status": refused.status.value}
    await send({**begin, "headers": list(headers.items())})
    await send({"type": "http.response.body", "body": text, "more_body": False})
