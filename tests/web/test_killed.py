"""The server and its worker killed at work: nothing that was acknowledged is lost or doubled."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from http.cookiejar import CookieJar
from urllib.parse import urlencode

import pytest

from lookalike import Collection
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


def runs_of(browser, home):
    with browser.open(f"{home}/api/v1/learning", timeout=10) as answer:
        [run] = json.load(answer)
    with browser.open(f"{home}/api/v1/learning/{run['id']}", timeout=10) as answer:
        return json.load(answer)


def learners(home):
    listed = subprocess.run(
        ["pgrep", "-f", f"lookalike.web.learning_process {home}"], capture_output=True, text=True
    )
    return [int(number) for number in listed.stdout.split()]


@pytest.mark.slow
def test_a_model_is_learned_on_after_the_worker_is_killed(gallery, tmp_path, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    place, port = tmp_path / "home", free_port("127.0.0.1")
    home = f"http://127.0.0.1:{port}"
    server, link = start(place, gallery, port)
    try:
        browser = opened(link)
        sent = {"title": "Scenes", "dataset": "scenes:40", "preset": "quick"}
        sent |= {"image_size": "32", "epochs": "25", "self_encoder_epochs": "2"}
        page = browser.open(f"{home}/learn/").read().decode()
        sent["csrfmiddlewaretoken"] = page.partition('X-CSRFToken": "')[2].partition('"')[0]
        asked = urllib.request.Request(
            f"{home}/learn/start/", urlencode(sent).encode(), {"Referer": home}
        )
        browser.open(asked, timeout=60).read()
        wait_until(lambda: runs_of(browser, home)["passes"] > 3)
        [first] = learners(place)
        os.kill(worker_of(server), signal.SIGKILL)
        wait_until(lambda: first not in learners(place), 10)
        before = runs_of(browser, home)["history"]
        assert 3 < len(before) < 27
        wait_until(lambda: runs_of(browser, home)["state"] == "done")
        after = runs_of(browser, home)["history"]
        assert len(after) == 27
        assert after[: len(before)] == before
        assert learners(place) == []
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)
