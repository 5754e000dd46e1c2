"""The whole, on a few tiny scenes."""

import html
import json
from pathlib import Path

import pytest
from PIL import Image

from lookalike.__main__ import run
from lookalike.errors import CollectionLockedError, DatasetError, UsageError
from lookalike.reproduction import materials, quick_plan, reproduce, running
from lookalike.reproduction.plan import ABLATIONS, PLAIN, PROPOSED, SEGMENTED
from lookalike.reproduction.report import RESULTS
from lookalike.reproduction.wording import WORDINGS
from lookalike.reproduction.workspace import open_workspace
from lookalike.storage.lock import WriterLock
from tests.killing import kill_at

pytest.importorskip("torch")

TINY = {
    "n_scenes": 64,
    "epochs": 1,
    "self_encoder_epochs": 1,
    "image_size": 32,
    "n_queries": 12,
    "n_runs": 2,
    "n_draws": 1,
    "dims": (112, 784),
    "device": "cpu",
}


def few_models(patch, *names):
    """Let only these ablations and one network be learned."""
    patch.setattr(running, "ABLATIONS", {name: ABLATIONS[name] for name in names})
    patch.setattr(running, "NETWORKS", {"NIN": {"code_weight": 0.0}})


def refuse(*args, **options):
    raise AssertionError("learned again")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduction") / "r"
    with pytest.MonkeyPatch.context() as patch:
        few_models(patch, PROPOSED, PLAIN, SEGMENTED)
        return reproduce(folder, quick_plan(**TINY))


@pytest.mark.slow
def test_every_part_is_found_and_told(done):
    told = json.loads((done.folder / "report" / RESULTS).read_text())
    assert set(told) == {
        *("about", "seeds", "left_out", "figure3", "table1", "figure4", "table2", "table3"),
        "ablations",
    }
    systems = ["self-encoding: content + layout", "self-encoding: content", PLAIN, "NIN"]
    for part in ("table1", "table2", "table3"):
        assert list(told[part]) == systems
    assert list(told["ablations"]["models"]) == [PROPOSED, PLAIN, SEGMENTED]
    assert list(told["ablations"]["differences"]) == [
        "(a) no self-encoding",
        "(e) segmentation head",
    ]
    found = told["ablations"]["models"][SEGMENTED]["1"]["rankings"]
    assert "layout, Euclidean" in found
    assert 0 < found["1"]["miou"] < 1
    assert told["about"]["n_gallery"] == 24
    assert told["left_out"] == []


@pytest.mark.slow
def test_the_report_says_what_the_paper_says_beside_each_part(done):
    page = html.unescape(done.report.read_text())
    for words in WORDINGS.values():
        assert words.title in page
        assert words.paper in page
    assert page.count("<h2>") == len(WORDINGS)
    assert "://" not in page
    for path in done.report.parent.glob("*.png"):
        with Image.open(path) as image:
            assert image.width > 400
    names = {path.stem for path in done.report.parent.glob("*.csv")}
    assert {"figure3", "table1", "table1-readings", "table2-list", "table2-ranked"} <= names
    assert {"table3-precision", "ablations", "ablations-differences", "overlap"} <= names


@pytest.mark.slow
def test_models_can_be_used_afterwards(done):
    from lookalike.features.model import Model

    folders = sorted(path.name for path in (done.folder / "models").iterdir())
    assert folders == [
        *("NIN-s1", "no-self-encoding-s1", "segmentation-head-s1", "self-encoding-s1")
    ]
    assert Model.open(done.folder / "models" / "segmentation-head-s1").card.has_layout


@pytest.mark.slow
def test_a_second_call_learns_and_measures_nothing_again(done, monkeypatch):
    few_models(monkeypatch, PROPOSED, PLAIN, SEGMENTED)
    monkeypatch.setattr(materials, "learn", refuse)
    monkeypatch.setattr(running, "learn_model", refuse)
    before = {path: path.stat().st_mtime_ns for path in (done.folder / "cells").iterdir()}
    results = (done.folder / "report" / RESULTS).read_bytes()
    again = reproduce(done.folder, quick_plan(**TINY))
    assert {path: path.stat().st_mtime_ns for path in (done.folder / "cells").iterdir()} == before
    assert (again.folder / "report" / RESULTS).read_bytes() == results


@pytest.mark.slow
def test_parts_and_seeds_can_be_added_to_a_folder(done, monkeypatch):
    few_models(monkeypatch, PROPOSED, PLAIN, SEGMENTED)
    monkeypatch.setattr(running, "learn_model", refuse)
    part = reproduce(done.folder, quick_plan(**TINY, sections=("table3",)))
    assert set(part.to_json()) == {
        *("about", "seeds", "left_out", "table3", "folder", "report", "seconds")
    }
    with pytest.raises(AssertionError, match="learned again"):
        reproduce(done.folder, quick_plan(**{**TINY, "seeds": (1, 2)}))
    reproduce(done.folder, quick_plan(**TINY))


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(done, tmp_path, monkeypatch):
    few_models(monkeypatch, PROPOSED, PLAIN, SEGMENTED)
    for place in ("reproduction.cell:3", "learning.epoch:2", "atomic.written:9"):
        kill_at(place, lambda: reproduce(tmp_path / "r", quick_plan(**TINY)))
        kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "r" / "cells").glob("*.json")}
    again = reproduce(tmp_path / "r", quick_plan(**TINY))
    assert kept
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    told = [json.loads((r.folder / "report" / RESULTS).read_text()) for r in (done, again)]
    for part in ("figure3", "table1", "figure4", "table2", "table3"):
        assert told[0][part] == told[1][part]


@pytest.fixture
def classes(tmp_path):
    """A folder for each class, as in ImageNet."""
    for number in range(60):
        folder = tmp_path / "colors" / ("red", "blue")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        color = (200, number, 30) if number % 2 == 0 else (30, number, 200)
        Image.new("RGB", (32, 32), color).save(folder / f"{number:02}.png")
    return str(tmp_path / "colors")


def test_without_label_maps_labels_alone_are_compared_and_it_is_said(
    classes, tmp_path, monkeypatch
):
    few_models(monkeypatch, PROPOSED, PLAIN)
    # A third of so few pictures is less than is asked for.
    monkeypatch.setattr(materials, "_PICTURES_TO_JUDGE", 10)
    plan = quick_plan(**TINY, dataset=classes, sections=("table1", "figure4", "ablations"))
    told = reproduce(tmp_path / "r", plan).to_json()
    assert list(told["table1"]) == [PLAIN, "NIN"]
    assert list(told["figure4"]) == [PLAIN]
    assert "ablations" not in told
    assert "has no label maps" in told["left_out"][0]
    assert "has no label maps" in (tmp_path / "r" / "report" / "report.html").read_text()
    for path in Path(classes).glob("red/*"):
        path.rename(path.parents[1] / "blue" / path.name)
    Image.new("RGB", (32, 32)).save(Path(classes) / "red" / "new.png")
    with pytest.raises(DatasetError, match=r"changed since .* was begun; put the pictures"):
        reproduce(tmp_path / "r", plan)


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    plan = quick_plan(**TINY, sections=("figure3",))
    (tmp_path / "r").mkdir()
    open_workspace(tmp_path / "r", plan)
    with WriterLock(tmp_path / "r"), pytest.raises(CollectionLockedError, match="process"):
        reproduce(tmp_path / "r", plan)
    assert reproduce(tmp_path / "r", plan).to_json()["figure3"]["dims"] == [112, 784]


def test_a_part_of_a_data_set_needs_a_gallery(classes, tmp_path):
    plan = quick_plan(**TINY, dataset=f"{classes}#train")
    with pytest.raises(DatasetError, match="is a part already; name the pictures to judge by"):
        reproduce(tmp_path / "r", plan)


def test_a_gallery_of_other_classes_is_refused(classes, tmp_path):
    plan = quick_plan(**TINY, dataset=classes, gallery="scenes:40:3")
    with pytest.raises(DatasetError, match="has other classes than"):
        reproduce(tmp_path / "r", plan)


@pytest.mark.slow
def test_the_command_prints_one_object(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = run(["reproduce", "--quick", "--only", "figure3", "--out", "r", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert set(found) == {*("about", "seeds", "left_out", "figure3", "folder", "report", "seconds")}
    assert found["figure3"]["sequential"][-1] == found["figure3"]["random_mean"][-1]
    assert (tmp_path / "r" / "report" / "figure3.csv").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "table9"], "'table9' is no part of the experiments"),
        (["--seeds", "1,x"], "--seeds '1,x' is no list of numbers"),
        (["--scenes", "3"], "n_scenes must be between 40"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert run(["reproduce", *words, "--json"]) == 2
    assert message in json.loads(capsys.readouterr().out)["error"]
    with pytest.raises(UsageError):
        quick_plan(sections=("table9",))
