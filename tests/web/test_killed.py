"""The server and its worker killed at work: nothing that was acknowledged is lost or doubled."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.client import Client
from lookalike.web.serving import free_port
from tests.small_sets import write_pictures

N = 300


def start(place, folder, port):
    words = ["serve", str(folder), "--port", str(port), "--no-browser", "--home", str(place)]
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "lookalike", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for line in server.stdout:
        if "/welcome/" in line:
            return server, line.strip()
    pytest.fail("the server did not start")


def opened(link):
    """A browser without pages: remembers who it is. The link opens once, so it is asked once."""
    wait_until(lambda: _is_up(link.partition("/welcome/")[0]))
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    browser.open(link, timeout=60).read()
    return browser


def _is_up(home):
    try:
        with urllib.request.urlopen(f"{home}/healthz/live", timeout=5):
            return True
    except OSError:
        return False


def job_of(browser, home):
    with browser.open(f"{home}/api/v1/collections/pictures/jobs", timeout=10) as answer:
        return json.load(answer)[0]


def wait_until(is_so, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return
        time.sleep(0.2)
    pytest.fail("it did not come to that")


def worker_of(server):
    listed = subprocess.run(
        ["pgrep", "-g", str(os.getpgid(server.pid)), "-f", "lookalike.web.worker"],
        capture_output=True,
        text=True,
    )
    return int(listed.stdout.split()[0])


@pytest.mark.slow
def test_an_index_goes_on_after_the_worker_and_the_server_are_killed(tmp_path):
    write_pictures(tmp_path / "pictures", N)
    place, port = tmp_path / "home", free_port("127.0.0.1")
    home = f"http://127.0.0.1:{port}"
    server, link = start(place, tmp_path / "pictures", port)
    browser = opened(link)
    wait_until(lambda: job_of(browser, home)["done"] > 0)
    os.kill(worker_of(server), signal.SIGKILL)
    wait_until(lambda: job_of(browser, home)["state"] == "running")
    os.killpg(server.pid, signal.SIGKILL)
    server.communicate(timeout=30)
    server, link = start(place, tmp_path / "pictures", port)
    browser = opened(link)
    wait_until(lambda: job_of(browser, home)["state"] == "done")
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)
    with Collection.open(place / "created" / "pictures.lookalike") as collection:
        assert len(collection) == N
        paths = [
            path for record in collection.images(collection.catalog.ids()) for path in record.paths
        ]
    assert len(set(paths)) == len(paths) == N


def test_a_server_whose_first_process_is_killed_gives_its_port_back(gallery, tmp_path):
    port = free_port("127.0.0.1")
    server, _ = start(tmp_path / "home", gallery, port)
    wait_until(lambda: _is_up(f"http://127.0.0.1:{port}"))
    server.kill()
    server.communicate(timeout=20)  # until nobody holds its output any more
    assert not _is_up(f"http://127.0.0.1:{port}")


TOKEN = """
import django
django.setup()
from lookalike.web.models import ApiToken, User
print(ApiToken.make(User.objects.get(), "t", may_write=True, days=1))
"""


def token_of(place):
    """A token of the owner of a server that has been started once."""
    settings = {"LOOKALIKE_HOME": str(place), "DJANGO_SETTINGS_MODULE": "lookalike.web.settings"}
    made = subprocess.run(
        [sys.executable, "-c", TOKEN],
        capture_output=True,
        text=True,
        env={**os.environ, **settings},
    )
    return made.stdout.strip()


@pytest.mark.slow
def test_what_programs_say_while_the_server_is_killed_is_stored_once(gallery, tmp_path):
    own = shutil.copytree(gallery, tmp_path / "own.lookalike")
    place, port = tmp_path / "home", free_port("127.0.0.1")
    home = f"http://127.0.0.1:{port}"
    server, link = start(place, own, port)
    opened(link)
    with Collection.open(own) as collection:
        picture = Path(os.fsdecode(collection.images([1])[0].paths[0]))
    said, uploads, jobs, over = [], [], [], threading.Event()

    def say():
        with Client(home, token_of(place), patience=120) as client:
            while not over.is_set():
                said.append(client.labels.add("own", [f"word {len(said)}"], [1, 2]))
                uploads.append(client.upload(picture))
                jobs.append(client.jobs.make("own", "verify").id)

    thread = threading.Thread(target=say)
    thread.start()
    for _ in range(3):
        before = len(said)
        wait_until(lambda n=before: len(said) > n + 2)
        os.killpg(server.pid, signal.SIGKILL)
        server.communicate(timeout=30)
        server, _ = start(place, own, port)
    over.set()
    thread.join(150)
    assert not thread.is_alive()
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)
    with Collection.open(own) as collection:
        history = collection.catalog.knowledge.annotations.history()
    assert [action.id for action in reversed(history)] == said
    words = [action.detail["labels"] for action in reversed(history)]
    assert words == [[f"word {n}"] for n in range(len(said))]
    assert len(set(uploads)) == len(uploads) == len(list((place / "uploads").glob("*.webp")))
    assert len(set(jobs)) == len(jobs) > 10
