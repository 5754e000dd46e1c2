"""Clusters, subjects, maps and what is done with pictures that were picked, without a browser."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.urls import reverse
from PIL import Image

from lookalike import Collection
from lookalike.errors import UsageError
from lookalike.images.thumbnails import encode_webp
from lookalike.search.clusters import make_clusters
from lookalike.search.maps import make_map
from lookalike.storage.annotations import Statement
from lookalike.storage.maps import MapPoints
from lookalike.web import atlases
from lookalike.web.models import HostedCollection, Job, JobState, Membership, Role, User
from lookalike.web.views import browsing
from lookalike.web.work import grouping_options
from tests.web.conftest import N


@pytest.fixture
def own(people, gallery, tmp_path):
    """A collection that may be changed, which the same people may see."""
    copy = shutil.copytree(gallery, tmp_path / "own.lookalike")
    made = HostedCollection.objects.create(slug="own", title="Own", path=str(copy))
    for role in Role:
        user = User.objects.get(username=role.label)
        Membership.objects.create(collection=made, user=user, role=role)
    return made


@pytest.fixture
def grouped(own):
    """The same with four clusters, a map and labels."""
    with Collection.open(own.folder, writable=True) as opened:
        make_clusters(opened.catalog, "content", "content", 4)
        make_map(opened.catalog, "content")
    return own


def ask(browser, own, kind, **sent):
    return browser.post(reverse("group", args=[own.slug, kind]), sent)


def run_all_jobs():
    from lookalike.web import worker

    while (job := Job.take("one")) is not None:
        worker.run_job(job)
    return Job.objects.first()


def test_an_editor_has_clusters_made_that_viewers_see(people, own):
    ask(people.editor, own, "clusters", descriptor="content", k="4")
    assert run_all_jobs().report == {"name": "content", "clusters": 4, "placed": 0}
    shown = people.viewer.get(reverse("browse", args=["own"])).content.decode()
    assert shown.count('class="group"') == 4
    assert "Cluster anew" not in shown
    assert "Cluster anew" in people.editor.get(reverse("browse", args=["own"])).content.decode()


def test_the_clusters_hold_every_picture_once(people, grouped):
    seen = []
    for number in range(4):
        page = people.viewer.get(reverse("cluster", args=["own", number]))
        seen += [each["id"] for each in page.context["members"]]
    assert sorted(seen) == list(range(1, N + 1))


def test_a_map_is_made_with_its_small_pictures(people, own):
    ask(people.editor, own, "map", descriptor="content")
    assert run_all_jobs().report["n"] == N
    drawn = people.viewer.get(reverse("map_points", args=["own"])).json()
    assert drawn["ids"] == list(range(1, N + 1))
    assert drawn["counts"] == [1] * N
    [part] = drawn["parts"]
    folder = atlases.ServerHome.from_environment().atlases / str(own.pk) / part.split("/")[-2]
    assert (folder / "0.webp").is_file()
    answer = people.viewer.get(part)
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.size == (1024, 1024)
        tile = np.asarray(image.crop((4 * 64, 0, 5 * 64, 64)), np.float64)
    with Collection.open(own.folder) as opened:
        picture = Image.fromarray(opened.picture(drawn["ids"][4], 64)).resize((64, 64))
    assert np.abs(tile - np.asarray(picture, np.float64)).mean() < 20
    others = Image.fromarray(np.roll(np.asarray(picture), 32, axis=0))
    assert np.abs(tile - np.asarray(others, np.float64)).mean() > 40


def test_small_pictures_of_another_collection_are_out_of_reach(people, grouped):
    [part] = people.viewer.get(reverse("map_points", args=["own"])).json()["parts"]
    assert people.viewer.get(part).status_code == 200
    assert people.viewer.get(part.replace("/c/own/", "/c/photos/")).status_code == 410
    assert people.other.get(part).status_code == 404


def test_of_very_many_pictures_the_middle_one_of_each_cell_stands_for_the_others(monkeypatch):
    monkeypatch.setattr(atlases, "MOST_DRAWN", 50)
    monkeypatch.setattr(atlases, "_CELLS", 7)
    points = np.random.default_rng(3).random((400, 2))
    held = MapPoints(np.arange(1, 401) * 3, points, np.ones(400, bool))
    drawn = atlases.drawn_of(held, "today")
    assert len(drawn.ids) == 49
    assert drawn.counts.sum() == 400
    for image_id, point, count in zip(drawn.ids, drawn.points, drawn.counts, strict=True):
        cell = (points * 7).astype(int) == (point * 7).astype(int)
        assert count == cell.all(axis=1).sum()
        assert (point == points[image_id // 3 - 1]).all()
    assert drawn.key != atlases.drawn_of(held, "yesterday").key


def test_new_pictures_are_placed_and_no_other_moves(people, grouped, tmp_path):
    Image.fromarray(np.full((32, 32, 3), 77, np.uint8)).save(tmp_path / "new.png")
    with Collection.open(grouped.folder, writable=True) as opened:
        before = opened.catalog.knowledge.maps.points("content")
        opened.add(tmp_path / "new.png", workers=0)
    page = people.editor.get(reverse("map", args=["own"])).content
    assert b"Place 1 new picture<" in page
    ask(people.editor, grouped, "map", name="content")
    ask(people.editor, grouped, "clusters", name="content")
    run_all_jobs()
    with Collection.open(grouped.folder) as opened:
        after = opened.catalog.knowledge.maps.points("content")
        assert len(opened.catalog.knowledge.clusterings.members("content").ids) == N + 1
    assert (after.points[:N] == before.points).all()
    assert len(after.ids) == N + 1


def test_what_makes_no_sense_is_not_begun(people, own):
    with Collection.open(own.folder) as opened:
        for sent in ({"k": "1"}, {"k": str(N)}, {"k": "four"}, {"k": "٤"}, {"descriptor": "x"}):
            with pytest.raises(UsageError):
                grouping_options(sent, opened)
        assert grouping_options({"k": ""}, opened)["k"] is None
    answer = people.editor.post(reverse("group", args=["own", "clusters"]), {"k": "1"}, follow=True)
    assert "no number of clusters" in answer.content.decode()
    assert ask(people.editor, own, "index").status_code == 404
    assert not Job.objects.exists()


def test_work_that_waits_is_not_asked_for_twice(people, own):
    ask(people.editor, own, "clusters")
    ask(people.editor, own, "clusters")
    assert Job.objects.count() == 1


def test_work_that_nobody_knows_fails_with_a_reason(own):
    Job.objects.create(collection=own, kind="magic")
    assert run_all_jobs().state == JobState.FAILED
    assert "magic" in Job.objects.first().error


def test_subjects_are_browsed_down_to_their_pictures(people, own):
    said = ((1, "dog"), (2, "cat"), (3, "cat"), (4, "lamp"))
    with Collection.open(own.folder, writable=True) as opened:
        statements = [Statement(image_id, label, True) for image_id, label in said]
        opened.catalog.knowledge.annotations.add("label", {}, statements)
    address = reverse("subjects", args=["own"])
    top = people.viewer.get(address).context["cards"]
    assert {"animal": 3, "lamp": 1}.items() <= {each["name"]: each["size"] for each in top}.items()
    animal = people.viewer.get(address, {"subject": "animal"}).context
    assert {each["name"]: each["size"] for each in animal["cards"]} == {"cat": 2, "dog": 1}
    assert {each["id"] for each in animal["members"]} == {1, 2, 3}
    cat = people.viewer.get(address, {"subject": "cat"}).context
    assert cat["above"] == ("animal",)
    assert people.viewer.get(address, {"subject": "nothing"}).status_code == 422


def test_pages_of_pictures_show_each_once(people, grouped, monkeypatch):
    monkeypatch.setattr(browsing, "PAGE", 2)
    address = reverse("cluster", args=["own", 0])
    first = people.viewer.get(address).context
    last = first["paging"]["last"]
    assert last == -(-first["card"]["size"] // 2)
    pages = [people.viewer.get(address, {"page": n}).context for n in range(1, last + 1)]
    ids = [each["id"] for page in pages for each in page["members"]]
    assert len(ids) == len(set(ids)) == first["card"]["size"]
    for wrong in ("0", "x", "99999", "²"):
        assert people.viewer.get(address, {"page": wrong}).status_code == 200


def test_picked_pictures_are_searched_with(people, own):
    answer = people.viewer.post(reverse("picked", args=["own"]), {"id": [3, 5], "do": "search"})
    assert answer.headers["Location"] == "/c/own/?like=3&like=5"
    many = ",".join(map(str, range(1, N + 1)))
    answer = people.viewer.post(reverse("picked", args=["own"]), {"ids": many, "do": "search"})
    assert answer.headers["Location"].count("like=") == N


def taken(browser, what, **sent):
    answer = browser.post(reverse("picked", args=["own"]), {"do": what, **sent})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="own.{what}"'
    return b"".join(answer.streaming_content)


def test_picked_pictures_are_taken_along(people, own):
    rows = list(csv.DictReader(io.StringIO(taken(people.viewer, "csv", ids="5,3").decode())))
    assert [row["id"] for row in rows] == ["5", "3"]
    content = json.loads(taken(people.viewer, "json", id=["5", "3"]))
    assert [each["path"] for each in content["images"]] == [row["path"] for row in rows]
    with zipfile.ZipFile(io.BytesIO(taken(people.viewer, "zip", ids="5,3"))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[-1] == "manifest.csv"
        assert len(names) == 3
        assert archive.read(names[0]) == Path(rows[0]["path"]).read_bytes()


@pytest.mark.parametrize("sent", [{}, {"ids": "x"}, {"ids": "9" * 30}, {"ids": "999"}])
def test_what_cannot_be_picked_is_refused(people, own, sent):
    for what in ("csv", "zip", "search"):
        answer = people.viewer.post(reverse("picked", args=["own"]), {"do": what, **sent})
        assert answer.status_code == 422


def test_old_small_pictures_are_deleted(own, monkeypatch):
    place = atlases.ServerHome.from_environment().atlases / "7" / "a"
    place.mkdir(parents=True)
    (place / "0.webp").write_bytes(encode_webp(np.zeros((4, 4, 3), np.uint8)))
    atlases.delete_old()
    assert place.exists()
    monkeypatch.setattr(atlases, "_KEPT_SECONDS", -1.0)
    atlases.delete_old()
    assert not place.exists()
