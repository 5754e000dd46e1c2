"""The page Duplicates: groups side by side, and decisions that stick."""

import os
from pathlib import Path

import pytest
from django.urls import reverse
from PIL import Image

from lookalike import Collection
from lookalike.knowing.deduplicating import decide
from lookalike.web.models import AuditEntry, Job, JobState
from tests.web.copies import HALF, SMALL, copy_of
from tests.web.working import work_off


@pytest.fixture
def gallery(gallery, tmp_path):
    """Where the three copies are said to be the same, so that they are a group."""
    own = copy_of(gallery, tmp_path)
    with Collection.open(own, writable=True) as collection:
        decide(collection, "same", [1, HALF, SMALL])
    return own


def look(browser, **asked):
    """Open the page; where groups have to be looked for first, let the worker do so."""
    response = browser.get(reverse("duplicates", args=["photos"]), asked)
    if b"pictures are compared" in response.content:
        work_off()
        response = browser.get(reverse("duplicates", args=["photos"]), asked)
    assert response.status_code == 200
    return response


def say(browser, verdict, *ids):
    sent = {"verdict": verdict, "id": [str(each) for each in ids]}
    return browser.post(reverse("decide_duplicates", args=["photos"]), sent, follow=True)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Rows have the same number in each test, so each has files of its own."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))


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


def test_groups_are_looked_for_once_by_a_job_whoever_asks(people, hosted):
    for browser in (people.viewer, people.editor):
        sought = browser.get(reverse("duplicates", args=["photos"]))
        assert b"reload=over" in sought.content
    [job] = work_off()
    assert (job.kind, job.state) == ("duplicates", "done")
    assert group_of(look(people.viewer), 1)
    assert hosted.jobs.count() == 1


def test_a_search_that_was_stopped_begins_again_only_when_an_editor_asks(people, hosted):
    people.viewer.get(reverse("duplicates", args=["photos"]))
    Job.objects.update(state=JobState.CANCELLED)
    assert b"was stopped" in look(people.viewer).content
    assert b"Look for duplicates" not in look(people.viewer).content
    assert b"Look for duplicates" in look(people.editor).content
    people.editor.post(reverse("find_duplicates", args=["photos"]))
    work_off()
    assert group_of(look(people.viewer), 1)


def test_a_search_that_pauses_can_be_taken_up_on_the_page(people):
    people.editor.get(reverse("duplicates", args=["photos"]))
    Job.objects.update(state=JobState.PAUSED)
    page = people.editor.get(reverse("duplicates", args=["photos"])).content
    assert b"Resume" in page
    assert b"every 1s" not in page
    assert Job.objects.count() == 1


def test_new_pictures_are_told_of_and_taken_in_after_indexing(people, hosted, gallery, tmp_path):
    before = set(group_of(look(people.viewer), 1)["ids"])
    more = tmp_path / "more"
    with Image.open(more / "a.png") as picture:
        picture.save(more / "c.bmp")
    with Collection.open(gallery, writable=True) as collection:
        collection.add(more, workers=0)
        [new] = collection.catalog.ids()[-1:].tolist()
        decide(collection, "same", [1, new])
    page = look(people.viewer)
    assert b"1 picture came since" in page.content
    assert set(group_of(page, 1)["ids"]) == before
    Job.objects.create(collection=hosted, kind="index", options={"sources": [str(more)]})
    assert [job.kind for job in work_off()] == ["index", "duplicates"]
    page = look(people.viewer)
    assert b"came since" not in page.content
    assert set(group_of(page, 1)["ids"]) == before | {new}


def test_everything_can_be_searched_anew(people):
    look(people.editor)
    people.editor.post(reverse("find_duplicates", args=["photos"]), {"which": "all"})
    [job] = work_off()
    assert (job.options, job.state) == ({"anew": True}, "done")
    assert group_of(look(people.editor), 1)
