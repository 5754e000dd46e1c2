"""Labels proposed from a pool of groupings."""

import json

import numpy as np
import pytest

from lookalike.errors import DamagedCollectionError, UsageError
from lookalike.search.foureyes import Grouping, Pool, Votes, make_pool, propose, vote
from tests.index.galleries import clustered

IDS = np.arange(10, 22)
"""Twelve images; by color three groups of four, by shape two of six, by size pairs."""
COLOR = Grouping("color/3", np.repeat([0, 1, 2], 4))
SHAPE = Grouping("shape/2", np.tile([0, 1], 6))
SIZE = Grouping("size/6", np.repeat(np.arange(6), 2))
POOL = Pool(IDS, (COLOR, SHAPE, SIZE))


def test_the_group_that_covers_most_is_chosen_and_its_others_are_proposed():
    found = propose(POOL, [10, 11, 12], [14])
    [group] = found.groups
    assert (group.grouping, group.number, group.n_images, group.n_positives) == ("color/3", 0, 4, 3)
    assert found.ids.tolist() == [13]
    assert found.confidences.tolist() == [0.5]
    assert found.uncovered == ()


def test_groups_with_a_negative_image_are_not_chosen():
    found = propose(POOL, [10, 12], [13])
    assert {group.grouping for group in found.groups} == {"shape/2"}
    assert found.ids.tolist() == [14, 16, 18, 20]


def test_of_equal_groups_the_smallest_is_chosen():
    [group] = propose(POOL, [10], []).groups
    assert group.grouping == "size/6"


def test_positives_that_no_group_can_cover_are_named():
    found = propose(POOL, [10, 20], [11, 12, 14])
    assert found.uncovered == (10,)
    assert found.ids.tolist() == [21]


def test_groupings_that_proposed_wrongly_are_chosen_less():
    first = propose(POOL, [10, 12], [])
    [group] = first.groups
    assert group.grouping == "color/3"
    votes = vote(first, {11: False, 13: False, 21: True})
    assert votes.wrong == {"color/3:2": 2}
    assert votes.right == {}
    assert votes.confidence("color/3", 2) == 0.25
    again = propose(POOL, [10, 12], [], votes)
    assert {group.grouping for group in again.groups} == {"shape/2"}


def test_confidence_is_the_share_that_was_right():
    proposal = propose(POOL, [10, 12], [])
    votes = Votes()
    for _ in range(60):
        votes = vote(proposal, {11: True, 13: False}, votes)
    assert votes.confidence("color/3", 2) == pytest.approx(0.5)
    for _ in range(200):
        votes = vote(proposal, {11: True}, votes)
    assert propose(POOL, [10, 12], [], votes).confidences[0] == pytest.approx(0.81, abs=0.01)


def test_votes_are_kept_by_the_number_of_positives_in_the_group():
    votes = vote(propose(POOL, [10, 11, 12], [14]), {13: True})
    assert votes.right == {"color/3:3": 1}
    assert votes.confidence("color/3", 4) > votes.confidence("color/3", 2)


def test_images_outside_all_groups_of_a_grouping_are_not_proposed_by_it():
    by_hand = Grouping("by hand", np.array([0, 0, 0] + [-1] * 9))
    found = propose(Pool(IDS, (by_hand,)), [10, 20], [])
    assert found.ids.tolist() == [11, 12]
    assert found.uncovered == (20,)


def test_a_pool_clusters_each_descriptor_coarsely_to_finely():
    rows = {"content": clustered(200, 8), "layout": clustered(200, 4, seed=1)}
    pool = make_pool(np.arange(200), rows, more=[Grouping("by hand", np.zeros(200, np.int64))])
    names = [grouping.name for grouping in pool.groupings]
    assert names == ["content/4", "content/16", "layout/4", "layout/16", "by hand"]
    assert len(np.unique(pool.groupings[1].groups)) > 10


def test_votes_survive_json():
    votes = Votes({"a/8:1": 2}, {"b/8:3": 1})
    assert Votes.from_json(json.loads(json.dumps(votes.to_json()))) == votes


@pytest.mark.parametrize(
    "content", [{}, {"right": 1, "wrong": {}}, {"right": {"a": "x"}, "wrong": {}}]
)
def test_what_are_no_votes_is_refused(content):
    with pytest.raises(DamagedCollectionError, match="votes cannot be read"):
        Votes.from_json(content)
    with pytest.raises(DamagedCollectionError, match="below 0"):
        Votes.from_json({"right": {"a": -1}, "wrong": {}})


@pytest.mark.parametrize(
    ("positives", "negatives", "message"),
    [
        ([], [10], "at least one image that has the label"),
        ([10], [10], "image 10 cannot both"),
        ([99], [], "no image with id 99"),
        ([10], [5], "no image with id 5"),
    ],
)
def test_examples_that_make_no_sense_are_refused(positives, negatives, message):
    with pytest.raises(UsageError, match=message):
        propose(POOL, positives, negatives)
