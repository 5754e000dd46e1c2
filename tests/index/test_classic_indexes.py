"""Every way to find neighbors against comparing all: exact where it says so, better with effort."""

import math
from itertools import pairwise

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.errors import MismatchError, UsageError
from lookalike.index.base import VectorIndex
from lookalike.index.classic import EVERYTHING, ClassicIndex
from lookalike.index.exact import exact_index
from lookalike.index.faiss_kinds import FaissKindIndex, one_thread
from lookalike.index.lsh import Hashes, Lsh, cheapest_sets, probe_sets
from lookalike.index.rows import Rows
from lookalike.index.trees import KdTree, KMeansTree, SciPyTree
from tests.index.galleries import clustered, spaced_ids

N, DIM, K = 600, 18, 10

BUILDERS = {
    "kd-tree": (KdTree.build, (32, 128, EVERYTHING)),
    "k-means tree": (lambda rows: KMeansTree.build(rows, branching=8), (32, 128, EVERYTHING)),
    "kd-tree of SciPy": (SciPyTree.build, (0.1, 0.5, 1.0)),
    "hyperplanes": (lambda rows: Lsh.build(rows, tables=6, bits=7), (1, 6, 120)),
    "stable": (lambda rows: Lsh.build(rows, "stable", tables=6, bits=5), (1, 6, 240)),
    "flat": (lambda rows: FaissKindIndex.build(rows, "flat"), (1,)),
    "pq": (lambda rows: FaissKindIndex.build(rows, "pq"), (1, 4, 60)),
    "ivf": (lambda rows: FaissKindIndex.build(rows, "ivf"), (1, 8, 75)),
    "hnsw": (lambda rows: FaissKindIndex.build(rows, "hnsw"), (10, 40, 160)),
}
EXACT = {"kd-tree", "k-means tree", "kd-tree of SciPy", "flat", "ivf"}


@pytest.fixture(scope="module")
def rows():
    return Rows(spaced_ids(N), clustered(N, DIM))


@pytest.fixture(scope="module")
def queries():
    return clustered(N + 40, DIM)[N:]


@pytest.fixture(scope="module")
def truth(rows, queries):
    return exact_index(rows.ids, rows.embeddings).search(queries, K)


@pytest.fixture(scope="module", params=BUILDERS)
def built(request, rows):
    build, efforts = BUILDERS[request.param]
    return request.param, ClassicIndex(rows, build(rows.embeddings)), efforts


def recall(found, truth):
    pairs = zip(found.ids, truth.ids, strict=True)
    return np.mean([np.isin(wanted, hits).mean() for hits, wanted in pairs])


def test_it_is_a_vector_index(built):
    assert isinstance(built[1], VectorIndex)
    assert built[1].n_bytes > 4 * DIM * N


def test_with_all_effort_it_is_exact_where_it_says_so(built, queries, truth):
    name, index, efforts = built
    index = index.with_effort(efforts[-1])
    found = index.search(queries, K)
    assert index.is_exact == found.is_exact == (name in EXACT)
    if index.is_exact:
        assert (found.ids == truth.ids).all()
        assert (found.scores == truth.scores).all()
    else:
        assert recall(found, truth) > 0.95


def test_more_effort_finds_no_less(built, queries, truth):
    _, index, efforts = built
    recalls = [recall(index.with_effort(effort).search(queries, K), truth) for effort in efforts]
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(recalls))
    assert len(efforts) == 1 or recalls[-1] > recalls[0] + 0.02 or recalls[0] > 0.97


def test_scores_are_those_of_the_rows(built, rows, queries):
    _, index, efforts = built
    found = index.with_effort(efforts[0]).search(queries[:5], K)
    for query, ids, scores in zip(queries, found.ids, found.scores, strict=False):
        ids, scores = ids[ids >= 0], scores[ids >= 0]
        assert rows.vectors(ids) @ query == pytest.approx(scores, abs=1e-5)
        assert len(set(ids.tolist())) == len(ids)


def test_filters_hold(built, rows, queries):
    _, index, efforts = built
    allowed = rows.ids[::3]
    found = index.with_effort(efforts[-1]).search(queries[:5], K, allowed=allowed)
    assert np.isin(found.ids[found.ids >= 0], allowed).all()
    few = index.search(queries[:5], K, allowed=allowed[:4])
    assert (np.sort(few.ids[:, :4]) == allowed[:4]).all()


def test_a_collection_smaller_than_k_is_answered_whole(built):
    name, _, efforts = built
    small = Rows(spaced_ids(3), clustered(3, DIM))
    index = ClassicIndex(small, BUILDERS[name][0](small.embeddings)).with_effort(efforts[-1])
    found = index.search(small.embeddings, 5)
    assert found.ids.shape == (3, 3)
    assert (found.ids[:, 0] == small.ids).all()


def test_wrong_questions_are_refused(built, queries):
    _, index, _ = built
    with pytest.raises(UsageError, match="hits must be 1 or more"):
        index.search(queries, 0)
    with pytest.raises(MismatchError, match="18-dimensional"):
        index.search(queries[:, :4].copy(), 3)
    with pytest.raises(UsageError, match="walks k-means clusters"):
        index.search(queries, 3, order="list")


def test_equal_rows_do_not_hang_a_tree():
    rows = np.ones((200, 4), np.float32) / 2
    for tree in (KdTree.build(rows), KMeansTree.build(rows, branching=8)):
        assert len(tree.candidates(rows[0], 3)) >= 3


@pytest.mark.parametrize("leaf", [1, 4, 50])
def test_a_tree_without_limit_leaves_out_only_what_cannot_be_nearer(leaf):
    rng = np.random.default_rng(leaf)
    rows = normalize(rng.standard_normal((500, 5)))
    trees = [KdTree.build(rows, leaf), KMeansTree.build(rows, branching=4, leaf=leaf)]
    n_compared = 0
    for query in normalize(rng.standard_normal((30, 5))):
        nearest = set(np.argsort(((rows - query) ** 2).sum(axis=1))[:4].tolist())
        for tree in trees:
            found = tree.candidates(query, 4)
            assert nearest <= set(found.tolist())
            assert len(set(found.tolist())) == len(found)
            n_compared += len(found)
    assert n_compared < 0.6 * 2 * 30 * 500


def test_boxes_that_are_cut_twice_in_one_direction_are_not_thought_too_far():
    rng = np.random.default_rng(11)
    rows = rng.random((400, 2), np.float32)
    tree = KdTree.build(rows, leaf=1)
    for query in rng.uniform(-1, 2, (100, 2)).astype(np.float32):
        nearest = set(np.argsort(((rows - query) ** 2).sum(axis=1))[:6].tolist())
        assert nearest <= set(tree.candidates(query, 6).tolist())


def test_trees_hold_each_row_once_and_radii_hold_their_rows():
    rows = clustered(700, 9)
    tree = KMeansTree.build(rows, branching=8)
    leaves = [n for n, children in enumerate(tree.nodes.children) if not children]
    members = np.concatenate([tree.nodes.members(leaf) for leaf in leaves])
    assert sorted(members.tolist()) == list(range(700))
    for node, center in enumerate(tree.centers):
        apart = np.linalg.norm(rows[tree.nodes.members(node)] - center, axis=1)
        assert apart.max() <= tree.radii[node] + 1e-5


@pytest.mark.parametrize("degrees", [10, 40, 90])
def test_hyperplanes_collide_as_the_angle_says(degrees):
    a, b = pair_at(math.radians(degrees))
    hashes = Hashes.draw("hyperplanes", 8, tables=1, bits=20_000, width=1.0, seed=3)
    codes = hashes.codes(hashes.project(np.stack([a, b])))
    assert (codes[0] == codes[1]).mean() == pytest.approx(1 - degrees / 180, abs=0.015)


@pytest.mark.parametrize(("degrees", "width"), [(20, 0.5), (60, 1.0), (90, 4.0)])
def test_stable_hashes_collide_as_the_distance_says(degrees, width):
    a, b = pair_at(math.radians(degrees))
    hashes = Hashes.draw("stable", 8, tables=1, bits=20_000, width=width, seed=4)
    codes = hashes.codes(hashes.project(np.stack([a, b])))
    ratio = width / float(np.linalg.norm(a - b))
    normal = 0.5 * (1 + math.erf(-ratio / math.sqrt(2)))
    tail = 2 / (math.sqrt(2 * math.pi) * ratio) * (1 - math.exp(-(ratio**2) / 2))
    expected = 1 - 2 * normal - tail  # Datar et al., section 3.2
    assert (codes[0] == codes[1]).mean() == pytest.approx(expected, abs=0.015)


def test_tables_find_what_theory_says():
    rng = np.random.default_rng(5)
    degrees, bits, tables, found = 30, 6, 4, 0
    for seed in range(400):
        a, b = pair_at(math.radians(degrees), rng)
        found += len(Lsh.build(b[None], tables=tables, bits=bits, seed=seed).candidates(a, 1))
    expected = 1 - (1 - (1 - degrees / 180) ** bits) ** tables
    assert found / 400 == pytest.approx(expected, abs=0.06)


def pair_at(angle, rng=None):
    """Two unit rows with an angle between them."""
    basis = np.linalg.qr((rng or np.random.default_rng(1)).standard_normal((8, 2)))[0].T
    other = math.cos(angle) * basis[0] + math.sin(angle) * basis[1]
    return basis[0].astype(np.float32), other.astype(np.float32)


def test_sets_come_by_ascending_cost_and_none_is_left_out():
    costs = np.sort(np.random.default_rng(6).random(6))
    found = list(cheapest_sets(costs))
    sums = [costs[chosen].sum() for chosen in found]
    assert sums == sorted(sums)
    assert len({tuple(chosen) for chosen in found}) == len(found) == 2**6 - 1
    assert list(cheapest_sets(np.empty(0))) == []


def test_all_buckets_of_hyperplanes_hold_all_rows():
    rows = clustered(300, 6)
    index = Lsh.build(rows, tables=1, bits=5)
    assert len(index.with_effort(2**5).candidates(rows[0], 1)) == 300
    assert len(index.candidates(rows[0], 1)) < 300


def test_threads_are_as_before():
    from lookalike.index.faiss_kinds import faiss

    before = faiss.omp_get_max_threads()
    with one_thread():
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize(("family", "bits"), [("hyperplanes", 10), ("stable", 6)])
def test_probes_go_to_the_likeliest_buckets_first(family, bits):
    """Against all steps put in order for the query itself."""
    rng = np.random.default_rng(8)
    hashes = Hashes.draw(family, 8, tables=1, bits=bits, width=0.8, seed=9)
    values = hashes.project(normalize(rng.standard_normal((50, 8))))[:, 0]
    shares = []
    for value in values:
        places, steps = (part[0] for part in hashes.steps(value[None]))
        below = value - np.floor(value)
        costs = {
            (at, step): below[at] if step < 0 else 1 - below[at]
            for at, step in zip(places.tolist(), steps.tolist(), strict=True)
        }
        if family == "hyperplanes":
            costs = {(at, step): abs(value[at]) for at, step in costs}
        assert list(costs.values()) == sorted(costs.values())
        squares = np.array(list(costs.values()), float) ** 2
        valid = [
            chosen
            for chosen, _ in zip(cheapest_sets(squares), range(200), strict=False)
            if len(set(places[chosen].tolist())) == len(chosen)
        ][:20]
        found = [set(row[row < len(squares)].tolist()) for row in probe_sets(family, bits, 20)]
        assert all(len(set(places[sorted(one)].tolist())) == len(one) for one in found)
        shares.append(np.mean([set(chosen) in found for chosen in valid]))
    assert np.mean(shares) > 0.6
