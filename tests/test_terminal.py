import io
import json
import re
import threading
from pathlib import Path

import pytest
from rich.console import Console

from lookalike import showing
from lookalike.gathering.ingest import IngestReport, Trouble
from lookalike.progress import Progress
from lookalike.selecting import SelectReport
from lookalike.terminal import Bars, say, show_error, show_json, show_table


def test_a_table_in_a_pipe_has_one_row_on_each_line(capsys):
    long = "/pictures/" + "very long name " * 20 + ".png"
    show_table(("rank", "score", "path"), [(1, 0.5, long), (12, 0.25, ":cat: [red]x[/red]")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "rank  score  path",
        f"   1  0.500  {long}",
        "  12  0.250  :cat: [red]x[/red]",
    ]


def test_headings_and_titles_are_taken_as_they_are(capsys):
    show_table(("[red]", ":cat:"), [("a", "b")], title="two of [2]")
    assert capsys.readouterr().out.splitlines() == ["two of [2]", "[red]  :cat:", "a      b"]


def test_what_is_said_goes_to_standard_error_as_it_is(capsys):
    say(":cat: [red]x[/red] " + "long " * 60)
    show_error("what was wrong,\n what to do")
    out, err = capsys.readouterr()
    assert out == ""
    first, second = err.splitlines()
    assert first == (":cat: [red]x[/red] " + "long " * 60).rstrip("\n")
    assert second == "lookalike: what was wrong, what to do"


def test_json_is_one_object_even_where_text_is_none(capsys):
    show_json({"path": "größe", "n": 1})
    assert json.loads(capsys.readouterr().out) == {"path": "größe", "n": 1}
    show_json({"path": "not text \udcff"})
    assert r"\udcff" in capsys.readouterr().out
    with pytest.raises(ValueError, match="JSON compliant"):
        show_json({"value": float("nan")})


def test_json_on_a_terminal_of_few_letters_is_escaped(monkeypatch):
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", latin)
    show_json({"path": "größe →"})
    latin.flush()
    assert json.loads(latin.buffer.getvalue().decode("ascii")) == {"path": "größe →"}


def bars_on(text):
    bars = Bars()
    bars._console = Console(file=text, force_terminal=True, color_system=None, width=100)
    return bars


def last_lines(text):
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.getvalue())
    return plain.replace("\r", "\n").splitlines()


def test_bars_tell_what_is_done_at_what_rate_and_stay_when_it_is():
    text = io.StringIO()
    bars = bars_on(text)
    assert isinstance(bars, Progress)
    with bars.task("Indexing [a]", unit="files") as task:
        task.expect(30)
        task.advance(10)
        task.note("2 failed")
        task.advance(10)
    assert any(
        "✓ Indexing [a]" in line and "20/20" in line and "2 failed" in line
        for line in last_lines(text)
    )


def test_bars_may_be_told_of_from_other_threads_and_within_each_other():
    text = io.StringIO()
    bars = bars_on(text)
    with bars.task("outer", 2) as outer:
        counting = threading.Thread(target=outer.expect, args=(4,))
        counting.start()
        counting.join()
        with bars.task("inner", 1) as inner:
            inner.advance()
        outer.advance(4)
    lines = last_lines(text)
    assert any("✓ inner" in line and "1/1" in line for line in lines)
    assert any("✓ outer" in line and "4/4" in line for line in lines)


def test_an_interrupted_bar_is_not_shown_as_done():
    text = io.StringIO()
    bars = bars_on(text)

    def work():
        with bars.task("Indexing", 9) as task:
            task.advance(3)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not any("✓" in line for line in last_lines(text))


# What commands show when they are done


def test_of_many_troubles_the_first_are_told(capsys):
    failed = tuple(Trouble(f"/p/{number}.jpg", "damaged") for number in range(30))
    showing.show_ingest(IngestReport(5, 4, 3, failed, (), 1.25))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "failed: /p/0.jpg: damaged"
    assert lines[20] == "… and 10 more; --json lists all"
    assert lines[21] == "5 indexed, 4 unchanged, 3 removed, 30 failed, 0 skipped in 1.2 s"


INDEX = {
    "descriptor": "content",
    "kind": "clusters",
    "n": 400,
    "newer": 0,
    "deleted": 0,
    "recall_target": 0.98,
    "measured_recall": 0.9876,
    "n_clusters": 80,
    "members": 120,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            "clusters, 400 images; 80 clusters, visited until 120 images are met; "
            "finds 98.8% of the true neighbors (target 98%)",
        ),
        (
            {"kind": "pq", "n_clusters": 0},
            "pq, 400 images; finds 98.8% of the true neighbors (target 98%)",
        ),
        (
            {"kind": "exact", "n_clusters": 0, "newer": 3, "deleted": 2},
            "exact, 400 images; 3 newer compared beside it, 2 gone masked",
        ),
        (
            {"kind": None, "newer": 7},
            "none yet: all 7 images are compared; the next `index` builds it",
        ),
    ],
)
def test_the_state_of_an_index_is_one_line(capsys, changes, expected):
    status = {
        "path": "c.lookalike",
        "model": "tiny@1",
        "selection": None,
        "images": 400,
        "files": {"indexed": 400, "failed": 0},
        "folders": [f"/photos/{number}" for number in range(25)],
        "bytes": 3 * 2**20,
        "lacking": {"color": 0},
        "knowledge": {"captions": 2, "maps": 0, "subjects": 3},
        "regions": {"images": 0, "regions": 0, "lacking": 0},
        "indexes": [{**INDEX, **changes}],
    }
    showing.show_status(status)
    out = capsys.readouterr().out
    assert f"index of content  {expected}\n" in out
    assert "files             400 indexed, 0 failed\n" in out
    assert "size on disk      3.0 MiB\n" in out
    assert "known             2 captions, 3 subjects\n" in out
    assert "/photos/19\n" in out
    assert "… and 5 more\n" in out
    assert "/photos/20\n" not in out


def test_no_hits_are_shown_as_a_table_without_rows(capsys):
    showing.show_hits({"hits": [], "beyond": 0})
    assert capsys.readouterr().out.split() == ["rank", "id", "score", "path"]


def test_what_a_selection_cost_and_saved_is_told(capsys):
    report = SelectReport(
        path=Path("c-forward-64.lookalike"),
        model="tiny@1+2",
        facts={
            **{"method": "forward", "dims": 64, "of": 256, "aggregate": "mean"},
            **{"dataset": "coco#train", "n_pictures": 586},
            "explained": {"searched": 0.2279, "nested": 0.1489},
            "measured": {
                "n_queries": 314,
                "mean_average_precision": {"before": 0.4464, "after": 0.4483},
                "difference": 0.0019,
                "difference_interval": [-0.0004, 0.0041],
                "p_value": 0.0737,
            },
        },
        columns=(1, 2),
        n_bytes={"embeddings": (4 << 20, 1 << 20), "index": (5 << 20, 0)},
    )
    showing.show_selection(report)
    told = capsys.readouterr()
    out = " ".join(told.out.split())
    assert (
        "64 of 256 dimensions by forward, mean over labels, from 586 pictures of coco#train" in out
    )
    assert (
        "0.446 → 0.448, difference +0.002 [-0.000, +0.004], p 0.0737, on 314 other pictures" in out
    )
    assert "0.149 on pictures that the search did not see (0.228 on those that it did)" in out
    assert "embeddings of content 4.00 MiB → 1.00 MiB" in out
    assert "shrunken collection: c-forward-64.lookalike" in told.err
