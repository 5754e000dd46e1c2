"""Clauses about several regions: what they mean, and that the best assignment is found."""

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.index.building import build_index
from lookalike.index.exact import exact_index
from lookalike.search.clauses import Clause, Composition, composition_from_json
from lookalike.search.composition import best_of_each, make_composition_parts
from lookalike.search.examples import FileExample, IdExample, PixelsExample, RegionExample
from lookalike.search.parts import Context
from lookalike.search.queries import Query
from lookalike.search.region_gallery import PER_IMAGE
from lookalike.storage.catalog import Catalog
from tests.search.search_galleries import FULL, N_IMAGES, WITHOUT, gallery_of, made_of

LEFT, RIGHT = (0.1, 0.2, 0.3, 0.5), (0.6, 0.2, 0.3, 0.5)


class Card:
    classes = ("cat", "dog", "horse")


class Model:
    card = Card()


def of_first_regions(gallery):
    """An index in which each image has the content of its first region."""
    ids = gallery.image_ids
    return exact_index(ids, gallery.indexes["content"].vectors(gallery.ids[gallery.starts[:-1]]))


EVERY_FIT = [
    ("label=dog,position=left", "position=upper-right", "size=2..6%"),
    ("position=center", "position=0.1,0.2,0.3,0.5,label=cat"),
    ("position=lower",),
    ("size=1..2%,position=0.5,0.5,0.5,0.5",),
]


@pytest.fixture(scope="module")
def part_of(tmp_path_factory):
    """Makes the part of some clauses, as it is made for a query."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite"
    with Catalog.create(path, {"content": 6}) as catalog:

        def make(gallery, *texts):
            of_images = {"content": of_first_regions(gallery)}
            context = Context(of_images, {}, catalog, Model, regions=lambda: gallery)
            composition = Composition(tuple(map(Clause.parse, texts)))
            [part] = make_composition_parts(Query(composition=composition), context)
            return part

        yield make


def two_images(rng, *regions_of_each):
    """A gallery of images 1, 2, …: (box, label) of each region."""
    ids, boxes, labels = [], [], []
    for image, regions in enumerate(regions_of_each, start=1):
        for place, (box, label) in enumerate(regions):
            ids.append(PER_IMAGE * image + place)
            boxes.append(box)
            labels.append(label)
    return made_of(rng, ids, boxes, labels)


# The assignment


def slow_similarity(fits):
    """The best of all ways to give each clause a region of its own; missing ones fit nothing."""
    n_clauses = len(fits)
    padded = np.hstack([fits, np.zeros((n_clauses, n_clauses))])
    ways = permutations(range(padded.shape[1]), n_clauses)
    return max(sum(padded[c, r] for c, r in enumerate(way)) for way in ways) / n_clauses


def test_the_best_assignment_is_that_of_trying_all(part_of, rng):
    gallery = gallery_of(rng)
    part = part_of(gallery, "label=dog,position=left", "position=upper-right", "size=2..6%")
    ids = np.arange(1, N_IMAGES + 1)
    found = part._similarities(ids)
    for image, similarity in zip(ids.tolist(), found, strict=True):
        fits = part._fits(gallery.positions(np.array([image])))
        expected = slow_similarity(fits) if fits.size else 0
        assert similarity == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 5, 30])
def test_the_best_images_are_proposed(part_of, rng, monkeypatch, n):
    monkeypatch.setattr("lookalike.search.composition._CHUNK", 4)
    gallery = gallery_of(rng)
    part = part_of(gallery, "label=dog,position=left", "position=center,size=1..4%")
    ids = np.arange(1, N_IMAGES + 1)
    scores = part.scores(ids)
    proposal = part.propose(n, None)
    least = np.sort(scores)[-n]
    assert set(ids[scores > least].tolist()) <= set(proposal.ids.tolist())
    assert len(proposal.ids) >= n
    if n == 1:
        assert len(proposal.ids) < N_IMAGES / 2  # the bound spares most
    allowed = np.array([2, 3, WITHOUT, 8])
    assert set(part.propose(n, allowed).ids.tolist()) <= {2, 3, 8}


@pytest.mark.parametrize("texts", EVERY_FIT)
def test_no_region_and_no_image_exceeds_its_bound(part_of, rng, texts):
    gallery = gallery_of(rng)
    part = part_of(gallery, *texts)
    everything = np.arange(len(gallery.ids))
    for said in part._clauses:
        for fit in said:
            values, bounds = fit.values(everything), fit.bounds(everything)
            assert (values <= bounds * (1 + 1e-9)).all()
            assert (fit.bounds(everything[3::5]) == bounds[3::5]).all()
            assert bounds.max() <= 1
    bounds = part._bounds()
    assert (part._similarities(gallery.image_ids) <= bounds).all()


@pytest.mark.parametrize("texts", EVERY_FIT)
def test_the_first_hits_are_those_of_comparing_all(part_of, rng, monkeypatch, texts):
    monkeypatch.setattr("lookalike.search.composition._CHUNK", 4)
    monkeypatch.setattr("lookalike.search.composition._HEAD", 1)
    monkeypatch.setattr("lookalike.search.composition._BOUNDED_CHUNK", 7)
    gallery = gallery_of(rng)
    part = part_of(gallery, *texts)
    scores = part_of(gallery, *texts).scores(gallery.image_ids)
    proposal = part.propose(5, None)
    assert proposal.is_exact
    found = np.sort(part.scores(proposal.ids))[-5:]
    assert found.tolist() == np.sort(scores)[-5:].tolist()


def test_best_of_each_is_the_best_assignment_where_nothing_is_shared(rng):
    lengths = rng.integers(1, 6, 200)
    fits = rng.uniform(0, 1, (3, lengths.sum())) * (rng.uniform(0, 1, (3, lengths.sum())) < 0.6)
    best, is_shared = best_of_each(fits, lengths)
    stops = np.cumsum(lengths)
    for image, (stop, length) in enumerate(zip(stops, lengths, strict=True)):
        expected = slow_similarity(fits[:, stop - length : stop])
        reached = best[:, image].sum() / 3
        assert reached >= expected - 1e-12
        assert is_shared[image] or reached == pytest.approx(expected)
    assert 0.2 < is_shared.mean() < 0.8


def test_what_codes_find_is_what_comparing_all_finds(part_of, rng):
    """Of two thousand regions the codes give a quarter; the best images are among them."""
    exact = gallery_of(rng, n_images=500)
    coded = replace(exact, indexes={**exact.indexes, "content": coded_index(exact)})
    texts = ("content-of=7,position=left", "content-of=9")
    parts = [part_of(gallery, *texts) for gallery in (exact, coded)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lookalike.search.clause_fits.NEAREST", len(exact.ids) // 4)
        patch.setattr("lookalike.search.composition._MOST", 300)
        proposal = parts[1].propose(5, None)
    assert not proposal.is_exact
    assert len(proposal.ids) < 400
    best = exact.image_ids[np.argsort(-parts[0].scores(exact.image_ids))[:5]]
    assert np.isin(best, proposal.ids).mean() >= 0.8


def coded_index(gallery):
    """The index that large collections have."""
    rows = gallery.indexes["content"].rows
    batch = [(gallery.ids, rows.embeddings)]
    return build_index(batch, dim=rows.dim, n=len(gallery.ids), kind="pq")


def test_the_same_label_twice_needs_two_regions(part_of, rng):
    one, two = [(LEFT, 1), (RIGHT, 0)], [(LEFT, 1), (RIGHT, 1)]
    part = part_of(two_images(rng, one, two), "label=dog", "label=dog")
    assert part._similarities(np.array([1, 2])).tolist() == [0.5, 1.0]
    assert part.matched(1).count(None) == 1
    assert None not in part.matched(2)


def test_each_clause_gets_the_region_that_suits_it(part_of, rng):
    gallery = two_images(rng, [(LEFT, 1), (RIGHT, 0)], [(RIGHT, 1), (LEFT, 0)])
    part = part_of(gallery, "label=dog,position=left", "label=cat,position=right")
    right, wrong = part.scores(np.array([1, 2]))
    assert right > wrong == 0
    np.testing.assert_allclose(part.matched(1), [[0.1, 0.2, 0.4, 0.7], [0.6, 0.2, 0.9, 0.7]])
    np.testing.assert_allclose(part.boxes(np.array([1])), [[0.1, 0.2, 0.9, 0.7]])
    assert np.isnan(part.boxes(np.array([2, 99]))).all()


def test_nothing_that_fits_has_no_evidence(part_of, rng):
    gallery = gallery_of(rng)
    assert not part_of(gallery, "label=horse").scores(np.arange(1, N_IMAGES + 1)).any()
    assert part_of(gallery, "label=dog").scores(np.array([WITHOUT])).tolist() == [0]


def test_a_score_tells_how_rare_such_a_composition_is(part_of, rng):
    gallery = gallery_of(rng, n_images=500)
    scores = part_of(gallery, "position=upper-left,size=1..2%").scores(gallery.image_ids)
    assert 0.07 < (scores >= 1).mean() < 0.13


# What is said of one region


def fits(part_of, gallery, text):
    return part_of(gallery, text)._fits(np.arange(len(gallery.ids)))[0]


def test_a_size_fits_less_the_further_it_is_off(part_of, rng):
    boxes = [(0, 0, 0.1, 0.5), (0, 0, 0.2, 0.5), (0, 0, 0.4, 0.5), (0, 0, 0.8, 0.5)]
    gallery = two_images(rng, [(box, -1) for box in boxes])
    np.testing.assert_allclose(fits(part_of, gallery, "size=10..20%"), [0.5, 1, 1, 0.5], rtol=1e-6)
    np.testing.assert_allclose(fits(part_of, gallery, "size=20%..%"), [0.25, 0.5, 1, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("left", [1, 0, 0.5]),
        ("right", [0, 1, 0.5]),
        ("upper", [0.6, 0.6, 0.5]),
        ("lower", [0.4, 0.4, 0.5]),
        ("middle-left", [0.7 / 3 * 2 / 3 / 0.15 * 0, 0, 1 / 9]),
        ("0.1,0.2,0.3,0.5", [1, 0, 0.15]),
    ],
)
def test_a_position_fits_by_what_lies_there(part_of, rng, position, expected):
    gallery = two_images(rng, [(LEFT, -1), (RIGHT, -1), ((0, 0, 1, 1), -1)])
    if position == "middle-left":
        across = (1 / 3 - 0.1) / 0.3
        down = (2 / 3 - 1 / 3) / 0.5
        expected = [across * down, 0, 1 / 9]
    np.testing.assert_allclose(fits(part_of, gallery, f"position={position}"), expected, atol=1e-6)


def test_what_a_mask_leaves_out_lies_nowhere(part_of, rng):
    upper_rows = sum(1 << bit for bit in range(8 * 4))
    ids = [64, 65]
    gallery = made_of(rng, ids, [(0, 0, 1, 1)] * 2, [-1, -1], masks=[upper_rows, FULL])
    np.testing.assert_allclose(fits(part_of, gallery, "position=upper"), [1, 0.5])


def test_what_is_said_together_is_averaged_geometrically(part_of, rng):
    gallery = two_images(rng, [(LEFT, 1), (RIGHT, 1), (LEFT, 0)])
    found = fits(part_of, gallery, "label=dog,position=upper,size=30..100%")
    np.testing.assert_allclose(found, [(0.6 * 0.5) ** (1 / 3)] * 2 + [0], rtol=1e-5)


# Reading


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("label=dog", Clause(label="dog")),
        ("label=traffic light,size=..5%", Clause(label="traffic light", size=(0, 0.05))),
        ("color-of=17@1,2,3,4", Clause(color_of=RegionExample(IdExample(17), (1, 2, 3, 4)))),
        ("texture-of=a b.jpg", Clause(texture_of=FileExample("a b.jpg"))),
        ("content-of=a@b.jpg@1,2,3,4,size=0.1..0.2",
         Clause(content_of=RegionExample(FileExample("a@b.jpg"), (1, 2, 3, 4)), size=(0.1, 0.2))),
        ("position=0,0.5,1,0.5", Clause(position=(0, 0.5, 1, 0.5))),
    ],
)  # fmt: skip
def test_clauses_are_read_as_they_are_typed(text, clause):
    assert Clause.parse(text) == clause


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the clause '' cannot be read at ''; write NAME=VALUE"),
        ("lable=dog", r"cannot be read at 'lable=dog'.*: color-of, .*label"),
        ("label=dog,label=cat", "says 'label' twice"),
        ("label=", "cannot be read at 'label='"),
        ("size=200%", "'200%' is no range of shares"),
        ("size=50..20%", "0.5 to 0.2 is no range"),
        ("size=5..120%", "0.05 to 1.2 is no range"),
        ("position=top", "unknown position 'top'; choose one of left, right"),
        ("position=0.5,0,0.6,1", "is no box inside the picture"),
        ("color-of=17@1,2,0,4", "a box is left, top, width and height in pixels"),
        ("color-of=17@1,2,x,4", "the box '1,2,x,4' is not X,Y,WIDTH,HEIGHT"),
    ],
)
def test_clauses_without_sense_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        Clause.parse(text)


def test_a_clause_must_say_something():
    with pytest.raises(UsageError, match="says nothing of its region"):
        Clause()
    with pytest.raises(UsageError, match="has no clauses"):
        Composition(())


def test_an_unknown_label_is_answered_with_known_ones(part_of, rng):
    with pytest.raises(UsageError, match="no label 'hors'; it knows others, such as horse"):
        part_of(gallery_of(rng), "label=hors")


PICTURE = PixelsExample.of(np.zeros((4, 5, 3), np.uint8))


def test_a_query_with_boxes_and_clauses_goes_through_json():
    composition = Composition(
        (
            Clause(color_of=RegionExample(IdExample(17), (1, 2, 3.5, 4)), size=(0.1, 0.5)),
            Clause(label="dog", position="left", texture_of=FileExample("a.jpg")),
            Clause(content_of=PICTURE, position=(0.0, 0.0, 0.5, 1.0)),
        )
    )
    boxes = (
        RegionExample(FileExample("b.jpg"), (0, 0, 9, 9)),
        RegionExample(PICTURE, (0, 0, 2, 2)),
    )
    query = Query(boxes, composition=composition)
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query
    assert query.excluded_ids == {17}
    assert Query(composition=composition, exclude_examples=False).excluded_ids == set()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("label=dog", "a composition is a JSON list of clauses"),
        ([], "has no clauses"),
        ([{"lable": "dog"}], "unknown part 'lable' of a clause"),
        ([{"label": 3}], "the label of a clause is a text"),
        ([{"size": [1]}], "the size of a clause is a JSON list of 2 numbers"),
        ([{"position": [0, 0, 1]}], "the position of a clause is a JSON list of 4 numbers"),
        ([{"color_of": {"text": "blue"}}], "names pictures by their id"),
        ([{"color_of": {"id": 3, "box": [1, 2, 3]}}], "a box is a JSON list of left, top"),
        ([{"color_of": {"id": 3, "box": [1, 2, "3", 4]}}], "a box is a JSON list of four numbers"),
        ([{"color_of": {"text": "x", "box": [1, 2, 3, 4]}}], "a box needs a picture"),
    ],
)
def test_json_without_sense_is_refused(content, message):
    with pytest.raises(UsageError, match=message):
        composition_from_json(content)
