import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, open_dataset
from lookalike.__main__ import run
from lookalike.arrays import normalize
from lookalike.evaluation.protocol import evaluate
from lookalike.evaluation.truth import ground_truth
from lookalike.features.selection.names import AGGREGATES, METHODS
from lookalike.judging import ids_by_hash
from lookalike.progress import SILENT
from lookalike.selecting import MAP, RowSystem, gather, select
from tests.small_sets import write_masks, write_pictures
from tests.tiny_model import DIM, write_tiny_model

N = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selecting")
    write_masks(folder / "outfits", N)
    write_pictures(folder / "others", 4)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny", descriptors=()) as made:
        made.add(folder / "outfits" / "images", folder / "others", workers=0)
    return folder


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Run a command in this process; give its exit code and what it printed."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def test_a_selection_says_what_it_did_what_it_cost_and_what_it_saved(ask, place):
    code, found = ask(
        *("select", "c.lookalike", "--dataset", "outfits", "--method", "anova", "--dims", "12")
    )
    assert code == 0
    assert set(found) == {
        *("collection", "model", "method", "dims", "of", "aggregate", "dataset", "n_pictures"),
        *("seed", "explained", "measured", "columns", "bytes"),
    }
    assert found["collection"] == str(place / "c-anova-12.lookalike")
    assert (found["dims"], found["of"], found["aggregate"]) == (12, DIM, "mean")
    assert len(found["columns"]) == 12
    measured = found["measured"]
    assert found["n_pictures"] + measured["n_queries"] == N
    mean = measured["mean_average_precision"]
    assert measured["difference"] == pytest.approx(mean["after"] - mean["before"])
    low, high = measured["difference_interval"]
    assert low <= measured["difference"] <= high
    assert mean["before"] > 0.8 > measured["random_order"]
    assert found["explained"] is None
    n_images = N + 4
    assert found["bytes"]["embeddings"] == {"before": n_images * DIM * 4, "after": n_images * 48}
    assert found["bytes"]["index"]["before"] > found["bytes"]["index"]["after"] > 0
    code, told = ask("status", "c-anova-12.lookalike")
    assert told["selection"]["measured"] == measured
    assert told["descriptors"] == {"content": 12, "layout": DIM}
    assert [index["kind"] for index in told["indexes"]] == ["exact", "exact"]
    assert ask("status", "c.lookalike")[1]["selection"] is None


def test_new_files_are_searched_and_indexed_in_the_shrunken_space(ask, place, tmp_path):
    small = tmp_path / "small.lookalike"
    words = ("select", "c.lookalike", "--dataset", "outfits", "--method", "pca", "--dims", "9")
    assert ask(*words, "--out", str(small))[0] == 0
    _, found = ask("search", str(small), "--image", "outfits/images/007.png", "-k", "1")
    assert found["hits"][0]["path"].endswith("007.png")
    assert found["hits"][0]["scores"]["content"] > 1
    new = write_pictures(tmp_path / "new", 2, seed=8)
    code, _ = ask("index", str(small), str(tmp_path / "new"), "--workers", "0")
    assert code == 0
    with Collection.open(small) as opened:
        assert len(opened) == N + 6
        own = opened.catalog.ids_of_paths([bytes(new[0])])[bytes(new[0])]
        assert opened.vectors([own], "content").shape == (1, 9)
        assert opened.search(new[0], 1).ids[0, 0] == own


def test_embeddings_of_old_and_new_pictures_are_the_same(place, tmp_path):
    """What is shrunk in the catalog equals what the shrunken model gives for the same file."""
    for method in ("correlation", "itq"):
        small, anew = tmp_path / f"{method}.lookalike", tmp_path / f"{method}-anew.lookalike"
        select(place / "c.lookalike", method, 7, out=small, dataset=open_dataset(place / "outfits"))
        with Collection.create(anew, model=small / "model") as other:
            other.add(place / "outfits" / "images", place / "others", workers=0)
            with Collection.open(small) as opened:
                assert opened.card == other.card
                ids = opened.catalog.ids()
                np.testing.assert_allclose(
                    opened.vectors(ids, "content"), other.vectors(ids, "content"), atol=1e-6
                )


def test_in_place_the_collection_itself_shrinks(ask, place, tmp_path):
    shutil.copytree(place / "c.lookalike", tmp_path / "c.lookalike")
    path = str(tmp_path / "c.lookalike")
    code, found = ask("select", path, "--method", "random", "--dims", "5", "--in-place")
    assert (code, found["collection"]) == (0, path)
    assert found["measured"] is None
    assert found["n_pictures"] == N + 4
    assert [child.name for child in tmp_path.iterdir()] == ["c.lookalike"]
    assert ask("verify", path)[1]["clean"]
    assert ask("status", path)[1]["descriptors"]["content"] == 5
    assert ask("index", path, "outfits/images", "--workers", "0")[0] == 0
    assert len(ask("search", path, "--id", "3")[1]["hits"]) == 10


def test_what_is_chosen_from_is_never_measured_on(place):
    with Collection.open(place / "c.lookalike") as opened:
        dataset = open_dataset(place / "outfits")
        material = gather(opened, dataset, SILENT)
        truth = ground_truth(dataset, ids_by_hash(opened, dataset))
        everything = {row.tobytes() for row in normalize(opened.vectors(truth.ids, "content"))}
    seen = {row.tobytes() for row in material.rows}
    judged = {row.tobytes() for row in material.judged_rows}
    assert seen | judged == everything
    assert not seen & judged
    assert 0.4 < len(seen) / N < 0.9
    own = dict(zip(truth.ids.tolist(), truth.labels.tolist(), strict=True))
    assert [own[image_id] for image_id in material.judged.ids] == material.judged.labels.tolist()


def test_rows_are_ranked_by_cosine_without_the_query(rng):
    rows = normalize(rng.standard_normal((6, 3)))
    hits = RowSystem(np.arange(10, 16), rows).rank(np.array([12, 15]), 99)
    assert hits.ids.shape == (2, 5)
    for row, query in zip(hits.ids, (2, 5), strict=True):
        others = [place for place in range(6) if place != query]
        expected = sorted(others, key=lambda place: -float(rows[query] @ rows[place]))
        assert row.tolist() == [10 + place for place in expected]


def test_a_wrapper_tells_its_honest_score(ask, tmp_path):
    words = ("select", "c.lookalike", "--dataset", "outfits", "--method", "forward")
    code, found = ask(*words, "--dims", "4", "--out", str(tmp_path / "s.lookalike"))
    assert code == 0
    assert set(found["explained"]) == {"searched", "nested"}
    assert found["explained"]["nested"] < found["explained"]["searched"] < 1


def test_the_measured_map_is_that_of_an_independent_measurement(place, tmp_path):
    dataset = open_dataset(place / "outfits")
    report = select(place / "c.lookalike", "pca", 6, out=tmp_path / "s.lookalike", dataset=dataset)
    with Collection.open(place / "c.lookalike") as whole:
        judged = gather(whole, dataset, SILENT).judged
    with Collection.open(tmp_path / "s.lookalike") as small:
        rows = small.vectors(judged.ids, "content")
        found = evaluate(RowSystem(judged.ids, rows), judged, at=(10,))
    mean = report.facts["measured"]["mean_average_precision"]
    assert found.estimates[MAP].mean == pytest.approx(mean["after"], abs=1e-6)


def blank(folder):
    """A data set of the same pictures in which nobody labeled anything."""
    write_masks(folder, N)
    for path in (folder / "masks").iterdir():
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(path)
    return folder


def times_of_change(folder):
    """Of all files but those by which readers of a catalog know each other."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path: path.stat().st_mtime_ns for path in paths if not path.name.endswith(("-shm", "-wal"))
    }


WRONG = {
    "more dimensions than there are": (["pca", "48"], 2, "48 of 48 dimensions"),
    "no dimensions": (["pca", "0"], 2, "0 of 48 dimensions"),
    "unknown method": (["magic", "4"], 2, "'magic' is not one of 'information-gain'"),
    "labels are needed": (["anova", "4"], 2, "anova learns from labels; give --dataset"),
    "nothing in common": (
        ["anova", "4", "--dataset", "strangers"],
        2,
        "none of the 6 pictures of strangers",
    ),
    "no labels": (
        ["anova", "4", "--dataset", "blank"],
        2,
        "anova learns from labels, and no",
    ),
    "negative counts": (
        ["chi2-counts", "4", "--dataset", "outfits"],
        2,
        "chi2-counts takes features for counts",
    ),
    "aggregate of nothing": (["pca", "4", "--aggregate", "max"], 2, "pca looks at no labels"),
    "no such aggregate": (
        ["anova", "4", "--aggregate", "least"],
        2,
        "'least' is not one of",
    ),
    "two places": (["pca", "4", "--in-place", "--out", "x"], 2, "--out and --in-place"),
    "a place that is taken": (["pca", "4", "--out", "outfits"], 2, "outfits exists already"),
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_use_gives_one_clear_line_and_changes_nothing(words, ask, place):
    if not (place / "blank").exists():
        blank(place / "blank")
        write_masks(place / "strangers", 6, seed=9)
    (method, dims, *others), code, message = WRONG[words]
    before = times_of_change(place)
    returned, found = ask("select", "c.lookalike", "--method", method, "--dims", dims, *others)
    assert (returned, found["exit_code"]) == (code, code)
    assert message in found["error"]
    assert "\n" not in found["error"]
    assert times_of_change(place) == before


def test_a_shrunken_collection_is_not_shrunk_again(ask, tmp_path):
    path = str(tmp_path / "s.lookalike")
    assert ask("select", "c.lookalike", "--method", "pca", "--dims", "9", "--out", path)[0] == 0
    code, found = ask("select", path, "--method", "pca", "--dims", "4")
    assert code == 2
    assert "shrunken already, by pca to 9 of 48 dimensions" in found["error"]


def test_an_empty_collection_has_nothing_to_select_from(ask, place, tmp_path):
    path = tmp_path / "empty.lookalike"
    Collection.create(path, model=place / "tiny").close()
    code, found = ask("select", str(path), "--method", "pca", "--dims", "4")
    assert code == 2
    assert "holds no picture" in found["error"]


def test_every_method_and_aggregate_is_explained():
    page = (Path(__file__).parents[1] / "docs" / "selection.md").read_text("utf-8")
    for name in (*METHODS, *AGGREGATES):
        assert f"`{name}`" in page
