import os

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.features.model import Model
from lookalike.gathering.ingest import HELD, IngestOptions, ingest
from lookalike.storage.catalog import Catalog
from tests.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny_model(folder)
    return Model.open(folder, threads=1)


@pytest.fixture
def catalog(tmp_path, model):
    dims = {"content": model.card.content_dim, "layout": model.card.code_dim}
    with Catalog.create(tmp_path / "catalog.sqlite", dims) as made:
        yield made


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(5):
        paint(folder / f"{number}.png", seed=number)
    return folder


def paint(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def run(catalog, model, *sources, workers=0, **options):
    chosen = IngestOptions(image_size=model.card.image_size, workers=workers, **options)
    return ingest(catalog, model, model.card.classes, [os.fsencode(s) for s in sources], chosen)


def test_every_file_ends_as_indexed_failed_or_skipped(catalog, model, pictures):
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    (pictures / "link.png").symlink_to(pictures / "0.png")
    report = run(catalog, model, pictures)
    assert report.indexed == 5
    assert [trouble.path.rpartition("/")[2] for trouble in report.failed] == ["broken.jpg"]
    assert [trouble.path.rpartition("/")[2] for trouble in report.skipped] == ["link.png"]
    assert catalog.n_files == {"indexed": 5, "failed": 1, "skipped": 1}


def test_embeddings_are_those_of_the_model_alone(catalog, model, pictures):
    run(catalog, model, pictures)
    size = model.card.image_size
    for record in catalog.images(catalog.ids()):
        with Image.open(os.fsdecode(record.paths[0])) as picture:
            pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        expected = model.encode(pixels[None]).content[0]
        np.testing.assert_allclose(catalog.vectors([record.id], "content")[0], expected, atol=0.02)


def test_a_second_run_decodes_nothing_and_still_tells_of_failures(catalog, model, pictures):
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    run(catalog, model, pictures)
    revision = catalog.revision
    again = run(catalog, model, pictures)
    assert (again.indexed, again.unchanged, len(again.failed)) == (0, 5, 1)
    assert catalog.revision == revision


def test_changed_added_and_removed_files_are_noticed(catalog, model, pictures):
    run(catalog, model, pictures)
    paint(pictures / "1.png", seed=100)
    paint(pictures / "new.png", seed=101)
    (pictures / "2.png").unlink()
    report = run(catalog, model, pictures)
    assert (report.indexed, report.unchanged, report.removed) == (2, 3, 1)
    assert catalog.n_images == 5


def test_a_renamed_file_keeps_its_image(catalog, model, pictures):
    run(catalog, model, pictures)
    before = set(catalog.ids().tolist())
    (pictures / "3.png").rename(pictures / "renamed.png")
    report = run(catalog, model, pictures)
    assert (report.indexed, report.removed) == (1, 1)
    assert set(catalog.ids().tolist()) == before


def test_equal_files_are_one_image_with_two_paths(catalog, model, pictures):
    (pictures / "copy.png").write_bytes((pictures / "0.png").read_bytes())
    run(catalog, model, pictures)
    assert catalog.n_images == 5
    assert sorted(len(record.paths) for record in catalog.images(catalog.ids())) == [1, 1, 1, 1, 2]


def test_an_empty_folder_may_just_not_be_mounted(catalog, model, pictures):
    run(catalog, model, pictures)
    for path in pictures.iterdir():
        path.unlink()
    held = run(catalog, model, pictures)
    assert held.removed == 0
    assert [trouble.reason for trouble in held.skipped] == [HELD]
    assert run(catalog, model, pictures, remove_missing=True).removed == 5
    assert catalog.n_images == 0


def test_a_folder_that_never_held_pictures_is_not_thought_to_have_lost_them(
    catalog, model, tmp_path
):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("milk, bread")
    for _ in range(2):
        report = run(catalog, model, tmp_path / "texts")
        assert [trouble.path for trouble in report.skipped] == [f"{tmp_path}/texts/notes.txt"]


def test_a_source_that_is_gone_changes_nothing(catalog, model, pictures):
    run(catalog, model, pictures)
    with pytest.raises(UsageError, match="nowhere"):
        run(catalog, model, pictures.parent / "nowhere")
    assert catalog.n_images == 5


def test_worker_processes_give_the_same_as_this_process(tmp_path, model, pictures):
    stored = {}
    for workers in (0, 2):
        dims = {"content": model.card.content_dim, "layout": model.card.code_dim}
        with Catalog.create(tmp_path / f"{workers}.sqlite", dims) as catalog:
            run(catalog, model, pictures, workers=workers)
            records = catalog.images(catalog.ids())
            rows = catalog.vectors([record.id for record in records], "layout")
            stored[workers] = {r.hash: row.tobytes() for r, row in zip(records, rows, strict=True)}
    assert stored[0] == stored[2]
