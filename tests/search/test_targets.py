"""From marks to what is sought, against slow and obvious versions."""

import math

import numpy as np
import pytest

from lookalike.arrays import normalize
from lookalike.search.targets import (
    Ellipsoid,
    Evidence,
    Points,
    averaged,
    mindreader,
    moved,
    separating,
    several,
    weighted,
)

RNG = np.random.default_rng(3)
SAMPLE = normalize(RNG.standard_normal((200, 6)))


def evidence(query, relevant=(), levels=(), others=(), other_levels=()):
    def rows(values):
        return normalize(np.array(values, np.float64).reshape(-1, 6))

    return Evidence(
        None if query is None else rows(query)[0],
        rows(relevant),
        np.array(levels, np.float64),
        rows(others),
        np.array(other_levels, np.float64),
        SAMPLE,
    )


E = np.eye(6, dtype=np.float32)


def test_rocchio_is_the_published_sum():
    known = evidence(E[0], [E[1], E[2]], [3, 1], [E[3]], [1])
    expected = np.array([1.0, 0.75 * 3 / 4, 0.75 * 1 / 4, -0.15, 0, 0])
    point = moved(known).directions[0]
    np.testing.assert_allclose(point, expected / np.linalg.norm(expected), atol=1e-6)


def test_levels_weigh_dislikes_too():
    known = evidence(E[0], others=[E[1], E[2]], other_levels=[3, 1])
    point = moved(known).directions[0]
    assert point[1] == pytest.approx(3 * point[2])
    assert point[1] < 0


def test_likes_alone_are_the_query():
    known = evidence(None, [E[1], E[2]], [1, 1])
    np.testing.assert_allclose(moved(known).directions[0], (E[1] + E[2]) / math.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(averaged(known).directions[0], moved(known).directions[0])


def test_components_in_which_relevant_rows_agree_weigh_more():
    rows = normalize(np.array([[1, 1, 0, 0, 0, 0], [1, -1, 0, 0, 0, 0], [1, 0.5, 0, 0, 0, 0.0]]))
    target = weighted(evidence(None, rows, [1, 1, 1]))
    weights = target.factor**2
    assert weights.sum() == pytest.approx(1)
    spread = np.std(rows.astype(np.float64), axis=0)
    usual = SAMPLE.astype(np.float64).std(axis=0)
    assert weights[1] / weights[0] == pytest.approx(max(spread[0], usual[0] / 4) / spread[1])
    # In the second component the relevant rows disagree, so that it matters less.
    center = target.center
    assert (
        target.similarities((center + 0.3 * E[1])[None].astype(np.float32))[0]
        > target.similarities((center + 0.3 * E[0])[None].astype(np.float32))[0]
    )


def test_an_ellipsoid_measures_the_distance_that_its_matrix_says():
    center, factor = RNG.standard_normal(6), RNG.standard_normal((6, 6))
    rows = normalize(RNG.standard_normal((5, 6)))
    metric = factor @ factor.T
    slow = [float((r - center) @ metric @ (r - center)) for r in rows.astype(np.float64)]
    np.testing.assert_allclose(Ellipsoid(center, factor, 1.0).distances(rows), slow)


def test_candidates_of_an_ellipsoid_lie_where_it_is_steepest():
    center, factor = RNG.standard_normal(6), RNG.standard_normal((6, 6))
    for used in (factor, np.abs(factor[0])):
        target = Ellipsoid(center, used, 1.0)
        step = np.float32(1e-3)
        gradient = target.distances(-step * E) - target.distances(step * E)
        steepest = gradient / np.linalg.norm(gradient)
        np.testing.assert_allclose(target.directions[0], steepest, atol=1e-4)


def test_mindreader_stretches_along_the_spread_of_relevant_rows():
    along = normalize(E[0] + np.outer(np.linspace(-1, 1, 9), E[1] + E[2]))
    target = mindreader(evidence(None, along, np.ones(9)))
    center = target.center
    near = (center + 0.3 * (E[1] + E[2])).astype(np.float32)
    far = (center + 0.3 * (E[1] - E[2])).astype(np.float32)
    values = target.similarities(np.stack([near, far]))
    assert values[0] > values[1]


@pytest.mark.parametrize("rows", [[E[0]], [E[0], E[1]]])
def test_mindreader_learns_nothing_from_two_rows(rows):
    target = mindreader(evidence(None, rows, np.ones(len(rows))))
    np.testing.assert_allclose(target.factor, 1)


def test_relevant_rows_that_are_unlike_stay_several_points():
    rows = [E[0], E[0] + 0.1 * E[1], E[4], E[4] + 0.1 * E[5]]
    target = several(evidence(None, rows, np.ones(4), [E[2]], [1]), 0.8)
    assert len(target.directions) == 2
    assert (target.directions[:, 2] < 0).all()
    ends = target.similarities(normalize(np.stack([E[0], E[4], E[0] + E[4]])))
    assert ends[:2].min() > ends[2] + 0.2
    assert len(several(evidence(None, rows, np.ones(4)), -1.0).directions) == 1


def test_several_points_of_one_row_is_the_row():
    np.testing.assert_allclose(several(evidence(E[1]), 0.9).directions[0], E[1], atol=1e-6)


def test_the_most_similar_point_counts():
    points = normalize(RNG.standard_normal((3, 6)))
    rows = normalize(RNG.standard_normal((7, 6)))
    slow = [max(math.fsum((p * r).tolist()) for p in points) for r in rows]
    np.testing.assert_allclose(Points(points).similarities(rows), slow, atol=1e-6)


def test_a_plane_separates_what_was_marked_whatever_both_have_in_common():
    liked = [E[0] + 0.3 * E[1], E[0] + 0.2 * E[1] + 0.1 * E[3]]
    disliked = [E[0] - 0.3 * E[1], E[0] - 0.2 * E[1] + 0.1 * E[4]]
    known = evidence(None, liked, [1, 1], disliked, [1, 1])
    target = separating(known)
    values = target.similarities(np.concatenate([known.relevant, known.others]))
    assert values[:2].min() > values[2:].max()
    assert target.directions[0, 1] > 0.5


def test_random_images_stand_in_for_dislikes():
    target = separating(evidence(E[0], [E[0] + 0.2 * E[1]], [1]))
    assert target.similarities(E[:1].astype(np.float32))[0] > 0.8


def test_strong_marks_pull_a_plane_more():
    rows = [E[0] + E[1], E[0] + E[2]]
    even, strong = (
        separating(evidence(None, rows, levels)).directions[0] for levels in ([1, 1], [3, 1])
    )
    assert strong[1] > even[1]
    assert strong[2] < even[2]
