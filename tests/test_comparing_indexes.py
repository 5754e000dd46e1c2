"""Kinds of index compared by command, with a report."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, comparing_indexes
from lookalike.__main__ import run
from lookalike.index.points import IndexComparison
from tests.small_sets import write_pictures
from tests.tiny_model import DIM, write_tiny_model

N = 140


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    write_pictures(folder / "pictures", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "pictures", workers=0)
    return folder


@pytest.fixture
def ask(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run(["compare-indexes", *words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def test_the_report_holds_what_was_measured(ask, place):
    code, found = ask("c.lookalike", "--queries", "4", "--runs", "1", "--descriptor", "layout")
    assert code == 0
    assert (found["n"], found["dim"], found["n_queries"], found["k"]) == (N - 4, DIM, 4, 10)
    assert found["threads"] == 1
    folder = place / "c-indexes"
    assert found["report"] == str(folder / "report.html")
    kept = json.loads((folder / "indexes.json").read_text())
    assert kept["points"] == found["points"]
    with (folder / "indexes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == [point["kind"] for point in found["points"]]
    page = (folder / "report.html").read_text()
    assert "k-means tree" in page
    assert page.count("<figure") == 2
    for name in ("recall.png", "decay.png"):
        with Image.open(folder / name) as picture:
            assert picture.width > 600
            assert np.asarray(picture.convert("L")).std() > 5


def test_queries_are_left_out_of_what_is_searched(place, monkeypatch):
    given = []

    def compare(rows, asked, **options):
        given.extend([rows, asked])
        return IndexComparison(len(rows), DIM, len(asked), 1, (), ())

    monkeypatch.setattr(comparing_indexes, "compare_kinds", compare)
    with Collection.open(place / "c.lookalike") as opened:
        comparing_indexes.compare_indexes(opened, n_queries=10**6, n_images=130)
        known = {row.tobytes() for row in opened.vectors(opened.catalog.ids(), "content")}
    rows, asked = ({row.tobytes() for row in part} for part in given)
    assert (len(rows), len(asked), len(rows & asked)) == (104, 26, 0)
    assert rows | asked <= known


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--descriptor", "smell"], "no descriptor 'smell'"),
        (["--queries", "0"], "0 queries among 20000 images compare nothing"),
        (["--images", "50"], "50 images tell nothing of an index; index 125 or more"),
        (["--runs", "0"], "and 0 runs tell nothing"),
        (["--out", "pictures/000.png"], "000.png is a file"),
    ],
)
def test_wrong_use_is_told_in_one_line(ask, words, message):
    code, found = ask("c.lookalike", *words)
    assert code == 2
    assert message in found["error"]
