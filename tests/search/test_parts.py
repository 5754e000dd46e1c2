"""Queries with parts beside their examples: proposed, scored, weighed and located."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray
from PIL import Image

from lookalike import Collection
from lookalike.arrays import NO_ID, Ids
from lookalike.asking.answers import answer, draw_answer
from lookalike.errors import UsageError
from lookalike.evaluation.pens import NOT_RELEVANT
from lookalike.search.parts import Context, LocatedPart, Part, Proposal
from lookalike.search.queries import IdExample, Query
from tests.small_sets import write_masks
from tests.tiny_model import write_tiny_model

N = 12


@dataclass(frozen=True)
class EvenIds:
    """Images with an even id have evidence, the more the higher the id; found at their left."""

    name: str = "even"

    def propose(self, n: int, allowed: Ids | None) -> Proposal:
        ids = np.arange(2, N + 1, 2)
        return Proposal(ids if allowed is None else np.intersect1d(ids, allowed), 3)

    def scores(self, ids: Ids) -> Float64[ndarray, " items"]:
        return np.where(ids % 2 == 0, ids / 10, 0.0)

    def boxes(self, ids: Ids) -> Float64[ndarray, "items 4"]:
        return np.tile([0.0, 0.0, 0.5, 1.0], (len(ids), 1))


def even_ids(query: Query, context: Context) -> list[Part]:
    assert context.catalog.n_images == N
    return [EvenIds()] if query.words == "even" else []


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    write_tiny_model(folder / "tiny")
    with Collection.create(folder / "c.lookalike", model=folder / "tiny", descriptors=()) as made:
        made.add(write_masks(folder / "outfits", N) / "images", workers=0)
        yield made


@pytest.fixture(autouse=True)
def makers(monkeypatch):
    monkeypatch.setattr("lookalike.search.makers.PART_MAKERS", (even_ids,))


def test_a_part_alone_finds_what_it_proposes(photos):
    assert isinstance(EvenIds(), Part)
    assert isinstance(EvenIds(), LocatedPart)
    hits = photos.search(Query(words="even"), k=8)
    assert hits.ids[0].tolist() == [12, 10, 8, 6, 4, 2, NO_ID, NO_ID]
    np.testing.assert_allclose(hits.scores[0, :6], [1.2, 1.0, 0.8, 0.6, 0.4, 0.2])
    assert set(hits.parts) == {"even"}
    assert hits.probed_clusters.tolist() == [3]
    np.testing.assert_array_equal(hits.boxes[0, 0], [0, 0, 0.5, 1])
    assert np.isnan(hits.boxes[0, 7]).all()


def test_a_part_is_weighed_like_a_descriptor(photos):
    plain = Query((IdExample(1),), weights={"content": 2, "layout": 1})
    without = photos.search(plain, k=N)
    assert without.boxes is None
    weights = {"content": 2, "layout": 1, "even": 5}
    hits = photos.search(replace(plain, words="even", weights=weights), k=N)
    own = {int(image): at for at, image in enumerate(without.ids[0])}
    for at, image in enumerate(hits.ids[0, : N - 1].tolist()):
        even = image / 10 if image % 2 == 0 else 0.0
        before = without.scores[0, own[image]]
        assert hits.scores[0, at] == pytest.approx((3 * before + 5 * even) / 8)
        assert hits.parts["content"][0, at] == without.parts["content"][0, own[image]]
    assert hits.is_exact  # between them, the parts propose everything


def test_a_part_that_is_not_named_counts_one_and_one_of_weight_zero_nothing(photos):
    asked = Query((IdExample(1),), words="even", weights={"content": 1})
    hits = photos.search(asked, k=N)
    mean = (hits.parts["content"] + hits.parts["even"]) / 2
    np.testing.assert_allclose(hits.scores[0, : N - 1], mean[0, : N - 1])
    silent = photos.search(replace(asked, weights={"content": 1, "even": 0}), k=N)
    assert set(silent.parts) == {"content"}


def is_vermilion(pixels):
    return (np.abs(pixels.astype(int) - NOT_RELEVANT) < 60).all(axis=2)


def test_the_place_of_a_match_is_told_and_drawn(photos, tmp_path):
    query = Query(words="even")
    answered = answer(photos, query, 2)
    assert [hit["box"] for hit in answered["hits"]] == [[0.0, 0.0, 0.5, 1.0]] * 2
    draw_answer(photos, query, answered, tmp_path / "boxed.png")
    bare = {**answered, "hits": [{**hit, "box": None} for hit in answered["hits"]]}
    draw_answer(photos, query, bare, tmp_path / "bare.png")
    boxed, plain = (
        is_vermilion(np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")))
        for name in ("boxed", "bare")
    )
    assert boxed.sum() > plain.sum() + 2 * 2 * 100


def test_queries_with_and_without_parts_go_together(photos):
    queries = [Query((IdExample(1),)), Query(words="even"), Query((IdExample(2),), words="even")]
    together = photos.search_all(queries, k=5)
    for row, query in enumerate(queries):
        alone = photos.search(query, k=5)
        np.testing.assert_array_equal(together.ids[row], alone.ids[0])
        np.testing.assert_array_equal(together.scores[row], alone.scores[0])


def test_weights_that_say_nothing_are_refused(photos):
    with pytest.raises(UsageError, match="nothing is asked of 'content', which has a weight"):
        photos.search(Query(words="even", weights={"content": 1}))
    with pytest.raises(UsageError, match=r"no descriptor .odd. .* has: .*content, layout.* even"):
        photos.search(Query(words="even", weights={"odd": 1}))
    with pytest.raises(UsageError, match="nothing to compare images with"):
        photos.search(Query(words="no such kind of part"))
