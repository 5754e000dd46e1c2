"""Asking by amounts of colors and by painted colors, in Python and on the command line."""

import json

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, IdExample, Query
from lookalike.__main__ import run
from lookalike.errors import UsageError
from lookalike.features.color import (
    bin_centers,
    cells_of,
    color_rows,
    layout_rows,
    rows_of_cells,
    to_lab,
)
from lookalike.features.palette import palette
from lookalike.search.color_parts import _bin_weights, painted_similarity, shares_similarity
from lookalike.search.colors import ColorShares, PaintedColors
from tests.small_sets import save
from tests.tiny_model import write_tiny_model

BLUE, RED, GRAY, GREEN = (40, 80, 210), (205, 40, 40), (128, 128, 128), (40, 140, 50)
BANDS = {
    "blue-over-gray": (BLUE, GRAY),
    "gray-over-blue": (GRAY, BLUE),
    "red-over-gray": (RED, GRAY),
    "red-over-blue": (RED, BLUE),
    "green": (GREEN, GREEN),
    "gray": (GRAY, GRAY),
}


def band_picture(upper, lower, rng):
    pixels = np.empty((64, 48, 3), int)
    pixels[:32], pixels[32:] = upper, lower
    return (pixels + rng.integers(-8, 9, pixels.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colors")
    write_tiny_model(folder / "tiny")
    (folder / "pictures").mkdir()
    rng = np.random.default_rng(3)
    for name, (upper, lower) in BANDS.items():
        save(folder / "pictures" / f"{name}.png", band_picture(upper, lower, rng))
    for number in range(20):
        pixels = rng.integers(0, 256, (2, 2, 3)).repeat(24, 0).repeat(24, 1).astype(np.uint8)
        save(folder / "pictures" / f"other-{number}.png", pixels)
    names = ("color", "color_layout")
    with Collection.create(folder / "c", model=folder / "tiny", descriptors=names) as made:
        made.add(folder / "pictures", workers=0)
    return folder


@pytest.fixture(scope="module")
def photos(place):
    with Collection.open(place / "c") as opened:
        yield opened


def found(photos, query, k=3):
    hits = photos.search(query, k)
    assert (np.diff(hits.scores[0]) <= 0).all()
    records = photos.images(hits.ids[0])
    return [record.paths[0].decode().rsplit("/", 1)[1].removesuffix(".png") for record in records]


def test_amounts_of_colors_find_pictures_that_have_them_wherever_they_are(photos):
    half = Query(colors=ColorShares.of("#2850d2:45,#808080:45"))
    assert set(found(photos, half, 2)) == {"blue-over-gray", "gray-over-blue"}
    assert found(photos, Query(colors=ColorShares.of("green:90")), 1) == ["green"]
    mixed = Query(colors=ColorShares.of("#cd2828:45,#2850d2:45"))
    assert found(photos, mixed, 1) == ["red-over-blue"]


def test_what_is_not_asked_for_may_be_anything():
    weights = _bin_weights(to_lab(np.array([BLUE], np.uint8)))
    rng = np.random.default_rng(0)
    pictures = [band_picture(BLUE, other, rng) for other in (GRAY, RED, BLUE)]
    rows = np.concatenate([color_rows(picture[None]) for picture in pictures])
    enough = shares_similarity(np.array([0.4]), weights, rows)
    np.testing.assert_allclose(enough, 1, atol=0.02)
    short = shares_similarity(np.array([1.0]), weights, rows)
    np.testing.assert_allclose(short, [0.5, 0.5, 1], atol=0.15)
    assert (
        shares_similarity(
            np.array([0.4]), _bin_weights(to_lab(np.array([GREEN], np.uint8))), rows
        ).max()
        < 0.3
    )


def test_a_bin_counts_once_however_many_of_the_colors_are_near():
    lab = to_lab(np.array([BLUE, (42, 82, 212), RED], np.uint8))
    weights = _bin_weights(lab)
    assert weights.sum(axis=0).max() <= 1 + 1e-9
    row = color_rows(np.full((1, 8, 8, 3), BLUE, np.uint8))
    amounts = np.array([0.5, 0.5, 0.0]) + 1e-9
    assert shares_similarity(amounts, weights, row)[0] == pytest.approx(1, abs=0.02)
    assert weights.shape == (3, len(bin_centers()))


def canvas(**rows):
    """Cells of 8 rows; `upper` and `lower` name their colors."""
    half = {"upper": [None] * 32, "lower": [None] * 32}
    half |= {name: [color] * 32 for name, color in rows.items()}
    return PaintedColors((*half["upper"], *half["lower"]))


def test_painted_colors_find_them_in_their_place_and_the_rest_is_free(photos):
    assert found(photos, Query(painted_colors=canvas(upper="#2850d2", lower="gray")), 1) == [
        "blue-over-gray"
    ]
    upper_red = found(photos, Query(painted_colors=canvas(upper="#cd2828")), 2)
    assert set(upper_red) == {"red-over-gray", "red-over-blue"}
    assert found(photos, Query(painted_colors=canvas(lower="#2850d2")), 2)[0] in {
        "gray-over-blue",
        "red-over-blue",
    }


def test_the_masked_distance_is_that_of_a_slow_loop(rng):
    pictures = rng.integers(0, 256, (5, 32, 32, 3), np.uint8)
    is_painted = rng.random((8, 8)) < 0.4
    cells = to_lab(rng.integers(0, 256, (int(is_painted.sum()), 3), np.uint8))
    fast = painted_similarity(cells, is_painted, layout_rows(pictures))
    places = np.argwhere(is_painted)
    for picture, similarity in zip(pictures, fast, strict=True):
        distances = [
            np.linalg.norm(to_lab(picture[4 * r : 4 * r + 4, 4 * c : 4 * c + 4].mean((0, 1))) - lab)
            for (r, c), lab in zip(places, cells, strict=True)
        ]
        assert similarity == pytest.approx(np.exp(-np.array(distances) / 25).mean(), abs=1e-4)


def test_a_picture_becomes_a_painting_and_what_is_transparent_is_free():
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[:20] = RED
    opacity = np.full((40, 40), 255, np.uint8)
    opacity[:, 20:] = 0
    painted = PaintedColors.of(rgb, opacity)
    rows = painted.to_json()
    assert rows[0] == ["#cd2828"] * 4 + [None] * 4
    assert rows[7] == ["#000000"] * 4 + [None] * 4
    assert PaintedColors.from_json(rows) == painted
    with pytest.raises(UsageError, match="nothing is painted"):
        PaintedColors.of(rgb, np.zeros((40, 40), np.uint8))


def test_scores_are_the_same_whatever_else_is_asked_for(photos):
    colors = ColorShares.of("blue:30,red:20")
    alone = photos.search(Query(colors=colors), 26)
    by_id = dict(zip(alone.ids[0].tolist(), alone.scores[0].tolist(), strict=True))
    mixed = photos.search(
        Query((IdExample(2),), weights={"content": 1.0, "colors": 3.0}, colors=colors), 9
    )
    assert set(mixed.parts) == {"content", "colors"}
    for image_id, score in zip(mixed.ids[0].tolist(), mixed.parts["colors"][0], strict=True):
        assert score == by_id[image_id]
    np.testing.assert_allclose(
        mixed.scores, (mixed.parts["content"] + 3 * mixed.parts["colors"]) / 4
    )


def test_a_picture_is_brought_back_by_its_own_palette(photos):
    ids = photos.catalog.ids()
    ranks = []
    for image_id in ids:
        colors = palette(photos.picture(int(image_id)), 4)
        shares = tuple((each.color, float(int(100 * each.share))) for each in colors)
        query = Query(colors=ColorShares(tuple(each for each in shares if each[1] > 0)))
        ranks.append(int(np.flatnonzero(photos.search(query, len(ids)).ids[0] == image_id)[0]))
    assert np.median(ranks) == 0


QUERIES = [
    Query(colors=ColorShares.of("#3060c0:40,red:10.5")),
    Query(painted_colors=canvas(upper="blue")),
    Query((IdExample(3),), colors=ColorShares.of("gray:5"), painted_colors=canvas(lower="#102030")),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_colors_survives_json(query):
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"colors": [["#3060c0", 60], ["red", 41]]}, "cover 101 % of the picture together"),
        ({"colors": [["#3060c0", 0]]}, "#3060c0 is to cover 0 %; give more than 0"),
        ({"colors": [["#3060", 10]]}, "'#3060' is no color; write six"),
        ({"colors": []}, "colors of a query are a JSON list"),
        ({"colors": "blue:40"}, "colors of a query are a JSON list"),
        ({"colors": [["blue", True]]}, "colors of a query are a JSON list"),
        ({"painted_colors": [[None] * 8] * 8}, "nothing is painted; paint at least one"),
        ({"painted_colors": [["red"] * 8] * 7}, "8 rows of 8 colors or nulls"),
        ({"painted_colors": [["mud"] * 8] * 8}, "'mud' is no color"),
    ],
)
def test_colors_that_make_no_sense_are_refused(content, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json(content)


def test_a_collection_without_the_descriptor_says_how_to_get_it(place):
    with Collection.create(place / "bare", model=place / "tiny", descriptors=("aspect",)) as bare:
        bare.add(place / "pictures", workers=0)
        with pytest.raises(UsageError, match=r"'color', .* lacks; .* --descriptors aspect,color"):
            bare.search(Query(colors=ColorShares.of("blue:40")))


@pytest.fixture
def ask(place, monkeypatch, capsys):
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


def test_the_command_line_asks_by_colors(ask, place):
    code, told = ask("search", "c", "--colors", "#2850d2:45,gray:45", "-k", "2", "--sheet", "s.png")
    assert code == 0
    assert {hit["path"].rsplit("/", 1)[1] for hit in told["hits"]} == {
        "blue-over-gray.png",
        "gray-over-blue.png",
    }
    assert set(told["hits"][0]["scores"]) == {"colors"}
    with Image.open(place / "s.png") as sheet:
        assert sheet.size[0] > 100
    painting = np.zeros((32, 32, 4), np.uint8)
    painting[:16] = (*RED, 255)
    Image.fromarray(painting).save(place / "painting.png")
    code, told = ask("search", "c", "--painted-colors", "painting.png", "-k", "2")
    assert code == 0
    assert all("/red-over" in hit["path"] for hit in told["hits"])
    code, told = ask("search", "c", "--colors", "blue:80,red:30")
    assert code == 2
    assert told["error"].startswith("the colors are to cover 110 % of the picture together")


def test_the_command_line_tells_a_palette_that_can_be_asked_for(ask, place):
    code, told = ask("palette", "pictures/red-over-gray.png", "--n-colors", "2")
    assert code == 0
    assert {each["name"] for each in told["colors"]} == {"red", "gray"}
    code, hits = ask("search", "c", "--colors", told["query"], "-k", "1")
    assert hits["hits"][0]["path"].endswith("red-over-gray.png")
    image_id = str(hits["hits"][0]["id"])
    assert ask("palette", "c", "--id", image_id)[1]["colors"][0]["name"] in {"red", "gray"}
    assert ask("palette", "pictures")[1]["error"].endswith("or a collection with --id")
    assert ask("palette", "pictures/nothing.png")[0] == 2
    assert ask("palette", "c", "--id", "4711")[1]["error"].startswith("there is no image 4711")


def test_an_image_is_as_like_painted_colors_alone_as_among_others():
    rng = np.random.default_rng(5)
    rows = rows_of_cells(rng.uniform(-40, 90, (50, 8, 8, 3)))
    is_painted = rng.permutation(64).reshape(8, 8) < 40
    cells = rng.uniform(-40, 90, (40, 3))

    together = painted_similarity(cells, is_painted, rows)

    alone = [painted_similarity(cells, is_painted, rows[[at]])[0] for at in range(50)]
    distance = np.linalg.norm(cells_of(rows)[:, is_painted] - cells, axis=-1)
    assert np.array_equal(together, alone)
    assert np.allclose(together, np.exp(-distance / 25).mean(axis=1), rtol=1e-12, atol=0)
