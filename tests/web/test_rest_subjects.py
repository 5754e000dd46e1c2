"""The typed client against a real server: everything that the pages do, from a program."""

import json
import tarfile
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest
from django.db import connection

from lookalike import Collection, IdExample, PixelsExample, Query
from lookalike.client import Client
from lookalike.errors import EnvironmentFault, LookalikeError
from lookalike.search.drawings import Drawing
from lookalike.search.layouts import PaintedLayout, PaintedMap
from lookalike.storage.backups import restore
from lookalike.web import worker
from lookalike.web.models import ApiToken, HostedCollection, Job, ServerBackupJob, User
from tests.small_sets import write_pictures
from tests.web.conftest import N
from tests.web.copies import HALF, SMALL, copy_of

UNSAYABLE = {
    "weights of single examples": Query((IdExample(3), IdExample(4)), positive_weights=(0.5, 2)),
    "a drawing": Query(sketch=Drawing.of(np.eye(16, dtype=np.uint8)[..., None].repeat(3, 2) * 255)),
    "a map on another grid": Query(
        layout=PaintedLayout(map=PaintedMap(bytes([1] * 15 + [255] * 9), 4, 6, ("red",)))
    ),
    "pictures left out": Query((IdExample(3),), exclude_ids=(7,)),
    "several points": Query((IdExample(3), IdExample(9)), multipoint="yes"),
}


@pytest.fixture
def own(gallery, hosted, tmp_path):
    """The hosted collection, which a test may change; it has clusters and copies."""
    hosted.path = str(copy_of(gallery, tmp_path))
    hosted.save()
    return hosted


def client_of(live_server, username, **words):
    token = ApiToken.make(User.objects.get(username=username), "t", may_write=True, days=1)
    return Client(live_server.url, token, **words)


@pytest.fixture
def owner(live_server, people, own):
    with client_of(live_server, "owner") as opened:
        yield opened


def work():
    """Do the job that waits."""
    worker.run_job(Job.take("one"))


def test_hits_go_on_where_they_ended_until_the_collection_changes(owner, own, tmp_path):
    query = Query((IdExample(3),))
    whole = owner.search("photos", query, 30)
    assert whole.cursor == ""
    assert len(whole.hits) == N + 1
    assert list(owner.all_hits("photos", query, page=7)) == list(whole.hits)
    first = owner.search("photos", query, 7)
    with pytest.raises(LookalikeError, match="another question"):
        owner.search("photos", Query((IdExample(4),)), 7, cursor=first.cursor)
    with pytest.raises(LookalikeError, match="no cursor"):
        owner.search("photos", query, 7, cursor=f"{first.cursor}x")
    with Collection.open(own.folder, writable=True) as opened:
        write_pictures(tmp_path / "later", 1, seed=9)
        opened.add(tmp_path / "later", workers=0)
    with pytest.raises(LookalikeError, match="has changed since"):
        owner.search("photos", query, 7, cursor=first.cursor)


def test_labels_are_said_carried_on_reviewed_and_taken_back(owner):
    proposed = owner.labels.proposal("photos")
    assert proposed.clusters == "content"
    assert owner.labels.proposal("photos", at=1).cluster != proposed.cluster
    fits, others = proposed.images[:3], proposed.images[3:5]
    owner.labels.add("photos", ["red hat"], fits, others)
    asked = owner.labels.propagate("photos")
    work()
    assert owner.jobs.wait("photos", asked.id).report == {"name": "content", "labels": ["red hat"]}
    assert [each["label"] for each in owner.labels.preview("photos")] == ["red hat"]
    doubts = owner.labels.doubts("photos", "red hat", n=3)
    assert len(doubts) == 3
    assert {each.id for each in doubts}.isdisjoint({*fits, *others})
    answered = owner.labels.answer("photos", "red hat", [doubts[0].id], [doubts[1].id])
    [said] = [each for each in owner.labels.all("photos") if each.label == "red hat"]
    assert said.person == len(fits) + 1
    told = owner.labels.of_image("photos", doubts[1].id)
    assert {"label": "red hat", "by": "person", "probability": 0.0} in told
    assert owner.labels.actions("photos")[0]["action"] == answered
    owner.labels.undo("photos", answered)
    assert doubts == owner.labels.doubts("photos", "red hat", n=3)
    with pytest.raises(LookalikeError, match="not the last action"):
        owner.labels.undo("photos", answered)
    with pytest.raises(LookalikeError, match="both show a label and not"):
        owner.labels.add("photos", ["red hat"], [1], [1])


def look_for_copies(owner):
    owner.jobs.make("photos", "duplicates")
    work()


def test_taking_a_second_propagation_back_is_a_job(owner):
    owner.labels.add("photos", ["hat"], [1, 2, 3])
    owner.labels.propagate("photos")
    work()
    doubts = owner.labels.doubts("photos", n=50)
    owner.labels.add("photos", ["hat"], [], [4, 5, 6])
    owner.labels.propagate("photos")
    work()
    assert owner.labels.doubts("photos", n=50) != doubts
    last = owner.labels.actions("photos")[0]
    assert last["kind"] == "propagate"
    undone = owner.labels.undo("photos", last["action"])
    work()
    assert owner.jobs.wait("photos", undone["job"]).report == {"action": last["action"]}
    said = {4, 5, 6}
    assert owner.labels.doubts("photos", n=50) == [each for each in doubts if each.id not in said]


def test_duplicates_are_listed_decided_about_and_taken_back(owner):
    owner.duplicates.decide("photos", "same", [1, HALF, SMALL])
    look_for_copies(owner)
    [group] = owner.duplicates.groups("photos", page=1)
    assert group.keep == group.members[0]["id"]
    assert sorted(each["id"] for each in group.members) == [1, HALF, SMALL]
    assert len(owner.duplicates.removable("photos")) == 2
    owner.duplicates.decide("photos", "keep", [HALF])
    assert owner.duplicates.decisions("photos")["keep"] == [HALF]
    owner.duplicates.decide("photos", "forget", [1, HALF, SMALL])
    assert owner.duplicates.decisions("photos") == {"keep": [], "same": [], "different": []}


def test_a_list_of_groups_goes_on_until_something_is_decided(owner):
    owner.duplicates.decide("photos", "same", [1, HALF])
    owner.duplicates.decide("photos", "same", [2, 3])
    look_for_copies(owner)
    found = owner._connection.get("/collections/photos/duplicates", k=1)
    assert found["total"] == len(list(owner.duplicates.groups("photos", page=1))) >= 2
    owner.duplicates.decide("photos", "keep", [3])
    with pytest.raises(LookalikeError, match="has changed since"):
        owner._connection.get("/collections/photos/duplicates", k=1, cursor=found["cursor"])


def test_searches_are_kept_as_queries_and_as_addresses(owner, own):
    query = Query.from_json(
        {
            "positives": [{"id": 3}, {"id": 4, "box": [1, 2, 20, 30]}],
            "negatives": [{"id": 5}],
            "filter": "width:>10",
            "layout": {"boxes": [{"label": "red", "box": [0.0, 0.5, 1.0, 1.0]}]},
            "colors": [["#ff0000", 40.0], ["#0000ff", 10.0]],
            "feedback": {"rounds": [{"6": 1, "7": -1}]},
            "weights": {"content": 2.0, "layout": 1.0},
            "min_score": 0.25,
            "sort": "name",
            "hide_duplicates": True,
        }
    )
    kept = owner.searches.save("photos", "mixed", query)
    [found] = owner.searches.all("photos")
    assert found == kept == owner.searches.get("photos", kept.id)
    assert Query.from_json(found.query) == query
    owner.searches.save("photos", "mixed", Query((IdExample(1),)))
    [replaced] = owner.searches.all("photos")
    assert Query.from_json(replaced.query) == Query((IdExample(1),))
    owner.searches.delete("photos", replaced.id)
    assert owner.searches.all("photos") == []


@pytest.mark.parametrize("name", UNSAYABLE)
def test_a_search_that_no_address_can_say_is_kept_whole_and_asked_again(owner, name):
    query = UNSAYABLE[name]
    kept = owner.searches.save("photos", "odd", query)
    assert kept.address == "q=saved%3Aodd"
    assert Query.from_json(owner.searches.get("photos", kept.id).query) == query
    wanted = [(hit.id, hit.score) for hit in owner.search("photos", query, 4).hits]
    found = owner.searches.run("photos", "odd", 4)
    assert [(hit.id, hit.score) for hit in found.hits] == wanted != []
    exported = json.loads(owner.export("photos", "json", saved="odd"))["images"]
    assert [each["id"] for each in exported][:4] == [image for image, _ in wanted]


def test_a_map_painted_on_the_grid_of_the_model_becomes_an_address(owner, own):
    with Collection.open(own.path) as opened:
        card = opened.card
    values = np.full((card.grid, card.grid), 255, np.uint8)
    values[2:] = 2
    query = Query(layout=PaintedLayout(map=PaintedMap.of(values, card.classes)))
    kept = owner.searches.save("photos", "painted", query)
    assert kept.address.startswith("map=")
    assert Query.from_json(kept.query) == query


def test_a_saved_search_is_bounded_and_named(owner):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    with pytest.raises(LookalikeError, match="as uploads"):
        owner.searches.save("photos", "big", Query((PixelsExample.of(noise),)))
    with pytest.raises(LookalikeError, match="no saved search 'big'"):
        owner.searches.run("photos", "big")
    with pytest.raises(LookalikeError, match="nothing is asked"):
        owner._connection.find("/collections/photos/search", {"k": 3})


def test_clusters_and_subjects_are_made_and_shown(owner):
    job = owner.jobs.make("photos", "clusters", descriptor="layout", k=3)
    work()
    assert owner.jobs.wait("photos", job.id).report["clusters"] == 3
    assert len(owner.clusters("photos", "layout")["clusters"]) == 3
    owner.labels.add("photos", ["dog"], [1, 2])
    top = {each["name"]: each["pictures"] for each in owner.subjects("photos")["beneath"]}
    assert top["animal"] == 2
    below = owner.subjects("photos", "animal")
    assert below["beneath"] == [{"name": "dog", "pictures": 2, "children": 0}]
    assert [each["id"] for each in below["images"]] == [1, 2]
    with pytest.raises(LookalikeError, match="takes no descriptor"):
        owner.jobs.make("photos", "verify", descriptor="content")
    with pytest.raises(LookalikeError, match="no descriptor 'nothing'"):
        owner.jobs.make("photos", "clusters", descriptor="nothing")


@pytest.mark.slow
def test_a_map_is_made_and_its_places_are_given(owner):
    owner.jobs.make("photos", "map", descriptor="content")
    work()
    found = owner.map("photos")
    assert len(found["ids"]) == len(found["x"]) == len(found["y"]) == N + 2


def test_jobs_are_paused_resumed_and_cancelled(owner):
    job = owner.jobs.make("photos", "verify")
    assert owner.jobs.steer("photos", job.id, "pause").state == "paused"
    with pytest.raises(LookalikeError, match="paused"):
        owner.jobs.wait("photos", job.id)
    assert owner.jobs.steer("photos", job.id, "resume").state == "queued"
    assert owner.jobs.steer("photos", job.id, "cancel").state == "cancelled"
    assert [each.id for each in owner.jobs.all("photos")] == [job.id]


def test_what_is_damaged_is_told_by_name(owner, own):
    owner.jobs.make("photos", "verify")
    work()
    report = owner.jobs.all("photos")[0].report
    assert (report["clean"], report["problems"]) == (True, [])
    assert report["checked"]["images"] == N + 2
    assert report["bytes_of"] == owner.status("photos")["bytes_of"]
    assert {each["descriptor"] for each in report["indexes"]} >= {"content", "layout"}
    rows = next((own.folder / "index").glob("content-*.rows.npy"))
    data = bytearray(rows.read_bytes())
    data[-1] ^= 1
    rows.write_bytes(data)
    owner.jobs.make("photos", "verify")
    work()
    report = owner.jobs.all("photos")[0].report
    assert report["clean"] is False
    [problem] = report["problems"]
    assert problem["kind"] == "index"
    assert rows.name in problem["detail"]


def test_a_backup_is_made_taken_along_restored_and_deleted(owner, own, tmp_path):
    job = owner.backups.make("photos")
    work()
    [kept] = owner.backups.all("photos")
    assert kept.id == job.id
    assert kept.checksum == owner.jobs.get("photos", job.id).report["checksum"]
    owner.backups.download("photos", kept.id, tmp_path / "kept.tar")
    with closing(tarfile.open(tmp_path / "kept.tar")) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    [folder] = (tmp_path / "out").iterdir()
    assert restore(folder, tmp_path / "here").checksum == kept.checksum
    owner.labels.add("photos", ["cat"], [1])
    owner.backups.restore("photos", kept.id, "As it was")
    work()
    [restored] = [each for each in owner.collections() if each.title == "As it was"]
    assert (restored.name, restored.role, restored.images) == ("as-it-was", "owner", N + 2)
    assert [each for each in owner.labels.all("as-it-was") if each.person] == []
    query = Query((IdExample(3),))
    assert owner.search("as-it-was", query).hits == owner.search("photos", query).hits
    owner.backups.delete("photos", kept.id)
    assert owner.backups.all("photos") == []
    with pytest.raises(LookalikeError, match="no such backup"):
        owner.backups.download("photos", kept.id, tmp_path / "again.tar")
    assert not (tmp_path / "again.tar").exists()


def test_lists_are_exported(owner):
    rows = owner.export("photos", "csv", query=Query((IdExample(3),))).splitlines()
    assert rows[0].startswith("id,score,path")
    assert len(rows) == 1 + N + 1
    found = json.loads(owner.export("photos", "json", ids=[2, 1]))
    assert [each["id"] for each in found["images"]] == [2, 1]
    with pytest.raises(LookalikeError, match="no image 999"):
        owner.export("photos", "csv", ids=[999])
    with pytest.raises(LookalikeError, match="not both"):
        owner.export("photos", "csv", ids=[1], query=Query((IdExample(3),)))


def test_another_person_finds_nothing_of_it(live_server, people, own, owner):
    job = owner.backups.make("photos")
    work()
    kept = owner.searches.save("photos", "mine", Query((IdExample(3),)))
    with client_of(live_server, "viewer") as viewer:
        assert viewer.searches.all("photos") == []
        for refused in (
            lambda: viewer.searches.get("photos", kept.id),
            lambda: viewer.searches.delete("photos", kept.id),
            lambda: viewer.backups.all("photos"),
            lambda: viewer.backups.restore("photos", job.id),
            lambda: viewer.status("photos"),
        ):
            with pytest.raises(LookalikeError, match="no such"):
                refused()
    other = HostedCollection.objects.create(slug="other", title="Other", path=own.path + "-not")
    with client_of(live_server, "editor") as editor, pytest.raises(LookalikeError):
        editor.backups.download("other", job.id, "/dev/null")
    with pytest.raises(LookalikeError, match="no such collection"):
        owner.backups.restore("other", job.id)
    other.memberships.create(user=User.objects.get(username="owner"), role=3)
    with pytest.raises(LookalikeError, match="no such backup"):
        owner.backups.restore("other", job.id)  # of a collection that it is not of


class Stubborn(BaseHTTPRequestHandler):
    """Breaks off, is busy, then answers; remembers what it was sent."""

    seen: ClassVar = []

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["Idempotency-Key"])
        if len(self.seen) == 1:
            self.connection.close()
            return
        is_busy = len(self.seen) == 2
        body = b"busy" if is_busy else b'{"action": 7, "statements": 1}'
        self.send_response(503 if is_busy else 200)
        if is_busy:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


@pytest.fixture
def stubborn():
    Stubborn.seen = []
    with HTTPServer(("127.0.0.1", 0), Stubborn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_did_not_arrive_is_sent_again_under_the_same_key(stubborn):
    with Client(stubborn, "look_x") as client:
        assert client.labels.add("photos", ["cat"], [1]) == 7
    assert len(Stubborn.seen) == 3
    assert len(set(Stubborn.seen)) == 1
    assert len(Stubborn.seen[0]) >= 20


def test_without_patience_it_gives_up_at_once(stubborn):
    with Client(stubborn, "look_x", patience=0) as client:
        with pytest.raises(EnvironmentFault, match="does not answer"):
            client.labels.add("photos", ["cat"], [1])
        with pytest.raises(LookalikeError, match="status 503"):
            client.labels.add("photos", ["cat"], [1])
    assert len(set(Stubborn.seen)) == 2


def test_staff_copy_the_server_and_nobody_else_does(live_server, people, owner, tmp_path):
    if connection.vendor != "sqlite":
        return
    with client_of(live_server, "staff") as staff:
        job = staff.server_backups.make()
        assert staff.server_backups.make().id == job.id
        worker.run_job(ServerBackupJob.take("one"))
        assert staff.server_backups.wait(job.id).report["backup"] == job.id
        [kept] = staff.server_backups.all()
        staff.server_backups.download(kept.id, tmp_path / "server.tar")
        with tarfile.open(tmp_path / "server.tar") as archive:
            assert any(name.endswith("server.sqlite") for name in archive.getnames())
        with pytest.raises(LookalikeError, match="no such page"):
            owner.server_backups.download(kept.id, tmp_path / "no.tar")
        staff.server_backups.delete(kept.id)
        assert staff.server_backups.all() == []
