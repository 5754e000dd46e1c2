"""Every row of docs/capabilities.md once, through the public door: what it promises, it does.

What each way to ask does in depth is tested beside its module. Here one small collection has to do
it all: pictures of one class each (red, green or blue) in some of 4 × 4 cells.
"""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection, FileExample, IdExample, PixelsExample, Query
from lookalike.__main__ import run
from lookalike.asking.saved import combine, save_search
from lookalike.asking.sessions import Session
from lookalike.knowing.deduplicating import find_duplicates
from lookalike.search.annotation import propagate
from lookalike.search.clauses import Clause, Composition
from lookalike.search.clusters import make_clusters, view_clusters
from lookalike.search.colors import ColorShares, PaintedColors
from lookalike.search.drawings import Drawing
from lookalike.search.feedback import NON_RELEVANT, RELEVANT
from lookalike.search.labeling import next_clusters
from lookalike.search.layouts import read_boxes
from lookalike.search.maps import make_map
from lookalike.search.queries import RegionExample
from lookalike.search.reranking import rerank
from lookalike.search.subjects import Taxonomy, count_facets
from tests.plugins import install_package
from tests.small_sets import draw_map, save, write_masks
from tests.tiny_model import paint
from tests.tiny_words import write_tiny_words

N = 18
RED, GREEN, BLUE = range(3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("capabilities")
    write_tiny_words(folder / "tiny")
    write_masks(folder / "outfits", N)
    rows = [f"images/{n:03}.png,number {n},{n % 2}\n" for n in range(N)]
    (folder / "notes.csv").write_text("image,caption,stars\n" + "".join(rows), encoding="utf-8")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(folder / "outfits" / "images", workers=0, regions=True)
    return folder


@pytest.fixture
def photos(place):
    with Collection.open(place / "c.lookalike") as opened:
        yield opened


@pytest.fixture
def own(place, tmp_path, monkeypatch):
    """The folder of a copy that a test may change."""
    shutil.copytree(place / "c.lookalike", tmp_path / "c.lookalike")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ask(place, monkeypatch, capsys):
    """Run a command in this process; give the object it printed."""
    monkeypatch.chdir(place)

    def run_it(*words):
        code = run([*map(str, words), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert code == 0, found
        return found

    return run_it


def ids_of(hits):
    return [int(image_id) for image_id in hits.ids[0] if image_id > 0]


def classes_of(photos, ids):
    """Which class each image shows: that is what its name tells."""
    return [int(record.paths[0][-7:-4]) % 3 for record in photos.images(ids)]


def of_class(photos, label):
    return [i for i in photos.catalog.ids().tolist() if classes_of(photos, [i]) == [label]]


def test_an_example_from_a_file_from_pixels_or_from_the_result(photos, place, ask):
    path = place / "outfits" / "images" / "003.png"
    [record] = [r for r in photos.images(photos.catalog.ids()) if r.paths[0] == bytes(path)]
    by_id = ids_of(photos.search(Query((IdExample(record.id),), exclude_examples=False), k=5))
    assert by_id[0] == record.id
    for example in (FileExample(str(path)), PixelsExample.of(np.asarray(Image.open(path)))):
        assert ids_of(photos.search(Query((example,)), k=5)) == by_id
    typed = ask("search", "c.lookalike", "--image", path, "-k", 5)
    assert [hit["id"] for hit in typed["hits"]] == by_id


def test_several_liked_and_disliked_examples_as_one_point_or_several(photos, ask):
    red, blue = of_class(photos, RED)[0], of_class(photos, BLUE)[0]
    apart = Query((IdExample(red), IdExample(blue)), multipoint="yes", weights={"content": 1})
    assert set(classes_of(photos, ids_of(photos.search(apart, k=6)))) == {RED, BLUE}
    words = ("--id", red, "--id", blue, "--not-id", of_class(photos, GREEN)[0])
    found = ask("search", "c.lookalike", *words, "--example-weights", "3,1,1", "-k", 4)
    assert classes_of(photos, [found["hits"][0]["id"]]) == [RED]


def test_words_and_a_filter_of_attributes_go_together_with_a_picture(own, place):
    assert run(["annotate", "c.lookalike", "--from", str(place / "notes.csv")]) == 0
    with Collection.open(own / "c.lookalike") as photos:
        red = of_class(photos, RED)[0]
        query = Query((IdExample(red),), words="number", filter="stars:1 label:red")
        hits = photos.search(query, k=N)
        found = ids_of(hits)
        assert found
        assert classes_of(photos, found) == [RED] * len(found)
        assert all(int(r.paths[0][-7:-4]) % 2 for r in photos.images(found))
        assert {"content", "words"} <= set(hits.parts)


def test_text_is_compared_with_what_the_model_sees(photos, ask):
    found = ask("search", "c.lookalike", "--text", "green", "-k", 4)
    assert set(classes_of(photos, [hit["id"] for hit in found["hits"]])) == {GREEN}


def test_percentages_of_colors_need_no_picture(photos, ask):
    hits = photos.search(Query(colors=ColorShares.of("#0000ff:40")), k=4)
    assert set(classes_of(photos, ids_of(hits))) == {BLUE}
    typed = ask("search", "c.lookalike", "--colors", "#0000ff:40", "-k", 4)
    assert [hit["id"] for hit in typed["hits"]] == ids_of(hits)
    assert ask("palette", "c.lookalike", "--id", typed["hits"][0]["id"])["colors"]


def test_colors_are_painted_where_they_are_to_be_and_the_rest_may_be_anything(photos):
    wanted = photos.images(photos.catalog.ids())[4]
    pixels = np.asarray(Image.open(wanted.paths[0]))
    opacity = np.zeros(pixels.shape[:2], np.uint8)
    opacity[: len(pixels) // 2] = 255
    hits = photos.search(Query(painted_colors=PaintedColors.of(pixels, opacity)), k=3)
    top = photos.images(ids_of(hits)[:1])[0]
    half = np.asarray(Image.open(top.paths[0]))[: len(pixels) // 2]
    assert np.array_equal(half, pixels[: len(pixels) // 2])


@pytest.mark.parametrize(("field", "part"), [("sketch", "sketch"), ("texture", "swatch")])
def test_a_drawing_brings_back_the_picture_it_was_made_from(photos, field, part):
    wanted = photos.images(photos.catalog.ids())[7]
    drawn = Drawing.of(np.asarray(Image.open(wanted.paths[0])))
    hits = photos.search(Query(**{field: drawn}), k=3)
    assert wanted.id in ids_of(hits)
    assert part in hits.parts


def test_a_part_of_a_picture_is_found_in_others_and_told_where(photos, ask):
    red = of_class(photos, RED)[0]
    hits = photos.search(Query((RegionExample(IdExample(red), (0, 0, 32, 32)),)), k=4)
    assert np.isfinite(hits.boxes[0, : len(ids_of(hits))]).all()
    found = ask("search", "c.lookalike", "--id", red, "--box", "0,0,32,32", "-k", 2)
    assert len(found["hits"][0]["matched"][0]) == 4


def test_several_regions_mix_label_size_and_place(photos, ask):
    left = Composition((Clause(label="blue", position="left"), Clause(size=(0.05, 1.0))))
    hits = photos.search(Query(composition=left), k=3)
    assert set(classes_of(photos, ids_of(hits)[:1])) == {BLUE}
    words = ("--clause", "label=blue,position=left", "--clause", "size=5..%")
    assert [h["id"] for h in ask("search", "c.lookalike", *words, "-k", 3)["hits"]] == ids_of(hits)


def test_a_painted_layout_is_ranked_by_its_overlap_with_what_was_seen(photos, ask):
    target = draw_map(np.random.default_rng(0), RED)  # as write_masks draws its first picture
    save(picture := photos.path.parent / "map.png", paint(target))
    found = ask("search", "c.lookalike", "--layout", picture, "-k", 3)
    [first] = photos.images([found["hits"][0]["id"]])
    assert first.paths[0].endswith(b"000.png")
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)
    boxes = photos.search(Query(layout=read_boxes("blue@0,0,0.5,0.5")), k=2)
    assert set(classes_of(photos, ids_of(boxes)[:1])) == {BLUE}


def test_weights_change_the_ranking_at_once_without_a_new_search(photos):
    query = Query((IdExample(1),))
    hits = photos.search(query, k=N)
    again = rerank(hits, {"content": 0, "layout": 1}, k=5)
    fresh = photos.search(Query((IdExample(1),), weights={"layout": 1}), k=5)
    assert ids_of(again) == ids_of(fresh)


def test_marks_steer_a_search_round_by_round_and_can_be_undone(photos):
    blue, red = of_class(photos, BLUE), of_class(photos, RED)
    session = Session(photos, Query((IdExample(of_class(photos, GREEN)[0]),)))
    before = ids_of(session.hits(4))
    session.steer(exclude_seen=False)
    session.mark({blue[0]: RELEVANT, blue[1]: RELEVANT, red[0]: NON_RELEVANT})
    assert BLUE in classes_of(photos, ids_of(session.hits(4)))
    session.undo()
    assert ids_of(session.hits(4)) == before


def test_labels_of_a_few_are_carried_to_all_with_probabilities_and_found_in_words(own):
    with Collection.open(own / "c.lookalike", writable=True) as photos:
        make_clusters(photos.catalog, "content", k=3)
        examples = [of_class(photos, label)[:4] for label in (RED, GREEN, BLUE)]
        rest = of_class(photos, BLUE)[4:]
    for word, ids in zip(("ruby", "grass", "sea"), examples, strict=True):
        said = [text for image_id in ids for text in ("--id", str(image_id))]
        assert run(["label", "add", "c.lookalike", word, *said]) == 0
    with Collection.open(own / "c.lookalike", writable=True) as photos:
        propagate(photos.catalog, "content")
        told = [dict(record.labels)["sea"] for record in photos.images(rest)]
        assert all(0.5 < probability < 1 for probability in told)
        best = ids_of(photos.search(Query(words="sea"), k=N))
        assert {*examples[BLUE], *rest} <= set(best)
        assert next_clusters(photos.catalog, "content", 2, n_exemplars=3)
        told = photos.status()["knowledge"]
        assert (told["marks of labels"], told["clusterings"], told["maps"]) == (12, 1, 0)
    assert run(["label", "undo", "c.lookalike"]) == 0
    with Collection.open(own / "c.lookalike") as photos:
        assert not {"sea", "ruby"} & {name for name, _ in photos.images(rest[:1])[0].labels}
        assert set(ids_of(photos.search(Query(words="sea"), k=N))) == set(examples[BLUE])
    assert run(["propose", "c.lookalike", "--like", "1", "--like", "4", "--dislike", "2"]) == 0


def test_clusters_subjects_and_a_map_are_reached_without_a_query(own, ask):
    with Collection.open(own / "c.lookalike", writable=True) as photos:
        make_clusters(photos.catalog, "content", k=3)
        assert sum(view.size for view in view_clusters(photos.catalog, "content")) == N
        tree = Taxonomy.from_text("color\n  red\n  green\n  blue\n")
        photos.catalog.knowledge.subjects.replace(tree.parents.items())
        [color], _ = count_facets(photos.catalog, tree)
        assert (color.name, color.pictures) == ("color", N)
        make_map(photos.catalog)
        points = photos.catalog.knowledge.maps.points("content").points
        assert points.shape == (N, 2)


def test_results_are_joined_and_searches_kept(own, capsys):
    with Collection.open(own / "c.lookalike", writable=True) as photos:
        save_search(photos, "reds", Query(filter="label:red"), N)
        save_search(photos, "some", Query(filter="id:1..6"), N)
        reds = {hit["id"] for hit in combine(photos, "saved:reds")["hits"]}
        for words, expected in (
            ("saved:reds or saved:some", reds | set(range(1, 7))),
            ("saved:reds and saved:some", reds & set(range(1, 7))),
            ("saved:reds minus saved:some", reds - set(range(1, 7))),
        ):
            assert {hit["id"] for hit in combine(photos, words)["hits"]} == expected
    assert run(["export", "c.lookalike", "--to", "csv", "--saved", "reds"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(reds)


def test_another_package_adds_a_descriptor_that_is_filled_in_and_asked(
    own, place, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    install_package(tmp_path, "ruddy", "redness")
    chosen = ("color", "redness")
    with Collection.open_or_create(own / "c.lookalike", descriptors=chosen) as photos:
        photos.add(place / "outfits" / "images", workers=0)
        hits = photos.search(Query((IdExample(1),), weights={"redness": 1}), k=3)
    assert set(hits.parts) == {"redness"}


def test_near_duplicates_are_grouped_and_hidden(own, place):
    pictures = own / "copies"
    pictures.mkdir()
    rng = np.random.default_rng(3)
    for number in range(6):
        small = rng.integers(0, 256, (6, 6, 3), np.uint8)
        picture = Image.fromarray(small).resize((96, 96), Image.Resampling.BICUBIC)
        picture.save(pictures / f"{number}.png")
        if number < 2:
            picture.save(pictures / f"{number}.jpg", quality=60)
    with Collection.create(own / "d.lookalike", model=place / "tiny") as made:
        made.add(pictures, workers=0)
        groups = find_duplicates(made)
        query = Query((FileExample(str(pictures / "0.png")),), hide_duplicates=True)
        assert len(ids_of(made.search(query, k=9))) == 6
    assert [len(group.copies) for group in groups] == [1, 1]


def test_the_page_names_just_these_tests():
    page = Path(__file__).parents[1] / "docs" / "capabilities.md"
    named = re.findall(r"`(\w+)` \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    tests = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]
    assert sorted(named) == sorted(set(tests) - {"the_page_names_just_these_tests"})
