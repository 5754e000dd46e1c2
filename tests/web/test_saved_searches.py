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
from lookalike.search.layouts import PaintedMap
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


ODD = {"positives": [{"id": 3, "weight": 0.5}, {"id": 5, "weight": 2}], "min_score": 0.25}


def save_odd(browser, query=ODD, name="odd"):
    sent = {"name": name, "query": query}
    address = reverse("api:make_search", args=["photos"])
    return browser.post(address, sent, content_type="application/json")


def hits_of(response):
    return [hit.id for hit in response.context["page"].hits]


def found_by(gallery, **changed):
    query = Query.from_json({**ODD, **changed})
    with Collection.open(gallery) as collection:
        ids = collection.search(query, 60).ids[0]
    return ids[ids > 0].tolist()


def test_what_no_address_can_say_is_opened_by_its_name_and_told_in_words(viewer, gallery):
    save_odd(viewer)
    page = search(viewer, q="saved:odd")
    assert hits_of(page) == found_by(gallery)
    text = page.content.decode()
    for each in ("like picture 3 (counts 0.5)", "a score of 0.25 or more", '<h2 id="opened">odd<'):
        assert each in text
    assert 'href="?q=saved%3Aodd"' in text
    rows = csv.DictReader(io.StringIO(export(viewer, "csv", q="saved:odd").decode()))
    assert [int(row["id"]) for row in rows] == found_by(gallery)


def test_what_is_asked_beside_it_counts_as_well(viewer, gallery):
    save_odd(viewer)
    page = search(viewer, q="saved:odd", like="9", w="content:1")
    positives = [*ODD["positives"], {"id": 9}]
    assert hits_of(page) == found_by(gallery, positives=positives, weights={"content": 1})
    save(viewer, "more", "q=saved:odd&like=9")
    assert SavedSearch.objects.get(name="more").query == {"query": {**ODD, "positives": positives}}
    page = search(viewer, q="saved:more", round="6,-7")
    feedback = {"rounds": [{"6": 1, "7": -1}]}
    assert hits_of(page) == found_by(gallery, positives=positives, feedback=feedback)


def test_a_map_with_more_labels_than_values_is_kept_as_it_is(viewer):
    data = PaintedMap(bytes(64), 8, 8, ("red",)).to_json()
    many = {"layout": {"map": {**data, "labels": ["red"] * 300}}}
    assert save_odd(viewer, many).json()["address"] == "q=saved%3Aodd"


def test_one_that_is_shown_and_deleted_leaves_the_bare_page(viewer):
    save_odd(viewer)
    address = reverse("delete_search", args=["photos", SavedSearch.objects.get().pk])
    response = viewer.post(address, {"address": "q=saved%3Aodd"})
    assert response.headers["Location"] == "/c/photos/?"


def test_nobody_else_opens_it_over_rest(people):
    save_odd(people.viewer)
    sent = {"saved": "odd"}
    address = reverse("api:search", args=["photos"])
    assert people.viewer.post(address, sent, content_type="application/json").status_code == 200
    assert people.editor.post(address, sent, content_type="application/json").status_code == 422


def test_an_upload_with_a_weight_stays_until_the_search_is_deleted(viewer):
    sent = uploads.keep(User.objects.get(username="viewer"), np.zeros((8, 8, 3), np.uint8))
    save_odd(viewer, {"positives": [{"upload": sent.token, "weight": 2}]})
    soon = timezone.now() + timedelta(days=2)
    assert UploadedPicture.objects.get(pk=sent.token).expires > soon
    found = SavedSearch.objects.get()
    assert found.query == {"query": {"positives": [{"upload": sent.token, "weight": 2}]}}
    viewer.post(reverse("delete_search", args=["photos", found.pk]))
    assert UploadedPicture.objects.get(pk=sent.token).expires < soon


def test_clauses_reach_no_files_of_the_server(viewer):
    response = save_odd(viewer, {"composition": [{"content_of": {"file": "/etc/hostname"}}]})
    assert response.status_code == 422
    assert "cannot name files" in response.json()["error"]


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
