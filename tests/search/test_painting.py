"""Asking with a painted layout, against maps that the tiny model gives back exactly."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection
from lookalike.arrays import BACKGROUND, NO_ID, VOID, normalize
from lookalike.errors import ImageError, LookalikeError, UsageError
from lookalike.search.kept_maps import keep, painted_overlap
from lookalike.search.layout_files import read_layout
from lookalike.search.layouts import LabelBox, PaintedLayout, PaintedMap, class_value, read_boxes
from lookalike.search.painting import on_grid
from lookalike.search.queries import IdExample, Query
from tests.small_sets import save, write_masks
from tests.tiny_model import CLASSES, GRID, PALETTE, paint, write_tiny_model

N = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("painting")
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(write_masks(folder / "outfits", N) / "images", workers=0)
        yield made


@pytest.fixture(scope="module")
def maps(photos):
    """The label map of each image, by id, as it was painted."""
    folder = photos.path.parent / "outfits" / "masks"
    ids = photos.catalog.ids().tolist()
    names = [record.paths[0].decode().rpartition("/")[2] for record in photos.images(ids)]
    return {
        image: np.asarray(Image.open(folder / name)) for image, name in zip(ids, names, strict=True)
    }


def found(hits):
    return [image for image in hits.ids[0].tolist() if image != NO_ID]


def slow_overlap(target, probabilities):
    """Mean over painted classes of intersection over union, cell by cell."""
    classes = {int(v) for v in target.ravel()} - {VOID, BACKGROUND} or {BACKGROUND}
    shares = []
    for value in classes:
        common = union = 0.0
        for row in range(target.shape[0]):
            for column in range(target.shape[1]):
                if target[row, column] == VOID:
                    continue
                painted = float(target[row, column] == value)
                seen = float(probabilities[value, row, column])
                common += min(painted, seen)
                union += max(painted, seen)
        shares.append(common / union)
    return math.fsum(shares) / len(shares)


def slow_agreements(photos, target, ids, probabilities):
    """Overlap and cosine of codes, the latter by the square of the painted share."""
    weight = np.mean(target != VOID) ** 2
    code = normalize(photos.model.encode_label_maps(target[None]))[0]
    rows = normalize(photos.vectors(ids, "layout"))
    return [
        (slow_overlap(target, seen) + weight * float(row @ code)) / (1 + weight)
        for seen, row in zip(probabilities, rows, strict=True)
    ]


def test_overlaps_are_those_of_a_loop_over_cells(rng):
    for _ in range(20):
        target = rng.choice([0, 1, 2, 3, VOID], (5, 5)).astype(np.uint8)
        seen = rng.dirichlet(np.ones(4), (6, 5, 5)).transpose(0, 3, 1, 2).astype(np.float32)
        expected = [slow_overlap(target, one) for one in as_kept(seen)]
        np.testing.assert_allclose(painted_overlap(target, keep(seen)), expected, rtol=1e-6)
    empty = np.zeros((5, 5), np.uint8)
    expected = slow_overlap(empty, as_kept(seen)[0])
    np.testing.assert_allclose(painted_overlap(empty, keep(seen))[0], expected, rtol=1e-6)


def as_kept(seen):
    """The three likeliest classes of each cell, in 255ths; the others have none."""
    kept = np.zeros_like(seen, np.float64)
    for item, row, column in np.ndindex(len(seen), *seen.shape[2:]):
        best = np.argsort(-seen[item, :, row, column], kind="stable")[:3]
        kept[item, best, row, column] = np.rint(255 * seen[item, best, row, column]) / 255
    return kept


def test_the_map_of_a_picture_brings_it_back(photos, maps):
    for image in (3, 10, 20):
        layout = PaintedLayout(map=PaintedMap.of(maps[image], CLASSES))
        hits = photos.search(Query(layout=layout), k=5)
        assert found(hits)[0] == image
        assert hits.scores[0, 0] > hits.scores[0, 1]
        assert set(hits.parts) == {"painting"}


def test_what_is_not_painted_says_nothing(photos, maps):
    """Of half a painting, just the pictures that agree in that half are best."""
    half = maps[10].copy()
    half[:, half.shape[1] // 2 :] = VOID
    layout = PaintedLayout(map=PaintedMap.of(half, CLASSES))
    first = photos.search(Query(layout=layout), k=N)
    assert found(first)[0] == 10
    probabilities = photos.model.decode_codes(photos.vectors(found(first), "layout"))
    target = on_grid(layout, photos.card)
    agreements = slow_agreements(photos, target, found(first), as_kept(probabilities))
    assert agreements == sorted(agreements, reverse=True)
    assert slow_overlap(target, probabilities[0]) == pytest.approx(1, abs=1e-2)


def test_boxes_find_pictures_with_the_label_there(photos, maps):
    hits = photos.search(Query(layout=read_boxes("green@0,0,0.5,0.5")), k=N)
    side = maps[1].shape[0] // 2
    shares = [np.mean(maps[image][:side, :side] == 2) for image in found(hits)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5


def test_a_painting_mixes_with_an_example(photos, maps):
    layout = PaintedLayout(map=PaintedMap.of(maps[10], CLASSES))
    query = Query((IdExample(3),), layout=layout, weights={"content": 1, "painting": 2})
    hits = photos.search(query, k=N)
    mean = (hits.parts["content"] + 2 * hits.parts["painting"]) / 3
    np.testing.assert_allclose(hits.scores[0, : N - 1], mean[0, : N - 1])
    assert 3 not in found(hits)


def test_scores_do_not_depend_on_what_else_is_asked(photos):
    query = Query(layout=read_boxes("red@0,0,1,0.4"))
    many, few = photos.search(query, k=N), photos.search(query, k=3)
    assert few.scores[0].tolist() == many.scores[0, :3].tolist()
    allowed = np.array(sorted(found(many)[::2]))
    narrowed = photos.gallery.searcher.search([query], N, allowed=allowed)
    known = dict(zip(found(many), many.scores[0].tolist(), strict=True))
    assert sorted(found(narrowed)) == allowed.tolist()
    assert [known[i] for i in found(narrowed)] == narrowed.scores[0, : len(allowed)].tolist()


def test_scores_are_the_rarity_of_such_an_overlap_of_two_pictures(photos):
    layout = read_boxes("blue@0,0,1,0.5; red@0,0.5,0.5,1")
    hits = photos.search(Query(layout=layout), k=N)
    target = on_grid(layout, photos.card)
    seen = photos.model.decode_codes(photos.vectors(found(hits), "layout"))
    pairs = []
    for at, own in enumerate(seen):
        painted = np.where(target == VOID, VOID, own.argmax(axis=0)).astype(np.uint8)
        agreements = slow_agreements(photos, painted, found(hits), seen)
        pairs += agreements[:at] + agreements[at + 1 :]
    own = slow_agreements(photos, target, found(hits), seen)
    for score, one in zip(hits.scores[0], own, strict=True):
        low, high = (
            -math.log10(max(np.mean(np.array(pairs) >= one + shift), 1e-3))
            for shift in (-0.002, 0.002)  # many pairs have the same agreement but for rounding
        )
        assert low - 0.15 < score < high + 0.15 or low > 2


def test_what_is_in_no_picture_scores_next_to_nothing(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    red = [np.where(np.random.default_rng(i).random((4, 4)) < 0.5, 1, 0) for i in range(12)]
    (tmp_path / "red").mkdir()
    for number, label_map in enumerate(red):
        save(tmp_path / "red" / f"{number:02}.png", paint(label_map.astype(np.uint8)))
    with Collection.create(tmp_path / "c.lookalike", model=tmp_path / "tiny") as made:
        made.add(tmp_path / "red", workers=0)
        hits = made.search(Query(layout=read_boxes("blue@0,0,1,0.5")), k=12)
    assert hits.scores[0].max() < 0.1


def test_layouts_of_all_kinds_are_read(photos, maps, tmp_path):
    card, target = photos.card, maps[10].copy()
    target[:4] = VOID
    expected = on_grid(PaintedLayout(map=PaintedMap.of(target, CLASSES)), card)
    colors = np.zeros((*target.shape, 4), np.uint8)
    colors[target != VOID, :3] = np.array(PALETTE)[target[target != VOID]]
    colors[target != VOID, 3] = 255
    drawn = Image.fromarray(colors)
    drawn.save(tmp_path / "clear.png")
    on_white = Image.new("RGB", drawn.size, "white")
    on_white.paste(drawn, mask=drawn.getchannel("A"))
    on_white.save(tmp_path / "white.png")
    on_white.quantize(8).save(tmp_path / "indexed-colors.png")
    Image.fromarray(target).save(tmp_path / "gray.png")
    indexed = Image.fromarray(target, "P")
    indexed.putpalette([9, 9, 9] * 256)
    indexed.save(tmp_path / "indexed-values.png")
    layout = PaintedLayout(map=PaintedMap.of(target, CLASSES))
    (tmp_path / "layout.json").write_text(json.dumps(layout.to_json()))
    for file in tmp_path.iterdir():
        np.testing.assert_array_equal(on_grid(read_layout(str(file), card), card), expected)


def test_colors_that_were_smoothed_are_taken_for_the_nearest(photos, tmp_path):
    drawn = np.full((64, 64, 3), 255, np.uint8)
    drawn[8:40, 8:40] = (250, 10, 5)
    drawn[8, 8:12] = (250, 130, 130)
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    grid = on_grid(read_layout(str(tmp_path / "drawn.png"), photos.card), photos.card)
    assert set(np.unique(grid)) == {1, VOID}
    assert (grid[1:5, 1:5] == 1).all()


def test_a_box_paints_the_cells_whose_middle_it_holds_or_one(photos):
    def cells(text):
        return np.argwhere(on_grid(read_boxes(text), photos.card) != VOID).tolist()

    cell = 1 / GRID
    assert cells(f"red@0,0,{1.6 * cell},{cell}") == [[0, 0], [0, 1]]
    assert cells(f"red@{0.6 * cell},0,{1.4 * cell},{cell}") == [[0, 1]]
    assert cells("red@0.99,0.99,1,1") == [[GRID - 1, GRID - 1]]
    grid = on_grid(read_boxes("red@0,0,1,1; green@0,0,.5,1; background@0,0,.25,1"), photos.card)
    assert grid[0].tolist() == [0, 0, 2, 2, 1, 1, 1, 1]


def test_layouts_go_into_json_and_back(maps):
    layout = PaintedLayout((LabelBox("red", 0, 0.25, 1, 1),), PaintedMap.of(maps[4], CLASSES))
    query = Query((IdExample(1),), layout=layout)
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query
    assert Query.from_json({"layout": {"boxes": [{"label": "red", "box": [0, 0.25, 1, 1]}]}})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("person@0,0,1", "'person@0,0,1' is no labeled box, such as person@"),
        ("person@0,0,1,x", "is no labeled box"),
        ("red@0.5,0,0.4,1", "the box 0.5,0,0.4,1 of 'red' is none within the picture"),
        ("red@0,0,1,1.2", "is none within the picture"),
        ("red@nan,0,1,1", "is none within the picture"),
        ("@;", "is no labeled box"),
        (" ; @0,0,1,1", "knows no label ''; it knows red, green, blue"),
        ("grene@0,0,1,1", "knows no label 'grene'; did you mean green"),
        ("GREEN@0,0,1,1", "did you mean green"),
        ("zebra@0,0,1,1", "knows no label 'zebra'; it knows red, green, blue$"),
        ("nowhere.png", r"the layout nowhere\.png cannot be read"),
    ],
)
def test_layouts_that_make_no_sense_are_refused(photos, given, message):
    with pytest.raises(UsageError, match=message) as caught:
        photos.search(Query(layout=read_layout(given, photos.card)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no picture", "a layout is a PNG or JSON file, and this is none"),
        (b"[{]", "is no JSON"),
        (b'[{"label": "red"}]', "a box of a layout is"),
        (b'[{"label": "red", "box": [0, 0, 1, true]}]', "a box of a layout is"),
        (b'{"map": {"height": 1}}', "has height, width, labels and data"),
        (b'{"map": {"height": 1, "width": 1, "labels": [], "data": "?"}}', "cannot be read"),
        (b'{"map": {"height": 2, "width": 1, "labels": [], "data": "eJxjAAAAAQAB"}}', "has 2 byt"),
        (b"{}", "the painted layout is empty"),
        (b'{"circles": []}', "unknown part 'circles' of a painted layout"),
        (np.full((4, 4), 9, np.uint8), "holds the value 9; the model knows 0 for background, 1"),
        (np.full((4, 4), VOID, np.uint8), "nothing is painted"),
        (np.full((4, 4, 3), 120, np.uint8), "pixels of the color #787878, which stands for no"),
    ],
)
def test_files_that_are_no_layout_are_refused(photos, tmp_path, content, message):
    file = tmp_path / "layout.png"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        Image.fromarray(content).save(file)
    with pytest.raises((UsageError, ImageError), match=message):
        photos.search(Query(layout=read_layout(str(file), photos.card)))


def test_models_without_layout_cannot_be_painted_for(tmp_path):
    write_tiny_model(tmp_path / "plain", has_layout=False)
    with Collection.create(tmp_path / "c.lookalike", model=tmp_path / "plain") as made:
        made.add(write_masks(tmp_path / "outfits", 3) / "images", workers=0)
        with pytest.raises(LookalikeError, match="knows no layout, so that none can be painted"):
            made.search(Query(layout=read_boxes("red@0,0,1,1")))


def test_labels_written_alike_are_named():
    assert class_value("background", ("dog",)) == BACKGROUND
    with pytest.raises(UsageError, match="it knows a, b, c, d, e, f, g, h, …"):
        class_value("zebra", tuple("abcdefghij"))
