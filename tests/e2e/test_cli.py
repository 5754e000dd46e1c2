"""The way of a collection through the real program, and how the program behaves in a shell."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import started_anew
from forking import lookalike
from PIL import Image

from conftest import paint
from lookalike.storage.integrity import verify
from tests.processes import children
from tests.small_sets import write_masks
from tests.tiny_model import PALETTE


@pytest.fixture(scope="module")
def outfits(tmp_path_factory):
    return write_masks(tmp_path_factory.mktemp("sets") / "outfits", 24)


def test_the_main_way_from_pictures_to_measures(model, outfits, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    done = started_anew("index", "c.lookalike", outfits, broken, "--model", model, cwd=tmp_path)
    assert done.code == 1
    assert done.out == ""
    assert f"failed: {broken}: " in done.err
    assert "48 indexed, 0 unchanged, 0 removed, 1 failed, 1 skipped" in done.err

    query = outfits / "images" / "004.png"
    done = lookalike("search", "c.lookalike", "--image", query, "--sheet", "s.png", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    heading, first, *_ = done.out.splitlines()
    assert heading.split() == ["rank", "id", "score", "content", "layout", "path"]
    assert first.split()[0] == "1"
    assert first.endswith(str(query))
    with Image.open(tmp_path / "s.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 3)
    # Once in the picture and once in the layout that was decoded from its code, and in hits.
    assert (pixels == PALETTE[2]).all(axis=1).sum() > 4 * 148 * 148 * 0.4

    done = lookalike("evaluate", "c.lookalike", "--dataset", outfits, "--json", cwd=tmp_path)
    assert done.code == 0
    assert done.json["report"] == str(tmp_path / "c-evaluation" / "report.html")
    assert "<html" in (tmp_path / "c-evaluation" / "report.html").read_text()
    assert done.json["mean_average_precision"] > 0.9

    done = lookalike("status", "c.lookalike", cwd=tmp_path)
    assert done.code == 0
    assert "48 indexed, 1 failed, 1 skipped" in done.out
    assert "exact, 48 images" in done.out

    done = lookalike("verify", "c.lookalike", cwd=tmp_path)
    assert (done.code, done.out) == (0, "")
    assert "sound" in done.err


def test_options_are_read_from_the_environment(collection, tmp_path):
    done = lookalike("search", collection, "--id", "1", LOOKALIKE_K="3", LOOKALIKE_JSON="1")
    assert (done.code, len(done.json["hits"])) == (0, 3)
    done = lookalike("search", collection, "-k", "2", LOOKALIKE_K="3", LOOKALIKE_ID="1")
    assert len(done.out.splitlines()) == 1 + 2
    done = lookalike("status", tmp_path, LOOKALIKE_JSON="true")
    assert done.json == {"error": done.complaint, "exit_code": 10}


def test_odd_names_are_shown_escaped_and_found(model, tmp_path):
    folder = tmp_path / "odd"
    paths = paint(folder, n=4)
    names = [b"new\nline.png", b"not utf-8 \xff.png", b":cat: [red].png", "größe.png".encode()]
    for path, name in zip(paths, names, strict=True):
        os.rename(path, os.path.join(bytes(folder), name))  # noqa: PTH104, PTH118 - bytes
    odd = tmp_path / "c\udcff.lookalike"
    done = lookalike("index", odd, folder, "--model", model, "--json")
    assert done.code == 0, done.err
    shown = [r"new\nline.png", r"not utf-8 \xff.png", ":cat: [red].png", "größe.png"]
    query = os.path.join(bytes(folder), names[1])  # noqa: PTH118 - bytes
    table = started_anew("search", odd, "--image", query, PYTHONIOENCODING="utf-8")
    assert table.out.splitlines()[1].endswith(f"{folder}/{shown[1]}")
    rows = {line.partition(f"{folder}/")[2] for line in table.out.splitlines()[1:]}
    assert rows == set(shown)
    # A terminal that knows no such letters, and JSON that stays JSON.
    table = started_anew("search", odd, "--image", query, PYTHONIOENCODING="ascii")
    assert (table.code, table.err) == (0, "")
    told = started_anew("status", odd, "--json", PYTHONIOENCODING="utf-8:strict")
    assert told.json["path"] == str(odd)


def pipe_to(closed, words):
    command = [sys.executable, "-m", "lookalike", *map(str, words)]
    return subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60)


@pytest.mark.parametrize("options", [["--json"], []])
def test_a_reader_that_goes_away_is_no_error(collection, options):
    reader, writer = os.pipe()
    os.close(reader)
    done = pipe_to(writer, ["search", collection, "--id", "1", *options])
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_output_onto_a_full_disk_is_an_error_in_one_line(collection):
    with Path("/dev/full").open("w") as full:
        done = pipe_to(full, ["status", collection, "--json"])
    assert done.returncode == 3
    assert done.stderr == "lookalike: the system: No space left on device\n"


def slow_pictures(folder, n):
    """Large pictures that take a while to decode; all the same but for bytes behind their end."""
    folder.mkdir()
    Image.new("RGB", (3000, 3000), "teal").save(folder / "0.png", compress_level=1)
    data = (folder / "0.png").read_bytes()
    for number in range(1, n):
        (folder / f"{number}.png").write_bytes(data + bytes(number))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_an_interrupted_index_can_be_gone_on_with(model, tmp_path, request, number, code):
    folder = slow_pictures(tmp_path / "pictures", 60)
    path = tmp_path / "c.lookalike"
    words = ["index", path, folder, "--model", model, "--workers", "1", "--json"]
    # Tests that run in the background of a shell ignore it, and would have the program do so.
    before = signal.signal(number, signal.SIG_DFL)
    request.addfinalizer(lambda: signal.signal(number, before))
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        end = time.monotonic() + 60
        while not (workers := children(process.pid)):
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    if number == signal.SIGINT:
        assert json.loads(out)["exit_code"] == code
        assert "run the same command again to go on" in err
    assert verify(path).is_clean
    done = lookalike("index", path, folder, "--json")
    assert done.code == 0
    assert done.json["indexed"] + done.json["unchanged"] == 60


def test_without_words_the_help_is_shown_and_nothing_complained(tmp_path):
    done = started_anew(cwd=tmp_path)
    assert done.code == 2
    assert "Usage: lookalike" in done.out
    assert done.err == ""
    assert started_anew("--version").out.startswith("lookalike 0.")


@pytest.mark.parametrize("weight", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_a_model_can_be_learned_and_used(outfits, tmp_path, weight):
    pytest.importorskip("torch")
    done = lookalike(
        *("learn", outfits, "--out", tmp_path / "model", "--epochs", "1", "--image-size", "32"),
        *("--code-weight", weight, "--code-dim", "16", "--json"),
    )
    assert done.code == 0, done.err
    assert done.json["folder"] == str(tmp_path / "model")
    assert done.json["measured"]
    path = tmp_path / "c.lookalike"
    done = lookalike("index", path, outfits / "images", "--model", tmp_path / "model", "--json")
    assert (done.code, done.json["indexed"]) == (0, 24)
    shutil.rmtree(tmp_path / "model")  # a collection has its own copy
    assert len(lookalike("search", path, "--id", "1", "--json").json["hits"]) == 10
