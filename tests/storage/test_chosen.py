"""Descriptors that were chosen: some images lack them, and all else stays as it was."""

import numpy as np
import pytest

from lookalike.errors import DamagedCollectionError, MismatchError, UsageError
from lookalike.storage.catalog import Catalog
from tests.killing import failpoints_of, kill_at
from tests.storage.stored import DESCRIPTORS, batch_of, content_of, index, vectors_of

TEXTS = ("red", "green", "blue")
CHOSEN = {"color": (1, 3), "shape": (2, 5)}


@pytest.fixture
def path(tmp_path):
    with Catalog.create(tmp_path / "catalog.sqlite", DESCRIPTORS) as catalog:
        index(catalog, {f"/photos/{text}": text for text in TEXTS})
    return tmp_path / "catalog.sqlite"


@pytest.fixture
def catalog(path):
    with Catalog.open(path, writable=True) as opened:
        opened.chosen.choose(CHOSEN)
        yield opened


def rows_of(texts, name, dim):
    vectors = np.stack([vectors_of(text, {name: dim})[name] for text in texts])
    return [content_of(text) for text in texts], vectors


def everything(catalog):
    specs = catalog.chosen.specs()
    stored = {name: list(catalog.embeddings(name)) for name in catalog.descriptors}
    return {
        "chosen": {name: (spec.version, spec.dim) for name, spec in specs.items()},
        "stored": {
            name: [(ids.tolist(), rows.tolist()) for ids, rows in batches if len(ids)]
            for name, batches in stored.items()
        },
        "lacking": [(image.id, image.lacks) for image in catalog.chosen.lacking(0, 99)],
    }


def test_what_is_chosen_is_lacked_by_all_until_it_is_filled_in(catalog):
    assert catalog.descriptors == {**DESCRIPTORS, "color": 3, "shape": 5}
    assert catalog.chosen.n_lacking() == {"color": 3, "shape": 3}
    [first, *_] = catalog.chosen.lacking(0, 2)
    assert (first.paths, first.lacks) == ((b"/photos/red",), ("color", "shape"))
    assert (first.height, first.width) == (3, 4)
    before = catalog.revision
    catalog.chosen.fill({"color": rows_of(("red", "blue"), "color", 3)})
    assert catalog.revision == before + 1
    assert catalog.chosen.specs()["color"].filled == before + 1
    assert catalog.chosen.n_lacking() == {"color": 1, "shape": 3}
    assert [image.lacks for image in catalog.chosen.lacking(0, 9)] == [
        ("shape",),
        ("color", "shape"),
        ("shape",),
    ]
    [(ids, rows)] = list(catalog.embeddings("color"))
    np.testing.assert_array_equal(rows, rows_of(("red", "blue"), "color", 3)[1])
    np.testing.assert_array_equal(catalog.vectors(ids, "color"), rows)
    [lacking] = set(catalog.ids().tolist()) - set(ids.tolist())
    with pytest.raises(UsageError, match=f"image {lacking} has no 'color' embedding yet; bring"):
        catalog.vectors([lacking], "color")


def test_new_images_may_come_with_them_or_without(catalog):
    index(catalog, {f"/photos/{text}": text for text in (*TEXTS, "teal")})
    assert catalog.chosen.n_lacking()["color"] == 4
    images = batch_of(("/photos/gold", "gold"))
    run = catalog.begin_run()
    images.images[0].embeddings["color"] = np.ones(3, np.float32)
    catalog.commit(images, run=run)
    assert catalog.chosen.n_lacking() == {"color": 4, "shape": 5}
    wrong = batch_of(("/photos/mint", "mint"))
    wrong.images[0].embeddings["color"] = np.ones(4, np.float32)
    with pytest.raises(MismatchError, match=r"color \(4\)"):
        catalog.commit(wrong, run=run)


def test_another_version_starts_anew_and_the_others_stay(catalog):
    for name, dim in (("color", 3), ("shape", 5)):
        catalog.chosen.fill({name: rows_of(TEXTS, name, dim)})
    revision = catalog.revision
    catalog.chosen.choose(CHOSEN)
    assert catalog.revision == revision
    catalog.chosen.choose({"color": (2, 3), "shape": (2, 5)})
    assert catalog.chosen.n_lacking() == {"color": 3, "shape": 0}
    assert catalog.chosen.specs()["color"].filled == revision + 1
    catalog.chosen.choose({"shape": (2, 5)})
    assert catalog.descriptors == {**DESCRIPTORS, "shape": 5}
    with pytest.raises(UsageError, match="no descriptor 'color'"):
        list(catalog.embeddings("color"))


def test_the_descriptors_of_the_model_cannot_be_chosen(catalog):
    with pytest.raises(UsageError, match="'layout' comes from the model"):
        catalog.chosen.choose({"layout": (1, 4)})
    assert catalog.chosen.specs().keys() == CHOSEN.keys()


def test_a_deleted_image_takes_its_rows_along(catalog):
    catalog.chosen.fill({"color": rows_of(TEXTS, "color", 3)})
    index(catalog, {"/photos/red": "red"})
    assert catalog.n_embeddings("color") == 1


def test_values_that_are_not_finite_are_refused(catalog):
    hashes, rows = rows_of(TEXTS, "color", 3)
    with pytest.raises(UsageError, match="not finite"):
        catalog.chosen.fill({"color": (hashes, rows * np.nan)})
    assert catalog.n_embeddings("color") == 0


def test_a_change_on_the_disk_is_noticed(catalog):
    catalog.chosen.fill({"color": rows_of(TEXTS, "color", 3)})
    with catalog._database.writing() as connection:
        connection.execute("UPDATE embeddings_color SET vector = zeroblob(12) WHERE image_id = 2")
    with pytest.raises(DamagedCollectionError, match="color embedding of image 2 is damaged"):
        list(catalog.embeddings("color"))


def choose_and_fill(path):
    with Catalog.open(path, writable=True) as catalog:
        catalog.chosen.choose({"color": (1, 3), "aspect": (1, 2)})
        catalog.chosen.fill(
            {"color": rows_of(TEXTS, "color", 3), "aspect": rows_of(TEXTS, "aspect", 2)}
        )


def test_choosing_and_filling_are_whole_or_nothing_wherever_they_are_killed(path, tmp_path):
    original = path.read_bytes()
    passed = failpoints_of(lambda: choose_and_fill(path), tmp_path / "log")
    assert len(passed) >= 7
    with Catalog.open(path) as catalog:
        whole = everything(catalog)
    for failpoint in passed:
        for leftover in path.parent.glob("catalog.sqlite-*"):
            leftover.unlink()
        path.write_bytes(original)
        kill_at(failpoint, lambda: choose_and_fill(path))
        with Catalog.open(path, writable=True) as catalog:
            found = everything(catalog)
            lacks = {name for _, names in found["lacking"] for name in names}
            assert lacks in (set(), {"aspect", "color"})
        if lacks or not found["chosen"]:
            choose_and_fill(path)
        with Catalog.open(path) as catalog:
            assert everything(catalog) == whole
