"""Asking a server as many clients do at once: each again and again, or at a rate come what may."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

Write: TypeAlias = Callable[[int], bytes]
"""Gives the n-th request, as it goes over the wire."""

REFUSED: Final = 503


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server listens."""

    host: str
    port: int


@dataclass(slots=True)
class Answers:
    """What came back.

    Attributes:
        seconds: From the request to the last byte of each answer with status 200.
        statuses: How many answers had each status.
        n_without_retry: Refusals that do not say when to come again.
        broken: Connections that failed, by what happened.
        first: When asking began.
        last: When the last answer came.
    """

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    n_without_retry: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0

    def note(self, status: int, headers: bytes, seconds: float) -> None:
        """Count an answer."""
        self.statuses[status] += 1
        self.last = time.perf_counter()
        if status == 200:
            self.seconds.append(seconds)
        elif status != REFUSED:
            raise SystemExit(f"the server answered {status}: {headers.decode()}")
        elif b"\r\nretry-after:" not in headers.lower():
            self.n_without_retry += 1

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return len(self.seconds) / max(self.last - self.first, 1e-9)

    def to_json(self) -> dict[str, Any]:
        """Return rate and times for JSON."""
        times = 1000 * np.array(self.seconds or [np.nan])
        return {
            "requests_per_second": round(self.rate, 1),
            "p50_ms": round(float(np.percentile(times, 50)), 1),
            "p99_ms": round(float(np.percentile(times, 99)), 1),
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
            "refused_without_retry_after": self.n_without_retry,
            "broken": dict(self.broken),
        }


class Connection:
    """One connection that is kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        """Connect."""
        return cls(*await asyncio.open_connection(address.host, address.port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and headers of the answer, whose body has arrived."""
        self._writer.write(request)
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        [length] = [int(each[15:]) for each in lines if each.startswith(b"content-length:")]
        await self._reader.readexactly(length)
        return int(head[9:12]), head

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def _client(
    address: Address, write: Write, numbers: Sequence[int], end: float, answers: Answers
) -> None:
    connection = await Connection.open(address)
    for number in numbers:
        started = time.perf_counter()
        if started >= end:
            break
        status, headers = await connection.ask(write(number))
        answers.note(status, headers, time.perf_counter() - started)
    connection.close()


def ask_in_turn(address: Address, write: Write, n_clients: int, seconds: float) -> Answers:
    """Let clients ask, each as soon as it has its answer, on a connection of its own."""

    async def run() -> Answers:
        answers = Answers(first=time.perf_counter())
        end = answers.first + seconds
        each = [range(client, 10**9, n_clients) for client in range(n_clients)]
        await asyncio.gather(*(_client(address, write, own, end, answers) for own in each))
        return answers

    return asyncio.run(run())


async def _stranger(address: Address, request: bytes, answers: Answers) -> None:
    started = time.perf_counter()
    try:
        connection = await Connection.open(address)
        status, headers = await asyncio.wait_for(connection.ask(request), 60)
        connection.close()
    except (OSError, EOFError, TimeoutError) as error:
        answers.broken[type(error).__name__] += 1
    else:
        answers.note(status, headers, time.perf_counter() - started)


def ask_at_a_rate(address: Address, write: Write, rate: float, seconds: float) -> Answers:
    """Send requests at a rate, each on a new connection, whether or not others were answered."""

    async def run() -> Answers:
        answers = Answers(first=time.perf_counter())
        sent = []
        for number in range(round(rate * seconds)):
            wait = answers.first + number / rate - time.perf_counter()
            await asyncio.sleep(max(wait, 0))
            sent.append(asyncio.create_task(_stranger(address, write(number), answers)))
        await asyncio.gather(*sent)
        return answers

    return asyncio.run(run())
