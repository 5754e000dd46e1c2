"""A folder of files as bad as files get, through the real program.

That no file takes longer than five seconds is tested where files are decoded, tests/images: each
has 2.4 seconds, and once more alone.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from lookalike import Collection
from lookalike.images.scanning import display_path
from tests.damaged import write_damaged
from tests.processes import children

GIB = 2**30


def descendants(pid: int) -> list[int]:
    return [pid, *(below for child in children(pid) for below in descendants(child))]


def resident(pid: int) -> int:
    """Memory of a process in bytes, what it shares with others counted in parts."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run_and_watch(words) -> tuple[int, dict, float, int]:
    """Exit code, JSON, seconds and largest memory of all processes together."""
    started, peak = time.monotonic(), 0
    command = [sys.executable, "-m", "lookalike", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        os.set_blocking(process.stdout.fileno(), False)
        out = b""
        while process.poll() is None:
            peak = max(peak, sum(map(resident, descendants(process.pid))))
            out += process.stdout.read() or b""
            time.sleep(0.05)
        out += process.stdout.read() or b""
    return process.returncode, json.loads(out), time.monotonic() - started, peak


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("n", [150, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_file_is_accounted_for_and_the_good_ones_are_found(tmp_path, model, n):
    manifest = write_damaged(tmp_path / "damaged", n)
    path = tmp_path / "c.lookalike"
    code, report, seconds, peak = run_and_watch(
        ["index", path, tmp_path / "damaged", "--model", model, "--workers", "2", "--json"]
    )
    failed = Counter(trouble["path"] for trouble in report["failed"])
    skipped = Counter(trouble["path"] for trouble in report["skipped"])
    print(  # noqa: T201
        f"{n} entries: {report['indexed']} indexed, {len(failed)} failed, {len(skipped)} skipped "
        f"in {seconds:.1f} s; {peak / 2**20:.0f} MiB at most"
    )
    assert code == 1
    assert report["indexed"] + len(failed) + len(skipped) == manifest.n_entries == n
    assert max((failed + skipped).values()) == 1
    assert set(skipped) == {display_path(entry) for entry in manifest.skipped}
    assert {display_path(entry) for entry in manifest.bad} <= set(failed)
    assert all(trouble["reason"] for trouble in report["failed"] + report["skipped"])
    assert peak < GIB
    with Collection.open(path) as photos:
        ids = photos.catalog.ids_of_paths(sorted(manifest.good))
        assert set(ids) == manifest.good
        for good in sorted(manifest.good)[:: max(1, n // 200)]:
            assert photos.search(os.fsdecode(good), k=1).ids[0, 0] == ids[good]
