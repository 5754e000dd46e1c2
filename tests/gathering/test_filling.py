"""Descriptors that are chosen later: what is read for them, what is not, and what is told."""

import json
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from lookalike import Collection, IdExample, Query
from lookalike.__main__ import run
from lookalike.arrays import normalize
from lookalike.dimensions import Selection
from lookalike.errors import UsageError
from lookalike.features import descriptors
from lookalike.gathering.filling import fill_in
from lookalike.gathering.ingest import IngestOptions
from lookalike.storage.folder import open_folder
from lookalike.storage.integrity import verify
from lookalike.storage.shrinking import Shrinking, shrink_in_place
from tests.killing import failpoints_of, kill_at
from tests.plugins import install_package
from tests.small_sets import write_pictures
from tests.tiny_model import write_tiny_model

N = 8


@pytest.fixture
def place(tmp_path):
    """A folder with pictures, a model, and a collection without descriptors."""
    write_tiny_model(tmp_path / "tiny")
    write_pictures(tmp_path / "pictures", N)
    path = tmp_path / "c.lookalike"
    with Collection.create(path, model=tmp_path / "tiny", descriptors=()) as made:
        made.add(tmp_path / "pictures", workers=0)
    return tmp_path


def add_descriptors(place, *names):
    with Collection.open_or_create(place / "c.lookalike", descriptors=names) as photos:
        return photos.add(place / "pictures", workers=0)


def rows_of(place, name):
    with Collection.open(place / "c.lookalike") as photos:
        return photos.vectors(photos.catalog.ids(), name)


def test_what_is_filled_in_later_is_what_indexing_would_have_given(place):
    report = add_descriptors(place, "color", "shape", "aspect")
    assert (report.indexed, report.unchanged, report.lacking) == (0, N, ())
    path = place / "anew.lookalike"
    with Collection.create(path, model=place / "tiny", descriptors=("color", "aspect")) as made:
        made.add(place / "pictures", workers=0)
        for name in ("color", "aspect"):
            rows = made.vectors(made.catalog.ids(), name)
            np.testing.assert_array_equal(rows, rows_of(place, name))
        color = Query((IdExample(3),), weights={"color": 1.0})
        expected = made.search(color, 5)
    with Collection.open(place / "c.lookalike") as photos:
        found = photos.search(color, 5)
        assert photos.status()["lacking"] == {"aspect": 0, "color": 0, "shape": 0}
    assert found.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert verify(place / "c.lookalike").is_clean


@pytest.fixture
def reads(monkeypatch):
    """Paths of the files that are decoded, as they are."""
    from lookalike.images import workers

    paths = []
    real = workers.decode_file

    def decode_file(path, *words):
        paths.append(path)
        return real(path, *words)

    monkeypatch.setattr(workers, "decode_file", decode_file)
    return paths


def test_only_pictures_that_lack_something_are_read(place, reads):
    add_descriptors(place, "aspect")
    assert reads == []  # the proportions are in the catalog
    add_descriptors(place, "aspect", "color")
    assert len(reads) == N
    reads.clear()
    add_descriptors(place, "aspect", "color")
    assert reads == []
    write_pictures(place / "pictures" / "more", 2, seed=5)
    report = add_descriptors(place, "aspect", "color")
    assert (report.indexed, len(reads)) == (2, 2)


def test_pictures_whose_files_are_lost_keep_lacking_and_that_is_told(place, reads):
    shutil.copy2(place / "pictures" / "000.png", place / "pictures" / "copy.png")
    with Collection.open_or_create(place / "c.lookalike") as photos:
        photos.add(place / "pictures", workers=0)
    away = place / "away"
    (place / "pictures").rename(away)
    (place / "pictures").mkdir()
    report = add_descriptors(place, "color", "aspect")
    assert len(report.lacking) == N
    assert report.lacking[0].path.startswith(str(place))
    assert report.lacking[0].reason.startswith("lacks color: no such file")
    (place / "pictures").rmdir()
    away.rename(place / "pictures")
    (place / "pictures" / "000.png").unlink()  # its copy does as well
    assert add_descriptors(place, "color", "aspect").lacking == ()
    assert len(rows_of(place, "color")) == N


def test_a_file_that_holds_another_picture_now_is_not_taken_for_the_old_one(place):
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        photos.choose_descriptors(("color",))
        shutil.copy2(place / "pictures" / "001.png", place / "pictures" / "000.png")
        options = IngestOptions(image_size=32, workers=0)
        [trouble] = fill_in(photos.catalog, descriptors.find(["color"]), options)
        assert trouble.path.endswith("000.png")
        assert trouble.reason == "lacks color: it holds another picture now"
        assert photos.catalog.chosen.n_lacking() == {"color": 1}


def test_images_without_a_descriptor_are_found_without_evidence_in_it(place):
    write_pictures(place / "pictures" / "more", 2, seed=5)
    add_descriptors(place, "color")
    with sqlite3.connect(place / "c.lookalike" / "catalog.sqlite") as connection:
        connection.execute("DELETE FROM embeddings_color WHERE image_id > ?", (N,))
        connection.execute("UPDATE state SET revision = revision + 1")
        connection.execute("UPDATE descriptors SET filled = (SELECT revision FROM state)")
    connection.close()
    with Collection.open(place / "c.lookalike") as photos:
        hits = photos.search(Query((IdExample(1),), weights={"content": 1, "color": 1}), N + 2)
        assert len(hits.ids[0]) == N + 2
        scores = dict(zip(hits.ids[0].tolist(), hits.parts["color"][0].tolist(), strict=True))
        assert scores[N + 1] == scores[N + 2] == 0
        assert max(scores.values()) > 0
        assert photos.status()["lacking"] == {"color": 2}
    assert verify(place / "c.lookalike").is_clean
    add_descriptors(place, "color")
    assert len(rows_of(place, "color")) == N + 2


def test_an_index_built_before_older_images_got_theirs_is_not_used(place):
    add_descriptors(place, "color")
    with sqlite3.connect(place / "c.lookalike" / "catalog.sqlite") as connection:
        connection.execute("DELETE FROM embeddings_color WHERE image_id <= 2")
        connection.execute("UPDATE state SET revision = revision + 1")
        connection.execute("UPDATE descriptors SET filled = (SELECT revision FROM state)")
    connection.close()
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        photos.build_indexes(force=True)
        assert len(photos.gallery.indexes["color"].ids) == N - 2
        [image, _] = photos.catalog.chosen.lacking(0, 9)
        rows = np.ones((1, 304), np.float32)
        photos.catalog.chosen.fill({"color": ([image.hash], rows)})
        assert photos.gallery.indexes["color"].ids.tolist() == [1, *range(3, N + 1)]
    add_descriptors(place, "color")
    with Collection.open(place / "c.lookalike") as photos:
        told = {state["descriptor"]: state for state in photos.status()["indexes"]}
    assert (told["color"]["n"], told["color"]["newer"]) == (N, 0)


def test_a_damaged_row_is_repaired_without_forgetting_the_image(place):
    add_descriptors(place, "color")
    with sqlite3.connect(place / "c.lookalike" / "catalog.sqlite") as connection:
        connection.execute("UPDATE embeddings_color SET checksum = 1 WHERE image_id = 2")
    connection.close()
    [problem] = verify(place / "c.lookalike").problems
    assert "the color embedding of image 2" in problem.detail
    assert verify(place / "c.lookalike", repair=True).is_clean
    report = add_descriptors(place, "color")
    assert (report.indexed, report.unchanged) == (0, N)
    assert len(rows_of(place, "color")) == N


def test_another_version_is_extracted_again_and_never_compared(place, monkeypatch):
    add_descriptors(place, "color")
    old = rows_of(place, "color")
    newer = replace(
        descriptors.BUILT_IN["color"],
        version=2,
        extract=lambda pixels, sizes: descriptors.BUILT_IN["shape"].extract(pixels, sizes)[:, :304],
    )
    built_in = {**descriptors.BUILT_IN, "color": newer}
    monkeypatch.setattr(descriptors, "BUILT_IN", built_in)
    with Collection.open(place / "c.lookalike") as photos:
        assert "color" not in photos.gallery.indexes
        with pytest.raises(UsageError, match="no descriptor 'color' in this collection"):
            photos.search(Query((IdExample(1),), weights={"color": 1}))
    add_descriptors(place, "color")
    with Collection.open(place / "c.lookalike") as photos:
        assert photos.catalog.chosen.specs()["color"].version == 2
        assert photos.search(Query((IdExample(1),), weights={"color": 1})).ids[0, 0] > 0
    assert not np.allclose(rows_of(place, "color"), old)


def test_a_descriptor_of_a_package_that_is_gone_is_told_with_what_to_do(place):
    with Collection.open(place / "c.lookalike", writable=True) as photos:
        photos.catalog.chosen.choose({"color": (1, 304), "smell": (1, 4)})
        with pytest.raises(UsageError, match=r"'smell' that cannot be .* --descriptors color"):
            photos.add(place / "pictures", workers=0)
    add_descriptors(place, "color")
    assert len(rows_of(place, "color")) == N


def test_a_descriptor_that_is_no_longer_wanted_goes_with_its_index(place):
    add_descriptors(place, "color", "texture")
    assert (place / "c.lookalike" / "index" / "texture.json").exists()
    add_descriptors(place, "color")
    assert not list((place / "c.lookalike" / "index").glob("texture*"))
    with Collection.open(place / "c.lookalike") as photos:
        assert set(photos.catalog.descriptors) == {"content", "layout", "color"}
    with Collection.open_or_create(place / "c.lookalike") as photos:
        photos.add(place / "pictures", workers=0)
        assert "color" in photos.catalog.descriptors  # kept where nothing is said


def test_a_shrunken_collection_keeps_them(place):
    add_descriptors(place, "color")
    before = rows_of(place, "color")
    _, manifest = open_folder(place / "c.lookalike")
    selection = Selection(48, np.arange(6))
    shrink_in_place(
        place / "c.lookalike", Shrinking(manifest.model_checksum, selection, {"method": "first"})
    )
    assert open_folder(place / "c.lookalike")[1].generation == 2
    np.testing.assert_array_equal(rows_of(place, "color"), before)
    assert verify(place / "c.lookalike").is_clean


@pytest.mark.slow
def test_filling_in_is_taken_up_where_it_was_killed(place, monkeypatch, tmp_path):
    monkeypatch.setattr("lookalike.gathering.filling.FILL_BATCH", 3)
    passed = failpoints_of(lambda: add_descriptors(place, "color", "aspect"), tmp_path / "log")
    whole = rows_of(place, "color")
    for failpoint in ("storage.choose.done:1", "storage.fill.end:2", "storage.fill.done:1"):
        assert failpoint in passed
        with Collection.open(place / "c.lookalike", writable=True) as photos:
            photos.choose_descriptors(())
        kill_at(failpoint, lambda: add_descriptors(place, "color", "aspect"))
        assert verify(place / "c.lookalike").is_clean
        with Collection.open(place / "c.lookalike") as photos:
            assert photos.search(1, 3).ids[0, 0] > 0  # whatever there is can be searched
            lacking = photos.catalog.chosen.n_lacking()["color"]
            assert lacking == {"storage.fill.done:1": N - 3, "storage.fill.end:2": N - 3}.get(
                failpoint, N
            )
        with Collection.open(place / "c.lookalike", writable=True) as photos:
            assert photos.add(place / "pictures", workers=0).lacking == ()
        np.testing.assert_array_equal(rows_of(place, "color"), whole)


def test_the_command_line_chooses_and_tells(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    words = ("index", "c.lookalike", "pictures", "--workers", "0", "--json", "--descriptors")
    assert run([*words, "color, aspect"]) == 0
    assert json.loads(capsys.readouterr().out)["lacking"] == []
    assert run(["status", "c.lookalike", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["lacking"] == {"aspect": 0, "color": 0}
    assert {index["descriptor"]: index["kind"] for index in told["indexes"]} == {
        **dict.fromkeys(("content", "layout", "color", "aspect"), "exact")
    }
    assert run([*words, "colour"]) == 2
    assert "there is no descriptor 'colour'; choose all, none, or some of: color" in (
        capsys.readouterr().err
    )


def test_a_new_collection_has_the_standard_ones(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    words = ("index", "new.lookalike", "pictures", "--model", "tiny", "--workers", "0", "--json")
    assert run([*words]) == 0
    capsys.readouterr()
    with Collection.open("new.lookalike") as photos:
        assert set(photos.catalog.chosen.specs()) == set(descriptors.STANDARD)
        assert set(photos.catalog.chosen.n_lacking().values()) == {0}
        # They are there to be asked, and take no part unless they are.
        assert set(photos.search(1).parts) == {"content", "layout"}


def test_a_descriptor_of_another_package_is_extracted_and_compared_in_its_own_way(
    place, tmp_path, monkeypatch, capsys
):
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    install_package(tmp_path / "site", "lookalike_redness", "redness")
    monkeypatch.chdir(place)
    words = ("index", "c.lookalike", "pictures", "--workers", "0", "--descriptors", "redness")
    assert run([*words, "--json"]) == 0
    capsys.readouterr()
    assert run(["search", "c.lookalike", "--id", "1", "--weight", "redness=1", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    rows = normalize(rows_of(place, "redness"))
    apart = np.linalg.norm(rows - rows[0], axis=1)
    assert [hit["id"] for hit in hits] == [int(at) + 1 for at in np.argsort(apart) if at != 0]
