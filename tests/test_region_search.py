"""Asking for parts of pictures, through the public door and on the command line."""

import json
import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, FileExample, IdExample, PixelsExample, Query
from lookalike.__main__ import run
from lookalike.dimensions import Selection
from lookalike.errors import ImageError, UsageError
from lookalike.evaluation.pens import NOT_RELEVANT
from lookalike.search.clauses import Clause, Composition
from lookalike.search.queries import RegionExample
from lookalike.storage.folder import open_folder
from lookalike.storage.integrity import verify
from lookalike.storage.shrinking import Shrinking, shrink_in_place
from tests.tiny_model import DIM, PALETTE, write_tiny_model

SIDE, CELL = 128, 32
CORNERS = {"blue-a": (0, 0), "blue-b": (3, 0), "green-a": (0, 3), "green-b": (3, 3), "both": (0, 0)}
COLORS = {"red": PALETTE[1], "green": PALETTE[2], "blue": PALETTE[3]}


def paint(folder: Path) -> Path:
    """Pictures of gray ground with a square of a class's color in one of 4 × 4 cells, or two."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, corner) in enumerate(CORNERS.items()):
        pixels = np.full((SIDE, SIDE, 3), 20 + 8 * number, np.uint8)
        square(pixels, corner, COLORS["blue" if name == "both" else name.split("-")[0]])
        if name == "both":
            square(pixels, (2, 0), COLORS["green"])
        Image.fromarray(pixels).save(folder / f"{name}.png")
    for number in range(3):
        pixels = np.full((SIDE, SIDE, 3), 8 + 20 * number, np.uint8)
        Image.fromarray(pixels).save(folder / f"plain-{number}.png")
    return folder


def square(pixels, corner, color):
    column, row = corner
    pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = color


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    write_tiny_model(folder / "tiny")
    write_tiny_model(folder / "plain", has_layout=False)
    paint(folder / "pictures")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "pictures", workers=0, regions=True)
    return folder


@pytest.fixture
def photos(place):
    with Collection.open(place / "c.lookalike") as opened:
        yield opened


@pytest.fixture
def copy(place, tmp_path):
    """A collection with its pictures that a test may change."""
    shutil.copytree(place / "pictures", tmp_path / "pictures")
    with Collection.create(tmp_path / "c.lookalike", model=place / "tiny") as made:
        made.add(tmp_path / "pictures", workers=0, regions=True)
    return tmp_path


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Run a command in this process; give its exit code and what it printed."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def names_of(collection, hits):
    ids = [int(image) for image in hits.ids[0] if image >= 0]
    return [Path(os.fsdecode(record.paths[0])).stem for record in collection.images(ids)]


def id_of(collection, name):
    records = collection.images(collection.catalog.ids())
    return next(r.id for r in records if Path(os.fsdecode(r.paths[0])).stem == name)


def boxed(example, corner):
    return RegionExample(example, (corner[0] * CELL, corner[1] * CELL, CELL, CELL))


# A box of a picture


@pytest.mark.parametrize("kind", ["id", "file", "pixels"])
def test_a_small_square_finds_the_others_of_its_color_wherever_they_are(photos, place, kind):
    file = place / "pictures" / "blue-a.png"
    example = {
        "id": IdExample(id_of(photos, "blue-a")),
        "file": FileExample.of(file),
        "pixels": PixelsExample.of(np.asarray(Image.open(file))),
    }[kind]
    hits = photos.search(Query((boxed(example, CORNERS["blue-a"]),)), k=3)
    found = names_of(photos, hits)
    assert set(found[: 2 if kind == "id" else 3]) <= {"blue-a", "blue-b", "both"}
    assert ("blue-a" in found) == (kind != "id")  # an image given by its id is left out
    for name, edges in zip(found, hits.boxes[0], strict=True):
        if name.startswith("b"):
            column, row = CORNERS[name]
            box = np.array([column, row, column + 1, row + 1]) / 4
            # The box of the query is seen with its surroundings, so that of the hit has some too.
            assert (edges[:2] <= box[:2] + 1e-6).all()
            assert (edges[2:] >= box[2:] - 1e-6).all()
            assert edges[2] - edges[0] <= 0.4 + 1e-6
    assert list(hits.parts) == ["region"]


def test_regions_and_whole_pictures_can_be_weighed(photos):
    example = boxed(IdExample(id_of(photos, "blue-a")), CORNERS["blue-a"])
    hits = photos.search(Query((example,), weights={"region": 3, "content": 1}), k=4)
    np.testing.assert_allclose(
        hits.scores, 0.75 * hits.parts["region"] + 0.25 * hits.parts["content"]
    )


def test_a_whole_picture_can_be_looked_for_among_regions(photos):
    pixels = np.full((40, 30, 3), COLORS["green"], np.uint8)
    query = Query((PixelsExample.of(pixels),), weights={"region": 1})
    assert set(names_of(photos, photos.search(query, k=3))) == {"green-a", "green-b", "both"}


def test_without_regions_a_box_is_compared_with_whole_pictures(place, tmp_path):
    with Collection.create(tmp_path / "c.lookalike", model=place / "tiny") as made:
        made.add(place / "pictures", workers=0)
        query = Query((boxed(IdExample(1), CORNERS["blue-a"]),))
        hits = made.search(query, k=3)
        assert set(hits.parts) == {"content", "layout"}
        assert hits.boxes is None
        with pytest.raises(UsageError, match=r"no regions yet; index them .* --regions"):
            made.search(Query((IdExample(1),), weights={"region": 1}))
        with pytest.raises(UsageError, match=r"no regions yet"):
            made.search(Query(composition=Composition((Clause(label="red"),))))


def test_a_model_without_layout_has_the_cells_of_the_grid(place, tmp_path):
    with Collection.create(tmp_path / "c.lookalike", model=place / "plain") as made:
        report = made.add(place / "pictures", workers=0, regions=True)
        assert report.regions.regions == 14 * len(made)
        hits = made.search(Query((boxed(IdExample(id_of(made, "blue-a")), (0, 0)),)), k=3)
        assert len(names_of(made, hits)) == 3


# Several regions


def compose(*texts):
    return Query(composition=Composition(tuple(map(Clause.parse, texts))))


def test_labels_and_places_find_their_pictures(photos):
    assert names_of(photos, photos.search(compose("label=blue,position=right"), k=1)) == ["blue-b"]
    found = names_of(photos, photos.search(compose("label=blue", "label=green"), k=1))
    assert found == ["both"]


def test_colors_of_one_picture_and_place_of_another(photos):
    blue = id_of(photos, "blue-a")
    query = compose(f"color-of={blue}@4,4,24,24,position=upper-right,size=4..8%")
    hits = photos.search(query, k=1)
    assert names_of(photos, hits) == ["blue-b"]
    np.testing.assert_allclose(hits.boxes[0, 0], [0.75, 0, 1, 0.25], atol=1e-6)


def test_content_of_a_box_can_be_a_clause(photos):
    green = id_of(photos, "green-a")
    query = compose(f"content-of={green}@0,96,32,32,position=lower-right")
    assert names_of(photos, photos.search(query, k=1)) == ["green-b"]


# Keeping regions up to date


@pytest.mark.parametrize("is_rebuilt", [True, False])
def test_indexing_again_gives_regions_to_what_is_new_alone(copy, monkeypatch, is_rebuilt):
    if not is_rebuilt:  # new regions beside the index, deleted ones masked
        monkeypatch.setattr("lookalike.shelves.regions.TAIL_SHARE", 10)
    pictures = copy / "pictures"
    shutil.copy(pictures / "blue-a.png", copy / "kept.png")
    pixels = np.full((SIDE, SIDE, 3), 99, np.uint8)
    square(pixels, (1, 1), COLORS["blue"])
    Image.fromarray(pixels).save(pictures / "new.png")
    (pictures / "blue-b.png").unlink()
    with Collection.open(copy / "c.lookalike", writable=True) as made:
        report = made.add(pictures, workers=0)  # without saying so again
        assert report.regions.images == 1
        query = Query((boxed(FileExample.of(copy / "kept.png"), (0, 0)),))
        assert set(names_of(made, made.search(query, k=3))) == {"blue-a", "both", "new"}
        state = made.status()["regions"]
        assert (state["images"], state["lacking"]) == (len(made), 0)
        assert (state["indexed"] == state["regions"]) == is_rebuilt
        anything = Query((PixelsExample.of(np.full((9, 9, 3), COLORS["blue"], np.uint8)),))
        hits = made.search(replace(anything, weights={"region": 1}), k=99)
        assert sorted(names_of(made, hits)) == sorted(path.stem for path in pictures.iterdir())
    assert verify(copy / "c.lookalike").problems == ()


def test_a_picture_that_is_gone_is_told_and_tried_again(place, tmp_path):
    shutil.copytree(place / "pictures", tmp_path / "pictures")
    with Collection.create(tmp_path / "c.lookalike", model=place / "tiny") as made:
        made.add(tmp_path / "pictures", workers=0)
    shutil.move(tmp_path / "pictures" / "both.png", tmp_path / "both.png")
    (tmp_path / "elsewhere").mkdir()
    with Collection.open(tmp_path / "c.lookalike", writable=True) as made:
        report = made.add(tmp_path / "elsewhere", workers=0, regions=True)
        [trouble] = report.regions.failed
        assert trouble.path.endswith("both.png")
        assert report.has_failed
        assert made.status()["regions"]["lacking"] == 1
        shutil.copy(tmp_path / "pictures" / "blue-a.png", tmp_path / "pictures" / "both.png")
        report = made.add(tmp_path / "elsewhere", workers=0)
        assert "has changed since it was indexed" in report.regions.failed[0].reason
        shutil.move(tmp_path / "both.png", tmp_path / "pictures" / "both.png")
        report = made.add(tmp_path / "elsewhere", workers=0)
        assert (report.regions.images, report.regions.failed) == (1, ())


def test_of_equal_files_any_will_do(place, tmp_path):
    shutil.copytree(place / "pictures", tmp_path / "pictures")
    shutil.copy(tmp_path / "pictures" / "both.png", tmp_path / "pictures" / "zz.png")
    with Collection.create(tmp_path / "c.lookalike", model=place / "tiny") as made:
        made.add(tmp_path / "pictures", workers=0)
        (tmp_path / "pictures" / "both.png").unlink()
        (tmp_path / "elsewhere").mkdir()
        report = made.add(tmp_path / "elsewhere", workers=0, regions=True)
        assert report.regions.failed == ()


def test_damaged_regions_are_found_forgotten_and_made_again(copy):
    path = copy / "c.lookalike"
    with sqlite3.connect(path / "catalog.sqlite") as connection:
        connection.execute("UPDATE regions SET content = zeroblob(length(content)) WHERE id = 65")
        connection.execute("DELETE FROM regions WHERE id = 131")
    connection.close()
    report = verify(path)
    assert [(p.kind, p.detail[:22]) for p in report.problems] == [
        ("region", "the regions of image 1"),
        ("region", "the regions of image 2"),
    ]
    assert verify(path, repair=True).is_clean
    with Collection.open(path, writable=True) as made:
        assert made.add(copy / "pictures", workers=0).regions.images == 2
    assert verify(path).problems == ()


def test_searches_without_any_index_file_find_the_same(copy):
    query = Query((boxed(IdExample(1), CORNERS["blue-a"]),))
    with Collection.open(copy / "c.lookalike") as made:
        before = made.search(query, k=5)
    shutil.rmtree(copy / "c.lookalike" / "index")
    with Collection.open(copy / "c.lookalike") as made:
        after = made.search(query, k=5)
    assert after.ids.tolist() == before.ids.tolist()
    np.testing.assert_allclose(after.scores, before.scores, rtol=0.05)


def test_a_shrunken_collection_keeps_its_regions(copy):
    _, manifest = open_folder(copy / "c.lookalike")
    selection = Selection(DIM, np.arange(0, DIM, 2))
    facts = {"method": "anova"}
    shrink_in_place(copy / "c.lookalike", Shrinking(manifest.model_checksum, selection, facts))
    with Collection.open(copy / "c.lookalike") as made:
        query = Query((boxed(IdExample(id_of(made, "blue-a")), CORNERS["blue-a"]),))
        assert set(names_of(made, made.search(query, k=2))) == {"blue-b", "both"}
    assert verify(copy / "c.lookalike").problems == ()


# On the command line


def test_a_box_is_asked_for_on_the_command_line(ask, photos, tmp_path):
    image = id_of(photos, "blue-a")
    sheet = tmp_path / "s.png"
    code, found = ask(
        *("search", "c.lookalike", "--id", str(image), "--box", "0,0,32,32", "-k", "2"),
        *("--sheet", str(sheet)),
    )
    assert code == 0
    boxes = {Path(hit["path"]).stem: hit["matched"] for hit in found["hits"]}
    assert boxes == {"blue-b": [[96, 0, 32, 32]], "both": [[0, 0, 51, 51]]}
    pixels = np.asarray(Image.open(sheet).convert("RGB")).reshape(-1, 3)
    is_line = np.abs(pixels.astype(int) - NOT_RELEVANT).max(axis=1) < 60
    assert is_line.sum() > 3 * 60  # outlined thrice


def test_clauses_are_asked_for_on_the_command_line(ask, tmp_path):
    sheet = tmp_path / "s.png"
    code, found = ask(
        *("search", "c.lookalike", "--clause", "label=blue,position=left"),
        *("--clause", "label=green", "-k", "2", "--sheet", str(sheet)),
    )
    assert code == 0
    first, second = found["hits"]
    assert Path(first["path"]).stem == "both"
    assert first["matched"] == [[0, 0, 32, 32], [64, 0, 32, 32]]
    assert first["box"] == [0, 0, 0.75, 0.25]
    assert None in second["matched"]
    assert sheet.stat().st_size > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--id 1 --box 100,100,60,60", "the picture, which is 128 pixels wide and 128 high"),
        ("--id 1 --box 1,2,3", "the box '1,2,3' is not X,Y,WIDTH,HEIGHT"),
        ("--id 1 --id 2 --box 1,2,3,4", "1 --box for 2 liked pictures; give one for each"),
        ("--clause label=gren", "no label 'gren'; it knows others, such as green"),
        ("--clause color=blue", "cannot be read at 'color=blue'"),
        ("--clause color-of=1@0,0,500,5", "which is 128 pixels wide and 128 high"),
        ("--clause color-of=99", "no image 99"),
        ("--clause texture-of=none.png", "none.png"),
    ],
)
def test_wrong_boxes_and_clauses_get_one_line(ask, words, message):
    code, found = ask("search", "c.lookalike", *words.split())
    assert code == 2
    assert message in found["error"]
    assert "\n" not in found["error"]


def test_a_saved_query_finds_its_files_from_anywhere(ask, place, tmp_path, monkeypatch):
    words = ("search", "c.lookalike", "--image", "pictures/blue-a.png", "--box", "0,0,32,32")
    clause = ("--clause", "color-of=pictures/green-a.png@0,96,32,32")
    saved = str(tmp_path / "query.json")
    code, asked = ask(*words, *clause, "--save", saved)
    assert code == 0
    monkeypatch.chdir(tmp_path)
    code, again = ask("search", str(place / "c.lookalike"), "--query", saved)
    assert code == 0
    assert again["hits"] == asked["hits"]


def test_status_and_index_tell_of_regions(ask, place):
    code, found = ask("index", "c.lookalike", "pictures", "--workers", "0", "--regions")
    assert code == 0
    assert found["regions"]["images"] == 0
    code, found = ask("status", "c.lookalike")
    n = found["images"]
    assert found["regions"]["images"] == n == 8
    assert found["regions"]["regions"] == found["regions"]["indexed"] >= 14 * n


def test_a_box_of_a_file_that_is_no_picture_names_it(photos, tmp_path):
    (tmp_path / "notes.jpg").write_text("milk")
    with pytest.raises(ImageError, match=r"notes\.jpg"):
        photos.search(Query((boxed(FileExample.of(tmp_path / "notes.jpg"), (0, 0)),)))
