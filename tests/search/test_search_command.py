"""Every way to ask on the command line: one test each, through the commands a person types."""

import json

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection
from lookalike.__main__ import run
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

N = 24


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("asking")
    write_tiny_model(folder / "tiny")
    write_masks(folder / "outfits", N)
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "outfits" / "images", workers=0)
    return folder


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Search in this process; give the exit code and the one JSON object."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run(["search", "c.lookalike", *map(str, words), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def names(found):
    return [hit["path"].rpartition("/")[2] for hit in found["hits"]]


def test_a_label_map_brings_its_picture_back(ask):
    code, found = ask("--layout", "outfits/masks/010.png", "-k", 3)
    assert (code, names(found)[0]) == (0, "010.png")
    assert set(found["hits"][0]["scores"]) == {"painting"}
    assert found["hits"][0]["score"] > found["hits"][1]["score"]


def test_boxes_find_the_label_there(ask, place):
    code, found = ask("--layout", "blue@0,0,0.5,0.5", "-k", 4)
    assert code == 0
    for name in names(found)[:2]:
        mask = np.asarray(Image.open(place / "outfits" / "masks" / name))
        assert (mask[: len(mask) // 2, : len(mask) // 2] == 3).mean() >= 0.5


def test_a_painting_and_an_example_are_weighed(ask):
    words = ("--id", 2, "--layout", "red@0,0,1,0.5", "--weight", "content=1")
    _, found = ask(*words, "--weight", "painting=3")
    for hit in found["hits"]:
        mean = (hit["scores"]["content"] + 3 * hit["scores"]["painting"]) / 4
        assert hit["score"] == pytest.approx(mean)


def test_examples_are_weighed_and_kept_apart(ask):
    _, mean = ask("--id", 1, "--id", 2, "--not-id", 3, "-k", N)
    _, weighed = ask("--id", 1, "--id", 2, "--not-id", 3, "--example-weights", "5,1,1", "-k", N)
    _, apart = ask("--id", 1, "--id", 2, "--multipoint", "yes", "-k", N)
    assert weighed["query"]["positives"] == [{"id": 1, "weight": 5.0}, {"id": 2, "weight": 1.0}]
    assert names(mean) != names(weighed)
    near = names(apart)[:8]
    colors = {int(name[:3]) % 3 for name in near}
    assert colors == {0, 1}  # both are found, and not what lies between


def test_only_hits_that_stand_out_are_shown_and_more_on_request(ask, place, capsys):
    _, whole = ask("--id", 1, "-k", 20)
    _, head = ask("--id", 1, "-k", 20, "--cut", "auto")
    assert names(head) == names(whole)[: len(head["hits"])]
    assert (len(head["hits"]), head["beyond"], whole["beyond"]) == (7, 13, 0)
    run(["search", "c.lookalike", "--id", "1", "-k", "20", "--cut", "auto"])
    assert "7 stand out; 13 more follow: leave out --cut" in capsys.readouterr().err
    _, high = ask("--id", 1, "-k", 20, "--min-score", "0.9")
    assert all(hit["score"] >= 0.9 for hit in high["hits"])
    assert len(high["hits"]) + high["beyond"] == 20


def test_hits_are_sorted_and_images_left_out(ask):
    _, plain = ask("--id", 1, "-k", 6)
    _, by_name = ask("--id", 1, "-k", 6, "--sort", "name")
    assert names(by_name) == sorted(names(plain))
    assert [hit["rank"] for hit in by_name["hits"]] == [1, 2, 3, 4, 5, 6]
    gone = plain["hits"][0]["id"]
    _, without = ask("--id", 1, "-k", 5, "--exclude-id", gone)
    assert names(without) == names(plain)[1:]


def test_a_saved_query_asks_the_same_and_more_can_be_added(ask, place):
    words = ("--image", "outfits/images/004.png", "--layout", "green@0,0,1,0.5", "--cut", "auto")
    _, first = ask(*words, "--save", "plan.json")
    (place / "elsewhere").mkdir()
    _, again = ask("--query", "plan.json")
    assert [hit["score"] for hit in again["hits"]] == [hit["score"] for hit in first["hits"]]
    saved = json.loads((place / "plan.json").read_text())
    assert saved["positives"] == [{"file": str(place / "outfits/images/004.png")}]
    _, more = ask("--query", "plan.json", "--sort", "name", "--exclude-id", 5)
    assert more["query"]["sort"] == "name"
    assert more["query"]["layout"] == saved["layout"]
    assert "005.png" not in names(more)


def test_a_sheet_shows_the_painting_and_the_decoded_maps(ask, place):
    code, _ = ask("--layout", "red@0,0,1,1", "-k", 2, "--sheet", "sheet.png")
    assert code == 0
    pixels = np.asarray(Image.open(place / "sheet.png").convert("RGB")).reshape(-1, 3)
    assert (pixels == (255, 0, 0)).all(axis=1).sum() > 2 * 140 * 140  # painted, drawn and seen


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "http://example.org/a.png"], "http://example.org/a.png is not fetched unless"),
        (["--url", "http://127.0.0.1/a.png", "--allow-url"], "is not on the public web"),
        (["--url", "file:///etc/passwd", "--allow-url"], "is no web address"),
        (["--layout", "hat@0,0,1,1"], "knows no label 'hat'; it knows red, green, blue"),
        (["--layout", "rde@0,0,1,1"], "did you mean red"),
        (["--layout", "red@0,0,2,1"], "none within the picture"),
        (["--layout", "nowhere.png"], "the layout nowhere.png cannot be read"),
        (["--not-id", "3"], "negative examples alone"),
        ([], "the query is empty"),
        (["--text", " "], "the words of a query are empty"),
        (["--words", "?"], "there is no word in '?'"),
        (["--id", "1", "--filter", "width:>x"], "at character 8: width needs a number, not 'x'"),
        (["--id", "1", "--example-weights", "1,x"], "is no list of numbers"),
        (["--id", "1", "--example-weights", "1,2,3"], "has 3 numbers for 1 examples"),
        (["--id", "1", "--example-weights", "0"], "weight of an example must be above 0"),
        (["--id", "1", "--min-score", "nan"], "lowest score must be a number"),
        (["--id", "1", "--weight", "painting=2"], "no descriptor 'painting'"),
        (["--query", "nowhere.json"], "the query nowhere.json cannot be read"),
        (["--query", "outfits/labels.txt"], "is no JSON"),
    ],
)
def test_wrong_questions_get_one_clear_line(ask, words, message):
    code, found = ask(*words)
    assert (code, found["exit_code"]) == (2, 2)
    assert message in found["error"]
    assert "\n" not in found["error"]
