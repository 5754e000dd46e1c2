"""What a person says of hits, as a value."""

import json

import pytest

from lookalike.errors import UsageError
from lookalike.search.feedback import Feedback
from lookalike.search.queries import IdExample, Query, TextExample

MARKED = Feedback(({7: 3, 5: -1}, {5: 1, 9: -3, 2: 0}), "mars", exclude_seen=False)


def test_later_marks_replace_earlier_ones():
    assert MARKED.marks == {2: 0, 5: 1, 7: 3, 9: -3}
    assert (MARKED.relevant, MARKED.non_relevant) == ({5: 1, 7: 3}, {9: -3})


def test_undo_takes_the_last_round_back_and_with_it_what_it_replaced():
    assert MARKED.undo().marks == {5: -1, 7: 3}
    assert MARKED.undo().undo().rounds == ()
    with pytest.raises(UsageError, match="no round of feedback to undo"):
        Feedback().undo()


def test_seen_images_are_excluded_unless_they_are_kept():
    assert Feedback(({7: 1, 3: 0},)).excluded_ids == {3, 7}
    assert MARKED.excluded_ids == frozenset()
    query = Query((IdExample(1),), feedback=Feedback(({7: 1},)))
    assert query.excluded_ids == {1, 7}


def test_feedback_survives_json_inside_its_query():
    query = Query((IdExample(1),), feedback=MARKED)
    assert Query.from_json(json.loads(json.dumps(query.to_json()))) == query
    assert Feedback.from_json(Feedback().to_json()) == Feedback()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "feedback is a JSON object"),
        ({"marks": []}, "unknown part 'marks' of feedback; known are: rounds, method"),
        ({"rounds": {"7": 1}}, "rounds of feedback are a JSON list"),
        ({"rounds": [[7]]}, "object of ids and marks"),
        ({"rounds": [{"x": 1}]}, "'x' is no image id"),
        ({"rounds": [{"7": 2}]}, "mark of image 7 is 2; marks are 3"),
        ({"rounds": [{"7": True}]}, "mark of image 7 is True"),
        ({"rounds": [{"7": "good"}]}, "mark of image 7 is 'good'"),
        ({"rounds": [{str(2**63): 1}]}, f"no image with id {2**63}"),
        ({"method": "magic"}, "no feedback method 'magic'; choose one of: auto"),
        ({"exclude_seen": 1}, "exclude_seen of feedback is true or false"),
    ],
)
def test_what_is_no_feedback_is_refused(content, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json({"positives": [{"id": 1}], "feedback": content})


def test_marks_may_be_the_whole_question_but_dislikes_may_not():
    assert Query((), feedback=Feedback(({7: 1},))).is_steered
    with pytest.raises(UsageError, match="negative examples alone"):
        Query((), feedback=Feedback(({7: -1},)))


def test_words_need_a_like_before_a_dislike():
    with pytest.raises(UsageError, match="like at least one too"):
        Query((TextExample("dog"),), feedback=Feedback(({7: -1},)))
    liked = Query((TextExample("dog"),), feedback=Feedback(({7: -1, 3: 1},)))
    assert liked.text_share == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expand": "more"}, "unknown expansion 'more'"),
        ({"rerank": "more"}, "unknown re-ranking 'more'"),
        ({"rerank": "diffusion", "order": "list"}, "order 'list'"),
        (
            {"positives": [{"id": 1}, {"id": 2}], "multipoint": "yes", "rerank": "diffusion"},
            "apart",
        ),
        ({"words": "dog", "expand": "alpha"}, "expansion starts"),
        ({"expand": "alpha", "feedback": MARKED.to_json()}, "expansion starts from example"),
        (
            {"rerank": "diffusion", "feedback": MARKED.to_json()},
            "re-ranking starts from example",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Query.from_json({"positives": [{"id": 1}]} | options)
