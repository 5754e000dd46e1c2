import json

import pytest

from lookalike.errors import UsageError
from lookalike.reproduction.plan import quick_plan
from lookalike.reproduction.workspace import PLAN, file_name, open_workspace


def refuse():
    raise AssertionError("computed again")


def test_a_result_is_computed_once(tmp_path):
    workspace = open_workspace(tmp_path / "new" / "w", quick_plan())
    assert workspace.cell("a b", lambda: {"x": (1, 2.5)}) == {"x": [1, 2.5]}
    again = open_workspace(tmp_path / "new" / "w", quick_plan(seeds=(5,)))
    assert again.cell("a b", refuse) == {"x": [1, 2.5]}
    assert [path.name for path in again.cells.iterdir()] == ["a-b.json"]


def test_a_failed_result_is_computed_again(tmp_path):
    workspace = open_workspace(tmp_path, quick_plan())
    with pytest.raises(AssertionError):
        workspace.cell("a", refuse)
    assert workspace.cell("a", lambda: {"x": 1}) == {"x": 1}


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_text("mine")
    with pytest.raises(UsageError, match="is no earlier reproduction; choose another folder"):
        open_workspace(tmp_path, quick_plan())
    with pytest.raises(UsageError, match="is no earlier reproduction"):
        open_workspace(tmp_path / "holiday.jpg", quick_plan())
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_another_plan_is_refused_with_what_differs(tmp_path):
    open_workspace(tmp_path, quick_plan())
    with pytest.raises(UsageError, match=r"other options \(epochs 4 and 5\); go on with the same"):
        open_workspace(tmp_path, quick_plan(epochs=5))


def test_damaged_files_are_named(tmp_path):
    workspace = open_workspace(tmp_path, quick_plan())
    (workspace.cells / "a.json").write_text("{")
    with pytest.raises(UsageError, match=r"a\.json is damaged; delete it and run"):
        workspace.cell("a", refuse)
    (tmp_path / PLAN).write_text("{")
    with pytest.raises(UsageError, match=r"plan\.json is damaged"):
        open_workspace(tmp_path, quick_plan())


def test_the_marker_tells_the_plan(tmp_path):
    open_workspace(tmp_path, quick_plan())
    told = json.loads((tmp_path / PLAN).read_text())
    assert told["n_scenes"] == 400
    assert "seeds" not in told


def test_different_names_have_different_files():
    names = ["pooled masks, PCA s1", "self-encoding: content s1", "self-encoding: content + layout"]
    assert len({file_name(name) for name in names}) == 3
