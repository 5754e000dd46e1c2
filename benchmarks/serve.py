"""How many requests the web application answers, and what it does with five times as many.

    python -m benchmarks.serve --folder DIR [--images 100000] [--seconds 10] [--only WORD]

A collection of mixed scenes (`benchmarks.mixed_collection`) is built once in the folder and used
again; small pictures of the scenes are kept for some of its images, as a server keeps them that
has shown them before. `lookalike serve` serves it as it does for everybody, on the same machine as
the clients, whose work counts too. Each kind is asked by 1, 8 and 32 clients, each of which asks
anew as soon as it is answered, for some seconds after some that do not count. No two requests ask
for the same.

Then searches by id come at five times the highest rate that was answered, each over a connection
of its own, and after that it is measured how long it takes until ten in a row take no longer than
twice what one alone took before.
"""

import argparse
import getpass
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener, urlopen

import numpy as np
from PIL import Image

from benchmarks.http_load import Address, Answers, Write, ask_at_a_rate, ask_in_turn
from benchmarks.mixed_collection import build
from lookalike.collection import Collection
from lookalike.datasets import open_dataset
from lookalike.images.decoding import decode
from lookalike.images.thumbnails import encode_webp
from lookalike.storage.thumbnails import ThumbnailStore
from lookalike.web.decoders import SMALL
from lookalike.web.serving import free_port

CLIENTS: Final = (1, 8, 32)
PEOPLE: Final = 4
"""As many people ask, each with a token and a session: nobody may take all places of a server."""

PICTURES: Final = 60
KEPT: Final = 5_000
WORDS: Final = ("person", "bird", "cow", "airplane", "dog", "horse")
OVERLOAD: Final = 5
WARM_SECONDS: Final = 2.0
HOST: Final = "127.0.0.1"
PASSWORD: Final = "a password of a server that is gone in a minute"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that is running.

    Attributes:
        address: Where it listens.
        slug: Name of the collection in addresses.
        tokens: One of each person, for programs.
        cookies: Session of each, for pages.
        group: Process group of the server.
    """

    address: Address
    slug: str
    tokens: Sequence[str]
    cookies: Sequence[str]
    group: int

    def request(self, number: int, path: str, kind: str = "", body: bytes = b"") -> bytes:
        """Return a request as it goes over the wire."""
        head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: {HOST}\r\n"
        if path.startswith("/api/"):
            head += f"Authorization: Bearer {self.tokens[number % PEOPLE]}\r\n"
        else:
            head += f"Cookie: {self.cookies[number % PEOPLE]}\r\n"
        if body:
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode() + body

    def memory(self) -> int:
        """Return the bytes that all processes of the server have in memory."""
        ps = ["ps", "-o", "rss=", "-g", str(self.group)]
        listed = subprocess.run(ps, capture_output=True, text=True, check=True)
        return 1024 * sum(map(int, listed.stdout.split()))


def pictures() -> list[bytes]:
    """Draw scenes that are in no collection; return them as JPEG files."""
    scenes = open_dataset(f"scenes:{PICTURES}:77")
    return [_jpeg(scenes[at].read_bytes()) for at in range(PICTURES)]


def _jpeg(content: bytes) -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.convert("RGB").resize((1024, 1024)).save(file, "JPEG", quality=90)
    return file.getvalue()


def keep_thumbnails(place: Path, drawn: Sequence[bytes]) -> list[int]:
    """Keep small pictures of the first images; return their ids."""
    store = ThumbnailStore(place / "thumbnails.sqlite")
    small = [encode_webp(decode(each, (SMALL, SMALL)).pixels) for each in drawn]
    with Collection.open(place) as collection:
        ids = collection.catalog.ids()[:KEPT].tolist()
        for start in range(0, len(ids), 500):
            for record in collection.images(ids[start : start + 500]):
                if store.get(record.hash, SMALL) is None:
                    store.put(record.hash, SMALL, small[record.id % len(small)])
    return ids


@contextmanager
def serving(place: Path) -> Iterator[Served]:
    """Start the server as everybody does, sign in and make tokens."""
    with tempfile.TemporaryDirectory() as home:
        port = free_port(HOST)
        words = ["serve", str(place), "--home", home, "--port", str(port), "--no-browser"]
        server = subprocess.Popen(
            [sys.executable, "-u", "-m", "lookalike", *words],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield _signed_in(server, port)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _signed_in(server: "subprocess.Popen[str]", port: int) -> Served:
    [link] = [line.strip() for line in _until(server, "/welcome/")][-1:]
    root = f"http://{HOST}:{port}"
    _wait_until_up(root)
    jar = CookieJar()
    browser = build_opener(HTTPCookieProcessor(jar))
    browser.open(link).read()
    tokens = [_token(browser, jar, root, f"client {number}") for number in range(PEOPLE)]
    cookies = _sessions(browser, jar, root)
    asked = Request(f"{root}/api/v1/collections", headers={"Authorization": f"Bearer {tokens[0]}"})
    slug = json.load(urlopen(asked))[0]["name"]
    return Served(Address(HOST, port), slug, tokens, cookies, server.pid)


def _until(server: "subprocess.Popen[str]", words: str) -> Iterator[str]:
    for line in server.stderr or ():
        yield line
        if words in line:
            return


def _wait_until_up(root: str) -> None:
    for _ in range(600):
        try:
            urlopen(f"{root}/healthz/live").close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the server did not start")


def _sessions(browser: OpenerDirector, jar: CookieJar, root: str) -> list[str]:
    """Set a password, and sign in with it once for each person."""
    _send(browser, jar, f"{root}/account/", new_password1=PASSWORD, new_password2=PASSWORD)
    found = []
    for _ in range(PEOPLE):
        own = CookieJar()
        one = build_opener(HTTPCookieProcessor(own))
        one.open(f"{root}/login/").read()
        _send(one, own, f"{root}/login/", username=getpass.getuser(), password=PASSWORD)
        if not any(each.name == "lookalike_session" for each in own):
            raise SystemExit("signing in failed")
        found.append("; ".join(f"{each.name}={each.value}" for each in own))
    return found


def _send(browser: OpenerDirector, jar: CookieJar, address: str, **fields: str) -> str:
    [secret] = [each.value for each in jar if each.name == "lookalike_csrf"]
    sent = {"csrfmiddlewaretoken": secret or "", **fields}
    return str(browser.open(address, urlencode(sent).encode()).read().decode())


def _token(browser: OpenerDirector, jar: CookieJar, root: str, name: str) -> str:
    browser.open(f"{root}/account/").read()
    page = _send(browser, jar, f"{root}/account/tokens/", name=name, days="1")
    found = re.search(r"look_[\w.-]+", page)
    if found is None:
        raise SystemExit("the server made no token")
    return found[0]


def kinds(served: Served, ids: Sequence[int], drawn: Sequence[bytes]) -> dict[str, Write]:
    """Return what is asked; no request is made twice in one run but for thumbnails."""
    searched = f"/api/v1/collections/{served.slug}/search"
    rng = np.random.default_rng(7)
    order = rng.permutation(np.asarray(ids)).tolist()

    def json_search(number: int, query: Mapping[str, Any]) -> bytes:
        body = json.dumps({"query": query, "k": 10}).encode()
        return served.request(number, searched, "application/json", body)

    def words(number: int) -> bytes:
        two = f"{WORDS[number % 6]} {WORDS[number // 6 % 6]} {number}"
        return json_search(number, {"words": two})

    def upload(number: int) -> bytes:
        content = drawn[number % len(drawn)] + b"%d" % number  # bytes that were never sent before
        return served.request(number, f"{searched}/picture?k=10", *_form(content))

    return {
        "search by id": lambda n: json_search(n, {"positives": [{"id": order[n % len(order)]}]}),
        "search by upload": upload,
        "words": words,
        "thumbnails": lambda n: served.request(
            n, f"/c/{served.slug}/i/{ids[7 * n % min(len(ids), KEPT)]}/small.webp"
        ),
    }


def _form(content: bytes) -> tuple[str, bytes]:
    head = '--edge\r\nContent-Disposition: form-data; name="picture"; filename="p.jpg"\r\n\r\n'
    return "multipart/form-data; boundary=edge", head.encode() + content + b"\r\n--edge--\r\n"


def measure(served: Served, asked: Mapping[str, Write], seconds: float) -> dict[str, Any]:
    """Ask every kind with every number of clients."""
    found: dict[str, Any] = {}
    for name, write in asked.items():
        ask_in_turn(served.address, write, 2, WARM_SECONDS)
        found[name] = {}
        for n_clients in CLIENTS:
            start = 10_000_000 * n_clients
            answers = ask_in_turn(served.address, _from(write, start), n_clients, seconds)
            found[name][str(n_clients)] = answers.to_json()
            print(f"{name:18} {n_clients:3} clients  {_line(answers)}", flush=True)
    return found


def _from(write: Write, start: int) -> Write:
    return lambda number: write(start + number)


def _line(answers: Answers) -> str:
    figures = answers.to_json()
    return (
        f"{figures['requests_per_second']:7.1f}/s  p50 {figures['p50_ms']:7.1f} ms  "
        f"p99 {figures['p99_ms']:7.1f} ms  {figures['statuses']} {figures['broken'] or ''}"
    )


def overload(served: Served, write: Write, capacity: float, seconds: float) -> dict[str, Any]:
    """Ask at five times what was answered; then wait until all is as before."""
    alone = ask_in_turn(served.address, write, 1, WARM_SECONDS).to_json()["p50_ms"]
    before = served.memory()
    rate = OVERLOAD * capacity
    answers = ask_at_a_rate(served.address, _from(write, 900_000_000), rate, seconds)
    after, recovered = served.memory(), _recovery(served, write, 2 * alone)
    print(f"{rate:.0f} requests/s: {_line(answers)}; recovered after {recovered:.2f} s")
    return {
        "requests_per_second_sent": round(rate, 1),
        "alone_p50_ms": alone,
        **answers.to_json(),
        "recovery_seconds": round(recovered, 2),
        "memory_before_mb": round(before / 1e6),
        "memory_after_mb": round(after / 1e6),
    }


def _recovery(served: Served, write: Write, most_ms: float) -> float:
    started = time.perf_counter()
    for number in range(1_000):
        begun = time.perf_counter() - started
        ten = ask_in_turn_n(served, _from(write, 990_000_000 + 10 * number), 10)
        if max(ten) <= most_ms / 1000:
            return begun
    raise SystemExit("the server did not recover")


def ask_in_turn_n(served: Served, write: Write, n: int) -> list[float]:
    """Ask one after the other; return the seconds of each, infinite for what is refused."""
    found = []
    for number in range(n):
        answers = ask_at_a_rate(served.address, _from(write, number), 1e9, 1e-9)
        found.extend(answers.seconds or [float("inf")])
    return found


def main() -> None:
    """Measure everything and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", default="", help="kinds whose name has this word")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    place = build(options.folder, options.images, 0)
    drawn = pictures()
    keep_thumbnails(place, drawn)
    with Collection.open(place) as collection:
        ids = collection.catalog.ids().tolist()
    with serving(place) as served:
        asked = kinds(served, ids, drawn)
        chosen = {name: write for name, write in asked.items() if options.only in name}
        found = measure(served, chosen, options.seconds)
        by_id = asked["search by id"]
        if "search by id" in found:
            capacity = max(each["requests_per_second"] for each in found["search by id"].values())
            found["overload"] = overload(served, by_id, capacity, options.seconds)
    result = {
        "n_images": options.images,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_before": os.getloadavg()[0],
        **found,
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
