"""The page Label: what a person says of some pictures, propagated to all others and reviewed."""

import re

import pytest
from django.urls import reverse

from lookalike import Collection
from lookalike.knowing.noting import annotate_ids
from lookalike.storage.annotations import Statement
from lookalike.web import writing
from lookalike.web.models import AuditEntry, Job, JobState
from tests.web.copies import copy_of
from tests.web.working import work_off


@pytest.fixture
def gallery(gallery, tmp_path):
    return copy_of(gallery, tmp_path)


@pytest.fixture
def editor(people):
    return people.editor


def said_in(gallery):
    with Collection.open(gallery) as collection:
        return collection.catalog.knowledge.annotations.statements()


def kinds_in(gallery):
    with Collection.open(gallery) as collection:
        return [each.kind for each in collection.catalog.knowledge.annotations.history()]


def probabilities_in(gallery):
    with Collection.open(gallery) as collection:
        return sorted(collection.catalog.knowledge.annotations.doubtful(1000))


def post(browser, name, **sent):
    return browser.post(reverse(name, args=["photos"]), sent, follow=True)


def get(browser, name, **asked):
    response = browser.get(reverse(name, args=["photos"]), asked)
    assert response.status_code == 200
    return response.content.decode()


def test_the_next_cluster_is_shown_and_labeled_but_for_what_is_taken_out(editor, gallery):
    page = get(editor, "label")
    shown = re.findall(r'name="shown" value="(\d+)"', page)
    assert 1 < len(shown) <= 12
    post(editor, "label_pictures", shown=shown, fits=shown[1:], words="beach,  open   sea")
    said = said_in(gallery)
    assert {each.label for each in said} == {"beach", "open sea"}
    assert {each.image_id for each in said if each.holds} == {int(each) for each in shown[1:]}
    assert [each.holds for each in said if each.image_id == int(shown[0])] == [False, False]
    page = get(editor, "label")
    assert not set(shown) & set(re.findall(r'name="shown" value="(\d+)"', page))
    rows = re.findall(r'<th scope="row"><a [^>]*>([^<]+)</a>', page)
    assert rows[:2] == ["beach", "open sea"]
    assert len(rows) > 2  # those that the model alone sees come last
    assert AuditEntry.objects.filter(what="labeled", who="editor").count() == 1


@pytest.mark.parametrize("words", ["", " , ", ",".join("abcdefghijklmnopqrstuvw")])
def test_words_that_say_nothing_are_told_and_change_nothing(editor, gallery, words):
    response = post(editor, "label_pictures", shown=["1"], fits=["1"], words=words)
    assert 'class="error"' in response.content.decode()
    assert said_in(gallery) == []
    assert not AuditEntry.objects.exists()


def test_propagating_is_shown_before_it_is_done_and_can_be_taken_back(editor, gallery):
    post(editor, "label_pictures", shown=["1", "2"], fits=["1"], words="beach")
    page = get(editor, "label_preview")
    assert "You said so of 1" in page
    with Collection.open(gallery) as collection:
        assert collection.catalog.knowledge.annotations.doubtful(1) == []
    post(editor, "label_propagate")
    assert [(job.kind, job.state) for job in work_off()] == [("propagate", "done")]
    with Collection.open(gallery) as collection:
        doubtful = collection.catalog.knowledge.annotations.doubtful(100)
    assert doubtful
    assert not {1, 2} & {image for image, _, _ in doubtful}
    post(editor, "label_undo")
    post(editor, "label_undo")
    assert said_in(gallery) == []
    response = post(editor, "label_undo")
    assert "nothing to be undone" in response.content.decode()


def test_pictures_in_doubt_are_asked_nearest_to_one_half_first(editor, gallery):
    post(editor, "label_pictures", shown=["1", "2"], fits=["1"], words="beach")
    post(editor, "label_propagate")
    work_off()
    with Collection.open(gallery) as collection:
        queue = collection.catalog.knowledge.annotations.doubtful(3)
    distances = [abs(probability - 0.5) for _, _, probability in queue]
    assert distances == sorted(distances)
    for (image, word, _), answer in zip(queue, ("yes", "no"), strict=False):
        assert f'name="id" value="{image}"' in get(editor, "label_review")
        post(editor, "label_review", id=str(image), label=word, answer=answer)
    assert f'name="id" value="{queue[2][0]}"' in get(editor, "label_review")
    said = {each.image_id: each.holds for each in said_in(gallery)}
    assert (said[queue[0][0]], said[queue[1][0]]) == (True, False)
    skipped = re.search(r'name="id" value="(\d+)"', get(editor, "label_review", at="1"))
    assert int(skipped[1]) not in {image for image, _, _ in queue}


def test_clusters_are_found_by_a_job_beside_which_labeling_goes_on(editor, gallery):
    with Collection.open(gallery, writable=True) as collection:
        collection.catalog.knowledge.clusterings.delete("content")
    post(editor, "label_clusters", descriptor="content")
    page = get(editor, "label")
    assert "They are being found" in page
    assert "reload=over" in page
    post(editor, "label_pictures", shown=["1"], fits=["1"], words="beach")
    [job] = work_off()
    assert (job.kind, job.state) == ("clusters", "done")
    assert said_in(gallery) == [Statement(1, "beach", True)]
    watched = editor.get(
        reverse("job", args=["photos", job.pk]), {"reload": "over"}, headers={"HX-Request": "true"}
    )
    assert watched.headers["HX-Refresh"] == "true"
    assert 'name="shown"' in get(editor, "label")


def test_what_is_asked_twice_is_done_once_and_nothing_is_taken_back_meanwhile(editor, gallery):
    post(editor, "label_pictures", shown=["1", "2"], fits=["1"], words="beach")
    for _ in range(2):
        page = post(editor, "label_propagate").content.decode()
        assert "Take back the last" not in page
    assert "worked on" in post(editor, "label_undo").content.decode()
    [job] = work_off()
    assert job.report == {"name": "content", "labels": ["beach"]}
    assert len(said_in(gallery)) == 2
    assert "Take back the last" in get(editor, "label_review")


def test_a_propagation_whose_worker_died_before_it_told_so_is_not_done_again(editor, gallery):
    post(editor, "label_pictures", shown=["1", "2"], fits=["1"], words="beach")
    post(editor, "label_propagate")
    work_off()
    Job.objects.update(state=JobState.QUEUED)
    [job] = work_off()
    assert job.report["labels"] == ["beach"]
    assert kinds_in(gallery) == ["propagate", "label"]


def test_taking_back_a_propagation_works_the_one_before_out_again_as_a_job(editor, gallery):
    post(editor, "label_pictures", shown=["1", "2"], fits=["1"], words="beach")
    post(editor, "label_propagate")
    work_off()
    first = probabilities_in(gallery)
    post(editor, "label_pictures", shown=["3"], fits=["3"], words="forest")
    post(editor, "label_propagate")
    work_off()
    assert probabilities_in(gallery) != first
    post(editor, "label_undo")
    [job] = work_off()
    assert (job.kind, job.state) == ("undo", "done")
    assert probabilities_in(gallery) == first
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)  # its worker had died
    work_off()
    assert probabilities_in(gallery) == first
    assert kinds_in(gallery) == ["label", "propagate", "label"]


def test_while_another_writes_nothing_changes_and_trying_again_is_offered(
    editor, gallery, monkeypatch
):
    monkeypatch.setattr(writing, "PATIENCE_SECONDS", 0.1)
    with Collection.open(gallery, writable=True):
        response = post(editor, "label_pictures", shown=["1"], fits=["1"], words="beach")
    page = response.content.decode()
    assert response.status_code == 409
    assert "nothing was changed" in page
    again = dict(re.findall(r'<input type="hidden" name="(shown|fits|words)" value="(\w+)"', page))
    assert said_in(gallery) == []
    post(editor, "label_pictures", **again)
    assert said_in(gallery) == [Statement(1, "beach", True)]


def test_a_search_for_a_label_finds_what_was_labeled_a_moment_ago(editor):
    for image, expected in (("7", {"7"}), ("9", {"7", "9"})):
        post(editor, "label_pictures", shown=[image], fits=[image], words="beach")
        found = re.findall(r'/c/photos/i/(\d+)/"', get(editor, "search", q="label:beach"))
        assert set(found) == expected


def test_an_image_tells_who_says_what_and_not_where_it_was_taken(people, gallery):
    with Collection.open(gallery, writable=True) as collection:
        attributes = {"photographer": "Anna", "gps_latitude": "48.2"}
        annotate_ids(collection, [3], captions=("two dogs",), attributes=attributes)
    post(people.editor, "label_pictures", shown=["3"], fits=["3"], words="dog", image="3")
    post(people.editor, "label_pictures", shown=["3"], words="cat", image="3")
    page = people.viewer.get(reverse("image", args=["photos", 3])).content.decode()
    assert re.search(r'dog</a> <span class="note">said by a person', page)
    assert "not cat</a>" in page
    assert "two dogs" in page
    assert "Anna" in page
    assert "48.2" not in page
    assert "not so" not in page  # a viewer changes nothing
    assert re.search(r'\?colors=%23[0-9a-f]{6}%3A\d+"', page)
