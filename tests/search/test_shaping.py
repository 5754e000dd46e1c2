"""Which hits are shown, and in which order."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import Collection
from lookalike.arrays import NO_ID
from lookalike.errors import UsageError
from lookalike.index.exact import exact_index
from lookalike.search.knee import knee
from lookalike.search.queries import IdExample, Query
from lookalike.search.reranking import rerank
from tests.search.painters import searcher_of
from tests.small_sets import save, write_masks, write_pictures
from tests.tiny_model import write_tiny_model

N = 24


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shaping")
    write_tiny_model(folder / "tiny")
    pictures = write_masks(folder / "outfits", N) / "images"
    for at, path in enumerate(sorted(pictures.iterdir())):
        os.utime(path, (1e9, 1e9 + 1000 * (at * 7 % N)))
    with Collection.create(folder / "c.lookalike", model=folder / "tiny") as made:
        made.add(pictures, workers=0)
        yield made


def found(hits):
    return [image for image in hits.ids[0].tolist() if image != NO_ID]


def tail(rng, n, scale=1.0):
    """Scores of images that have nothing to do with a query: rarities of `n` random pairs."""
    return np.sort(-scale * np.log10(rng.uniform(size=n)))[::-1]


def test_a_planted_head_ends_at_the_knee():
    """Now and then one of a thousand others is by chance as near to the head as to its own."""
    rng = np.random.default_rng(1)
    off = []
    for _ in range(300):
        n_head = int(rng.integers(4, 80))
        head = rng.normal(6, 0.6, n_head)
        scores = np.sort(np.concatenate([head, tail(rng, 1000)]))[::-1]
        off.append(abs((knee(scores[:200]) or 0) - n_head))
    assert np.mean(np.array(off) == 0) > 0.8
    assert np.mean(np.array(off) <= 1) > 0.95


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_hits_that_have_nothing_in_common_with_the_query_have_no_knee(scale):
    rng = np.random.default_rng(2)
    n_wrong = sum(knee(tail(rng, 2000, scale)[:200]) is not None for _ in range(400))
    assert n_wrong <= 12  # 4 are expected


def test_too_few_or_equal_scores_have_no_knee():
    assert knee(np.array([9.0, 1.0, 0.9])) is None
    assert knee(np.ones(50)) is None
    assert knee(np.array([])) is None


def test_the_head_alone_is_shown_and_the_rest_is_counted(photos):
    # The tiny model sees colors: 8 pictures have the query's, so 7 others.
    query = Query((IdExample(1),), cut="auto")
    whole = photos.search(replace(query, cut="none"), k=20)
    assert whole.beyond is None
    hits = photos.search(query, k=20)
    n_head = knee(photos.search(replace(query, cut="none"), k=N).scores[0, : N // 2])
    assert n_head == 7
    assert found(hits) == found(whole)[:n_head]
    assert hits.beyond.tolist() == [20 - n_head]
    few = photos.search(query, k=3)
    assert (found(few), few.beyond.tolist()) == (found(whole)[:3], [0])


def test_hits_below_the_lowest_score_are_left_out(photos):
    plain = photos.search(Query((IdExample(1),)), k=10)
    least = float(plain.scores[0, 4])
    hits = photos.search(Query((IdExample(1),), min_score=least), k=10)
    assert found(hits) == [
        i for i, s in zip(found(plain), plain.scores[0], strict=True) if s >= least
    ]
    assert hits.beyond.tolist() == [10 - len(found(hits))]
    assert found(photos.search(Query((IdExample(1),), min_score=99.0), k=10)) == []


def test_hits_are_sorted_by_name_or_date_among_the_best(photos):
    best = set(found(photos.search(1, k=6)))
    records = {record.id: record for record in photos.images(sorted(best))}
    by_name = photos.search(Query((IdExample(1),), sort="name"), k=6)
    assert found(by_name) == sorted(best, key=lambda i: Path(os.fsdecode(records[i].paths[0])).name)
    by_date = photos.search(Query((IdExample(1),), sort="date"), k=6)
    times = [Path(os.fsdecode(records[i].paths[0])).stat().st_mtime for i in found(by_date)]
    assert set(found(by_date)) == best
    assert times == sorted(times, reverse=True)
    assert not by_date.is_ranked


def test_nearly_equal_images_are_hidden(tmp_path):
    write_tiny_model(tmp_path / "tiny")
    pictures = write_pictures(tmp_path / "pictures", 8)
    for at, path in enumerate(pictures[:3]):
        save(path.with_name(f"copy{at}.png"), np.asarray(Image.open(path)), comment="saved anew")
    with Collection.create(tmp_path / "c.lookalike", model=tmp_path / "tiny") as made:
        made.add(tmp_path / "pictures", workers=0)
        plain = found(made.search(Query((IdExample(1),)), k=11))
        hits = found(made.search(Query((IdExample(1),), hide_duplicates=True), k=11))
        few = found(made.search(Query((IdExample(1),), hide_duplicates=True), k=3))
        name_of = {r.id: Path(os.fsdecode(r.paths[0])).stem for r in made.images(plain)}
    assert (len(plain), len(hits)) == (10, 8)  # of two pairs and the query's own copy one is left
    assert hits == [image for image in plain if image in hits]
    assert few == hits[:3]
    for copy, number in (("copy1", "001"), ("copy2", "002")):
        assert sum(name_of[image] in (copy, number) for image in hits) == 1


def test_an_image_that_is_like_a_hidden_one_alone_is_shown():
    """Of three in a row each is nearly equal to the next; the first hides the second alone."""
    angles = np.radians([0.0, 9.0, 18.0, 90.0])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    searcher = searcher_of({"content": exact_index(np.arange(1, 5), rows)})
    query = Query((IdExample(1),), exclude_examples=False, hide_duplicates=True)
    assert found(searcher.search([query], 4)) == [1, 3, 4]


def test_shaped_queries_go_together_with_plain_ones(photos):
    queries = [Query((IdExample(1),)), Query((IdExample(2),), weights={"layout": 1}, min_score=0.5)]
    together = photos.search_all(queries, k=5)
    for row, query in enumerate(queries):
        alone = photos.search(query, k=5)
        np.testing.assert_array_equal(together.ids[row], alone.ids[0])
        np.testing.assert_array_equal(together.scores[row], alone.scores[0])


def test_the_list_order_is_not_shaped(photos):
    with pytest.raises(UsageError, match="'list' is shown as it comes; leave out"):
        photos.search(Query((IdExample(1),), order="list", cut="auto"))


@pytest.mark.parametrize("weights", [{"content": 3, "layout": 1}, {"layout": 0.7}])
def test_weighed_anew_hits_have_the_scores_of_a_new_search(photos, weights):
    query = Query((IdExample(1),), (IdExample(5),))
    hits = photos.search(query, k=N)
    again = rerank(hits, weights)
    fresh = photos.search(replace(query, weights=weights), k=N)
    np.testing.assert_array_equal(again.ids, fresh.ids)
    np.testing.assert_array_equal(again.scores, fresh.scores)
    for name, part in fresh.parts.items():
        np.testing.assert_array_equal(again.parts[name], part)
    np.testing.assert_array_equal(rerank(hits, weights, 3).ids, fresh.ids[:, :3])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"color": 1}, r"no scores of 'color'; they have: content, layout; search again"),
        ({"content": 0}, "all weights are 0"),
        ({"content": -1}, "from 0 on, not -1"),
        ({"content": float("nan")}, "from 0 on, not nan"),
    ],
)
def test_weights_that_the_hits_do_not_know_are_refused(photos, weights, message):
    with pytest.raises(UsageError, match=message):
        rerank(photos.search(1, k=3), weights)
