"""How long the page Duplicates takes in a large collection, and a decision on it.

    python -m benchmarks.duplicate_pages [--parquet FILE] [--images 50000] [--out pages.json]

Pictures and planted copies are those of `benchmarks.duplicates`. Told are the search for all groups
in a job, then, through the server's own views, the page, and a decision with the page that follows
it; for comparison the search for all groups, which every decision took before groups were kept.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from benchmarks.duplicates import fill, parquet_pictures, scenes, with_copies
from lookalike import Collection
from lookalike.knowing.deduplicating import find_duplicates

N_DECISIONS = 20


def seconds(action: Callable[[], object]) -> float:
    """Return how long something takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def start_django(home: Path) -> None:
    """Make a server's own folder and database, in this process."""
    os.environ["LOOKALIKE_HOME"] = str(home)
    os.environ["LOOKALIKE_HOSTS"] = "testserver"
    os.environ["DJANGO_SETTINGS_MODULE"] = "lookalike.web.settings"
    import django  # noqa: PLC0415
    from django.core.management import call_command  # noqa: PLC0415
    from django.test.utils import setup_test_environment  # noqa: PLC0415

    django.setup()
    setup_test_environment()  # so that answers tell what they were made from
    call_command("migrate", verbosity=0)


def measure(path: Path) -> dict[str, Any]:
    """Look for groups in a job, then look and decide as a person does."""
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415

    from lookalike.web.models import Job  # noqa: PLC0415
    from lookalike.web.registering import owner, register  # noqa: PLC0415
    from lookalike.web.worker import run_job  # noqa: PLC0415

    hosted = register(path, owner())
    browser = Client()
    browser.force_login(owner())
    page = reverse("duplicates", args=[hosted.slug])
    decide = reverse("decide_duplicates", args=[hosted.slug])
    browser.get(page)
    job = Job.take("benchmark")
    found = seconds(lambda: run_job(job))
    first = seconds(lambda: browser.get(page))
    asked = [{"page": n} for n in range(2, 2 + N_DECISIONS)]
    pages = [seconds(partial(browser.get, page, each)) for each in asked]
    answer = browser.get(page, {"page": 3})
    pairs = [group["ids"][:2] for group in answer.context["groups"]][:N_DECISIONS]

    def one(verdict: str, pair: list[int]) -> float:
        sent = {"verdict": verdict, "id": pair, "page": 3}
        return seconds(lambda: browser.post(decide, sent, follow=True))

    decisions = [one("different", pair) for pair in pairs]
    undone = [one("forget", pair) for pair in pairs]
    return {
        "groups": answer.context["n_groups"],
        "job_seconds": round(found, 1),
        "first_page_seconds": round(first, 2),
        "page_median_seconds": round(statistics.median(pages), 3),
        "decision_and_page_median_seconds": round(statistics.median(decisions + undone), 3),
        "decision_and_page_largest_seconds": round(max(decisions + undone), 3),
    }


def search_everything(path: Path) -> float:
    """Return how long the search for all groups takes, as each decision did before."""
    with Collection.open(path) as opened:
        _ = opened.gallery
        return round(seconds(lambda: find_duplicates(opened)), 1)


def main() -> None:
    """Print all figures as JSON, and write them to a file if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--parquet", type=Path)
    parser.add_argument("--collection", type=Path, help="one that is there already, of copies")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        path = options.collection or place / "large.lookalike"
        if not options.collection:
            source = (
                parquet_pictures(options.parquet) if options.parquet else scenes(options.images)
            )
            with Collection.create(path) as opened:
                fill(opened, with_copies(source), options.images)
                opened.build_indexes(kind="exact")
        start_django(place / "home")
        with Collection.open(path) as opened:
            figures: dict[str, Any] = {"images": len(opened)}
        figures |= measure(path)
        figures["search_of_everything_seconds"] = search_everything(path)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
