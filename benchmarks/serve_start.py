"""How long `lookalike serve FOLDER` takes from the command to the first page, and to results.

    python -m benchmarks.serve_start [--photographs FOLDER] [--images 500] [--runs 3] [--out FILE]

Every run has a server folder of its own, as on the first day. Told are the seconds from the command
until a link is printed, until the page behind it has come, with styles and scripts, until the first
pictures can be seen and searched, and until all can; and how many can after each few seconds. The
processor time up to the first page, of all processes of the server, tells on a busy machine what to
expect of an idle one.
"""

import argparse
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from PIL import Image

from lookalike import open_dataset
from lookalike.web.serving import free_port

SUFFIXES = (".jpg", ".jpeg", ".png")
POLL_SECONDS = 0.1
TOLD_SECONDS = 2.0


def write_pictures(folder: Path, photographs: Path | None, n: int) -> int:
    """Fill a folder with photographs, or with generated scenes; return how many there are."""
    folder.mkdir()
    if photographs is None:
        made = open_dataset(f"scenes:{n}:5")
        for number in range(n):
            picture = Image.open(io.BytesIO(made[number].read_bytes()))
            picture.convert("RGB").save(folder / f"{number}.jpg", quality=90)
        return n
    paths = sorted(each for each in photographs.rglob("*") if each.suffix.lower() in SUFFIXES)[:n]
    for number, path in enumerate(paths):
        shutil.copy(path, folder / f"{number}{path.suffix}")
    return len(paths)


class Visitor:
    """A browser as far as the network sees it: pages with what they refer to."""

    def __init__(self) -> None:
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def read(self, address: str) -> tuple[str, str]:
        """Return where a page was found, and the page."""
        with self._opener.open(address, timeout=60) as answer:
            return answer.geturl(), answer.read().decode()

    def open(self, address: str) -> str:
        """Open a page with styles and scripts; return its address."""
        place, page = self.read(address)
        for each in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            self.read(place.partition("/c/")[0] + each)
        return place


def measure(folder: Path, n: int, place: Path) -> dict[str, Any]:
    """Start a server of a folder, look at it until all is indexed, and end it."""
    port = free_port("127.0.0.1")
    home = f"http://127.0.0.1:{port}"
    words = ["serve", str(folder), "--port", str(port), "--no-browser", "--home", str(place)]
    began = time.perf_counter()
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "lookalike", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        lines = server.stdout or ()
        link = next(line.strip() for line in lines if "/welcome/" in line)
        times = {"link": since(began)}
        wait_until_up(home)
        visitor = Visitor()
        page = visitor.open(link)
        times["first_page"] = since(began)
        times["processor_until_first_page"] = processor_seconds(server.pid)
        return {**times, **watch(visitor, home, page, n, began)}
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.communicate()


def watch(visitor: Visitor, home: str, page: str, n: int, began: float) -> dict[str, Any]:
    """Ask until all pictures are there how many are, and whether the page shows any."""
    times: dict[str, float] = {}
    told: list[tuple[float, int]] = []
    while True:
        _, answer = visitor.read(f"{home}/api/v1/collections")
        n_there = json.loads(answer)[0]["images"]
        if "first_pictures" not in times and "small.webp" in visitor.read(page)[1]:
            times["first_pictures"] = since(began)
        if not told or since(began) - told[-1][0] >= TOLD_SECONDS or n_there == n:
            told.append((since(began), n_there))
        if n_there == n:
            return {**times, "all_pictures": since(began), "there_after": told}
        time.sleep(POLL_SECONDS)


def wait_until_up(home: str) -> None:
    """Wait until the server answers."""
    while True:
        try:
            with urllib.request.urlopen(f"{home}/healthz/live", timeout=5):
                return
        except OSError:
            time.sleep(POLL_SECONDS / 5)


def processor_seconds(group: int) -> float:
    """Return the processor time that a process group has taken, its ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(int(each) for each in fields[11:15])
    return round(ticks / os.sysconf("SC_CLK_TCK"), 2)


def since(began: float) -> float:
    """Return seconds, rounded."""
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Print all figures as JSON, and write them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "pictures"
        n = write_pictures(folder, options.photographs, options.images)
        for run in range(options.runs):
            runs.append(measure(folder, n, Path(temporary) / f"home-{run}"))
            print(runs[-1], file=sys.stderr)
    figures = {"images": n, "load_before": os.getloadavg()[1], "runs": runs}
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
