"""How many requests are let in: some are at work, some wait, all others are asked to come again.

A processor serves a few requests at once as fast as it serves many, and each of the many waits for
all others. So those that are let in are answered in time however many come. The gate stands before
Django, where turning a request away costs next to nothing; nobody can take all of its places.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, TypeAlias

Environ: TypeAlias = dict[str, Any]
Application: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

MOST_AT_WORK: Final = 4
MOST_WAITING: Final = 36
MOST_OF_ONE: Final = 20
LONGEST_WAIT: Final = 5.0
"""Seconds after which a request that waits is asked to come again, too."""

RETRY_SECONDS: Final = 2
_ALWAYS_OPEN: Final = "/healthz/"
_STRANGER: Final = "a stranger"
_BUSY: Final = b"busy; come again in a moment\n"


class Gate:
    """A WSGI application that serves another one to as many requests as it can bear.

    What an answer streams after it has begun holds no place.

    Args:
        application: Answers requests.
        session_cookie: Name of the cookie that tells one session from another.
        most_at_work: Requests that are answered at once.
        most_waiting: Requests that wait until one of these is done.
        most_of_one: Places that one session or token can take; strangers share as many.
        longest_wait: Seconds after which one that waits is turned away.

    Attributes:
        n_refused: Requests turned away so far.
    """

    def __init__(
        self,
        application: Application,
        session_cookie: str,
        *,
        most_at_work: int = MOST_AT_WORK,
        most_waiting: int = MOST_WAITING,
        most_of_one: int = MOST_OF_ONE,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        self._application = application
        self._session_cookie = session_cookie
        self._at_work = threading.Semaphore(most_at_work)
        self._most_inside = most_at_work + most_waiting
        self._most_of_one = most_of_one
        self._longest_wait = longest_wait
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self.n_refused = 0

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request, at once or after a while, or ask to come again."""
        if environ.get("PATH_INFO", "").startswith(_ALWAYS_OPEN):
            return self._application(environ, start_response)
        with self._place(self._who(environ)) as is_inside:
            if is_inside and self._at_work.acquire(timeout=self._longest_wait):
                try:
                    return self._application(environ, start_response)
                finally:
                    self._at_work.release()
        with self._lock:
            self.n_refused += 1
        return _refuse(environ, start_response)

    @contextmanager
    def _place(self, who: str) -> Iterator[bool]:
        """Hold a place; give whether there is one."""
        with self._lock:
            is_full = self._inside.total() >= self._most_inside
            if is_full or self._inside[who] >= self._most_of_one:
                who = ""
            else:
                self._inside[who] += 1
        try:
            yield bool(who)
        finally:
            if who:
                with self._lock:
                    self._inside[who] -= 1
                    self._inside += Counter()  # those that are gone take no memory

    def _who(self, environ: Environ) -> str:
        """Return what tells one person from another, before anybody has looked who it is."""
        if token := environ.get("HTTP_AUTHORIZATION"):
            return str(token)
        try:
            cookies = SimpleCookie(environ.get("HTTP_COOKIE", ""))
        except CookieError:
            return _STRANGER
        name = self._session_cookie
        return cookies[name].value or _STRANGER if name in cookies else _STRANGER


def _refuse(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(_BUSY))),
        ("Cache-Control", "no-store"),
        ("Retry-After", str(RETRY_SECONDS)),
    ]
    if environ.get("REQUEST_METHOD") == "GET" and "text/html" in environ.get("HTTP_ACCEPT", ""):
        headers.append(("Refresh", str(RETRY_SECONDS)))  # browsers come again by themselves
    start_response("503 Service Unavailable", headers)
    return [_BUSY]
