import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from lookalike.errors import CollectionLockedError, EnvironmentFault
from lookalike.storage.lock import LOCK, WriterLock, is_locked
from tests.storage.permissions import forbid_writing, ordinary_user, public_folder

HOLD = """
import sys
from pathlib import Path
from lookalike.storage.lock import WriterLock
with WriterLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""

HOLD_WITH_WORKER = """
import multiprocessing, sys, time
from pathlib import Path
from lookalike.storage.lock import WriterLock
with WriterLock(Path(sys.argv[1])):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    print(worker.pid, flush=True)
    sys.stdin.readline()
"""


def start(script, folder, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-c", script, folder, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def kill(process):
    process.kill()
    process.communicate()


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    process, _ = start(HOLD, tmp_path, "new\nline", b"\xff")
    expected = (
        rf"{re.escape(str(tmp_path))} is locked by process {process.pid} on \S+ "
        rf"\(-c \S+ \S*new\S*line\S* .*\) since \d\d:\d\d; wait until it has finished"
    )
    with pytest.raises(CollectionLockedError, match=expected), WriterLock(tmp_path):
        pass
    process.communicate("\n")
    with WriterLock(tmp_path):
        pass


def test_a_killed_writer_leaves_no_lock(tmp_path):
    process, _ = start(HOLD, tmp_path)
    assert is_locked(tmp_path)
    kill(process)
    assert not is_locked(tmp_path)
    with WriterLock(tmp_path):
        pass


def test_a_worker_that_outlives_its_killed_writer_does_not_keep_the_lock(tmp_path):
    process, worker = start(HOLD_WITH_WORKER, tmp_path)
    process.kill()
    process.wait()
    with WriterLock(tmp_path):
        pass
    os.kill(int(worker), signal.SIGKILL)
    process.communicate()


def test_another_opening_in_the_same_process_is_refused(tmp_path):
    refused = []

    def enter():
        try:
            with WriterLock(tmp_path):
                pass
        except CollectionLockedError as error:
            refused.append(error)

    with WriterLock(tmp_path):
        enter()
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert len(refused) == 2
    enter()
    assert len(refused) == 2


def test_asking_changes_nothing(tmp_path):
    assert not is_locked(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with WriterLock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    assert (tmp_path / LOCK).read_bytes() == b""


def test_a_renamed_folder_takes_its_lock_along(tmp_path):
    (tmp_path / "a").mkdir()
    with WriterLock(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        assert is_locked(tmp_path / "b")
    assert not is_locked(tmp_path / "b")


def test_a_holder_that_is_not_readable_is_another_process(tmp_path):
    with WriterLock(tmp_path):
        (tmp_path / LOCK).write_text("[]")
        with pytest.raises(CollectionLockedError, match="is locked by another process; wait"):
            WriterLock(tmp_path).__enter__()


def test_a_missing_folder_and_a_forbidden_one_are_faults_of_the_environment(tmp_path):
    with pytest.raises(EnvironmentFault, match="none could not be locked: No such file"):
        WriterLock(tmp_path / "none").__enter__()
    with public_folder() as folder:
        forbid_writing(folder)
        with (
            ordinary_user(),
            pytest.raises(EnvironmentFault, match="could not be locked: Permission denied; write"),
        ):
            WriterLock(folder).__enter__()
