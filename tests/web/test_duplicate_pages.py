"""The page Duplicates: groups side by side, and decisions that stick."""

import os
from pathlib import Path

import pytest
from django.urls import reverse

from lookalike import Collection
from lookalike.errors import UsageError
from lookalike.knowing.deduplicating import decide
from lookalike.web import duplicates
from lookalike.web.models import AuditEntry
from tests.web.copies import HALF, SMALL, copy_of


@pytest.fixture
def gallery(gallery, tmp_path):
    """Where the three copies are said to be the same, so that they are a group."""
    own = copy_of(gallery, tmp_path)
    with Collection.open(own, writable=True) as collection:
        decide(collection, "same", [1, HALF, SMALL])
    return own


def look(browser, **asked):
    response = browser.get(reverse("duplicates", args=["photos"]), asked)
    assert response.status_code == 200
    return response


def say(browser, verdict, *ids):
    sent = {"verdict": verdict, "id": [str(each) for each in ids]}
    return browser.post(reverse("decide_duplicates", args=["photos"]), sent, follow=True)


def group_of(response, image):
    [found] = [each for each in response.context["groups"] if image in each["ids"]]
    return found


def test_copies_stand_side_by_side_with_what_makes_one_the_best(people):
    response = look(people.viewer)
    group = group_of(response, 1)
    assert set(group["ids"]) == {1, HALF, SMALL}
    half = next(each for each in group["members"] if each["record"].id == HALF)
    assert (half["most_pixels"], half["formats_differ"]) == (False, True)
    assert b"Keep this" not in response.content  # viewers decide nothing


def test_what_is_decided_sticks_and_can_be_forgotten(people, gallery):
    before = set(group_of(look(people.editor), 1)["ids"])
    response = say(people.editor, "different", 1, HALF)
    assert set(group_of(response, 1)["ids"]) == before - {HALF}
    assert b"Undo" in response.content
    with Collection.open(gallery) as collection:
        assert (1, HALF) in collection.catalog.duplicates.decisions().different
    response = say(people.editor, "forget", 1, HALF)
    assert response.context["decided"] == []
    assert AuditEntry.objects.filter(who="editor").count() == 2


def test_another_one_can_be_kept_and_is_not_on_the_list_of_what_could_go(people):
    first = group_of(look(people.editor), 1)["keep"]
    say(people.editor, "keep", HALF)
    group = group_of(look(people.editor), 1)
    assert (group["keep"], group["reason"]) == (HALF, "kept by decision")
    listed = people.viewer.get(reverse("removable_duplicates", args=["photos"]))
    paths = listed.content.split(b"\n")[:-1]
    assert listed.headers["Content-Disposition"].startswith("attachment")
    names = {Path(os.fsdecode(path)).name for path in paths}
    assert first != HALF
    assert "b.jpg" in names
    assert "a.png" not in names
    assert all(Path(os.fsdecode(path)).exists() for path in paths)  # nothing is deleted


@pytest.mark.parametrize(("verdict", "ids"), [("burn", [1, 2]), ("same", [1]), ("keep", [999])])
def test_what_cannot_be_decided_is_told(people, verdict, ids):
    response = say(people.editor, verdict, *ids)
    assert b'class="error"' in response.content
    assert not AuditEntry.objects.exists()


def test_a_large_collection_is_compared_beside_the_requests(people, monkeypatch):
    monkeypatch.setattr(duplicates, "groups_in_time", duplicates.GroupsInTime(patience=0.0))
    sought = look(people.viewer)
    assert b"Comparing" in sought.content
    while b"Comparing" in sought.content:
        sought = look(people.viewer)
    assert group_of(sought, 1)


def test_a_failure_is_told_and_tried_again(hosted, gallery):
    finder = duplicates.GroupsInTime(patience=30.0)
    with Collection.open(gallery) as collection:
        lacking = collection.gallery.indexes.pop("content")
        with pytest.raises(UsageError, match="content"):
            finder.get(hosted, collection)
        collection.gallery.indexes["content"] = lacking
        assert finder.get(hosted, collection)
