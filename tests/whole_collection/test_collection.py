import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike import Collection, IdExample, Query
from lookalike.errors import (
    CollectionLockedError,
    DamagedCollectionError,
    EnvironmentFault,
    ImageError,
    MismatchError,
    ModelError,
    NotACollectionError,
    UsageError,
)
from tests.small_sets import save, write_pictures
from tests.tiny_model import write_tiny_model
from tests.whole_collection.photos import N, id_of, path_of, update

# Making and opening


def test_a_new_collection_is_empty_and_opens_again(tmp_path, model):
    path = tmp_path / "new.lookalike"
    with Collection.create(path, model=model) as made:
        assert len(made) == 0
        assert made.path == path
    with Collection.open(path) as opened:
        assert opened.manifest == made.manifest
        assert opened.card.classes == ("red", "green", "blue")


def test_an_empty_folder_becomes_a_collection(tmp_path, model):
    with Collection.open_or_create(tmp_path, model=model) as made:
        assert len(made) == 0
    with Collection.open(tmp_path) as opened:
        assert len(opened) == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [("notes.txt", "no empty folder"), ("collection.json", "is a collection already")],
)
def test_nothing_that_is_there_is_made_a_collection(tmp_path, model, content, message):
    (tmp_path / content).write_text("mine")
    with pytest.raises(UsageError, match=message):
        Collection.create(tmp_path, model=model)
    assert [path.name for path in tmp_path.iterdir()] == [content]


def test_a_damaged_model_makes_no_collection(tmp_path, model):
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "network.onnx").write_bytes(b"\0" * (broken / "network.onnx").stat().st_size)
    with pytest.raises(ModelError, match=r"network\.onnx has changed"):
        Collection.create(tmp_path / "new.lookalike", model=broken)
    assert not (tmp_path / "new.lookalike").exists()


def test_a_model_for_another_way_of_decoding_makes_no_collection(tmp_path, model):
    other = shutil.copytree(model, tmp_path / "other")
    card = json.loads((other / "card.json").read_text())
    (other / "card.json").write_text(json.dumps({**card, "preprocess_version": 99}))
    with pytest.raises(MismatchError, match=r"version 99 of decoding.* learn the model again"):
        Collection.create(tmp_path / "new.lookalike", model=other)


def test_a_folder_of_something_else_is_no_collection(pictures, tmp_path, model):
    for path in (pictures, tmp_path / "nowhere", "~no-such-user/photos.lookalike"):
        with pytest.raises(NotACollectionError, match=r"is not a collection.* lookalike index"):
            Collection.open(path)
    with pytest.raises(NotACollectionError, match="is not a collection"):
        Collection.open_or_create(pictures, model=model)


@pytest.mark.parametrize("lost", ["collection.json", "catalog.sqlite"])
def test_a_collection_that_lost_a_part_says_which(indexed, tmp_path, lost):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    (copy / lost).unlink()
    with pytest.raises(DamagedCollectionError, match=f"has lost its {lost}"):
        Collection.open(copy)


def test_a_collection_of_a_later_program_is_not_touched(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    manifest = json.loads((copy / "collection.json").read_text())
    (copy / "collection.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(MismatchError, match=r"format 99.* update Lookalike"):
        Collection.open(copy, writable=True)


def test_another_model_put_into_a_collection_is_noticed(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    shutil.rmtree(copy / "model")
    write_tiny_model(copy / "model", seed=1)
    with pytest.raises(MismatchError, match="its model folder now holds"):
        Collection.open(copy)


def test_a_new_collection_takes_the_model_that_ships(tmp_path, model, monkeypatch):
    monkeypatch.setattr("lookalike.models.FOLDER", Path(model))
    with Collection.create(tmp_path / "a.lookalike") as created:
        assert created.card.name == "tiny"
    with Collection.open_or_create(tmp_path / "b.lookalike") as created:
        assert created.card.name == "tiny"
    # What is there already keeps the model that it has.
    monkeypatch.setattr("lookalike.models.FOLDER", tmp_path / "gone")
    with Collection.open_or_create(tmp_path / "b.lookalike") as opened:
        assert opened.card.name == "tiny"


def test_without_a_model_that_ships_one_must_be_given(tmp_path, monkeypatch):
    monkeypatch.setattr("lookalike.models.FOLDER", tmp_path / "gone")
    with pytest.raises(EnvironmentFault, match=r"none lies in .*gone; give --model MODEL, or make"):
        Collection.open_or_create(tmp_path / "new.lookalike")
    assert not (tmp_path / "new.lookalike").exists()


def test_the_same_model_may_be_named_again_and_another_may_not(tmp_path, model):
    path = tmp_path / "new.lookalike"
    Collection.open_or_create(path, model=model).close()
    Collection.open_or_create(path, model=model).close()
    write_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(MismatchError, match=r"was made with model tiny.*leave --model out"):
        Collection.open_or_create(path, model=tmp_path / "other")
    with pytest.raises(ModelError, match=r"card\.json"):
        Collection.open_or_create(path, model=tmp_path / "nowhere")
    Collection.open(path, writable=True).close()


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, model, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(model, tmp_path / "tiny")
    picture = write_pictures(tmp_path / "pictures", 3)[0]
    for _ in range(2):
        with Collection.open_or_create("~/photos.lookalike", model="~/tiny") as photos:
            photos.add("~/pictures", workers=0)
    with Collection.open("~/photos.lookalike") as photos:
        assert path_of(photos, photos.search("~/pictures/000.png").ids[0, 0]) == str(picture)


def test_one_writes_and_the_others_read(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with Collection.open(copy, writable=True):
        with pytest.raises(CollectionLockedError, match="locked"):
            Collection.open(copy, writable=True)
        with Collection.open(copy) as reader:
            assert len(reader) == N
    Collection.open(copy, writable=True).close()


def test_closing_twice_does_no_harm_and_errors_close_too(indexed, tmp_path):
    copy = shutil.copytree(indexed, tmp_path / "copy")
    with pytest.raises(KeyError), Collection.open(copy, writable=True) as opened:
        raise KeyError
    opened.close()
    Collection.open(copy, writable=True).close()


# Adding


def test_adding_again_changes_nothing(own):
    before = own.catalog.revision
    report = update(own)
    assert (report.indexed, report.unchanged) == (0, N)
    assert own.catalog.revision == before


def test_a_source_that_is_gone_is_named_and_changes_nothing(own):
    with pytest.raises(UsageError, match=r"nowhere: .* give folders or files that exist"):
        own.add(own.path.parent / "nowhere", workers=0)
    assert len(own) == N


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "tree"}, "no index of kind 'tree'; choose auto, exact, pq, clusters"),
        ({"recall_target": 1.5}, "recall target must lie between 0 and 1, not 1.5"),
        ({"recall_target": float("nan")}, "recall target must lie between 0 and 1"),
        ({"seconds_per_file": 0.0}, "some time"),
    ],
)
def test_senseless_options_are_refused_before_any_work(tmp_path, model, pictures, options, message):
    with Collection.create(tmp_path / "new.lookalike", model=model) as made:
        with pytest.raises(UsageError, match=message):
            made.add(pictures, workers=0, **options)
        assert len(made) == 0


def test_an_empty_source_is_not_the_folder_one_is_in(own):
    with pytest.raises(UsageError, match="an empty source names nothing"):
        own.add("", workers=0)


def test_adding_to_what_was_opened_for_reading_is_refused(photos, pictures):
    with pytest.raises(UsageError, match="reading"):
        photos.add(pictures, workers=0)


# What it tells


def test_status_tells_what_is_there(own):
    (own.path.parent / "pictures" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (own.path.parent / "pictures" / "link.png").symlink_to("000.png")
    update(own)
    told = own.status()
    assert told["path"] == str(own.path)
    assert told["model"] == own.card.id
    assert (told["format"], told["classes"], told["images"]) == (1, 3, N)
    assert told["files"] == {"indexed": N, "failed": 1, "skipped": 1}
    assert told["folders"] == [str(own.path.parent / "pictures")]
    assert told["descriptors"] == {"content": 48, "layout": 48}
    assert told["revision"] == own.catalog.revision > 0
    assert told["bytes"] >= sum(p.stat().st_size for p in (own.path / "index").iterdir())
    assert [index["descriptor"] for index in told["indexes"]] == ["content", "layout"]
    for index in told["indexes"]:
        assert (index["kind"], index["n"], index["newer"], index["deleted"]) == ("exact", N, 0, 0)
    json.dumps(told, allow_nan=False)


def test_images_and_vectors_come_in_the_order_asked_for(photos):
    assert [record.id for record in photos.images([9, 2, 9])] == [9, 2, 9]
    rows = photos.vectors([9, 2], "content")
    np.testing.assert_array_equal(rows[1], photos.vectors([2], "content")[0])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_pictures_come_in_their_proportions_and_are_never_enlarged(own):
    wide = np.full((300, 600, 3), 200, np.uint8)
    path = save(own.path.parent / "pictures" / "wide.png", wide)
    thin = save(own.path.parent / "pictures" / "thin.png", wide[:1])
    update(own)
    assert own.picture(id_of(own, path)).shape == (128, 256, 3)
    assert own.read(path, 60).shape == (30, 60, 3)
    assert own.read(path, 5000).shape == (300, 600, 3)
    assert own.read(thin).shape == (1, 256, 3)
    assert (own.picture(id_of(own, path)) == 200).all()


def test_a_picture_is_read_from_whichever_of_its_files_is_left(own):
    folder = own.path.parent / "pictures"
    shutil.copyfile(folder / "000.png", folder / "copy.png")
    update(own)
    image_id = id_of(own, folder / "000.png")
    expected = own.picture(image_id)
    for first, second in (("000.png", "copy.png"), ("copy.png", "000.png")):
        (folder / first).rename(folder / "away")
        np.testing.assert_array_equal(own.picture(image_id), expected)
        (folder / "away").rename(folder / first)
        assert (folder / second).exists()
    for name in ("000.png", "copy.png"):
        (folder / name).unlink()
    with pytest.raises(ImageError, match=r"(000|copy)\.png: "):
        own.picture(image_id)


def test_a_model_without_layout_makes_a_collection_without(tmp_path, pictures):
    write_tiny_model(tmp_path / "plain", has_layout=False)
    with Collection.create(
        tmp_path / "plain.lookalike", model=tmp_path / "plain", descriptors=()
    ) as made:
        made.add(pictures, workers=0)
        assert set(made.search(1, k=2).parts) == {"content"}
        with pytest.raises(UsageError, match=r"'layout'.* it has: content"):
            made.search(Query((IdExample(1),), weights={"layout": 1}))
