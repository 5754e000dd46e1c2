import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, Query
from lookalike.asking.answers import answer, draw_answer, make_examples, make_query
from lookalike.errors import EnvironmentFault, ImageError, UsageError
from lookalike.images.scanning import display_path
from lookalike.search.queries import (
    FileExample,
    IdExample,
    PixelsExample,
    TextExample,
    UrlExample,
)
from tests.small_sets import write_masks
from tests.tiny_model import CLASSES, PALETTE, write_tiny_model

N = 12


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_tiny_model(folder / "tiny")
    write_tiny_model(folder / "plain", has_layout=False)
    return folder


@pytest.fixture(scope="module")
def outfits(tmp_path_factory):
    return write_masks(tmp_path_factory.mktemp("sets") / "outfits", N)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, models, outfits):
    path = tmp_path_factory.mktemp("collections") / "photos.lookalike"
    with Collection.create(path, model=models / "tiny") as made:
        made.add(outfits / "images", workers=0)
        yield made


def opened(sheet):
    return Image.open(io.BytesIO(sheet.read_bytes()))


def colors_of(sheet):
    """Number of pixels of each color."""
    pixels = np.asarray(opened(sheet).convert("RGB")).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return {tuple(color): n for color, n in zip(colors.tolist(), counts.tolist(), strict=True)}


def draw(photos, query, file, k=4):
    draw_answer(photos, query, answer(photos, query, k), file)
    return colors_of(file)


def test_examples_are_put_together_from_what_a_person_gives():
    made = make_examples(
        [Path("a.jpg"), Path("b.jpg")], ["http://example.org/c.png"], [3], ["a dog"]
    )
    assert made == (
        FileExample("a.jpg"),
        FileExample("b.jpg"),
        UrlExample("http://example.org/c.png"),
        IdExample(3),
        TextExample("a dog"),
    )


def test_what_is_given_is_added_to_a_saved_query():
    saved = Query((IdExample(1),), weights={"content": 1}, cut="auto")
    query = make_query({"positives": (), "cut": "none", "sort": "date", "weights": None}, saved)
    assert query == replace(saved, sort="date")
    query = make_query({"positives": (IdExample(2),)}, saved)
    assert query == replace(saved, positives=(IdExample(2),))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "the query is empty"),
        ({"positives": (), "negatives": (IdExample(1),)}, "negative examples alone"),
    ],
)
def test_something_must_be_liked(given, message):
    with pytest.raises(UsageError, match=message):
        make_query(given)


def test_an_answer_is_made_of_plain_values(photos):
    found = answer(photos, Query((IdExample(1),)), k=3)
    assert list(found) == ["hits", "beyond", "took_ms", "probed_clusters", "exact"]
    assert (found["probed_clusters"], found["exact"]) == (0, True)
    assert found["took_ms"] > 0
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    hits = photos.search(1, k=3)
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    assert [hit["id"] for hit in found["hits"]] == hits.ids[0].tolist()
    assert [hit["score"] for hit in found["hits"]] == hits.scores[0].tolist()
    for hit in found["hits"]:
        assert list(hit) == ["rank", "id", "path", "score", "scores", "box"]
        assert hit["path"] == display_path(photos.images([hit["id"]])[0].paths[0])
        assert hit["score"] == pytest.approx(
            (hit["scores"]["content"] + 0.25 * hit["scores"]["layout"]) / 1.25
        )


def test_of_fewer_images_than_hits_all_others_come(photos):
    found = answer(photos, Query((IdExample(1),)), k=100)
    assert sorted(hit["id"] for hit in found["hits"]) == list(range(2, N + 1))
    json.dumps(found, allow_nan=False)


def test_probed_clusters_are_counted(tmp_path, models, outfits):
    with Collection.create(tmp_path / "c.lookalike", model=models / "tiny") as made:
        made.add(outfits / "images", workers=0, kind="clusters")
        query = Query((IdExample(1),), weights={"content": 1}, order="list")
        found = answer(made, query, k=3)
    assert found["probed_clusters"] >= 1
    assert not found["exact"]
    assert len(found["hits"]) == 3


def test_a_sheet_shows_the_layout_that_was_seen(photos, tmp_path):
    query = Query((IdExample(1),))
    shown = [photos.card.classes[0]]
    colors = draw(photos, query, tmp_path / "hits.png", k=2)
    record = photos.images([1])[0]
    assert [name for name, _ in record.labels] == shown
    # The tiny model's decoder gives back the very cells that were painted, so that each class
    # covers as much in the maps as in the pictures, but for what frames and corners hide.
    red = PALETTE[1 + CLASSES.index(shown[0])]
    assert colors[red] > 2 * 3 * 148 * 148 * 0.4


def test_a_sheet_of_pictures_without_layout_has_no_maps(models, outfits, tmp_path, photos):
    query = Query((IdExample(1),))
    draw(photos, query, tmp_path / "with.png")
    with Collection.create(tmp_path / "plain.lookalike", model=models / "plain") as plain:
        plain.add(outfits / "images", workers=0)
        draw(plain, query, tmp_path / "without.png")
    heights = [opened(tmp_path / f"{name}.png").height for name in ("with", "without")]
    assert heights[0] > heights[1] + 148


@pytest.mark.parametrize("kind", ["id", "file", "pixels"])
def test_queries_of_all_kinds_are_drawn(photos, outfits, tmp_path, kind):
    path = outfits / "images" / "004.png"
    example = {
        "id": IdExample(photos.catalog.ids_of_paths([bytes(path)])[bytes(path)]),
        "file": FileExample.of(path),
        "pixels": PixelsExample.of(photos.read(path)),
    }[kind]
    colors = draw(photos, Query((example,)), tmp_path / "hits.png", k=1)
    assert colors[PALETTE[1 + 4 % len(CLASSES)]] > 2 * 148 * 148 * 0.4


def test_hits_whose_files_are_gone_are_left_out_of_the_sheet(tmp_path, models):
    outfits = write_masks(tmp_path / "outfits", 6)
    with Collection.create(tmp_path / "c.lookalike", model=models / "tiny") as made:
        made.add(outfits / "images", workers=0)
        query = Query((IdExample(1),))
        draw(made, query, tmp_path / "all.png", k=5)
        for hit in answer(made, query, 5)["hits"][1:]:
            Path(hit["path"]).unlink()
        draw(made, query, tmp_path / "one.png", k=5)
        for path in (outfits / "images").iterdir():
            path.unlink()
        with pytest.raises(ImageError, match=r"\.png: no such file"):
            draw(made, query, tmp_path / "none.png", k=5)
    assert not (tmp_path / "none.png").exists()
    widths = [opened(tmp_path / f"{name}.png").width for name in ("all", "one")]
    assert widths[0] > widths[1]


def test_an_answer_without_hits_can_be_drawn(tmp_path, models):
    outfits = write_masks(tmp_path / "outfits", 1)
    with Collection.create(tmp_path / "c.lookalike", model=models / "tiny") as made:
        made.add(outfits / "images", workers=0)
        query = Query((IdExample(1),))
        assert answer(made, query, 5)["hits"] == []
        draw(made, query, tmp_path / "hits.png")


def test_a_sheet_is_a_file_and_no_folder(photos, tmp_path):
    with pytest.raises(UsageError, match="a folder; name a PNG file"):
        draw(photos, Query((IdExample(1),)), tmp_path)


def test_a_sheet_that_cannot_be_written_says_so(photos, tmp_path):
    with pytest.raises(EnvironmentFault, match=r"nowhere/hits\.png could not be written"):
        draw(photos, Query((IdExample(1),)), tmp_path / "nowhere" / "hits.png")
