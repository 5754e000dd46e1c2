import json

import pytest

from lookalike.demo import BOTH, CONTENT, FULL, MARKER, QUICK, WITHOUT, _clear, run_demo
from lookalike.errors import UsageError


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_text("mine")
    with pytest.raises(UsageError, match="is no earlier demo; choose another folder with --out"):
        run_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_is_no_place_for_a_demo(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is no earlier demo"):
        run_demo(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_is_known_as_a_demo_from_the_start(tmp_path):
    for place in (tmp_path / "new" / "demo", tmp_path / "empty"):
        if place.name == "empty":
            place.mkdir()
        _clear(place)
        assert [path.name for path in place.iterdir()] == [MARKER]


def test_an_earlier_demo_even_an_interrupted_one_is_replaced(tmp_path):
    _clear(tmp_path / "demo")
    (tmp_path / "demo" / "learn").mkdir()
    _clear(tmp_path / "demo")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARKER]


def test_the_quick_demo_does_less_of_everything():
    assert QUICK.learn_scenes < FULL.learn_scenes
    assert QUICK.gallery_scenes < FULL.gallery_scenes
    assert QUICK.queries <= min(FULL.queries, QUICK.gallery_scenes)


@pytest.mark.slow
def test_the_quick_demo_shows_the_whole_idea(tmp_path):
    pytest.importorskip("torch")
    result = run_demo(tmp_path / "demo", quick=True)
    assert list(result.evaluations) == [BOTH, CONTENT, WITHOUT]
    assert result.report.is_file()
    assert result.sheet.is_file()
    told = json.loads((tmp_path / "demo" / MARKER).read_text())
    assert set(told) == {
        *("systems", "comparisons", "learned", "folder", "report", "contact_sheet", "seconds")
    }
    layout = told["comparisons"][BOTH]["layout_miou_at_k"]["10"]
    assert layout["difference"] > 0
    assert layout["p_value"] < 0.05
