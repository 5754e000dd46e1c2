"""What is known of a collection, by commands as a person types them."""

import json

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection
from lookalike.__main__ import run
from tests.small_sets import write_masks, write_pictures
from tests.tiny_model import CLASSES, write_tiny_model

N = 45


def make(folder):
    write_masks(folder / "outfits", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "outfits" / "images", workers=0)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make(tmp_path_factory.mktemp("knowledge"))


@pytest.fixture
def typed(place, monkeypatch, capsysbinary):
    """Run a command in this process; give its exit code and what it printed."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([str(word) for word in words])
        return code, capsysbinary.readouterr()

    return run_it


@pytest.fixture
def ask(typed):
    def run_it(*words):
        code, printed = typed(*words, "--json")
        return code, json.loads(printed.out)

    return run_it


def size_of(path):
    with Image.open(path) as image:
        return image.size


def class_of(path):
    return int(path.rpartition("/")[2].removesuffix(".png")) % 3


def test_clusters_are_made_shown_kept_and_drawn(ask, place):
    words = ("clusters", "c.lookalike", "--name", "three")
    code, found = ask(*words, "-k", 3, "--tree", "--sheet", "three.png")
    assert code == 0
    assert set(found) == {"name", "descriptor", "k", "silhouette", "clusters", "tree"}
    assert sum(each["size"] for each in found["clusters"]) == N
    for each in found["clusters"]:
        assert set(each) == {"cluster", "size", "names", "nearest"}
        assert each["names"][0]["label"] in CLASSES
    assert found["tree"]["size"] == N
    width, height = size_of(place / "three.png")
    assert width > height > 300
    again = ask(*words)[1]
    assert again["clusters"] == found["clusters"]
    code, refused = ask(*words, "-k", 4)
    assert (code, "give --anew to replace them" in refused["error"]) == (2, True)
    assert ask(*words, "-k", 4, "--anew")[1]["k"] == 4


def test_a_sweep_keeps_nothing(ask, place):
    code, found = ask("clusters", "c.lookalike", "--sweep", "2,3,9")
    assert code == 0
    assert [row["k"] for row in found["sweep"]] == [2, 3, 9]
    assert set(found["sweep"][0]) == {"k", "silhouette", "similarity", "largest", "smallest"}


def test_labels_are_proposed_given_propagated_found_and_undone(ask, place):
    assert ask("clusters", "c.lookalike", "--name", "six", "-k", 6)[0] == 0
    by = ("--clusters", "six")
    _, found = ask(
        "label", "next", "c.lookalike", *by, "-n", 6, "--exemplars", 4, "--sheet", "next.png"
    )
    assert size_of(place / "next.png")[0] > 300
    with Collection.open(place / "c.lookalike") as opened:
        for each in found["clusters"]:
            paths = [record.paths[0].decode() for record in opened.images(each["exemplars"])]
            word = CLASSES[np.bincount([class_of(path) for path in paths]).argmax()]
            others = [
                image_id
                for image_id, path in zip(each["exemplars"], paths, strict=True)
                if CLASSES[class_of(path)] != word
            ]
            excepted = [text for image_id in others for text in ("--not-id", image_id)]
            words = ("label", "add", "c.lookalike", f"is {word}", "--cluster", each["cluster"])
            code, said = ask(*words, *by, "--exemplars", 4, *excepted)
            assert code == 0
            assert set(said["ids"]) | set(said["not_ids"]) == set(each["exemplars"])
    code, learned = ask("label", "propagate", "c.lookalike", *by, "--plot", "plot.png")
    assert code == 0
    assert learned["words"] == ["is blue", "is green", "is red"]
    assert learned["expected_calibration_error"] < 0.2
    assert size_of(place / "plot.png")[0] > 300
    _, blue = ask("label", "find", "c.lookalike", "is blue", "-k", 50)
    assert {class_of(hit["path"]) for hit in blue["hits"]} == {2}
    assert {hit["provenance"] for hit in blue["hits"]} == {"person", "propagated"}
    scores = [hit["score"] for hit in blue["hits"]]
    assert scores == sorted(scores, reverse=True)
    _, sure = ask("label", "find", "c.lookalike", "is blue", "-k", 50, "--at-least", 1.0)
    assert {hit["provenance"] for hit in sure["hits"]} == {"person"}
    assert ask("label", "undo", "c.lookalike")[1]["kind"] == "propagate"
    _, listed = ask("label", "list", "c.lookalike")
    assert {each["by"] for each in listed["labels"]} == {"person", "model"}
    while ask("label", "list", "c.lookalike")[1]["actions"]:
        assert ask("label", "undo", "c.lookalike")[0] == 0
    assert ask("label", "undo", "c.lookalike")[0] == 2


def test_checked_pictures_name_what_they_do_not_show(ask):
    ask("label", "add", "c.lookalike", "odd", "--id", 1)
    _, drawn = ask("label", "next", "c.lookalike", "--check", 4)
    assert len(set(drawn["check"]) - {1}) == 4
    _, checked = ask("label", "check", "c.lookalike", drawn["check"][0], "even")
    assert (checked["labels"], checked["not_labels"]) == (["even"], ["odd"])
    for _ in range(2):
        assert ask("label", "undo", "c.lookalike")[0] == 0


def test_a_map_is_drawn_and_kept(ask, place):
    code, found = ask("map", "c.lookalike", "--sheet", "map.png", "--cells", 8)
    assert code == 0
    assert len(found["points"]) == found["n"] == found["together"] == N
    assert found["trustworthiness"]["all"] > 0.7
    assert max(size_of(place / "map.png")) == 8 * 64  # it reaches from edge to edge one way
    assert ask("map", "c.lookalike")[1] == found
    code, refused = ask("map", "c.lookalike", "--descriptor", "layout", "--name", "content")
    assert (code, "of content" in refused["error"]) == (2, True)


def test_subjects_are_counted_kept_and_narrowed(ask, place):
    (place / "tree.txt").write_text("color\n  warm\n    red\n  cold\n    blue\n")
    code, top = ask("subjects", "c.lookalike", "--tree", "tree.txt", "--propose")
    assert code == 0
    assert top["children"] == [{"name": "color", "pictures": 30, "n_children": 2}]
    assert [each["label"] for each in top["proposals"]] == ["green"]
    _, colors = ask("subjects", "c.lookalike", "color", "-k", 3)
    assert [each["pictures"] for each in colors["children"]] == [15, 15]
    assert len(colors["hits"]) == 3
    _, hits = ask("search", "c.lookalike", "--image", "outfits/images/000.png", "-k", 5)
    (place / "hits.json").write_text(json.dumps(hits))
    _, narrowed = ask("subjects", "c.lookalike", "color", "--from", "hits.json")
    n_red = sum(class_of(hit["path"]) == 0 for hit in hits["hits"])
    assert narrowed["children"][0]["pictures"] == n_red
    _, placed = ask("subjects", "c.lookalike", "cold", "--place", "green=cold")
    assert [each["name"] for each in placed["children"]] == ["blue", "green"]


def test_searches_are_kept_asked_again_joined_and_forgotten(ask, typed, place, monkeypatch):
    words = ("search", "c.lookalike", "--image", "outfits/images/004.png", "-k", 6)
    _, first = ask(*words, "--save-as", "fourth")
    _, second = ask("search", "c.lookalike", "--id", 1, "-k", 20, "--save-as", "the first")
    (place / "second.json").write_text(json.dumps(second))
    _, listed = ask("saved", "list", "c.lookalike")
    assert [each["name"] for each in listed["searches"]] == ["fourth", "the first"]
    path = str(place / "c.lookalike")
    monkeypatch.chdir("/")  # files are named by their whole paths
    assert ask("saved", "run", path, "fourth")[1]["hits"] == first["hits"]
    assert len(ask("saved", "run", path, "fourth", "-k", 2)[1]["hits"]) == 2
    shown = ask("saved", "show", path, "fourth")[1]
    assert shown["query"]["positives"] == [{"file": str(place / "outfits/images/004.png")}]
    ids = {name: [h["id"] for h in found["hits"]] for name, found in (("f", first), ("s", second))}
    _, left = ask("combine", path, "saved:fourth minus saved:'the first'")
    assert [h["id"] for h in left["hits"]] == [i for i in ids["f"] if i not in ids["s"]]
    _, both = ask("combine", path, f"saved:fourth or {place}/second.json", "-k", 3)
    assert len(both["hits"]) == 3
    assert both["hits"][0]["score"] == max(h["score"] for h in first["hits"] + second["hits"])
    (place / "joined.json").write_text(json.dumps(both))
    _, again = ask("combine", path, f"{place}/joined.json")
    assert [h["id"] for h in again["hits"]] == [h["id"] for h in both["hits"]]
    code, printed = typed("export", path, "--saved", "fourth", "--to", "paths")
    assert code == 0
    assert [line.decode() for line in printed.out.splitlines()] == [
        h["path"] for h in first["hits"]
    ]
    for name in ("fourth", "the first"):
        assert ask("saved", "delete", path, name)[1] == {"deleted": name}


def test_exports_are_told_and_what_is_missing_too(ask, place, tmp_path):
    code, told = ask("export", "c.lookalike", "--to", "zip", "--out", tmp_path / "a.zip")
    assert (code, told["pictures"], told["missing"]) == (0, N, [])
    code, told = ask(
        *("export", "c.lookalike", "--id", 3, "--id", 3, "--to", "npy"),
        *("--out", tmp_path / "e.npy"),
    )
    assert (code, told["pictures"]) == (0, 1)


def test_what_is_known_outlives_shrinking_re_indexing_and_verification(ask, tmp_path):
    place = make(tmp_path)
    path = str(place / "c.lookalike")
    _, clusters = ask("clusters", path, "-k", 3)
    _, before = ask("map", path)
    ask("label", "add", path, "mine", "--id", 7)
    assert ask("select", path, "--method", "pca", "--dims", 6, "--in-place")[0] == 0
    assert ask("verify", path)[1]["clean"]
    write_pictures(place / "more", 3, seed=4)
    assert ask("index", path, place / "more", "--workers", 0)[0] == 0
    _, after = ask("clusters", path)
    assert sum(each["size"] for each in after["clusters"]) == N + 3
    _, grown = ask("map", path)
    assert grown["points"][:N] == before["points"]
    assert len(grown["points"]) == N + 3
    assert [h["id"] for h in ask("label", "find", path, "mine")[1]["hits"]] == [7]
    assert ask("label", "propagate", path)[0] == 0
    assert len(clusters["clusters"]) == len(after["clusters"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["clusters", "c.lookalike", "--descriptor", "smell"], "no descriptor 'smell'"),
        (["clusters", "c.lookalike", "-k", "99", "--name", "x"], "cannot be put into 99"),
        (["clusters", "c.lookalike", "--sweep", "2,a"], "no list of numbers"),
        (["clusters", "c.lookalike", "--sweep", "1,2"], "below 2"),
        (["clusters", "c.lookalike", "--name", "y", "-k", "2", "--sheet", "tiny"], "a folder"),
        (["label", "next", "c.lookalike", "--clusters", "none"], "no clustering 'none'"),
        (["label", "add", "c.lookalike", "x"], "nothing is labeled; give"),
        (["label", "add", "c.lookalike", "x", "--id", "1", "--not-id", "1"], "give it once"),
        (["label", "add", "c.lookalike", " ", "--id", "1"], "is no label"),
        (["label", "add", "c.lookalike", "x", "--id", "999"], "no image 999"),
        (["label", "find", "c.lookalike", "unheard"], "no image has the label 'unheard'"),
        (["subjects", "c.lookalike", "--tree", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["subjects", "c.lookalike", "--place", "red"], "not LABEL=SUBJECT"),
        (["subjects", "c.lookalike", "nothing"], "no subject 'nothing'"),
        (["saved", "run", "c.lookalike", "nope"], "no saved search 'nope'"),
        (["search", "c.lookalike", "--id", "1", "--save-as", "a'b"], "no name for a search"),
        (["combine", "c.lookalike", "saved:nope or"], "no saved search 'nope'"),
        (["combine", "c.lookalike", "nowhere.json"], "nowhere.json cannot be read"),
        (["combine", "c.lookalike", "("], "a result is missing at character 2"),
        (["export", "c.lookalike", "--to", "npy", "--out", "x", "--id", "999"], "no image 999"),
        (["export", "c.lookalike", "--to", "csv"], "name a file with --out"),
        (
            ["export", "c.lookalike", "--to", "csv", "--out", "x", "--id", "1", "--saved", "x"],
            "exclude each other",
        ),
    ],
)
def test_wrong_use_is_told_in_one_line(ask, words, message):
    code, found = ask(*words)
    assert code == 2
    assert message in found["error"]
    assert "\n" not in found["error"]
