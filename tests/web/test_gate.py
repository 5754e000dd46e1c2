"""Who is let in while many come, and who is asked to come again."""

import threading
from collections import Counter

import pytest
from django.conf import settings

from lookalike.web.gate import Gate
from lookalike.web.wsgi import application

COOKIE = "session"
AT_WORK, WAITING, OF_ONE = 2, 4, 3


class Crowd:
    """A gate before an application that answers when it is told to, and those who come to it."""

    def __init__(self, **limits):
        self.at_work, self.leave = threading.Semaphore(0), threading.Event()
        self.lock, self.n_at_work, self.most_at_work = threading.Lock(), 0, 0
        self.gate = Gate(self.answer, COOKIE, **limits)
        self.statuses, self.threads = [], []

    def answer(self, environ, start_response):
        with self.lock:
            self.n_at_work += 1
            self.most_at_work = max(self.most_at_work, self.n_at_work)
        self.at_work.release()
        self.leave.wait(10)
        with self.lock:
            self.n_at_work -= 1
        start_response("200 OK", [])
        return [b"done"]

    def ask(self, path="/", **environ):
        headers = []

        def start_response(status, sent):
            headers.extend(sent)
            self.statuses.append(status[:3])

        list(self.gate({"PATH_INFO": path, **environ}, start_response))
        return self.statuses[-1], dict(headers)

    def come(self, n, **environ):
        for _ in range(n):
            thread = threading.Thread(target=self.ask, kwargs=environ)
            thread.start()
            self.threads.append(thread)

    def end(self):
        self.leave.set()
        for thread in self.threads:
            thread.join()
        return Counter(self.statuses)


def crowd(longest_wait=10.0):
    return Crowd(
        most_at_work=AT_WORK,
        most_waiting=WAITING,
        most_of_one=OF_ONE,
        longest_wait=longest_wait,
    )


def until(is_so):
    for _ in range(1000):
        if is_so():
            return
        threading.Event().wait(0.005)
    pytest.fail("it did not come to that")


def fill(found):
    found.come(OF_ONE, HTTP_AUTHORIZATION="Bearer one")
    found.come(OF_ONE, HTTP_COOKIE="csrftoken=x; session=two")
    until(lambda: found.gate._inside.total() == AT_WORK + WAITING)


def test_those_beyond_all_places_are_asked_to_come_again_and_all_others_served():
    found = crowd()
    fill(found)
    status, headers = found.ask(HTTP_AUTHORIZATION="Bearer three")
    assert status == "503"
    assert int(headers["Retry-After"]) > 0
    assert "Refresh" not in headers
    _, headers = found.ask(REQUEST_METHOD="GET", HTTP_ACCEPT="text/html,*/*")
    assert int(headers["Refresh"]) > 0
    assert found.end() == {"200": AT_WORK + WAITING, "503": 2}
    assert found.most_at_work == AT_WORK
    assert found.gate.n_refused == 2
    assert found.ask()[0] == "200"


@pytest.mark.parametrize("who", [{"HTTP_COOKIE": "session=two"}, {}, {"HTTP_COOKIE": "a=\x00;;"}])
def test_nobody_takes_all_places(who):
    found = crowd()
    found.come(OF_ONE, **who)
    until(lambda: found.gate._inside.total() == OF_ONE)
    assert found.ask(**who)[0] == "503"
    found.come(1, HTTP_AUTHORIZATION="Bearer other")
    assert found.end() == {"200": OF_ONE + 1, "503": 1}


def test_those_who_wait_too_long_are_asked_to_come_again():
    found = crowd(longest_wait=0.05)
    fill(found)
    until(lambda: found.statuses.count("503") == WAITING)
    assert found.end() == {"200": AT_WORK, "503": WAITING}


def test_health_is_told_whatever_else_is_asked():
    found = crowd()
    fill(found)
    threading.Timer(0.05, found.leave.set).start()
    assert found.ask("/healthz/live")[0] == "200"


def test_an_error_of_the_application_gives_its_place_back():
    def fails(environ, start_response):
        raise ValueError("broken")

    gate = Gate(fails, COOKIE, most_at_work=1, most_waiting=0)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"):
            gate({"PATH_INFO": "/"}, lambda *sent: None)
    assert not gate._inside


def test_the_server_tells_sessions_apart_by_its_own_cookie():
    assert application._session_cookie == settings.SESSION_COOKIE_NAME
