"""Searching a collection of two descriptors, against a loop over all images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.arrays import NO_ID, Embeddings
from lookalike.errors import LookalikeError, MismatchError, UsageError
from lookalike.index.base import Hits, VectorIndex
from lookalike.index.exact import exact_index
from lookalike.index.tail import TailedIndex
from lookalike.search.calibration import fit_calibration
from lookalike.search.queries import Example, FileExample, IdExample, PixelsExample, Query
from lookalike.search.query_embeddings import combine
from lookalike.search.searcher import Searcher
from tests.index.galleries import KINDS, built, clustered, spaced_ids
from tests.oracles_search import inner_product, query_point
from tests.search.painters import (
    ColorEncoder,
    calibrations_of,
    color_searcher,
    painted,
    searcher_of,
)

RED, GREEN, BLUE, GRAY = (250, 20, 20), (20, 250, 20), (20, 20, 250), (120, 120, 120)
PICTURES = [painted(a, b) for a in (RED, GREEN, BLUE, GRAY) for b in (RED, GREEN, BLUE, GRAY)]
IDS = spaced_ids(16)
RED_RED, RED_GREEN, GREEN_RED, BLUE_BLUE = IDS[[0, 1, 4, 10]].tolist()

N = 300
SPACES: dict[str, Embeddings] = {
    "content": clustered(N, 12, seed=1),
    "layout": clustered(N, 6, seed=2),
}


@pytest.fixture(scope="module")
def colors() -> Searcher:
    return color_searcher(PICTURES, IDS)


@pytest.fixture(scope="module")
def spaces() -> dict[str, dict[str, VectorIndex]]:
    """The same two descriptors in every kind of index."""
    kinds = {kind: {n: built(kind, rows) for n, rows in SPACES.items()} for kind in KINDS}
    return {kind: dict(indexes) for kind, indexes in kinds.items()}


def by_id(*ids: int) -> tuple[IdExample, ...]:
    return tuple(IdExample(int(image)) for image in ids)


def slow_search(indexes: dict[str, VectorIndex], query: Query) -> list[tuple[int, float]]:
    """Every image not excluded, with the weighted mean of its scores, best first."""
    weights = query.weights or dict.fromkeys(indexes, 1)
    total = dict.fromkeys(indexes["content"].ids.tolist(), 0.0)
    for name, index in indexes.items():
        rows = dict(zip(index.ids.tolist(), index.vectors(index.ids).tolist(), strict=True))
        point = query_point(
            [rows[e.id] for e in query.positives], [rows[e.id] for e in query.negatives]
        )
        calibration = fit_calibration(index)
        for image, row in rows.items():
            similarity = np.array([inner_product(point, row)], np.float32)
            part = weights.get(name, 0) * calibration.scores(similarity)[0]
            total[image] += part / sum(weights.values())
    ranked = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(image, score) for image, score in ranked if image not in query.excluded_ids]


QUERIES = [
    Query(by_id(7)),
    Query(by_id(7), exclude_examples=False),
    Query(by_id(10, 13, 400)),
    Query(by_id(10, 13), by_id(100)),
    Query(by_id(7), by_id(100, 103, 106), {"content": 3.0, "layout": 1.0}),
    Query(by_id(7), weights={"layout": 0.2}),
    Query(by_id(301), weights={"content": 1, "layout": 0}),
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("kind", KINDS)
def test_ranks_all_images_as_a_loop_does(
    spaces: dict[str, dict[str, VectorIndex]], kind: str, query: Query
) -> None:
    hits = searcher_of(spaces[kind]).search([query], N)
    expected = slow_search(spaces["exact"], query)
    found = hits.ids[0][hits.ids[0] != NO_ID]
    np.testing.assert_allclose(hits.scores[0][: len(found)], [s for _, s in expected], atol=2e-5)
    assert found.tolist() == [image for image, _ in expected]
    assert hits.is_exact


def large(kind: str, n: int = 3000) -> dict[str, VectorIndex]:
    rows = {"content": clustered(n, 12, seed=1), "layout": clustered(n, 6, seed=2)}
    return {name: built(kind, part, members=1500) for name, part in rows.items()}


@pytest.mark.parametrize("kind", ["pq", "clusters"])
def test_approximate_indexes_give_the_hits_and_scores_of_exact_ones(kind: str) -> None:
    queries = [Query(by_id(7 + 30 * i)) for i in range(20)]
    queries += [Query(by_id(10), by_id(700 + 30 * i), {"layout": 1}) for i in range(5)]
    hits = searcher_of(large(kind)).search(queries, 10)
    exact = searcher_of(large("exact")).search(queries, 3000)
    assert not hits.is_exact
    n_same = 0
    for row in range(len(queries)):
        known = dict(zip(exact.ids[row].tolist(), exact.scores[row].tolist(), strict=True))
        assert [known[i] for i in hits.ids[row].tolist()] == hits.scores[row].tolist()
        n_same += len(set(hits.ids[row].tolist()) & set(exact.ids[row, :10].tolist()))
    assert n_same >= 0.97 * 10 * len(queries)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_what_its_queries_give_alone(
    spaces: dict[str, dict[str, VectorIndex]], kind: str
) -> None:
    searcher = searcher_of(spaces[kind])
    for k in (7, N):
        batch = searcher.search(QUERIES, k)
        for row, query in enumerate(QUERIES):
            alone = searcher.search([query], k)
            assert alone.ids[0].tolist() == batch.ids[row].tolist()
            assert alone.scores[0].tolist() == batch.scores[row].tolist()


def test_blocks_of_a_large_batch_fit_together(
    spaces: dict[str, dict[str, VectorIndex]], monkeypatch: pytest.MonkeyPatch
) -> None:
    searcher = searcher_of(spaces["exact"])
    whole = searcher.search(QUERIES, N)
    monkeypatch.setattr("lookalike.search.searcher._TABLE_SIZE", 2 * N)
    blocks = searcher.search(QUERIES, N)
    np.testing.assert_array_equal(blocks.ids, whole.ids)
    np.testing.assert_array_equal(blocks.parts["layout"], whole.parts["layout"])


def test_parts_are_the_scores_under_each_descriptor(colors: Searcher) -> None:
    hits = colors.search([Query(by_id(RED_GREEN), weights={"content": 3, "layout": 1})], 20)
    assert set(hits.parts) == {"content", "layout"}
    mean = (3 * hits.parts["content"] + hits.parts["layout"]) / 4
    np.testing.assert_allclose(hits.scores[0, :15], mean[0, :15])
    assert hits.ids[0, 15] == NO_ID
    assert hits.parts["layout"][0, 15] == -np.inf
    alone = colors.search([Query(by_id(RED_GREEN), weights={"layout": 2})], 5)
    assert set(alone.parts) == {"layout"}
    np.testing.assert_array_equal(alone.scores, alone.parts["layout"])


def test_only_the_ratio_of_weights_counts(colors: Searcher) -> None:
    few, many = (
        colors.search([Query(by_id(RED_GREEN), weights={"content": w, "layout": 2 * w})], 9)
        for w in (1, 1024)
    )
    assert few.scores.tolist() == many.scores.tolist()


def test_descriptors_see_different_things(colors: Searcher) -> None:
    """To `content` a mirrored picture is the same, to `layout` it is not."""
    query = by_id(RED_GREEN)
    content, layout = (
        colors.search([Query(query, weights={n: 1})], 1) for n in ("content", "layout")
    )
    assert content.ids.tolist() == [[GREEN_RED]]
    assert layout.ids.tolist() != [[GREEN_RED]]


def test_a_file_of_the_collection_finds_itself_first(colors: Searcher, tmp_path: Path) -> None:
    path = tmp_path / "seen.png"
    Image.fromarray(PICTURES[10]).save(path)
    for example in (FileExample.of(path), PixelsExample.of(PICTURES[10])):
        assert colors.search([Query((example,))], 3).ids[0, 0] == BLUE_BLUE
    kept = colors.search([Query(by_id(BLUE_BLUE), exclude_examples=False)], 3)
    assert kept.ids[0, 0] == BLUE_BLUE
    assert BLUE_BLUE not in colors.search([Query(by_id(BLUE_BLUE))], 16).ids


def test_a_file_and_its_id_ask_the_same(colors: Searcher) -> None:
    by_pixels = colors.search([Query((PixelsExample.of(PICTURES[1]),))], 16)
    by_number = colors.search([Query(by_id(RED_GREEN), exclude_examples=False)], 16)
    assert by_pixels.ids.tolist() == by_number.ids.tolist()
    assert by_pixels.scores.tolist() == by_number.scores.tolist()


def test_negative_examples_push_away(colors: Searcher) -> None:
    def rank_of_gray(query: Query) -> int:
        return colors.search([query], 16).ids[0].tolist().index(IDS[15])

    plain = rank_of_gray(Query(by_id(RED_GREEN)))
    assert rank_of_gray(Query(by_id(RED_GREEN), (PixelsExample.of(PICTURES[15]),))) > plain


def test_each_example_is_encoded_once() -> None:
    searcher = color_searcher(PICTURES, IDS)
    encoder = searcher._encoder
    assert isinstance(encoder, ColorEncoder)
    first, second = (PixelsExample.of(picture) for picture in PICTURES[:2])
    queries = [Query((first, second), (first,)), Query((second, *by_id(RED_RED))), Query((first,))]
    searcher.search(queries, 3)
    assert encoder.encoded == [2]
    searcher.search([Query(by_id(RED_RED))], 3)
    assert encoder.encoded == [2]


def test_examples_that_cancel_out_make_all_images_equal(colors: Searcher) -> None:
    np.testing.assert_array_equal(
        combine(np.array([[1, 0], [-1, 0]], np.float32), np.empty((0, 2), np.float32)), [0, 0]
    )
    index = exact_index(IDS[:3], np.array([[1, 0], [-1, 0], [0, 1]], np.float32))
    hits = searcher_of({"content": index}).search(
        [Query(by_id(*IDS[:2]), exclude_examples=False)], 3
    )
    assert hits.ids.tolist() == [IDS[:3].tolist()]
    assert len(set(hits.scores[0].tolist())) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_narrows_the_search(spaces: dict[str, dict[str, VectorIndex]], kind: str) -> None:
    ids = spaced_ids(N)
    allowed = np.sort(np.append(ids[::3], 1))
    hits = searcher_of(spaces[kind]).search(QUERIES, 5, allowed=allowed)
    assert np.isin(hits.ids, ids[::3]).all()
    for row, query in enumerate(QUERIES):
        expected = [i for i, _ in slow_search(spaces["exact"], query) if i in allowed.tolist()]
        assert hits.ids[row].tolist() == expected[:5]
    nothing = searcher_of(spaces[kind]).search(QUERIES[:1], 5, allowed=np.array([2]))
    assert nothing.ids.tolist() == [[NO_ID] * 5]


def test_a_wide_filter_narrows_approximate_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.search.searcher._FEW", 100)
    monkeypatch.setattr("lookalike.search.searcher._CANDIDATES", 50)
    monkeypatch.setattr("lookalike.index.clusters.FEW_PASS", 100)
    allowed = spaced_ids(3000)[::2]
    query = [Query(by_id(7)), Query(by_id(10), weights={"layout": 1})]
    hits = searcher_of(large("clusters")).search(query, 10, allowed=allowed)
    exact = searcher_of(large("exact")).search(query, 10, allowed=allowed)
    assert not hits.is_exact
    assert hits.probed_clusters is not None
    assert (hits.probed_clusters > 0).all()
    assert np.isin(hits.ids, allowed).all()
    assert np.isin(hits.ids, exact.ids).mean() > 0.9


def test_an_image_that_lacks_a_descriptor_has_no_evidence_in_it() -> None:
    rows = clustered(40, 8)
    ids = spaced_ids(40)
    indexes: dict[str, VectorIndex] = {
        "content": exact_index(ids, rows),
        "layout": exact_index(ids[:30], rows[:30]),
    }
    hits = searcher_of(indexes).search([Query(by_id(7))], 40)
    parts = dict(zip(hits.ids[0].tolist(), hits.parts["layout"][0].tolist(), strict=True))
    assert [parts[int(image)] for image in ids[30:]] == [0.0] * 10
    with pytest.raises(UsageError, match=f"id {ids[35]} in the collection, or it has no 'layout'"):
        searcher_of(indexes).search([Query(by_id(ids[35]))], 3)


def test_new_images_are_found_and_deleted_ones_are_not() -> None:
    rows, ids = clustered(60, 8), spaced_ids(60)
    base = built("clusters", rows[:50])
    index = TailedIndex(base, ids[50:], rows[50:], ids[:1])
    hits = searcher_of({"content": index}).search(
        [Query(by_id(ids[55]), exclude_examples=False)], 60
    )
    found = hits.ids[0].tolist()
    assert found[0] == ids[55]
    assert sorted(found) == ids[1:].tolist()


def list_order(hits: Hits) -> Sequence[int]:
    return [image for image in hits.ids[0].tolist() if image != NO_ID]


def test_list_order_gives_the_clusters_as_they_come(
    spaces: dict[str, dict[str, VectorIndex]],
) -> None:
    index = spaces["clusters"]["content"]
    searcher = searcher_of(spaces["clusters"])
    query = Query(by_id(7), weights={"content": 1}, order="list")
    hits = searcher.search([query], 30)
    expected = index.search(index.vectors(np.array([7])), 31, order="list")
    assert list_order(hits) == [i for i in list_order(expected) if i != 7][:30]
    assert (hits.is_ranked, hits.is_exact) == (False, False)
    ranked = searcher.search([Query(by_id(7), weights={"content": 1})], N)
    scores = dict(zip(ranked.ids[0].tolist(), ranked.scores[0].tolist(), strict=True))
    assert hits.scores[0].tolist() == [scores[i] for i in list_order(hits)]


def test_refuses_list_orders_that_make_no_sense(spaces: dict[str, dict[str, VectorIndex]]) -> None:
    searcher = searcher_of(spaces["clusters"])
    with pytest.raises(UsageError, match="weighs content, layout; give one of them a weight"):
        searcher.search([Query(by_id(7), order="list")], 3)
    mixed = [Query(by_id(7), weights={"content": 1}, order=order) for order in ("list", "ranked")]
    with pytest.raises(UsageError, match="cannot be asked together"):
        searcher.search(mixed, 3)
    with pytest.raises(UsageError, match="of kind 'exact' has none"):
        searcher_of(spaces["exact"]).search(mixed[:1], 3)


def test_hits_have_one_shape_whatever_is_asked(colors: Searcher) -> None:
    assert colors.search([], 5).ids.shape == (0, 5)
    assert colors.search([Query(by_id(RED_RED))], 5).ids.shape == (1, 5)
    assert colors.search([Query(by_id(RED_RED))] * 3, 99).ids.shape == (3, 16)


@pytest.mark.parametrize(
    ("query", "k", "message"),
    [
        (Query(by_id(7)), 0, r"number of hits \(-k\) must be 1 or more, not 0"),
        (Query(by_id(8)), 3, "no image with id 8 in the collection"),
        (Query(by_id(7), by_id(9)), 3, "no image with id 9 in the collection"),
        (Query(by_id(7), weights={"colour": 1}), 3, "no descriptor 'colour' .*: content, layout"),
    ],
)
def test_refuses_what_makes_no_sense(colors: Searcher, query: Query, k: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        colors.search([query], k)


def test_an_empty_collection_says_how_to_fill_it() -> None:
    empty = exact_index(np.empty(0, np.int64), np.empty((0, 3), np.float32))
    with pytest.raises(UsageError, match="no images yet; add some with: lookalike index"):
        searcher_of({"content": empty}).search([Query(by_id(7))], 3)


class WrongEncoder:
    """Gives embeddings of another model."""

    def __init__(self, row: Sequence[float]) -> None:
        self.row = row

    def encode(
        self, examples: Sequence[Example], descriptors: Sequence[str]
    ) -> dict[str, Embeddings]:
        return {name: np.array([self.row] * len(examples), np.float32) for name in descriptors}


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ([1, 2, 3], MismatchError, "holds 12-dimensional embeddings, the query has 3"),
        ([1] * 11 + [float("nan")], UsageError, "not finite"),
    ],
)
def test_refuses_embeddings_of_another_kind(
    spaces: dict[str, dict[str, VectorIndex]],
    row: Sequence[float],
    error: type[LookalikeError],
    message: str,
) -> None:
    indexes = {"content": spaces["exact"]["content"]}
    searcher = Searcher(indexes, calibrations_of(indexes), WrongEncoder(row))
    with pytest.raises(error, match=message):
        searcher.search([Query((PixelsExample.of(PICTURES[0]),))], 3)


def test_every_descriptor_needs_its_calibration(spaces: dict[str, dict[str, VectorIndex]]) -> None:
    with pytest.raises(UsageError, match="need calibrations of the same"):
        Searcher(spaces["exact"], {}, ColorEncoder())
    with pytest.raises(UsageError, match="need calibrations"):
        Searcher({}, {}, ColorEncoder())
