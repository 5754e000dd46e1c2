import math

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.search import clusters
from lookalike.search.clusters import (
    cluster_tree,
    make_clusters,
    open_clusters,
    overrepresented,
    place_new,
    sweep,
    view_clusters,
)
from tests.search.stocked import add, planted, stock

GROUPS = ("cat", "dog", "cow")


@pytest.fixture
def catalog(tmp_path):
    rows, groups = planted(60)

    def labels(number):
        return [("picture", 1.0), (GROUPS[groups[number]], 0.9)]

    with stock(tmp_path / "c.sqlite", rows, labels) as opened:
        yield opened


def test_planted_groups_are_found_named_and_shown_nearest_first(catalog):
    made = make_clusters(catalog, "animals", k=3)
    views = view_clusters(catalog, "animals", n_nearest=4)
    assert [view.size for view in views] == [20, 20, 20]
    assert {view.names[0][0] for view in views} == set(GROUPS)
    for view in views:
        assert [name for name, *_ in view.names] == [view.names[0][0]]  # all are pictures
        members = catalog.knowledge.clusterings.members("animals")
        own = members.clusters == view.cluster
        order = np.lexsort((members.ids[own], -members.similarities[own]))
        assert list(view.nearest) == members.ids[own][order][:4].tolist()
        rows = catalog.vectors(members.ids[own], "content")
        np.testing.assert_allclose(
            members.similarities[own], rows @ made.centers[view.cluster], atol=1e-6
        )
        distances = ((rows - made.centers[view.cluster]) ** 2).sum(axis=1)
        assert made.spreads[view.cluster] == pytest.approx(distances.mean(), abs=1e-5)


def test_without_a_number_the_planted_one_is_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "CANDIDATES", (2, 3, 5, 10))
    rows, _ = planted(60)
    with stock(tmp_path / "c.sqlite", rows) as catalog:
        made = make_clusters(catalog, "content")
    assert made.facts["k"] == 3
    assert made.facts["silhouette"]["3"] == max(made.facts["silhouette"].values())


def test_new_images_join_the_nearest_and_nobody_moves(catalog):
    make_clusters(catalog, "animals", k=3)
    before = catalog.knowledge.clusterings.members("animals")
    rows, groups = planted(6, seed=5)
    add(catalog, rows, prefix="new")
    assert place_new(catalog, "animals") == 6
    assert place_new(catalog, "animals") == 0
    after = catalog.knowledge.clusterings.members("animals")
    np.testing.assert_array_equal(after.clusters[:60], before.clusters)
    np.testing.assert_array_equal(after.clusters[60:], before.clusters[groups])


def test_equal_seeds_give_equal_clusters_and_a_name_is_replaced(catalog):
    first = make_clusters(catalog, "animals", k=4, seed=1)
    again = make_clusters(catalog, "animals", k=4, seed=1)
    np.testing.assert_array_equal(first.centers, again.centers)
    assert catalog.knowledge.clusterings.names() == ["animals"]


def test_a_sweep_prefers_the_planted_number(catalog):
    rows = sweep(catalog, "content", [2, 3, 12])
    assert [row.k for row in rows] == [2, 3, 12]
    assert max(rows, key=lambda row: row.silhouette).k == 3
    assert rows[0].similarity < rows[1].similarity < rows[2].similarity
    assert rows[1].largest == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match="60 clusters of 60 images"):
        sweep(catalog, "content", [60])


def test_the_tree_joins_the_most_alike_first(tmp_path):
    rows, _ = planted(40, 4, noise=0.05)
    rows[3::4] = rows[2::4] + 0.9 * rows[3::4]  # the last two groups lie close together
    with stock(tmp_path / "c.sqlite", rows) as catalog:
        stored = make_clusters(catalog, "four", k=4)
        tree = cluster_tree(stored, view_clusters(catalog, "four"))
        of_image = catalog.knowledge.clusterings.members("four").clusters

    def leaves(node):
        if "cluster" in node:
            return [node["cluster"]]
        return [leaf for child in node["children"] for leaf in leaves(child)]

    def nodes(node):
        return [node] + [n for child in node.get("children", ()) for n in nodes(child)]

    assert sorted(leaves(tree)) == [0, 1, 2, 3]
    assert tree["size"] == 40
    joined = min((n for n in nodes(tree) if "distance" in n), key=lambda n: n["distance"])
    assert set(leaves(joined)) == {of_image[2], of_image[3]}


def test_a_single_cluster_is_a_tree_of_one_leaf(catalog):
    stored = make_clusters(catalog, "one", k=1)
    assert cluster_tree(stored, view_clusters(catalog, "one"))["cluster"] == 0


def test_what_stands_out_by_hand():
    counts = [(0, "cat", 9), (1, "cat", 1), (0, "sky", 5), (1, "sky", 5)]
    found = overrepresented(counts, {0: 10, 1: 10})
    ratio = math.log(9.5 / 1.5) - math.log(1.5 / 9.5)
    z = ratio / math.sqrt(1 / 9.5 + 1 / 1.5)
    assert found == {0: [("cat", 0.9, 0.5, pytest.approx(z))]}


def test_centers_follow_when_a_descriptor_shrinks(tmp_path):
    rows, groups = planted(30)
    with stock(tmp_path / "c.sqlite", rows) as catalog:
        made = make_clusters(catalog, "animals", k=3)
        catalog.knowledge.clusterings.save(
            type(made)("animals", "content", made.facts, np.eye(3, 5, dtype="f4"), made.spreads),
            catalog.knowledge.clusterings.members("animals"),
        )
        followed = open_clusters(catalog, "animals")
        assert followed.centers.shape == made.centers.shape
        assert ((followed.centers * made.centers).sum(axis=1) > 0.99).all()
        assert len(np.unique(groups)) == 3


@pytest.mark.parametrize("k", [0, 61])
def test_impossible_numbers_are_refused(catalog, k):
    with pytest.raises(UsageError, match=f"cannot be put into {k} clusters"):
        make_clusters(catalog, "animals", k=k)


def test_an_empty_collection_is_told_so(tmp_path):
    with (
        stock(tmp_path / "c.sqlite", np.empty((0, 8), np.float32)) as catalog,
        pytest.raises(UsageError, match="holds no picture"),
    ):
        make_clusters(catalog, "animals")
