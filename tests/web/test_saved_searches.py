"""Searches that are kept under a name, and what they find given to other programs."""

import csv
import io
import json
import zipfile
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from lookalike import Collection, IdExample, Query
from lookalike.images.scanning import content_hash
from lookalike.web import uploads
from lookalike.web.models import AuditEntry, SavedSearch, UploadedPicture, User


def save(browser, name, address):
    sent = {"name": name, "address": address}
    return browser.post(reverse("save_search", args=["photos"]), sent, follow=True)


def search(browser, **asked):
    return browser.get(reverse("search", args=["photos"]), asked)


def export(browser, kind, **asked):
    response = browser.get(reverse("export", args=["photos", kind]), asked)
    assert response.headers["Content-Disposition"] == f'attachment; filename="photos.{kind}"'
    return b"".join(response.streaming_content)


def test_a_search_is_saved_listed_suggested_asked_again_and_deleted(viewer):
    response = save(viewer, " Like  three ", "like=3&w=layout:2")
    assert b">Like three</a>" in response.content
    suggested = viewer.get(reverse("suggest", args=["photos"]), {"q": "lik"}).json()["suggestions"]
    assert suggested[-1] == "saved:Like three"
    response = search(viewer, q="saved:like three")
    assert response.headers["Location"] == "/c/photos/?like=3&w=layout%3A2"
    assert search(viewer, q="saved:nothing").status_code == 422
    found = SavedSearch.objects.get()
    viewer.post(reverse("delete_search", args=["photos", found.pk]))
    assert not SavedSearch.objects.exists()
    assert [each.what for each in AuditEntry.objects.all()] == ["search deleted", "search saved"]


def test_the_same_name_takes_the_place_of_the_older(viewer):
    save(viewer, "mine", "like=3")
    save(viewer, "mine", "like=4")
    assert SavedSearch.objects.get().query == {"address": "like=4"}


@pytest.mark.parametrize(("name", "address"), [("", "like=3"), ("x" * 121, "like=3"), ("a", "")])
def test_what_cannot_be_saved_is_told(viewer, name, address):
    assert b'class="error"' in save(viewer, name, address).content
    assert not SavedSearch.objects.exists()


def test_nobody_else_sees_or_deletes_it(people):
    save(people.viewer, "secret plan", "like=3")
    assert b"secret plan" not in search(people.editor).content
    assert search(people.editor, q="saved:secret plan").status_code == 422
    found = SavedSearch.objects.get()
    people.editor.post(reverse("delete_search", args=["photos", found.pk]))
    assert SavedSearch.objects.filter(pk=found.pk).exists()


def test_a_picture_that_a_saved_search_asks_with_stays_until_it_is_deleted(viewer):
    user = User.objects.get(username="viewer")
    sent = uploads.keep(user, np.zeros((8, 8, 3), np.uint8))
    save(viewer, "mine", f"like=up.{sent.token}@0,0,4,4")
    soon = timezone.now() + timedelta(days=2)
    assert UploadedPicture.objects.get(pk=sent.token).expires > soon
    viewer.post(reverse("delete_search", args=["photos", SavedSearch.objects.get().pk]))
    assert UploadedPicture.objects.get(pk=sent.token).expires < soon


def test_lists_hold_what_python_finds(viewer, gallery):
    with Collection.open(gallery) as collection:
        found = collection.search(Query((IdExample(3),)), 5)
    rows = list(csv.DictReader(io.StringIO(export(viewer, "csv", like="3", n="5").decode())))
    images = json.loads(export(viewer, "json", like="3", n="5"))["images"]
    assert [int(row["id"]) for row in rows] == found.ids[0].tolist()
    assert [float(row["score"]) for row in rows] == found.scores[0].tolist()
    assert [(each["id"], each["score"]) for each in images] == list(
        zip(found.ids[0].tolist(), found.scores[0].tolist(), strict=True)
    )


def test_without_a_question_everything_is_given(viewer, gallery):
    with Collection.open(gallery) as collection:
        ids = collection.catalog.ids().tolist()
    assert [each["id"] for each in json.loads(export(viewer, "json"))["images"]] == ids


def test_an_archive_holds_the_originals_and_comes_in_pieces(viewer, gallery):
    response = viewer.get(reverse("export", args=["photos", "zip"]), {"like": "3", "n": "4"})
    pieces = list(response.streaming_content)
    assert len(pieces) > 4
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.testzip() is None
        rows = list(csv.DictReader(io.StringIO(archive.read("manifest.csv").decode())))
        with Collection.open(gallery) as collection:
            for row in rows:
                [record] = collection.images([int(row["id"])])
                assert content_hash(archive.read(row["name"])) == record.hash
    assert len(rows) == 4


def test_there_is_no_other_kind(viewer):
    assert viewer.get(reverse("export", args=["photos", "pickle"])).status_code == 404
