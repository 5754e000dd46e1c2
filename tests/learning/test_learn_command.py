"""Options of `lookalike learn` that guide it."""

import json
import subprocess
import sys
import time

import pytest
from foreign_files import write_names, write_segmenter, write_teacher

from lookalike.model_folder import read_card
from tests.small_sets import write_masks, write_pictures

SHORT = ("--epochs", "1", "--self-encoder-epochs", "1", "--image-size", "32", "--batch-size", "8")


def write_classes(folder):
    """Two folders of pictures in random colors, without label maps."""
    for seed, name in enumerate(("red", "other")):
        write_pictures(folder / name, 6, seed)


INVOKE = """
import json, sys
from typer.testing import CliRunner
from lookalike.cli import app
for words in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, words)
    error = type(done.exception).__name__
    print(json.dumps({"error": error, "message": str(done.exception), "out": done.stdout}))
"""


def run(*commands):
    """Run commands one after the other in one process, without run-time checks of types.

    Typer hands over another context than it declares, which such checks would not let through.
    """
    given = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run([sys.executable, "-c", INVOKE, given], capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_teacher_a_segmenter_and_two_sets_reach_the_card(tmp_path):
    write_masks(tmp_path / "first", 12)
    write_classes(tmp_path / "second")
    guides = (
        *("--teacher", write_teacher(tmp_path / "t.onnx"), "--normalization", "unit"),
        *("--segmenter", write_segmenter(tmp_path / "s.onnx"), "--segmenter-without", "red"),
        *("--segmenter-labels", write_names(tmp_path / "names.txt"), "--color-share", "0.5"),
        *("--teacher-cells-weight", "2", "--mixed-share", "0.25"),
    )
    out = ("--out", tmp_path / "m", "--device", "cpu", "--json")
    [done] = run(
        ("learn", tmp_path / "first", tmp_path / "second", *guides, *SHORT, *out),
    )
    assert done["error"] == "NoneType", done
    card = read_card(tmp_path / "m")
    assert json.loads(done["out"])["model"] == card.id
    assert card.training_data["teacher"].startswith("t.onnx sha256:")
    assert card.training_data["segmenter"].endswith(" without red")
    assert (card.recipe["teacher_weight"], card.recipe["color_share"]) == (5.0, 0.5)
    assert (card.recipe["teacher_cells_weight"], card.recipe["mixed_share"]) == (2.0, 0.25)
    assert card.training_data["name"] == "first + second"
    assert card.classes == ("red", "green", "blue")
    assert (card.recipe["epochs"], card.recipe["seed"]) == (1, 0)


@pytest.mark.slow
def test_a_limit_in_minutes_is_told_and_kept_to(tmp_path):
    write_masks(tmp_path / "set", 40)
    small = ("--image-size", "32", "--batch-size", "8", "--device", "cpu", "--epochs", "2000")
    out = ("--out", tmp_path / "m", "--minutes", "0.5", "--json")
    started = time.monotonic()
    [done] = run(("learn", tmp_path / "set", *small, *out))
    assert time.monotonic() - started < 60
    assert done["error"] == "NoneType", done
    passes = json.loads(done["out"])["passes"]["network"]
    assert 1 <= passes < 2000
    assert read_card(tmp_path / "m").recipe["epochs"] == passes
    assert {path.name for path in tmp_path.iterdir()} == {"set", "m"}


REFUSED = (
    (("--minutes", "0"), "0 minutes are no time to learn in; give more than 0"),
    (("--models", "x"), "--models is for --recipe default; give --teacher"),
    (("--normalization", "unit"), "--normalization needs a network: give --teacher"),
    (("--color-share", "0.5"), "--color-share needs something taught: give --teacher"),
    (("--mixed-share", "0.5"), "mixed_share is 0.5, but teacher_weight is 0 and nothing is taught"),
    (("--segmenter-without", "tv"), "need the network: give --segmenter FILE"),
    (("--segmenter", "net.onnx"), "needs the names of its classes: give --segmenter-labels"),
    (("--recipe", "default", "--teacher", "x"), "--teacher is decided by --recipe default"),
    (("--recipe", "default", "more"), "learns from one folder that holds its data sets, got 2"),
    (("--recipe", "default"), "lacks coco, clothing, corel, tiny-imagenet; the default recipe"),
)


def test_options_that_nothing_would_read_are_refused(tmp_path):
    write_masks(tmp_path / "set", 12)
    common = ("learn", tmp_path / "set", "--out", tmp_path / "m", "--device", "cpu")
    outcomes = run(*((*common, *words) for words, _ in REFUSED))
    for (words, message), outcome in zip(REFUSED, outcomes, strict=True):
        assert outcome["error"] == "UsageError", words
        assert message in outcome["message"], words
    assert not (tmp_path / "m").exists()
