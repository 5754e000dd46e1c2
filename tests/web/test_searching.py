"""The search page, uploads and pictures."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from lookalike import Collection, IdExample, Query
from lookalike.web import uploads
from lookalike.web.asking import Asked
from lookalike.web.models import UploadedPicture
from tests.web.conftest import N


def ids_in(response):
    return [int(each) for each in re.findall(r'/c/photos/i/(\d+)/"', response.content.decode())]


def encoded(pixels, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def send(browser, content, name="picture.png"):
    return browser.post(reverse("upload"), {"picture": SimpleUploadedFile(name, content)})


def test_the_page_finds_what_python_finds(viewer, gallery):
    response = viewer.get(reverse("search", args=["photos"]), {"like": "3"})
    with Collection.open(gallery) as collection:
        found = collection.search(Query((IdExample(3),)), N)
    assert ids_in(response) == found.ids[0][: N - 1].tolist()


def test_rest_gives_the_same_ids_and_scores_as_python(viewer, gallery):
    query = {"positives": [{"id": 3}], "negatives": [{"id": 5}], "weights": {"layout": 2.0}}
    address = reverse("api:search", args=["photos"])
    response = viewer.post(address, {"query": query, "k": 7}, content_type="application/json")
    with Collection.open(gallery) as collection:
        found = collection.search(Query.from_json(query), 7)
    hits = response.json()["hits"]
    assert [hit["id"] for hit in hits] == found.ids[0].tolist()
    assert [hit["score"] for hit in hits] == found.scores[0].tolist()


def test_a_weight_in_the_address_moves_the_ranking(viewer, gallery):
    address = reverse("search", args=["photos"])
    response = viewer.get(address, {"like": "3", "w": ["content:0", "layout:1"]})
    with Collection.open(gallery) as collection:
        found = collection.search(Query((IdExample(3),), weights={"layout": 1.0}), N)
    assert ids_in(response) == found.ids[0][: N - 1].tolist()


def test_a_picture_that_is_sent_finds_itself(viewer, gallery):
    with Collection.open(gallery) as collection:
        pixels = collection.picture(7)
    sent = send(viewer, encoded(pixels)).json()
    response = viewer.get(reverse("search", args=["photos"]), {"like": sent["example"]})
    assert ids_in(response)[0] == 7


def test_nobody_else_can_search_with_it(people):
    sent = send(people.viewer, encoded(np.zeros((8, 8, 3), np.uint8))).json()
    address = reverse("search", args=["photos"])
    assert people.editor.get(address, {"like": sent["example"]}).status_code == 422
    token = sent["example"].removeprefix("up.")
    assert people.editor.get(reverse("uploaded", args=[token])).status_code == 422
    assert people.viewer.get(reverse("uploaded", args=[token])).status_code == 200


def test_what_is_stored_and_served_is_not_what_was_sent(viewer):
    polyglot = encoded(np.zeros((8, 8, 3), np.uint8)) + b"<script>alert(1)</script>"
    sent = send(viewer, polyglot, "page.html").json()
    token = sent["example"].removeprefix("up.")
    response = viewer.get(reverse("uploaded", args=[token]))
    assert b"<script" not in response.content
    assert response.headers["Content-Type"] == "image/webp"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert b"<script" not in uploads.place_of(UploadedPicture.objects.get(pk=token)).read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.4",
        b"",
        encoded(np.zeros((40, 40, 3), np.uint8), "JPEG")[:400],
        encoded(np.zeros((4, 4, 3), np.uint8), "TIFF"),
    ],
    ids=["eps", "svg", "pdf", "empty", "half a jpeg", "tiff"],
)
def test_what_is_no_picture_is_refused_in_words(viewer, content):
    response = send(viewer, content)
    assert response.status_code in (413, 415)
    assert response.json()["error"]
    assert not UploadedPicture.objects.exists()


def test_a_bomb_is_refused(viewer):
    bomb = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(bomb, "PNG")
    response = send(viewer, bomb.getvalue())
    assert response.status_code == 415
    assert "megapixels" in response.json()["error"] or "pixels" in response.json()["error"]


def test_an_upload_that_is_too_long_is_stopped(viewer, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    response = send(viewer, b"\0" * 5000)
    assert response.status_code == 413


def test_expired_uploads_are_deleted(viewer):
    sent = send(viewer, encoded(np.zeros((8, 8, 3), np.uint8))).json()
    picture = UploadedPicture.objects.get(pk=sent["example"].removeprefix("up."))
    UploadedPicture.objects.update(expires=picture.created)
    assert uploads.delete_expired() == 1
    assert not uploads.place_of(picture).exists()


def test_a_thumbnail_is_small_and_holds_pixels_alone(viewer):
    response = viewer.get(reverse("thumbnail", args=["photos", 1]))
    picture = Image.open(io.BytesIO(response.content))
    assert picture.format == "WEBP"
    assert not picture.getexif()
    assert "private" in response.headers["Cache-Control"]
    again = viewer.get(reverse("thumbnail", args=["photos", 1]))
    assert again.content == response.content


def test_an_original_is_saved_and_never_shown(viewer, gallery):
    response = viewer.get(reverse("original", args=["photos", 1]))
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in response.headers["Content-Security-Policy"]
    [path] = Collection.open(gallery).images([1])[0].paths
    assert b"".join(response.streaming_content) == Path(os.fsdecode(path)).read_bytes()


@pytest.mark.parametrize(
    "parameters",
    [
        {"like": "99999"},
        {"like": "../../etc/passwd"},
        {"unlike": "3"},
        {"like": "3", "w": "content"},
        {"like": "3", "w": "content:nan"},
        {"like": "up.nothing"},
        {"like": "3", "cursor": "1.2:forged"},
        {"q": "width:>ten"},
        {"round": "x"},
        {"cells": "-.-"},
        {"colors": "blue:140"},
        {"like": "3@1,2,900,900"},
        {"sketch": "up.nothing"},
        {"map": "bm9uc2Vuc2U"},
    ],
)
def test_wrong_searches_are_answered_in_one_line(viewer, parameters):
    response = viewer.get(reverse("search", args=["photos"]), parameters)
    assert response.status_code == 422
    assert b'class="error"' in response.content


FILE = {"file": "/etc/passwd"}


@pytest.mark.parametrize(
    "query",
    [
        {"positives": [FILE]},
        {"positives": [{"id": 1}], "negatives": [{**FILE, "box": [0, 0, 9, 9]}]},
        {"composition": [{"content_of": FILE}]},
        {"composition": [{"color_of": {**FILE, "box": [0, 0, 9, 9]}}]},
    ],
)
def test_a_query_over_the_network_cannot_name_files(viewer, query):
    address = reverse("api:search", args=["photos"])
    response = viewer.post(address, {"query": query}, content_type="application/json")
    assert response.status_code == 422
    assert "files of the server" in response.json()["error"]


def test_a_picture_sent_with_the_search_is_not_kept(viewer, gallery):
    with Collection.open(gallery) as collection:
        pixels = collection.picture(7)
    address = reverse("api:search_picture", args=["photos"])
    response = viewer.post(address, {"picture": SimpleUploadedFile("a.png", encoded(pixels))})
    assert response.json()["hits"][0]["id"] == 7
    assert not UploadedPicture.objects.exists()
    assert not list(uploads.ServerHome.from_environment().uploads.glob(".incoming*"))


def test_words_marks_and_colors_in_an_address_are_what_they_are_in_python(viewer, gallery):
    cells = ".".join(["ff0000"] * 8 + ["-"] * 56)
    asked = {"q": "width:>10", "round": ["3,-5"], "colors": "red:40", "cells": cells}
    response = viewer.get(reverse("search", args=["photos"]), asked)
    query = {
        "filter": "width:>10",
        "feedback": {"rounds": [{"3": 1, "5": -1}]},
        "colors": [["red", 40]],
        "painted_colors": [["#ff0000"] * 8] + [[None] * 8] * 7,
    }
    with Collection.open(gallery) as collection:
        found = collection.search(Query.from_json(query), N)
    assert ids_in(response) == [each for each in found.ids[0].tolist() if each > 0]


def test_a_part_of_a_picture_in_an_address_is_a_box_in_python(viewer, gallery):
    response = viewer.get(reverse("search", args=["photos"]), {"like": "3@4,4,20,20"})
    query = Query.from_json({"positives": [{"id": 3, "box": [4, 4, 20, 20]}]})
    with Collection.open(gallery) as collection:
        found = collection.search(query, N)
    assert ids_in(response) == [each for each in found.ids[0].tolist() if each > 0]


def test_a_drawing_is_sent_and_compared(viewer, gallery):
    with Collection.open(gallery) as collection:
        pixels = collection.picture(7)
    sent = send(viewer, encoded(pixels)).json()
    for name in ("sketch", "texture", "shape"):
        response = viewer.get(reverse("search", args=["photos"]), {name: sent["example"]})
        assert response.status_code == 200 or b"silhouette" in response.content


def test_a_least_score_at_its_left_end_asks_for_none():
    assert Asked.from_address("like=3&least=0") == Asked.from_address("like=3")


def test_sliders_stand_at_what_counts(viewer):
    def weights(**asked):
        page = viewer.get(reverse("search", args=["photos"]), {"like": "3", **asked})
        return {each["name"]: each["weight"] for each in page.context["sliders"]}

    assert {"content": 1.0, "layout": 0.25}.items() <= weights().items()
    assert {"content": 2.0, "layout": 0.0}.items() <= weights(w="content:2").items()
