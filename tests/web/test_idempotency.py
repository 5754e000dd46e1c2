"""Changes that are asked for twice are made once."""

import io
import threading
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from PIL import Image

from lookalike import Collection
from lookalike.web import worker
from lookalike.web.models import ApiToken, Job, KeptAnswer, Membership, UploadedPicture, User
from tests.web.copies import copy_of

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


@pytest.fixture
def own(gallery, hosted, tmp_path):
    """The hosted collection, which a test may change."""
    hosted.path = str(copy_of(gallery, tmp_path))
    hosted.save()
    return hosted


def ask(browser, name, content=None, key=KEY, **words):
    address = reverse(f"api:{name}", kwargs={"name": "photos", **words})
    headers = {"Idempotency-Key": key} if key else {}
    return browser.post(address, content or {}, content_type="application/json", headers=headers)


def statements(hosted):
    with Collection.open(hosted.folder) as opened:
        return [action.n for action in opened.catalog.knowledge.annotations.history()]


def test_the_same_answer_comes_again_and_nothing_is_done_twice(people):
    first, second = ask(people.editor, "make_job"), ask(people.editor, "make_job")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert Job.objects.count() == 1
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    quoted = ask(people.editor, "make_job", key=f'"{KEY}"')
    assert quoted.content == first.content
    ask(people.editor, "make_job", key="another")
    ask(people.editor, "make_job", key="")
    assert Job.objects.count() == 3


def test_a_key_that_comes_with_something_else_is_refused(people):
    ask(people.editor, "make_job")
    refused = ask(people.editor, "make_job", {"kind": "verify"})
    assert refused.status_code == 422
    assert "something else" in refused.json()["error"]
    job = Job.objects.get()
    assert ask(people.editor, "steer_job", job_id=job.pk, action="pause").status_code == 422
    assert Job.objects.get().state == "queued"


def test_keys_of_different_people_do_not_meet(people):
    first, second = ask(people.editor, "make_job"), ask(people.owner, "make_job")
    assert first.json()["id"] != second.json()["id"]


def test_what_was_refused_can_be_asked_for_again(people, own):
    refused = ask(people.editor, "add_labels", {"labels": ["cat"], "images": [999]})
    assert refused.status_code == 422
    assert ask(people.editor, "add_labels", {"labels": ["cat"], "images": [1]}).status_code == 200
    assert statements(own) == [1]


def test_who_meets_another_writer_is_told_when_to_come_again(people, own):
    with Collection.open(own.folder, writable=True):
        met = ask(people.editor, "add_labels", {"labels": ["cat"], "images": [1]})
    assert (met.status_code, met.headers["Retry-After"]) == (409, "2")
    assert ask(people.editor, "add_labels", {"labels": ["cat"], "images": [1]}).status_code == 200


@pytest.mark.parametrize("key", ["x" * 129, "two words", "ä"])
def test_a_key_that_is_none_is_refused(people, key):
    answer = ask(people.editor, "make_job", key=key)
    assert (answer.status_code, Job.objects.count()) == (422, 0)


def test_labels_are_said_once_though_the_server_was_killed_before_it_answered(people, own):
    content = {"labels": ["cat", "pet"], "images": [1, 2], "not_images": [3]}
    first = ask(people.editor, "add_labels", content)
    KeptAnswer.objects.update(status=None, content="")
    busy = ask(people.editor, "add_labels", content)
    assert (busy.status_code, busy.headers["Retry-After"]) == (409, "1")
    KeptAnswer.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    second = ask(people.editor, "add_labels", content)
    assert second.json() == first.json()
    assert statements(own) == [6]


def test_a_job_is_made_once_though_the_server_was_killed_before_it_answered(people):
    first = ask(people.owner, "make_backup")
    KeptAnswer.objects.update(status=None, lease_until=timezone.now() - timedelta(seconds=1))
    assert ask(people.owner, "make_backup").json()["id"] == first.json()["id"]
    assert Job.objects.count() == 1


def test_uploads_are_told_apart_by_the_picture_not_by_how_it_was_packed(people):
    def send(shade):
        file = io.BytesIO()
        Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(file, "PNG")
        file.seek(0)
        file.name = "a.png"
        headers = {"Idempotency-Key": KEY}
        return people.viewer.post(reverse("api:upload"), {"picture": file}, headers=headers)

    first, second, other = send(10), send(10), send(11)
    assert first.json()["upload"] == second.json()["upload"]
    assert other.status_code == 422
    assert UploadedPicture.objects.count() == 1
    KeptAnswer.objects.update(status=None, lease_until=timezone.now() - timedelta(seconds=1))
    assert send(10).json()["upload"] == first.json()["upload"]  # made anew after a kill
    assert UploadedPicture.objects.count() == 1
    assert len(first.json()["upload"]) == 32


def test_answers_are_kept_for_a_day(people):
    ask(people.editor, "make_job")
    KeptAnswer.objects.update(created=timezone.now() - timedelta(hours=23))
    worker.clean(Job)
    ask(people.editor, "make_job")
    assert Job.objects.count() == 1
    KeptAnswer.objects.update(created=timezone.now() - timedelta(hours=25))
    ask(people.editor, "make_job")
    assert Job.objects.count() == 2
    KeptAnswer.objects.update(created=timezone.now() - timedelta(hours=25))
    worker.clean(Job)
    assert KeptAnswer.objects.count() == 0


def test_an_earlier_answer_is_not_given_to_whom_it_is_no_longer_due(people, client):
    user = User.objects.get(username="editor")
    assert ask(people.editor, "make_job").status_code == 200
    token = ApiToken.make(user, "reads", may_write=False, days=1)
    address = reverse("api:make_job", kwargs={"name": "photos"})
    headers = {"Idempotency-Key": KEY, "Authorization": f"Bearer {token}"}
    answer = client.post(address, {}, content_type="application/json", headers=headers)
    assert answer.status_code == 403
    Membership.objects.filter(user=user).delete()
    assert ask(people.editor, "make_job").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_of_two_that_come_at_the_same_moment_one_is_done(people, own, monkeypatch):
    inside, go_on = threading.Event(), threading.Event()
    from lookalike.web import labels

    def slowly(*args, **words):
        inside.set()
        assert go_on.wait(20)
        return say(*args, **words)

    say = labels.say
    monkeypatch.setattr(labels, "say", slowly)
    content = {"labels": ["cat"], "images": [1]}
    answers = []

    def first():
        answers.append(ask(people.editor, "add_labels", content))
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    second = ask(people.editor, "add_labels", content)
    go_on.set()
    thread.join()
    assert (answers[0].status_code, second.status_code) == (200, 409)
    assert ask(people.editor, "add_labels", content).content == answers[0].content
    assert statements(own) == [1]


def test_undoing_under_a_key_names_what_is_undone(people, own):
    action = ask(people.editor, "add_labels", {"labels": ["cat"], "images": [1]}).json()["action"]
    later = ask(people.editor, "add_labels", {"labels": ["dog"], "images": [2]}, key="b").json()
    assert ask(people.editor, "undo_labels", {}, key="c").status_code == 422
    assert ask(people.editor, "undo_labels", {"action": action}, key="c").status_code == 422
    undo = {"action": later["action"]}
    assert ask(people.editor, "undo_labels", undo, key="d").status_code == 200
    KeptAnswer.objects.update(status=None, lease_until=timezone.now() - timedelta(seconds=1))
    assert ask(people.editor, "undo_labels", undo, key="d").status_code == 422
    assert statements(own) == [1]
