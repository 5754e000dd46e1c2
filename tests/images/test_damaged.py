import os
import time
from pathlib import Path

import pytest

from lookalike.images.scanning import FoundFile, SkippedFile, scan
from lookalike.images.workers import DecodedFile, DecodePool
from tests.damaged import write_damaged
from tests.processes import children


def peak_memory(pid: int) -> int:
    """Return the largest resident memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("n", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_damaged_file_is_accounted_for_and_the_good_ones_are_found(tmp_path, n):
    manifest = write_damaged(tmp_path / "damaged", n)
    entries = list(scan([manifest.folder]))
    assert len(entries) == len({entry.path for entry in entries}) == n
    found = {entry.path for entry in entries if isinstance(entry, FoundFile)}
    assert {entry.path for entry in entries if isinstance(entry, SkippedFile)} == manifest.skipped
    outcomes, longest, peak = {}, 0.0, 0
    with DecodePool(1, (128, 128)) as pool:
        started = last = time.monotonic()
        for outcome in pool.decode(sorted(found)):
            assert outcome.path not in outcomes
            outcomes[outcome.path] = outcome
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        peak = max(map(peak_memory, children()))
    decoded = {path for path, outcome in outcomes.items() if isinstance(outcome, DecodedFile)}
    failed = set(outcomes) - decoded
    print(  # noqa: T201
        f"{n} entries: {len(decoded)} decoded, {len(failed)} failed, {len(manifest.skipped)} "
        f"skipped in {last - started:.1f} s; longest {longest:.2f} s; worker {peak >> 20} MiB"
    )
    assert set(outcomes) == found
    assert manifest.good <= decoded
    assert manifest.bad <= failed
    assert all(0 < len(outcomes[path].reason) < 160 for path in failed)
    assert all(outcomes[path].reason.isprintable() for path in failed)
    assert longest < 5
    assert peak < 700 * 2**20


def test_the_same_seed_writes_the_same_files(tmp_path):
    one, other = (write_damaged(tmp_path / name, 130, seed=3) for name in "ab")
    for path in sorted(one.good | one.bad | one.unsure):
        twin = os.path.join(other.folder, os.path.basename(path))  # noqa: PTH118, PTH119
        assert Path(os.fsdecode(path)).read_bytes() == Path(os.fsdecode(twin)).read_bytes()
