"""Query expansion and re-ranking, against slow versions written from the papers."""

import math

import numpy as np
import pytest

from lookalike.arrays import NO_ID, normalize
from lookalike.search.queries import IdExample, Query
from lookalike.search.second_look import diffuse, expand, reciprocal, rerank
from tests.index.galleries import built, clustered
from tests.search.painters import searcher_of


def graph(n: int, seed: int = 0) -> np.ndarray:
    rows = clustered(n, 4, seed=seed)
    nodes = (1 + rows.astype(np.float64) @ rows.T) / 2
    np.fill_diagonal(nodes, 1.0)
    return (nodes + nodes.T) / 2


def slow_reciprocal(nodes, k1, k2, own_share):
    n = len(nodes)
    nearest = [sorted(range(n), key=lambda j: (j != i, -nodes[i][j], j)) for i in range(n)]

    def mutual(i, k):
        return {j for j in nearest[i][: k + 1] if i in nearest[j][: k + 1]}

    features = []
    for i in range(n):
        found = mutual(i, k1)
        widened = set(found)
        for j in found:
            other = mutual(j, k1 // 2)
            if len(found & other) >= 2 / 3 * len(other):
                widened |= other
        weights = {j: math.exp(nodes[i][j] - 1) for j in widened}
        total = sum(weights.values())
        features.append([weights.get(j, 0.0) / total for j in range(n)])
    means = [
        [sum(features[m][j] for m in nearest[i][:k2]) / k2 for j in range(n)] for i in range(n)
    ]
    result = []
    for i in range(1, n):
        low = sum(min(a, b) for a, b in zip(means[0], means[i], strict=True))
        high = sum(max(a, b) for a, b in zip(means[0], means[i], strict=True))
        result.append((1 - own_share) * low / high + own_share * nodes[0][i])
    return result


def test_reciprocal_neighbors_are_those_of_the_paper():
    nodes = graph(30)
    expected = slow_reciprocal(nodes.tolist(), 8, 3, 0.3)
    np.testing.assert_allclose(reciprocal(nodes, k1=8, k2=3, own_share=0.3), expected)


def test_diffusion_is_the_limit_of_a_walk_with_restarts():
    nodes = graph(25)
    k, alpha, gamma = 6, 0.9, 3.0
    pairs = nodes[1:, 1:].copy()
    np.fill_diagonal(pairs, 0)
    n = len(pairs)
    nearest = [sorted(range(n), key=lambda j: -pairs[i][j])[:k] for i in range(n)]
    edges = np.array(
        [
            [pairs[i][j] ** gamma if i in nearest[j] and j in nearest[i] else 0 for j in range(n)]
            for i in range(n)
        ]
    )
    degrees = edges.sum(axis=1)
    degrees[degrees == 0] = 1
    step = edges / np.sqrt(np.outer(degrees, degrees))
    source = np.where(np.arange(n) < k, nodes[0, 1:] ** gamma, 0)
    walked = np.zeros(n)
    for _ in range(600):
        walked = alpha * step @ walked + source
    np.testing.assert_allclose(diffuse(nodes, k=k, alpha=alpha, gamma=gamma), walked)


def test_expansion_adds_the_first_hits():
    point, rows = clustered(1, 5)[0], clustered(4, 5, seed=1)
    total = point + rows.sum(axis=0)
    np.testing.assert_allclose(expand(point, rows, "average"), normalize(total), atol=1e-6)
    weights = [max(0.0, float(point @ row)) ** 3 for row in rows]
    total = point + sum(w * row for w, row in zip(weights, rows, strict=True))
    np.testing.assert_allclose(expand(point, rows, "alpha"), normalize(total), atol=1e-6)


@pytest.mark.parametrize("how", ["reciprocal", "diffusion"])
def test_equal_hits_keep_their_order(how):
    order = rerank(np.full(5, 0.5), np.full((5, 5), 0.5) + 0.5 * np.eye(5), how)
    assert order.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture(scope="module")
def searcher():
    rows = {"content": clustered(900, 12, seed=1), "layout": clustered(900, 6, seed=2)}
    return searcher_of({name: built("exact", part) for name, part in rows.items()})


@pytest.mark.parametrize("how", ["reciprocal", "diffusion"])
def test_reranking_changes_the_order_of_the_first_hits_and_not_the_scores(searcher, how):
    plain, again = (searcher.search([Query((IdExample(7),), rerank=r)], 899) for r in (None, how))
    assert again.scores[0].tolist() == pytest.approx(plain.scores[0].tolist())
    first, others = again.ids[0, :500].tolist(), again.ids[0, 500:].tolist()
    assert first != plain.ids[0, :500].tolist()
    assert set(first) == set(plain.ids[0, :500].tolist())
    assert others == plain.ids[0, 500:].tolist()
    assert NO_ID not in again.ids[0, :-1]
    known = dict(zip(plain.ids[0].tolist(), plain.parts["layout"][0].tolist(), strict=True))
    assert again.parts["layout"][0, 3] == pytest.approx(known[int(again.ids[0, 3])])
    fewer = searcher.search([Query((IdExample(7),), rerank=how)], 10)
    assert fewer.ids[0].tolist() == first[:10]


@pytest.mark.parametrize("how", ["average", "alpha"])
def test_expansion_searches_from_its_own_first_hits(searcher, how):
    query = Query((IdExample(7),), weights={"content": 1})
    first = searcher.search([query], 5).ids[0]
    index = built("exact", clustered(900, 12, seed=1))
    point = expand(index.vectors(np.array([7]))[0], index.vectors(first), how)
    expected = index.search(point[None], 11).ids[0]
    expanded = Query((IdExample(7),), weights={"content": 1}, expand=how)
    hits = searcher.search([expanded], 10)
    assert hits.ids[0].tolist() == [image for image in expected.tolist() if image != 7][:10]
