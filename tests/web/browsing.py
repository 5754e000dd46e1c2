"""One running server for all tests at a real browser, and the browser.

Every request of a page to another host is refused and counts as a complaint.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar

import pytest

from lookalike import Collection
from lookalike.storage.annotations import Statement
from lookalike.web.serving import free_port

CHROMIUM = os.environ.get("LOOKALIKE_CHROMIUM") or shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


LISTENING = "html[data-listening] "
"""Before a selector: what a page shows by the time that its modules listen."""


@dataclass
class Served:
    """Where a server answers, what its owner's browser shows it, and its one collection."""

    home: str
    cookies: list[dict[str, str]]
    first: str


@pytest.fixture(scope="session")
def served(tmp_path_factory, gallery):
    """A server of a copy of the gallery that it may change."""
    place = tmp_path_factory.mktemp("served")
    copy = shutil.copytree(gallery, place / gallery.name)
    with Collection.open(copy, writable=True) as opened:
        cats = [Statement(image_id, "cat", True) for image_id in (1, 2, 3)]
        opened.catalog.knowledge.annotations.add("label", {}, cats)
    with serving(copy, place / "home") as server:
        yield server


@contextmanager
def serving(collection, place):
    """A server as `lookalike serve` starts it."""
    port = free_port("127.0.0.1")
    words = ["serve", str(collection), "--port", str(port), "--no-browser", "--home", str(place)]
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "lookalike", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in server.stdout:
        lines.append(line)
        if "/welcome/" in line:
            break
    else:
        pytest.fail("".join(lines))
    home = f"http://127.0.0.1:{port}"
    _wait_for(f"{home}/healthz/live")
    cookies, first = _signed_in(home, lines[-1].strip())
    yield Served(home, cookies, first)
    server.terminate()
    server.communicate(timeout=20)


def _wait_for(address):
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"{address} does not answer")


def _signed_in(home, welcome):
    kept = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(kept))
    opener.open(welcome, timeout=30).close()
    with opener.open(f"{home}/", timeout=30) as page:
        first = page.url
    return [{"name": each.name, "value": each.value, "url": home} for each in kept], first


@pytest.fixture(scope="module")
def browser():
    # One for each module: while it runs, Django takes the whole thread for asynchronous.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def signed_in(browser, served):
    """A browser context of the owner."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_cookies(served.cookies)
    yield context
    context.close()


@pytest.fixture
def page(signed_in, served):
    """The search page; whatever the browser complains of fails the test."""
    complaints = []
    opened = signed_in.new_page()

    def only_local(route):
        if route.request.url.startswith((served.home, "blob:", "data:")):
            route.continue_()
        else:
            complaints.append(f"request to {route.request.url}")
            route.abort()

    opened.route("**/*", only_local)
    opened.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(served.first)  # some tests add collections, and then the start lists all
    opened.complaints = complaints
    yield opened
    opened.close()
    assert complaints == []


def serious_faults(page):
    """What axe finds serious or worse, in light and in dark: rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = []
    # Only the contrast depends on the scheme.
    for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        page.emulate_media(color_scheme=scheme)
        found += Axe().run(page, options=rules).response["violations"]
    page.complaints[:] = [each for each in page.complaints if "axe" not in each]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [(each["id"], each["nodes"][0]["html"]) for each in serious]


def collection_address(page):
    """The address of the collection that a page shows."""
    return re.match(r"http://[^/]+/c/[^/]+/", page.url)[0]


def check_for_everybody(page):
    """Nothing serious in light or dark, and nothing wider than a phone."""
    assert serious_faults(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})
