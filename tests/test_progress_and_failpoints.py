import signal
import subprocess
import sys

from lookalike.progress import SILENT

PASSES_TWICE = """
from lookalike.failpoints import failpoint
for step in range(3):
    failpoint("a")
    failpoint("b")
    print(step, flush=True)
"""


def run_with(tmp_path, **environment):
    return subprocess.run(
        [sys.executable, "-c", PASSES_TWICE],
        env=environment,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )


def test_silent_progress_accepts_everything():
    with SILENT.task("Working", total=None) as task:
        task.expect(3)
        task.advance(2)
        task.note("loss 0.1")


def test_a_failpoint_kills_at_the_time_asked_for(tmp_path):
    done = run_with(tmp_path, LOOKALIKE_FAILPOINT="b:2")
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == "0\n"


def test_without_the_variable_failpoints_do_nothing_but_can_be_listed(tmp_path):
    done = run_with(tmp_path, LOOKALIKE_FAILPOINT_LOG=str(tmp_path / "log"))
    assert done.stdout == "0\n1\n2\n"
    assert (tmp_path / "log").read_text().split() == ["a", "b"] * 3
