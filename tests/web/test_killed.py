"""The server and its worker killed at work: nothing that was acknowledged is lost or doubled."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from datetime import timedelta
from http.cookiejar import CookieJar
from itertools import count
from urllib.parse import urlencode

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from PIL import Image

from lookalike import Collection
from lookalike.knowing.deduplicating import decide
from lookalike.storage.annotations import Statement
from lookalike.web.models import Job, JobState
from lookalike.web.serving import free_port
from tests.killing import failpoints_of, kill_at
from tests.small_sets import write_pictures
from tests.web.copies import HALF, SMALL, copy_of
from tests.web.working import work_off

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


def jar_of(browser):
    [found] = [each for each in browser.handlers if hasattr(each, "cookiejar")]
    return found.cookiejar


def post(browser, address, content, kind="application/x-www-form-urlencoded"):
    """Send something as a page does; what is returned was acknowledged."""
    secret = next(each.value for each in jar_of(browser) if each.name == "lookalike_csrf")
    headers = {"X-CSRFToken": secret, "Content-Type": kind}
    with browser.open(urllib.request.Request(address, content, headers), timeout=30) as answer:
        return answer.read()


def send_form(browser, address, **sent):
    return post(browser, address, urlencode(sent, doseq=True).encode())


def send_picture(browser, address, number):
    """Upload a picture; return what it is called from now on."""
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    head = 'Content-Disposition: form-data; name="picture"; filename="a.png"'
    body = f"--x\r\n{head}\r\nContent-Type: image/png\r\n\r\n".encode() + file.getvalue()
    answer = post(browser, address, body + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")
    return json.loads(answer)["example"].removeprefix("up.")


def until_it_dies(act):
    """Do something again and again until the server is gone; return what was acknowledged."""
    acknowledged = []

    def go_on():
        for number in count():
            try:
                acknowledged.append((number, act(number)))
            except OSError:
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    return acknowledged, thread


def killed_while(server, act, at_least, later):
    """Kill the server and its worker a little after so many acknowledgments; return those."""
    acknowledged, thread = until_it_dies(act)
    wait_until(lambda: len(acknowledged) >= at_least or not thread.is_alive())
    time.sleep(later)
    os.killpg(server.pid, signal.SIGKILL)
    server.communicate(timeout=30)
    thread.join(timeout=60)
    assert len(acknowledged) >= at_least
    return acknowledged


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


SHOWN = (1, 2, 3, 4, 5)


def check_labels(own, n):
    """All that was acknowledged is there, and of what was not all or nothing."""
    with Collection.open(own, writable=True) as collection:
        annotations = collection.catalog.knowledge.annotations
        said, history = annotations.statements(), annotations.history()
    assert len(history) in (n, n + 1)
    labels = [f"word {number}" for number in range(len(history))]
    expected = [Statement(image, label, True) for image in SHOWN for label in labels]
    assert sorted(said, key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize(
    "later", [0.0, *(pytest.param(0.013 * n, marks=pytest.mark.slow) for n in range(1, 7))]
)
def test_labels_that_were_acknowledged_outlive_the_server(gallery, tmp_path, later):
    own, port = copy_of(gallery, tmp_path), free_port("127.0.0.1")
    server, link = start(tmp_path / "home", own, port)
    browser = opened(link)
    address = f"http://127.0.0.1:{port}/c/own/label/pictures/"

    def label(number):
        return send_form(browser, address, shown=SHOWN, fits=SHOWN, words=f"word {number}")

    check_labels(own, len(killed_while(server, label, 4, later)))


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 0.01, 0.02, 0.035, 0.05])
def test_decisions_about_duplicates_outlive_the_server(gallery, tmp_path, later):
    own, port = copy_of(gallery, tmp_path), free_port("127.0.0.1")
    home = f"http://127.0.0.1:{port}"
    server, link = start(tmp_path / "home", own, port)
    browser = opened(link)

    def keep(number):
        address = f"{home}/c/own/duplicates/decide/"
        return send_form(browser, address, verdict="keep", id=number + 1)

    n = len(killed_while(server, keep, 4, later))
    server, link = start(tmp_path / "home", own, port)
    browser = opened(link)
    wait_until(lambda: "Decided" in page_of(browser, f"{home}/c/own/duplicates/"))
    told = page_of(browser, f"{home}/c/own/duplicates/").partition('id="decided"')[2]
    assert len(re.findall("<span>kept</span>", told)) in (n, n + 1)
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)
    with Collection.open(own) as collection:
        keeps = collection.catalog.duplicates.decisions().keeps
    assert set(range(1, n + 1)) <= keeps <= set(range(1, n + 2))


def page_of(browser, address):
    with browser.open(address, timeout=30) as answer:
        return answer.read().decode()


@pytest.mark.slow
@pytest.mark.parametrize("later", [0.0, 0.01, 0.02, 0.035, 0.05])
def test_uploads_and_rounds_of_marks_outlive_the_server(gallery, tmp_path, later):
    port = free_port("127.0.0.1")
    home, place = f"http://127.0.0.1:{port}", tmp_path / "home"
    server, link = start(place, gallery, port)
    browser = opened(link)
    marked = f"{home}/c/photos/?like=1&round=2,3,-4&round=5,-6"
    hits = re.findall(r"/c/photos/i/(\d+)/", page_of(browser, marked))
    assert hits
    sent = killed_while(server, lambda n: send_picture(browser, f"{home}/uploads/", n), 3, later)
    server, _ = start(place, gallery, port)
    wait_until(lambda: _is_up(home))
    for _, token in sent:
        with browser.open(f"{home}/uploads/{token}.webp", timeout=30) as answer:
            picture = Image.open(io.BytesIO(answer.read()))
        assert picture.size == (60, 40)
    assert "/i/" in page_of(browser, f"{home}/c/photos/?like=up.{sent[-1][1]}")
    assert re.findall(r"/c/photos/i/(\d+)/", page_of(browser, marked)) == hits
    os.killpg(server.pid, signal.SIGTERM)
    server.communicate(timeout=30)


@pytest.fixture
def labeled(hosted, gallery, tmp_path, monkeypatch):
    """A gallery to be changed, of which three pictures are labeled and three are copies."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    own = copy_of(gallery, tmp_path)
    hosted.path = str(own)
    hosted.save()
    with Collection.open(own, writable=True) as collection:
        said = [Statement(1, "beach", True), Statement(2, "beach", False)]
        collection.catalog.knowledge.annotations.add("label", {}, said)
        decide(collection, "same", [1, HALF, SMALL])
    return hosted


JOBS = {
    "propagate": {"clusters": "content"},
    "clusters": {"name": "content", "descriptor": "content", "k": 3, "anew": True},
    "duplicates": {"anew": True},
}


@pytest.mark.parametrize(
    "kind", ["propagate", *(pytest.param(kind, marks=pytest.mark.slow) for kind in list(JOBS)[1:])]
)
def test_a_job_whose_worker_is_killed_anywhere_is_done_once(labeled, tmp_path, kind):
    from lookalike.web.worker import run_job

    if connection.vendor != "sqlite":
        pytest.skip("a forked process would speak on the connection of the first")

    def again():
        Job.objects.create(collection=labeled, kind=kind, options=JOBS[kind])
        return Job.take("first")

    passed = failpoints_of(lambda: run_job(again()), tmp_path / "log")
    assert "web.job.worked:1" in passed
    with Collection.open(labeled.folder) as collection:
        n_before = len(collection.catalog.knowledge.annotations.history())
    for n, failpoint in enumerate(passed, start=1):
        job = again()
        kill_at(failpoint, lambda job=job: run_job(job))
        Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        [done] = work_off()
        assert (done.pk, done.state) == (job.pk, JobState.DONE), failpoint
        with Collection.open(labeled.folder) as collection:
            annotations = collection.catalog.knowledge.annotations
            n_actions = len(annotations.history())
            assert len(set(annotations.doubtful(1000))) == len(annotations.doubtful(1000))
            members = collection.catalog.knowledge.clusterings.members("content")
            assert members.ids.tolist() == collection.catalog.ids().tolist()
        assert n_actions == n_before + (n if kind == "propagate" else 0), failpoint
    if kind == "duplicates":
        assert done.report["groups"] > 0


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
