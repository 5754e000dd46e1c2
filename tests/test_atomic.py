import os
import resource
import signal
import subprocess
import sys

import pytest

from lookalike.atomic import PARTIAL, leftovers, sweep, write_atomically
from lookalike.errors import EnvironmentFault

WRITE = """
import sys
from pathlib import Path
from lookalike.atomic import write_atomically
write_atomically(Path(sys.argv[1]), b"new")
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_writes_bytes_and_leaves_nothing_else(tmp_path):
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert names(tmp_path) == ["a"]


def test_lets_a_function_write_the_file(tmp_path):
    write_atomically(tmp_path / "a", lambda path: path.write_text("one"))
    assert (tmp_path / "a").read_text() == "one"


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    def fail(path):
        path.write_text("half")
        raise ValueError("no more")

    write_atomically(tmp_path / "a", b"old")
    with pytest.raises(ValueError, match="no more"):
        write_atomically(tmp_path / "a", fail)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["begin", "written", "synced", "renamed", "end"])
def test_a_kill_leaves_the_old_or_the_new_file_and_at_most_a_sweepable_one(tmp_path, step):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    environment = {**os.environ, "LOOKALIKE_FAILPOINT": f"atomic.{step}"}
    killed = subprocess.run([sys.executable, "-c", WRITE, path], env=environment)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == (b"new" if step in ("renamed", "end") else b"old")
    assert len(sweep(tmp_path)) == (1 if step in ("written", "synced") else 0)
    assert names(tmp_path) == ["a"]


def test_only_temporary_files_are_swept(tmp_path):
    for name in (f".a.1234{PARTIAL}", f"a{PARTIAL}", ".hidden"):
        (tmp_path / name).touch()
    assert leftovers(tmp_path) == [tmp_path / f".a.1234{PARTIAL}"]
    sweep(tmp_path)
    assert names(tmp_path) == [".hidden", f"a{PARTIAL}"]


def test_a_full_disk_is_told_with_the_path_and_what_to_do(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(EnvironmentFault, match=r"/a could not be written: .*free some space"):
            write_atomically(tmp_path / "a", b"x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert names(tmp_path) == []


def test_a_missing_folder_is_told_with_the_path(tmp_path):
    with pytest.raises(EnvironmentFault, match="none/a could not be written: No such file"):
        write_atomically(tmp_path / "none" / "a", b"x")
