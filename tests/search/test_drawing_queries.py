"""Asking by a sketch, a swatch of texture and an outline."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike import Collection, IdExample, Query
from lookalike.__main__ import run
from lookalike.errors import UsageError
from lookalike.features.shape import EDGES, shape_rows
from lookalike.search.drawing_parts import shifted
from lookalike.search.drawings import Drawing
from tests.small_sets import save
from tests.tiny_model import write_tiny_model

SIDE = 128
SHAPES = {
    "triangle": [(64, 20), (110, 100), (18, 100)],
    "box": [(30, 40), (98, 40), (98, 95), (30, 95)],
    "bar": [(12, 58), (116, 58), (116, 70), (12, 70)],
    "diamond": [(64, 14), (112, 64), (64, 114), (16, 64)],
}


def thing(name, rng, ground=(120, 170, 220), color=(190, 60, 30)):
    """A filled shape on a noisy ground."""
    image = Image.new("RGB", (SIDE, SIDE), ground)
    ImageDraw.Draw(image).polygon(SHAPES[name], fill=color)
    pixels = np.asarray(image).astype(int) + rng.integers(-6, 7, (SIDE, SIDE, 1))
    return pixels.clip(0, 255).astype(np.uint8)


def lines(name, move=(0, 0)):
    """The outline of a shape as a person draws it, black on white."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    points = [(x + move[0], y + move[1]) for x, y in SHAPES[name]]
    ImageDraw.Draw(image).line([*points, points[0]], fill=(0, 0, 0), width=2)
    return np.asarray(image)


def filled(name, scale=1.0, move=(0, 0)):
    image = Image.new("RGB", (SIDE, SIDE), "white")
    points = [
        (64 + scale * (x - 64) + move[0], 64 + scale * (y - 64) + move[1]) for x, y in SHAPES[name]
    ]
    ImageDraw.Draw(image).polygon(points, fill=(0, 0, 0))
    return np.asarray(image)


def weave(kind, rng):
    """A texture that the tiny model's 32 pixels can still show."""
    at = np.arange(32)
    if kind == "stripes":
        plane = np.repeat(at[:, None] // 2 % 2 * 160 + 40, 32, axis=1)
    elif kind == "checks":
        plane = (at[:, None] // 4 + at // 4) % 2 * 160 + 40
    else:
        plane = rng.integers(20, 236, (32, 32))
    colored = plane[..., None] * rng.uniform(0.6, 1, 3)
    return colored.astype(np.uint8).repeat(4, 0).repeat(4, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawings")
    write_tiny_model(folder / "tiny")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(4)
    for name in SHAPES:
        for copy in range(3):
            ground = tuple(int(c) for c in rng.integers(100, 240, 3))
            pixels = thing(name, rng, ground, (int(rng.integers(0, 60)), 20, 10))
            save(folder / "pictures" / f"{name}-{copy}.png", pixels)
    for kind in ("stripes", "checks", "noise"):
        for copy in range(3):
            save(folder / "pictures" / f"{kind}-{copy}.png", weave(kind, rng))
    names = ("shape", "texture", "silhouette")
    with Collection.create(folder / "c", model=folder / "tiny", descriptors=names) as made:
        made.add(folder / "pictures", workers=0)
    return folder


@pytest.fixture(scope="module")
def photos(place):
    with Collection.open(place / "c") as opened:
        yield opened


def kinds(photos, query, k=3):
    records = photos.images(photos.search(query, k).ids[0])
    return [record.paths[0].decode().rsplit("/", 1)[1].partition("-")[0] for record in records]


@pytest.mark.parametrize("name", list(SHAPES))
def test_a_sketch_finds_what_has_such_edges_even_somewhat_beside(photos, name):
    assert kinds(photos, Query(sketch=Drawing.of(lines(name)))) == [name] * 3
    beside = Query(sketch=Drawing.of(lines(name, move=(12, -10))))
    assert kinds(photos, beside)[0] == name


def test_white_lines_on_black_are_the_same_sketch(photos):
    black, white = (Query(sketch=Drawing.of(p)) for p in (lines("box"), 255 - lines("box")))
    np.testing.assert_allclose(
        photos.search(black, 9).scores, photos.search(white, 9).scores, atol=0.05
    )


def test_the_best_of_nine_places_counts():
    edges = shape_rows(lines("box")[None])[0, :EDGES]
    places = shifted(edges)
    assert places.shape == (9, EDGES + 1)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(places[4, :EDGES], edges / np.linalg.norm(edges), atol=1e-6)
    moved = np.roll(edges.reshape(8, 8, 6), 1, axis=0)
    moved[0] = 0
    np.testing.assert_allclose(
        places[7, :EDGES], (moved / np.linalg.norm(moved)).reshape(-1), atol=1e-6
    )


def test_a_swatch_is_compared_in_texture_alone(photos, rng):
    for kind in ("stripes", "checks", "noise"):
        hits = photos.search(Query(texture=Drawing.of(weave(kind, rng))), 3)
        assert set(hits.parts) == {"swatch"}
        assert kinds(photos, Query(texture=Drawing.of(weave(kind, rng)))) == [kind] * 3


def test_an_outline_finds_its_shape_at_any_size_and_place(photos):
    for name in ("triangle", "bar"):
        query = Query(shape=Drawing.of(filled(name, 0.6, (15, -12))))
        assert kinds(photos, query) == [name] * 3
    hits = photos.search(query, 21)
    noise = [
        int(i) for i in photos.catalog.ids() if "noise" in str(photos.images([int(i)])[0].paths[0])
    ]
    scores = dict(zip(hits.ids[0].tolist(), hits.scores[0].tolist(), strict=True))
    assert max(scores[i] for i in noise) < 0.2  # nothing stands out of noise


def test_drawings_mix_with_examples_and_each_other(photos):
    query = Query(
        (IdExample(1),),
        weights={"content": 1.0, "sketch": 2.0},
        sketch=Drawing.of(lines("bar")),
        texture=Drawing.of(weave("noise", np.random.default_rng(0))),
    )
    hits = photos.search(query, 5)
    assert set(hits.parts) == {"content", "sketch", "swatch"}
    parts = hits.parts
    np.testing.assert_allclose(
        hits.scores, (parts["content"] + 2 * parts["sketch"] + parts["swatch"]) / 4
    )


def test_a_query_with_drawings_survives_json_in_few_bytes():
    query = Query(sketch=Drawing.of(lines("box")), shape=Drawing.of(filled("bar")))
    text = json.dumps(query.to_json())
    assert len(text) < 4000
    assert Query.from_json(json.loads(text)) == query


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"sketch": "box.png"}, "a drawing is a JSON object"),
        ({"sketch": {"png": "!"}}, "a drawing of the query cannot be read"),
        ({"texture": {"png": "aGVsbG8="}}, "a drawing of the query cannot be read: not an image"),
        ({"shape": {"png": 3}}, "a drawing is a JSON object"),
        ({"shape": {"png": "", "gif": ""}}, "a drawing is a JSON object"),
    ],
)
def test_drawings_that_make_no_sense_are_refused(content, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json(content)


def test_blank_drawings_are_refused(photos):
    blank = Drawing.of(np.full((20, 20, 3), 255, np.uint8))
    with pytest.raises(UsageError, match="the sketch is blank; draw some lines"):
        photos.search(Query(sketch=blank))
    with pytest.raises(UsageError, match="the outline is blank"):
        photos.search(Query(shape=blank))


def test_the_command_line_asks_by_drawings(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    Image.fromarray(lines("diamond")).resize((300, 300)).save("sketch.png")
    Image.fromarray(filled("triangle")).save("shape.png")
    Image.fromarray(weave("checks", np.random.default_rng(9))).save("swatch.png")
    for option, expected, part in (
        (("--sketch", "sketch.png"), "diamond", "sketch"),
        (("--shape", "shape.png"), "triangle", "outline"),
        (("--texture", "swatch.png"), "checks", "swatch"),
    ):
        assert run(["search", "c", *option, "-k", "1", "--json"]) == 0
        [hit] = json.loads(capsys.readouterr().out)["hits"]
        assert f"/{expected}-" in hit["path"]
        assert set(hit["scores"]) == {part}
    assert run(["search", "c", "--sketch", "nothing.png", "--json"]) == 2
    assert "nothing.png" in json.loads(capsys.readouterr().out)["error"]
