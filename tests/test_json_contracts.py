"""Names and keys that other programs rely on: docs/architecture.md and collections.md name them."""

import json

import pytest

from lookalike import Collection
from lookalike.__main__ import run
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

N = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contracts")
    write_masks(folder / "outfits", N)
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny", descriptors=()) as made:
        made.add(folder / "outfits" / "images", workers=0)
    return folder


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Run a command in this process; give its exit code and its one object."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def test_index(ask, place):
    (place / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    code, found = ask(
        *("index", "new.lookalike", "outfits", "broken.jpg", "--model", "tiny", "--workers", "0")
    )
    assert code == 1
    assert list(found) == [
        *("indexed", "unchanged", "removed", "failed", "skipped", "seconds", "lacking")
    ]
    assert (found["indexed"], found["unchanged"], found["removed"]) == (2 * N, 0, 0)
    for troubles, name in ((found["failed"], "broken.jpg"), (found["skipped"], "labels.txt")):
        [trouble] = troubles
        assert list(trouble) == ["path", "reason"]
        assert trouble["path"].endswith(name)
        assert trouble["reason"]
    assert found["seconds"] > 0


def test_search(ask):
    code, found = ask("search", "c.lookalike", "--id", "2", "-k", "3")
    assert code == 0
    assert set(found) == {"hits", "beyond", "query", "took_ms", "probed_clusters", "exact"}
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    for hit in found["hits"]:
        assert set(hit) == {"rank", "id", "path", "score", "scores", "box"}
        assert set(hit["scores"]) == {"content", "layout"}
    assert found["exact"] is True
    assert (found["beyond"], found["query"]) == (0, {"positives": [{"id": 2}]})
    assert found["probed_clusters"] == 0


def test_evaluate(ask, place):
    code, found = ask(
        *("evaluate", "c.lookalike", "--dataset", "outfits", "--at", "1,5", "--clusters", "3")
    )
    assert code == 0
    assert (found["n_queries"], found["n_gallery"]) == (N, N)
    for name in ("precision_at_k", "recall_at_k", "f_at_k", "layout_miou_at_k"):
        assert list(found[name]) == ["1", "5"]
        assert all(0 <= value <= 1 for value in found[name].values())
    assert 0 <= found["mean_average_precision"] <= 1
    assert {
        *("precision", "recall", "f", "k", "baseline_one_cluster_f", "baseline_random_f")
    } <= set(found["clustering"])
    assert found["clustering"]["k"] == 3
    assert found["report"] == str(place / "c-evaluation" / "report.html")


def test_status(ask):
    code, found = ask("status", "c.lookalike")
    assert code == 0
    assert set(found) == {
        *("path", "format", "created", "model", "selection", "classes", "images", "files"),
        *("folders", "descriptors", "lacking", "revision", "knowledge", "regions", "indexes"),
        "bytes",
        "bytes_of",
    }
    assert found["files"] == {"indexed": N, "failed": 0, "skipped": 0}
    assert set(found["indexes"][0]) == {
        *("descriptor", "kind", "n", "newer", "deleted", "recall_target", "measured_recall"),
        *("n_clusters", "members"),
    }


def test_verify(ask, place):
    code, found = ask("verify", "c.lookalike")
    assert (code, found["clean"], found["problems"], found["leftovers"]) == (0, True, [], [])
    assert set(found["checked"]) == {
        *("model_files", "images", "files", "embeddings", "index_files")
    }
    rows = next((place / "c.lookalike" / "index").glob("content*.rows.npy"))
    content = bytearray(rows.read_bytes())
    content[-1] ^= 1
    rows.write_bytes(content)
    code, found = ask("verify", "c.lookalike")
    assert (code, found["clean"]) == (1, False)
    assert set(found["problems"][0]) == {"kind", "detail", "repaired"}
    code, found = ask("verify", "c.lookalike", "--repair")
    assert (code, found["clean"], found["problems"][0]["repaired"]) == (0, True, True)
    code, _ = ask("index", "c.lookalike", "outfits/images", "--workers", "0")
    assert code == 0
    assert ask("verify", "c.lookalike")[1]["problems"] == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["search", "c.lookalike", "--id", "1", "-k", "0"], 2),
        (["search", "c.lookalike", "--image", "nowhere.jpg"], 2),
        (["search", "c.lookalike", "--fast"], 2),
        (["search", "c.lookalike", "--id", "1", "--sheet", "nowhere/hits.png"], 3),
        (["status", "outfits"], 10),
        (["index", "c.lookalike", "outfits", "--model", "outfits"], 12),
        (["index", "c.lookalike", "", "--workers", "0"], 2),
        (["index", "c.lookalike", "outfits", "--workers", "257"], 2),
        (["index", "c.lookalike", "outfits", "--max-megapixels", "nan"], 2),
        (["index", "c.lookalike", "outfits", "--max-megabytes", "inf"], 2),
        (["index", "c.lookalike", "outfits", "--seconds-per-file", "0"], 2),
        (["evaluate", "c.lookalike", "--dataset", "outfits", "--seed", "-1"], 2),
        (["evaluate", "c.lookalike", "--dataset", "outfits", "--at", "99999"], 2),
        (["evaluate", "c.lookalike", "--dataset", "outfits", "--clusters", "0"], 2),
    ],
)
def test_errors(ask, words, code):
    returned, found = ask(*words)
    assert set(found) == {"error", "exit_code"}
    assert found["exit_code"] == returned == code
    assert found["error"]
    assert "\n" not in found["error"]


def test_backup_and_restore(ask):
    code, made = ask("backup", "c.lookalike", "--out", "kept")
    assert code == 0
    keys = {"made", "collection", "model", "images", "revision", "files", "format", "bytes"}
    assert set(made) == {"backup", "checksum", *keys}
    assert made["images"] == N
    code, found = ask("restore", "kept", "again.lookalike")
    assert code == 0
    assert found == {"restored": "again.lookalike"} | {
        key: value for key, value in made.items() if key != "backup"
    }
    assert (
        ask("search", "again.lookalike", "--id", "2")[1]["hits"]
        == (ask("search", "c.lookalike", "--id", "2")[1]["hits"])
    )
