"""The server killed while a program changes things: each is done, and done once."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.client import Client
from lookalike.web.serving import free_port
from tests.web.test_killed import opened, start, wait_until

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
    assert len(set(jobs)) == len(jobs) >= 8
