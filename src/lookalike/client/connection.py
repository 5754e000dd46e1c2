"""One request after another, each tried again until it has arrived once.

What changes something carries a key of its own, under which the server does it once, however often
it comes. So whatever did not arrive, was broken off, or was refused because the server is busy, can
be sent again without harm.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lookalike.errors import EnvironmentFault, LookalikeError, MissingExtraError, UsageError

if TYPE_CHECKING:
    import httpx

_SECONDS: Final = 60.0
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 8.0
_COME_AGAIN: Final = (409, 503)
"""Statuses after which a server may say `Retry-After`."""


class Connection:
    """Asks a server under a token.

    Args:
        address: Of the server.
        token: `None` for `LOOKALIKE_TOKEN`.
        patience: Seconds for which a request is tried again.

    Raises:
        MissingExtraError: If the extra `client` is not installed.
        UsageError: If there is no token.
    """

    def __init__(self, address: str, token: str | None, patience: int | float) -> None:
        shown = token or os.environ.get("LOOKALIKE_TOKEN", "")
        if not shown:
            raise UsageError("a token is needed; make one under Account, or set LOOKALIKE_TOKEN")
        try:
            import httpx  # noqa: PLC0415 - an optional extra
        except ModuleNotFoundError as error:
            raise MissingExtraError(str(error.name), "client", "asking a server") from error
        self._faults = (httpx.TransportError,)
        self._patience = patience
        self._http: httpx.Client = httpx.Client(
            base_url=f"{address.rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {shown}"},
            timeout=_SECONDS,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    def get(self, address: str, **parameters: Any) -> Any:
        """Ask for something; parameters that are `None` are left out."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._ask("GET", address, {"params": given}).json()

    def find(self, address: str, content: Any) -> Any:
        """Ask a question that does not fit into an address; nothing is changed by it."""
        return self._ask("POST", address, {"json": content}).json()

    def send(self, address: str, file: tuple[str, bytes], **parameters: Any) -> Any:
        """Send a picture."""
        words = {"files": {"picture": file}, "params": parameters, "headers": _new_key()}
        return self._ask("POST", address, words).json()

    def change(self, address: str, content: Any = None) -> Any:
        """Change something, once."""
        return self._ask("POST", address, {"json": content, "headers": _new_key()}).json()

    def delete(self, address: str) -> Any:
        """Delete something, once; return what it was."""
        return self._ask("DELETE", address, {"headers": _new_key()}).json()

    def text(self, address: str, content: Any) -> str:
        """Ask for a list as text."""
        return self._ask("POST", address, {"json": content}).text

    @contextmanager
    def reading(self, address: str) -> Iterator[Iterator[bytes]]:
        """Give a long answer piece by piece; it is not tried again.

        Raises:
            EnvironmentFault: If it breaks off.
        """
        try:
            with self._http.stream("GET", address) as answer:
                if not answer.is_success:
                    answer.read()
                    raise LookalikeError(_reason(answer))
                yield answer.iter_bytes()
        except self._faults as error:
            raise self._silent(error) from error

    def _ask(self, method: str, address: str, words: dict[str, Any]) -> "httpx.Response":
        answer = self._until_it_arrives(lambda: self._http.request(method, address, **words))
        if answer.is_success:
            return answer
        raise LookalikeError(_reason(answer))

    def _until_it_arrives(self, request: "Callable[[], httpx.Response]") -> "httpx.Response":
        end, wait = time.monotonic() + self._patience, _FIRST_WAIT
        while True:
            try:
                answer = request()
            except self._faults as error:
                if time.monotonic() + wait > end:
                    raise self._silent(error) from error
            else:
                told = answer.headers.get("Retry-After", "")
                if answer.status_code not in _COME_AGAIN or not told.isdecimal():
                    return answer
                wait = max(wait, min(float(told), _LONGEST_WAIT))
                if time.monotonic() + wait > end:
                    return answer
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _silent(self, error: Exception) -> EnvironmentFault:
        return EnvironmentFault(f"{self._http.base_url} does not answer: {error}")


def _new_key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def _reason(answer: "httpx.Response") -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"the server answers with status {answer.status_code}; look at its log"
