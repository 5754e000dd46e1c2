"""Wrong use gives one clear line and the right exit code, and nothing is harmed."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest
from forking import lookalike

from conftest import paint
from lookalike.model_folder import CARD
from lookalike.models import FOLDER
from tests.tiny_model import write_tiny_model

USAGE, ENVIRONMENT, NOT_A_COLLECTION, LOCKED, MISMATCH = 2, 3, 10, 11, 12


def test_a_query_file_that_does_not_exist(collection, tmp_path):
    done = lookalike("search", collection, "--image", tmp_path / "none.jpg")
    assert done.code == USAGE
    assert "none.jpg" in done.complaint


def test_a_query_that_is_no_image(collection, tmp_path):
    text = tmp_path / "notes.jpg"
    text.write_text("milk, bread")
    done = lookalike("search", collection, "--image", text)
    assert done.code == USAGE
    assert "notes.jpg: not an image" in done.complaint


def test_an_id_that_is_not_in_the_collection(collection):
    done = lookalike("search", collection, "--id", "4711")
    assert done.code == USAGE
    assert "4711" in done.complaint


@pytest.mark.parametrize("k", ["0", "-3", "many"])
def test_a_number_of_hits_that_makes_no_sense(collection, k):
    done = lookalike("search", collection, "--id", "1", "-k", k)
    assert done.code == USAGE
    assert "k" in done.complaint


def test_a_search_for_nothing(collection):
    done = lookalike("search", collection)
    assert done.code == USAGE
    assert "at least one image" in done.complaint


def test_only_dislikes(collection):
    done = lookalike("search", collection, "--not-id", "1")
    assert done.code == USAGE
    assert "negative" in done.complaint
    assert "at least one image" in done.complaint


def test_an_unknown_descriptor_names_the_known_ones(collection):
    done = lookalike("search", collection, "--id", "1", "--weight", "smell=1")
    assert done.code == USAGE
    assert "smell" in done.complaint
    assert "content" in done.complaint


def test_an_unknown_command_and_option(tmp_path):
    assert lookalike("fnid").code == USAGE
    assert "No such option" in lookalike("index", "--fast", cwd=tmp_path).complaint


@pytest.mark.parametrize("command", [["search", "--id", "1"], ["status"], ["verify"]])
def test_a_folder_that_is_no_collection(command, tmp_path):
    name, *options = command
    done = lookalike(name, tmp_path, *options)
    assert done.code == NOT_A_COLLECTION
    assert str(tmp_path) in done.complaint


def test_a_collection_that_does_not_exist(tmp_path):
    done = lookalike("status", tmp_path / "none.lookalike")
    assert done.code == NOT_A_COLLECTION
    assert "none.lookalike" in done.complaint


def test_indexing_into_a_folder_of_something_else_leaves_it_alone(pictures, model):
    before = sorted(pictures.iterdir())
    done = lookalike("index", pictures, pictures, "--model", model)
    assert done.code == NOT_A_COLLECTION
    assert sorted(pictures.iterdir()) == before


@pytest.mark.skipif((FOLDER / CARD).is_file(), reason="a model ships with this copy")
def test_a_new_collection_without_a_model_where_none_ships(pictures, tmp_path):
    done = lookalike("index", tmp_path / "new.lookalike", pictures)
    assert done.code == ENVIRONMENT
    assert "--model" in done.complaint
    assert not (tmp_path / "new.lookalike").exists()


@pytest.mark.skipif(not (FOLDER / CARD).is_file(), reason="the default model is not trained yet")
def test_a_new_collection_without_a_model_takes_the_one_that_ships(pictures, tmp_path):
    done = lookalike("index", tmp_path / "new.lookalike", pictures, "--json")
    assert done.code == 0
    assert done.json["indexed"] == 12


def test_a_source_that_does_not_exist(model, tmp_path):
    done = lookalike("index", tmp_path / "c.lookalike", tmp_path / "gone", "--model", model)
    assert done.code == USAGE
    assert "gone" in done.complaint


def test_a_model_folder_that_is_none(pictures, tmp_path):
    done = lookalike("index", tmp_path / "c.lookalike", pictures, "--model", tmp_path)
    assert done.code == MISMATCH
    assert "card.json" in done.complaint


def test_another_model_than_the_collections(collection, pictures, tmp_path):
    other = tmp_path / "other"
    write_tiny_model(other)
    card = json.loads((other / "card.json").read_text())
    network = other / "network.onnx"
    network.write_bytes(network.read_bytes() + b"\0")
    card["files"].pop("network.onnx")
    (other / "card.json").write_text(json.dumps(card))
    done = lookalike("index", collection, pictures, "--model", other)
    assert done.code == MISMATCH
    assert "model" in done.complaint


def test_a_model_with_a_changed_byte(model, pictures, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    network = broken / "network.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)
    done = lookalike("index", tmp_path / "c.lookalike", pictures, "--model", broken)
    assert done.code == MISMATCH
    assert "network.onnx has changed" in done.complaint


def test_a_locked_collection_names_the_holder(collection):
    lock = next(path for path in collection.iterdir() if "lock" in path.name)
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = lookalike("index", collection, collection)
    assert done.code == LOCKED
    assert "locked" in done.complaint


def test_searching_goes_on_while_another_process_writes(collection):
    lock = next(path for path in collection.iterdir() if "lock" in path.name)
    with lock.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert lookalike("search", collection, "--id", "1").code == 0


def test_an_empty_collection_says_how_to_fill_it(model, tmp_path):
    (tmp_path / "empty").mkdir()
    path = tmp_path / "c.lookalike"
    assert lookalike("index", path, tmp_path / "empty", "--model", model).code == 0
    done = lookalike("search", path, "--id", "1")
    assert done.code == USAGE
    assert "lookalike index" in done.complaint


def test_a_data_set_with_nothing_in_it(collection, tmp_path):
    done = lookalike("evaluate", collection, "--dataset", tmp_path)
    assert done.code == USAGE
    assert str(tmp_path) in done.complaint


def test_a_data_set_that_is_not_in_the_collection(collection, tmp_path):
    for name in ("one", "two"):
        paint(tmp_path / "set" / name, n=5 if name == "one" else 7)
    done = lookalike("evaluate", collection, "--dataset", tmp_path / "set")
    assert done.code == USAGE


def test_learning_from_nothing(tmp_path):
    done = lookalike("learn", tmp_path, "--out", tmp_path / "model")
    assert done.code == USAGE
    assert not (tmp_path / "model").exists()


def test_an_unknown_backbone_lists_the_known(tmp_path):
    paint(tmp_path / "set" / "a", n=5)
    paint(tmp_path / "set" / "b", n=6)
    done = lookalike("learn", tmp_path / "set", "--out", tmp_path / "m", "--backbone", "brain")
    assert done.code == USAGE
    assert "residual" in done.complaint


@pytest.mark.slow
def test_a_full_disk_keeps_what_was_stored(model, tmp_path):
    first = tmp_path / "first"
    paint(first, n=6)
    path = tmp_path / "c.lookalike"
    assert lookalike("index", path, first, "--model", model).code == 0
    paint(tmp_path / "more", n=150)
    limit = (path / "catalog.sqlite").stat().st_size + 4096
    done = lookalike("index", path, tmp_path / "more", file_limit=limit)
    assert done.code == ENVIRONMENT
    assert "disk" in done.complaint or "space" in done.complaint
    assert lookalike("verify", path, "--json").code == 0
    again = lookalike("index", path, first, tmp_path / "more", "--json")
    assert again.code == 0
    assert again.json["indexed"] + again.json["unchanged"] == 156


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a place closed even to root")
def test_no_permission_to_write(model, pictures):
    done = lookalike("index", "/sys/c.lookalike", pictures, "--model", model)
    assert done.code == ENVIRONMENT
    assert "/sys" in done.complaint


def test_with_json_an_error_is_one_object_too(tmp_path):
    done = lookalike("status", tmp_path, "--json")
    assert done.json["exit_code"] == done.code == NOT_A_COLLECTION
