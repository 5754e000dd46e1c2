"""The processes of a server end when it does, whatever they wait for."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPException

import pytest

from lookalike import Collection
from lookalike.web.serving import free_port
from tests.web.copies import copy_of
from tests.web.test_killed import _is_up, opened, send_form, start


def test_a_worker_that_was_orphaned_while_it_started_ends():
    worker = [sys.executable, "-m", "lookalike.web.worker", str(os.getppid())]
    assert subprocess.run(worker, timeout=60).returncode == 0


def test_a_learning_that_was_orphaned_while_it_started_ends(tmp_path):
    order = {"dataset": "scenes:2000", "level": "names", "recipe": {}, "minutes": None}
    (tmp_path / "order.json").write_text(json.dumps(order))
    module = [sys.executable, "-m", "lookalike.web.learning_process", str(tmp_path)]
    ended = subprocess.run([*module, str(os.getppid())], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert not (tmp_path / "model").exists()


HANGING = """
import sys, threading
from lookalike.web.front import leave_with
leave_with(int(sys.argv[1]), grace=0.1)
threading.Thread(target=threading.Event().wait).start()
"""


def test_what_answers_requests_ends_with_its_parent_whatever_it_waits_for():
    hanging = [sys.executable, "-c", HANGING, str(os.getppid())]
    assert subprocess.run(hanging, timeout=60).returncode == 0


@pytest.mark.slow
def test_a_server_that_is_ended_in_the_middle_of_an_answer_ends(gallery, tmp_path):
    own, port = copy_of(gallery, tmp_path), free_port("127.0.0.1")
    server, link = start(tmp_path / "home", own, port)
    browser = opened(link)
    address = f"http://127.0.0.1:{port}/c/own/label/pictures/"

    def label():
        with suppress(OSError, HTTPException):
            send_form(browser, address, shown=[1], fits=[1], words="late")

    with Collection.open(own, writable=True):  # for which the request waits
        asking = threading.Thread(target=label)
        asking.start()
        time.sleep(0.8)
        os.killpg(server.pid, signal.SIGTERM)
        time.sleep(3.0)
    server.communicate(timeout=30)  # until nobody holds its output any more
    asking.join(timeout=60)
    assert not _is_up(f"http://127.0.0.1:{port}")
