"""Who is let in while many come, and who is asked to come again."""

import asyncio
from collections import Counter

import pytest
from django.conf import settings

from lookalike.web import gate
from lookalike.web.asgi import application
from lookalike.web.gate import Gate

AT_WORK, INSIDE, OF_ONE = 2, 6, 3
LIMITS = {"most_at_work": AT_WORK, "most_inside": INSIDE, "most_of_one": OF_ONE}
TOKEN = (b"authorization", b"Bearer one")
COOKIE = (b"cookie", b"csrf=x; session=two")


class Crowd:
    """A gate before an application that answers when it is told to, and those who come to it."""

    def __init__(self, **limits):
        self.leave, self.n_at_work, self.most_at_work = asyncio.Event(), 0, 0
        self.gate = Gate(self.answer, "session", **{**LIMITS, **limits})
        self.statuses, self.tasks, self.bodies = Counter(), [], []

    async def answer(self, scope, receive, send):
        self.n_at_work += 1
        self.most_at_work = max(self.most_at_work, self.n_at_work)
        self.bodies.append((await receive())["body"])
        if not scope["path"].startswith("/healthz"):
            await self.leave.wait()
        self.n_at_work -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    async def ask(self, *headers, path="/", parts=(b"",), seconds=0.0):
        sent = []
        left = list(parts)

        async def receive():
            await asyncio.sleep(seconds)
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message):
            sent.append(message)

        scope = {"method": "GET", "path": path, "query_string": b"", "headers": list(headers)}
        await self.gate(scope, receive, send)
        self.statuses[sent[0]["status"]] += 1
        return sent[0]["status"], dict(sent[0]["headers"])

    def come(self, n, *headers):
        self.tasks += [asyncio.create_task(self.ask(*headers)) for _ in range(n)]

    async def fill(self):
        self.come(OF_ONE, TOKEN)
        self.come(OF_ONE, COOKIE)
        while self.gate._inside.taken.total() < INSIDE:
            await asyncio.sleep(0)

    async def end(self):
        self.leave.set()
        await asyncio.gather(*self.tasks)
        assert not self.gate._inside.taken
        assert self.gate._n_bytes_held == 0
        return self.statuses


def test_those_beyond_all_places_are_asked_to_come_again_and_all_others_served():
    async def run():
        found = Crowd()
        await found.fill()
        status, headers = await found.ask((b"authorization", b"Bearer three"))
        assert status == 503
        assert int(headers[b"retry-after"]) > 0
        assert b"refresh" not in headers
        _, headers = await found.ask((b"accept", b"text/html,*/*"))
        assert int(headers[b"refresh"]) > 0
        assert await found.end() == {200: INSIDE, 503: 2}
        assert found.most_at_work == AT_WORK
        assert found.gate.n_refused == 2

    asyncio.run(run())


@pytest.mark.parametrize(
    "who", [[(b"cookie", b"session=two")], [], [(b"cookie", b"a=\x00;;")], [(b"cookie", b"b=c")]]
)
def test_nobody_takes_all_places(who):
    async def run():
        found = Crowd()
        found.come(OF_ONE, *who)
        await asyncio.sleep(0.01)
        assert (await found.ask(*who))[0] == 503
        found.come(1, TOKEN)
        assert await found.end() == {200: OF_ONE + 1, 503: 1}

    asyncio.run(run())


def test_those_who_wait_too_long_are_asked_to_come_again():
    async def run():
        found = Crowd(longest_wait=0.02)
        await found.fill()
        while found.statuses[503] < INSIDE - AT_WORK:
            await asyncio.sleep(0.005)
        assert await found.end() == {200: AT_WORK, 503: INSIDE - AT_WORK}

    asyncio.run(run())


def test_health_is_told_whatever_else_is_asked():
    async def run():
        found = Crowd()
        await found.fill()
        assert (await found.ask(path="/healthz/live"))[0] == 200
        await found.end()

    asyncio.run(run())


def test_an_error_of_the_application_gives_its_place_back():
    async def run():
        async def fails(scope, receive, send):
            raise ValueError("broken")

        found = Crowd(most_at_work=1, most_inside=1)
        found.gate._application = fails
        for _ in range(3):
            with pytest.raises(ValueError, match="broken"):
                await found.ask()
        await found.end()

    asyncio.run(run())


def test_what_arrives_in_parts_is_handed_on_whole():
    async def run():
        found = Crowd()
        found.leave.set()
        assert (await found.ask(parts=(b"one ", b"and ", b"two")))[0] == 200
        assert found.bodies == [b"one and two"]
        await found.end()

    asyncio.run(run())


def test_what_arrives_too_slowly_holds_no_place_and_is_turned_away():
    async def run():
        found = Crowd(patience=0.05)
        found.leave.set()
        slow = [asyncio.create_task(found.ask(parts=(b"a", b"b"), seconds=1)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert (await found.ask(TOKEN))[0] == 200
        assert {status for status, _ in await asyncio.gather(*slow)} == {408}
        await found.end()

    asyncio.run(run())


@pytest.mark.parametrize("is_announced", [True, False])
def test_what_is_too_long_is_turned_away_before_it_has_arrived(monkeypatch, is_announced):
    async def run():
        monkeypatch.setattr(gate, "MOST_BYTES", 10)
        found = Crowd()
        found.leave.set()
        length = [(b"content-length", b"11")] if is_announced else []
        status, headers = await found.ask(*length, parts=(b"12345", b"678901", b"never read"))
        assert status == 413
        assert headers[b"connection"] == b"close"
        assert found.bodies == []
        await found.end()

    asyncio.run(run())


def test_all_that_is_held_at_once_is_bounded(monkeypatch):
    async def run():
        monkeypatch.setattr(gate, "MOST_BYTES_HELD", 10)
        found = Crowd()
        found.tasks.append(asyncio.create_task(found.ask(parts=(b"12345678",))))
        await asyncio.sleep(0.01)
        assert (await found.ask(TOKEN, parts=(b"12345",)))[0] == 503
        assert await found.end() == {200: 1, 503: 1}

    asyncio.run(run())


def test_names_that_pass_for_others_and_odd_addresses_go_no_further():
    async def run():
        seen = {}

        async def notes(scope, receive, send):
            seen.update(scope)

        scope = {
            "path": "/",
            "method": "GET",
            "query_string": "q=caf\u00e9&a=%20+b".encode(),
            "headers": [(b"x_real_ip", b"1.2.3.4"), (b"x-real-ip", b"5.6.7.8")],
        }

        async def receive():
            return {"type": "http.request", "body": b""}

        await Gate(notes, "session")(scope, receive, None)
        assert seen["headers"] == [(b"x-real-ip", b"5.6.7.8")]
        assert seen["query_string"] == b"q=caf%C3%A9&a=%20+b"

    asyncio.run(run())


def test_the_server_tells_sessions_apart_by_its_own_cookie():
    assert application._session_cookie == settings.SESSION_COOKIE_NAME
