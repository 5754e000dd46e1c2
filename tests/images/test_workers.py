import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import EnvironmentFault, UsageError
from lookalike.images.decoding import DecodeLimits, decode
from lookalike.images.files import content_hash
from lookalike.images.workers import DecodedFile, DecodePool, FailedFile
from tests.images import misbehaving
from tests.images.painted import encoded, noise
from tests.processes import children

SIZE = (32, 48)
PICTURES = [encoded(noise(60, 40, seed), "PNG") for seed in range(4)]


def fill(folder: Path, n: int) -> list[bytes]:
    """Write files that all hold different pictures."""
    paths = [folder / f"{number:05d}.png" for number in range(n)]
    for number, path in enumerate(paths):
        path.write_bytes(PICTURES[number % 4] + b"%d" % number)
    return [os.fsencode(path) for path in paths]


def order(folder: Path, name: str, *words: object) -> bytes:
    """Write a file that makes the misbehaving decoder do something."""
    path = folder / f"{name}.png"
    path.write_bytes(" ".join([name, *map(str, words)]).encode() + b"\n" + PICTURES[0])
    return os.fsencode(path)


def misbehaving_pool(workers: int = 1, seconds: float = 0.5, **options) -> DecodePool:
    return DecodePool(workers, SIZE, seconds=seconds, decoder=misbehaving.decode, **options)


def open_files() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_file_gives_what_decoding_here_gives(tmp_path, workers):
    paths = fill(tmp_path, 30)
    with DecodePool(workers, SIZE) as pool:
        outcomes = {outcome.path: outcome for outcome in pool.decode(paths)}
    assert sorted(outcomes) == paths
    for path, outcome in outcomes.items():
        data = Path(os.fsdecode(path)).read_bytes()
        status = Path(os.fsdecode(path)).stat()
        expected = decode(data, SIZE)
        assert isinstance(outcome, DecodedFile)
        np.testing.assert_array_equal(outcome.pixels, expected.pixels)
        assert (outcome.width, outcome.height, outcome.format) == (60, 40, "PNG")
        assert outcome.hash == content_hash(data)
        assert (outcome.size, outcome.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert outcome.n_bytes == len(data)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_files_fail_with_reason_and_identity(tmp_path, workers):
    cut = tmp_path / "cut\n\udcff.png"
    cut.write_bytes(PICTURES[0][:500])
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big.png").write_bytes(encoded(noise(200, 200), "PNG"))
    paths = [os.fsencode(tmp_path / name) for name in (cut.name, "pipe", "gone", "big.png")]
    with DecodePool(workers, SIZE, DecodeLimits(max_pixels=30_000)) as pool:
        outcomes = {outcome.path: outcome for outcome in pool.decode(paths)}
    status = cut.stat()
    assert outcomes[paths[0]] == FailedFile(
        path=paths[0],
        reason="the file is cut off",
        hash=content_hash(cut.read_bytes()),
        size=500,
        mtime_ns=status.st_mtime_ns,
        transient=False,
    )
    assert outcomes[paths[1]] == FailedFile(
        paths[1], "a named pipe, no file", None, None, None, transient=True
    )
    assert outcomes[paths[2]].reason == "no such file or directory"
    assert outcomes[paths[3]].reason.startswith("200 × 200 pixels, the limit is 0.03 million")
    assert outcomes[paths[3]].transient


def test_files_that_ruin_their_worker_are_reported_and_the_others_are_decoded(tmp_path, capfd):
    reasons = {
        "crash": "the decoder crashed (SIGSEGV)",
        "die": "the decoder was killed, perhaps for lack of memory",
        "raise": "the decoder ended with exit code 1",
        "shrink": "the decoder gave a wrong answer",
        "hang": "it took longer than 0.5 s",
        "stop": "it took longer than 0.5 s",
    }
    good = fill(tmp_path, 12)
    bad = {order(tmp_path, name): reason for name, reason in reasons.items()}
    mixed = [path for pair in zip(good, bad, strict=False) for path in pair] + good[6:]
    with misbehaving_pool(2) as pool:
        outcomes = {outcome.path: outcome for outcome in pool.decode(mixed)}
    for path, reason in bad.items():
        expected = FailedFile(path, f"tried twice: {reason}", None, None, None, transient=True)
        assert outcomes.pop(path) == expected
    assert sorted(outcomes) == good
    assert all(isinstance(outcome, DecodedFile) for outcome in outcomes.values())
    assert capfd.readouterr() == ("", "")


def test_crash_that_does_not_come_again_is_forgiven(tmp_path):
    path = order(tmp_path, "crash-once", tmp_path / "marker")
    with misbehaving_pool() as pool:
        (outcome,) = pool.decode([path])
    assert isinstance(outcome, DecodedFile)
    assert (tmp_path / "marker").exists()


def test_hanging_file_takes_no_longer_than_twice_the_time(tmp_path):
    path = order(tmp_path, "sleep", 60)
    with misbehaving_pool(seconds=0.7) as pool:
        list(pool.decode(fill(tmp_path, 1)))
        started = time.monotonic()
        assert isinstance(next(pool.decode([path])), FailedFile)
        assert time.monotonic() - started < 2 * 0.7 + 10  # of the 60 that it would take


def test_memory_of_a_worker_is_limited(tmp_path):
    limits = DecodeLimits(max_bytes=2**20, max_pixels=10_000)
    with misbehaving_pool(limits=limits) as pool:
        outcomes = list(pool.decode([order(tmp_path, "hoard"), *fill(tmp_path, 2)]))
    assert [type(outcome).__name__ for outcome in outcomes] == ["FailedFile"] + ["DecodedFile"] * 2
    assert "exit code 1" in outcomes[0].reason


def test_what_decoders_print_is_thrown_away(tmp_path, capfd):
    with misbehaving_pool() as pool:
        (outcome,) = pool.decode([order(tmp_path, "chatter")])
    assert isinstance(outcome, DecodedFile)
    assert capfd.readouterr() == ("", "")


def test_worker_imports_little(tmp_path):
    """A worker must soon be there; above all it must not run the command line again."""
    with misbehaving_pool() as pool:
        list(pool.decode([order(tmp_path, "modules", tmp_path / "modules")]))
    modules = set((tmp_path / "modules").read_text().split())
    ours = {name for name in modules if name.startswith("lookalike.")}
    allowed = {"lookalike.arrays", "lookalike.errors", "lookalike.images"}
    assert {name for name in ours if not name.startswith("lookalike.images.")} == allowed
    assert not modules & {"torch", "onnxruntime", "faiss", "typer", "matplotlib", "sqlite3"}


def test_paths_are_taken_in_the_caller_s_thread_and_only_a_little_ahead(tmp_path):
    paths = fill(tmp_path, 400)
    taken = []

    def feed():
        for path in paths:
            taken.append(threading.get_ident())
            yield path

    with DecodePool(2, SIZE) as pool:
        outcomes = pool.decode(feed())
        for n_given, _ in zip(count(1), islice(outcomes, 300), strict=False):
            assert len(taken) <= n_given + 68
        assert len(list(outcomes)) == 100
    assert set(taken) == {threading.get_ident()}


def test_workers_go_on_while_the_caller_is_busy(tmp_path):
    paths = fill(tmp_path, 40)
    with DecodePool(1, SIZE) as pool:
        outcomes = pool.decode(paths)
        next(outcomes)
        time.sleep(1.0)
        started = time.monotonic()
        assert len(list(outcomes)) == 39
        assert time.monotonic() - started < 0.5


def test_abandoned_run_does_not_disturb_the_next(tmp_path):
    paths = fill(tmp_path, 60)
    with DecodePool(2, SIZE) as pool:
        assert len(list(islice(pool.decode(paths), 3))) == 3
        assert sorted(outcome.path for outcome in pool.decode(paths[:10])) == paths[:10]


def test_two_runs_at_once_get_their_own_outcomes(tmp_path):
    paths = fill(tmp_path, 40)
    with DecodePool(2, SIZE) as pool:
        one, other = pool.decode(paths[:20]), pool.decode(paths[20:])
        pairs = list(zip(one, other, strict=True))
    assert sorted(a.path for a, _ in pairs) == paths[:20]
    assert sorted(b.path for _, b in pairs) == paths[20:]


def test_no_paths_give_no_outcomes():
    with DecodePool(1, SIZE) as pool:
        assert list(pool.decode([])) == []


def test_error_in_the_paths_reaches_the_caller(tmp_path):
    def feed():
        yield from fill(tmp_path, 3)
        raise ZeroDivisionError

    with DecodePool(1, SIZE) as pool, pytest.raises(ZeroDivisionError):
        list(pool.decode(feed()))


def test_closing_ends_the_processes_at_once_even_in_the_middle(tmp_path):
    before = children()
    with misbehaving_pool(2, seconds=60.0) as pool:
        outcomes = pool.decode([order(tmp_path, "sleep", 60), *fill(tmp_path, 2)])
        next(outcomes)
        assert len(children()) == len(before) + 2
        started = time.monotonic()
    assert time.monotonic() - started < 10
    assert children() == before
    with pytest.raises(UsageError, match="is closed; open another"):
        list(outcomes)
    with pytest.raises(UsageError, match="is closed"):
        list(pool.decode(fill(tmp_path, 1)))
    pool.close()


def test_pool_is_usable_without_with_and_may_be_forgotten(tmp_path):
    """Neither threads nor processes keep the interpreter from ending."""
    (path,) = fill(tmp_path, 1)
    code = f"""
        from lookalike.images.workers import DecodePool
        pool = DecodePool(2, (8, 8))
        print(len(list(pool.decode([{path!r}]))))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, timeout=20, check=True
    )
    assert done.stdout == b"1\n"
    assert done.stderr == b""


def test_script_without_a_main_guard_runs_once(tmp_path):
    (path,) = fill(tmp_path, 1)
    script = tmp_path / "script.py"
    script.write_text(
        "from lookalike.images.workers import DecodePool\n"
        "with DecodePool(1, (8, 8)) as pool:\n"
        f"    print(len(list(pool.decode([{path!r}]))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, timeout=20, check=True)
    assert done.stdout == b"1\n"


@pytest.mark.parametrize("is_busy", [False, True])
def test_workers_die_with_a_parent_that_is_killed(tmp_path, is_busy):
    busy = order(tmp_path, "pid", tmp_path / "pid")
    code = f"""
        import sys; sys.path.insert(0, {str(Path.cwd())!r})
        from lookalike.images.workers import DecodePool
        from tests.images.misbehaving import decode
        pool = DecodePool(1, (8, 8), seconds=1.0, decoder=decode)
        list(pool.decode([{fill(tmp_path, 1)[0]!r}]))
        print("ready", flush=True)
        list(pool.decode([{busy!r}])) if {is_busy} else sys.stdin.read()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout.readline() == b"ready\n"
        if is_busy:
            assert wait_until((tmp_path / "pid").exists)
        (worker,) = children(parent.pid)
        parent.send_signal(signal.SIGKILL)
    assert is_alive(worker) or not is_busy
    assert wait_until(lambda: not is_alive(worker))


def test_interrupt_from_the_terminal_does_not_reach_the_workers(tmp_path):
    paths = fill(tmp_path, 3)
    before = set(children())
    with DecodePool(1, SIZE) as pool:
        list(pool.decode(paths))
        (worker,) = set(children()) - before
        assert os.getpgid(worker) != os.getpgid(0)
        os.kill(worker, signal.SIGINT)
        assert len(list(pool.decode(paths))) == 3
        assert set(children()) - before == {worker}


def test_worker_killed_while_idle_is_replaced(tmp_path):
    paths = fill(tmp_path, 3)
    before = set(children())
    with DecodePool(1, SIZE) as pool:
        list(pool.decode(paths))
        (worker,) = set(children()) - before
        os.kill(worker, signal.SIGKILL)
        outcomes = list(pool.decode(paths))
    assert all(isinstance(outcome, DecodedFile) for outcome in outcomes)


def test_open_files_do_not_grow(tmp_path):
    def run():
        with misbehaving_pool() as pool:
            list(pool.decode([order(tmp_path, "crash"), *fill(tmp_path, 5)]))

    run()
    before = open_files()
    run()
    assert open_files() == before


def test_worker_that_cannot_be_started_is_not_the_files_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["/nowhere"])
    with (
        DecodePool(1, SIZE) as pool,
        pytest.raises(EnvironmentFault, match=r"ModuleNotFound.*json|No module"),
    ):
        list(pool.decode(fill(tmp_path, 1)))


def test_missing_interpreter_is_an_environment_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with DecodePool(1, SIZE) as pool, pytest.raises(EnvironmentFault, match="/nowhere/python"):
        list(pool.decode(fill(tmp_path, 1)))


@pytest.mark.parametrize(
    ("workers", "size", "seconds"),
    [
        (-1, SIZE, 1.0),
        (257, SIZE, 1.0),
        (1, (0, 5), 1.0),
        (1, SIZE, 0.0),
        (1, SIZE, math.nan),
        (1, SIZE, math.inf),
    ],
)
def test_senseless_options_are_refused(workers, size, seconds):
    with pytest.raises(UsageError, match="give 0 to 256 workers"):
        DecodePool(workers, size, seconds=seconds)


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "AVIF", "GIF", "JPEG"])
def test_largest_pictures_fit_into_the_memory_limit(tmp_path, format_):
    picture = noise(1000, 1000).resize((8000, 8000))
    if format_ in ("PNG", "WEBP", "AVIF"):
        picture = picture.convert("RGBA")
    path = tmp_path / "big"
    path.write_bytes(encoded(picture, format_))
    with DecodePool(1, SIZE, seconds=60.0) as pool:
        (outcome,) = pool.decode([os.fsencode(path)])
    assert isinstance(outcome, DecodedFile), outcome
